"""`grex plugins` finds every plugin that cannot be used, whatever is wrong with it, and shows whose it is."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from grex.cli.app import run
from grex.errors import UnknownPackTypeError
from grex.plugin import Registry

GOOD = """
from grex.plugin import Outcome, PackType


class Good(PackType):
    name = "good"

    async def install(self, ctx, pack):
        return Outcome("unchanged")


class Later(Good):
    api_version = 2
"""

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Put a distribution on the path: its name, its entry points `group:name` over the class, the module's source."""

    def put(name: str, entries: Mapping[str, str], source: str = GOOD, version: str = "1.5") -> None:
        site = tmp_path / f"site-{name}"
        module = f"{name.replace('-', '_')}_module"
        info = site / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        lines = [
            f"[{key.partition(':')[0]}]\n{key.partition(':')[2]} = {module}:{value}\n" for key, value in entries.items()
        ]
        (info / "entry_points.txt").write_text("".join(lines))
        (site / f"{module}.py").write_text(source)
        monkeypatch.syspath_prepend(site)
        monkeypatch.delitem(sys.modules, module, raising=False)

    return put


@pytest.fixture
def listed(capsys: pytest.CaptureFixture[str]) -> Callable[..., dict[tuple[str, str, str], dict[str, Any]]]:
    """`grex plugins --json`, by group, name and distribution."""

    def call(expect: int = 0) -> dict[tuple[str, str, str], dict[str, Any]]:
        capsys.readouterr()
        assert run(["plugins", "--json"]) == expect
        document = json.loads(capsys.readouterr().out)
        assert (document["schema"], document["api_version"], document["exit_code"]) == ("grex.plugins/1", 1, expect)
        assert document["plugins"] == sorted(document["plugins"], key=lambda one: (one["group"], one["name"]))
        return {(one["group"], one["name"], one["distribution"]): one for one in document["plugins"]}

    return call


def test_what_ships_with_grex_is_listed_as_what_it_is(listed: Any) -> None:
    found = listed()
    assert {name for group, name, _ in found if group == "grex.pack_types"} >= {"declarative", "meta", "plain"}
    assert {one["status"] for key, one in found.items() if key[2] == "grex"} == {"ok"}
    symlink = found["grex.actions", "symlink", "grex"]
    assert (symlink["object"], symlink["api_version"]) == ("grex.builtin.actions.symlink:Symlink", 1)


def test_a_plugin_is_listed_with_its_distribution_and_version(
    install: Install, listed: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    install("grex-good", {"grex.pack_types:good": "Good"})
    assert listed()["grex.pack_types", "good", "grex-good"] == {
        "group": "grex.pack_types",
        "name": "good",
        "status": "ok",
        "distribution": "grex-good",
        "version": "1.5",
        "object": "grex_good_module:Good",
        "api_version": 1,
        "error": None,
    }
    assert run(["plugins"]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "grex-good" in line]
    assert line.split() == ["grex.pack_types", "good", "ok", "grex-good", "1.5", "grex_good_module:Good"]


@pytest.mark.parametrize(
    ("entries", "source", "said"),
    [
        ({"grex.pack_types:bad": "Good"}, "import not_there", "cannot be imported: ModuleNotFoundError"),
        ({"grex.pack_types:bad": "Good"}, "print('noise')\nraise SystemExit(0)", "cannot be imported: SystemExit: 0"),
        ({"grex.pack_types:bad": "Absent"}, GOOD, "cannot be imported: AttributeError"),
        ({"grex.actions:bad": "Good"}, GOOD, "is not a ActionType"),
        ({"grex.pack_types:bad": "Later"}, GOOD, "is written for version 2 of the plugin API, and this grex has 1"),
        ({"grex.action:bad": "Good"}, GOOD, "is registered in grex.action, and there is no such group"),
    ],
)
def test_a_broken_plugin_is_shown_with_its_error_and_the_others_all_the_same(
    entries: Mapping[str, str], source: str, said: str, install: Install, listed: Any
) -> None:
    install("grex-good", {"grex.pack_types:good": "Good"})
    install("grex-bad", entries, source)
    found = listed(expect=8)
    (key,) = [key for key in found if key[2] == "grex-bad"]
    assert found[key]["status"] == "broken"
    assert found[key]["error"]["code"] == "plugin.load"
    assert said in found[key]["error"]["message"]
    assert found["grex.pack_types", "good", "grex-good"]["status"] == "ok"


def test_a_distribution_whose_entry_points_cannot_be_read_hides_no_other(
    install: Install, listed: Any, tmp_path: Path
) -> None:
    install("grex-good", {"grex.pack_types:good": "Good"})
    install("grex-bad", {})
    (tmp_path / "site-grex-bad/grex_bad-1.5.dist-info/entry_points.txt").write_text("[grex.pack_types]\nbad\n")
    found = listed(expect=8)
    assert found["grex.pack_types", "good", "grex-good"]["status"] == "ok"
    error = found["", "", "unknown distribution"]["error"]
    assert error["message"].startswith("the entry points of grex-bad cannot be read: ")
    registry = Registry()
    assert registry.pack_type("good").name == "good"
    with pytest.raises(UnknownPackTypeError) as caught:
        registry.pack_type("bad")
    assert "the entry points of grex-bad cannot be read" in (caught.value.hint or "")


def test_what_an_uninstall_has_left_is_listed_though_nothing_says_whose_it_was(
    install: Install, listed: Any, tmp_path: Path
) -> None:
    install("grex-left", {"grex.pack_types:left": "Good"})
    (tmp_path / "site-grex-left/grex_left-1.5.dist-info/METADATA").unlink()
    assert listed()["grex.pack_types", "left", "unknown distribution"]["status"] == "ok"


def test_the_text_says_why_a_plugin_is_broken(install: Install, capsys: pytest.CaptureFixture[str]) -> None:
    install("grex-bad", {"grex.pack_types:bad": "Good"}, "import not_there")
    assert run(["plugins"]) == 8
    out = capsys.readouterr().out
    assert "grex.pack_types bad: the plugin 'bad' of grex-bad" in out
    assert "hint: Update or reinstall grex-bad." in out


def test_a_name_that_two_distributions_have_is_broken_at_both(install: Install, listed: Any) -> None:
    for name in ("grex-one", "grex-two"):
        install(name, {"grex.pack_types:good": "Good"})
    found = listed(expect=8)
    for name in ("grex-one", "grex-two"):
        one = found["grex.pack_types", "good", name]
        assert one["status"] == "broken"
        assert "grex-one (grex_one_module:Good), grex-two (grex_two_module:Good)" in one["error"]["message"]


def test_a_name_that_ships_with_grex_is_shown_as_one_that_is_not_asked(
    install: Install, listed: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is not even imported: that alone could do harm, and nobody would ever need it."""
    install("grex-evil", {"grex.pack_types:declarative": "Good"}, "raise SystemExit(99)")
    found = listed()
    assert found["grex.pack_types", "declarative", "grex-evil"]["status"] == "shadowed"
    assert found["grex.pack_types", "declarative", "grex"]["status"] == "ok"
    run(["plugins"])
    assert "declarative: grex-evil is not asked, for the name ships with grex." in capsys.readouterr().out


def test_a_distribution_that_is_found_twice_on_the_path_counts_once(install: Install, listed: Any) -> None:
    install("grex-good", {"grex.pack_types:good": "Good"})
    sys.path.insert(0, sys.path[0])
    assert listed()["grex.pack_types", "good", "grex-good"]["status"] == "ok"


def test_it_needs_no_workspace_and_takes_no_lock(listed: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert listed()
    assert list(tmp_path.iterdir()) == []
