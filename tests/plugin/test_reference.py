"""The examples in the reference of plugins and actions do what the pages say."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

import grex
from grex.errors import FetchError
from grex.pack import ActionEntry, Mode, Problems, decode, parse_pack_spec
from grex.plugin import ActionType, Exec, Mkdir, PackType, Registry, Require, Symlink, When
from grex.plugin.decoding import RegisteredPredicates
from grex.plugin.registry import ACTIONS_GROUP
from grex.plugin.testing import RecordingContext, perform, predicate, would

DOCS = Path(grex.__file__).parents[1] / "docs/reference"


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (DOCS / page).read_text(), re.DOTALL | re.MULTILINE)


def run_block(page: str, number: int) -> dict[str, Any]:
    """The names that an example defines. It comes from our own page, so it is run as it stands."""
    names: dict[str, Any] = {"__name__": f"{page}[{number}]"}
    exec(compile(blocks(page, "python")[number], page, "exec", dont_inherit=True), names)  # noqa: S102 - see the docstring
    return names


@pytest.mark.anyio
async def test_the_pack_type_of_the_page_installs_and_goes_away_again(tmp_path: Path) -> None:
    context = RecordingContext(tmp_path)
    scratch = run_block("plugins.md", 0)["Scratch"]()
    assert isinstance(scratch, PackType)
    pack = context.make_pack("tools", type="scratch")
    assert (await scratch.install(context, pack)).status == "changed"
    assert (context.home / "scratch/tools").is_dir()
    assert (await scratch.install(context, pack)).status == "unchanged"
    await scratch.teardown(context, pack)
    assert list(context.home.iterdir()) == []


@pytest.mark.anyio
async def test_the_action_of_the_page_keeps_its_promises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = run_block("plugins.md", 1)
    touch, arguments = names["Touch"](), names["TouchArguments"](path="~/x")
    assert isinstance(touch, ActionType)
    context = RecordingContext(tmp_path)
    ctx = context.of(context.make_pack())
    assert await would(touch, arguments, ctx) == f"touch {context.home}/x"
    done = await perform(touch, arguments, ctx)
    assert done.changed
    assert not (await perform(touch, arguments, ctx)).changed
    for _ in range(2):
        await touch.undo(done.undo or {}, ctx)
        assert list(context.home.iterdir()) == []


def test_the_pack_yaml_of_the_page_is_read_into_what_the_actions_take() -> None:
    (text,) = blocks("actions.md", "yaml")
    spec = parse_pack_spec(text.encode(), file="pack.yaml", is_root=False)
    require, mkdir, symlink, when = (decoded(action) for action in spec.actions)
    assert isinstance(require, Require)
    assert (require.all_of[0].kind, require.on_fail) == ("cmd_available", "skip")
    assert mkdir == Mkdir(path="~/.cache/zsh", mode=Mode("0700"))
    assert symlink == Symlink(src="files/zshrc", dst="~/.zshrc", backup=True)
    assert isinstance(when, When)
    assert decoded(when.actions[0]) == Exec(
        cmd=("make", "plugins"), creates="build/plugins.zsh", undo=("make", "clean")
    )


def decoded(action: ActionEntry) -> object:
    """The arguments, checked as they are before anything is run."""
    implementation = Registry().action(action.kind)
    problems = Problems()
    predicates = RegisteredPredicates(Registry())
    arguments = decode(implementation.arguments, action.args, problems, what=action.kind, predicates=predicates)
    assert list(problems) == []
    assert implementation.check(arguments) is None
    return arguments


def test_the_table_has_every_action_and_every_argument() -> None:
    table: dict[str, set[str]] = {}
    action = ""
    page = (DOCS / "actions.md").read_text()
    for line in page[page.index("## The table") : page.index("## symlink")].splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if "`" in line:
            action = cells[0].strip("`") or action
            table.setdefault(action, set()).update(re.findall(r"`(\w+)`", cells[1]))
    registry = Registry()
    declared = {
        name: {field.name for field in dataclasses.fields(registry.action(name).arguments)}
        for name in registry.names(ACTIONS_GROUP)
    }
    assert table == declared


@pytest.mark.anyio
async def test_the_predicate_and_the_fetcher_of_the_page_load_and_check(tmp_path: Path) -> None:
    memory, mirror = run_block("plugins.md", 2)["Memory"](), run_block("plugins.md", 3)["Mirror"]()
    assert memory.check(0) == "memory_gib is a whole number above 0"
    context = RecordingContext(tmp_path, plugins=[memory, mirror])
    ctx = context.of(context.make_pack())
    answers = [ctx.evaluate(predicate("memory_gib", value)) for value in (1 << 30,)]
    elsewhere = RecordingContext(tmp_path, plugins=[memory], platform="macos")
    assert answers == [False]
    assert elsewhere.of(elsewhere.make_pack()).evaluate(predicate("memory_gib", 1)) is None
    with pytest.raises(FetchError, match="a mirror has no host"):
        await ctx.fetch("mirror://host/a", sha256="0" * 64, label="a")
