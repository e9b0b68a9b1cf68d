"""`grex add`: what cannot be cloned is never declared, and the root's pack.yaml keeps what its author wrote."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import anyio
import pytest

from grex.cli import render
from grex.errors import FetchError, GrexError, PackError, UsageError
from grex.progress import PackFinished
from grex.verbs.add import AddReport, AddRequest, add
from grex.workspace import TrustStore
from tests.support.git_server import GitServer, git
from tests.support.place import Place, by_path
from tests.support.workspace import pack_yaml

pytestmark = pytest.mark.anyio

ROOT = """\
# Our tools, by hand.
schema_version: "1"
name: root   # the name
type: meta

children:
  # the first one
  - url: {first}
    path: zebra  # not in alphabetical order

x-team: {{owner: us}}
"""


@pytest.fixture
def ready(place: Place, server: GitServer) -> Place:
    server.create("first", {"f": "1\n"})
    server.create("tool", {"t": "1\n"})
    (place / ".grex").mkdir()
    (place / ".grex/pack.yaml").write_text(ROOT.format(first=server.url("first")))
    return place


def trust(place: Place) -> TrustStore:
    return TrustStore(place.defaults.state_dir, place.root)


async def added(place: Place, url: str, path: str | None = None, **request: Any) -> AddReport:
    return await add(AddRequest(place.root, url, path, **request), place.settings())


async def refused(place: Place, url: str, path: str | None = None, **request: Any) -> GrexError:
    before = snapshot(place)
    with pytest.raises(GrexError) as caught:
        await added(place, url, path, **request)
    assert snapshot(place) == before
    return caught.value


def snapshot(place: Place) -> dict[str, bytes | None]:
    """Everything below the root but lock files and what git hides them with."""
    return {
        str(path.relative_to(place.root)): path.read_bytes() if path.is_file() else None
        for path in sorted(place.root.rglob("*"))
        if not path.name.endswith(".lock") and path.name not in (".grex-lock", "exclude", "state")
    }


async def test_a_pack_is_cloned_declared_and_locked(ready: Place, server: GitServer) -> None:
    report = await added(ready, server.url("tool"))
    assert (report.path, report.exit_code) == ("tool", 0)
    assert (ready / "tool/t").read_text() == "1\n"
    assert ready.locked() == ["tool"]
    assert ready.leftovers() == []
    assert by_path(report.sync)["tool"].status == "cloned"
    assert "cloned       tool: main at " in render.add(report)
    told = [(event.status, event.text[:8]) for event in ready.seen.events if isinstance(event, PackFinished)]
    assert told == [("cloned", "main at ")]
    assert [(event.op, event.id) for event in ready.log()] == [("add", "tool"), ("sync", "tool")]


async def test_comments_and_order_of_the_root_stay_as_they_were(ready: Place, server: GitServer) -> None:
    before = (ready / ".grex/pack.yaml").read_text()
    await added(ready, server.url("tool"), "libs/tool", ref="main", groups=("dev", "ci"))
    after = (ready / ".grex/pack.yaml").read_text()
    head, tail = before.split("\nx-team", 1)
    assert after.startswith(head)
    assert after.endswith("x-team" + tail)
    new = after.removeprefix(head).removesuffix("x-team" + tail)
    assert new.split() == [
        "-",
        "url:",
        server.url("tool"),
        "path:",
        "libs/tool",
        "ref:",
        "main",
        "groups:",
        "[dev,",
        "ci]",
    ]


async def test_a_path_that_is_the_urls_last_segment_is_not_written(ready: Place, server: GitServer) -> None:
    await added(ready, server.url("tool"), "tool")
    assert "path: tool" not in (ready / ".grex/pack.yaml").read_text()


async def test_the_rest_of_the_workspace_is_not_touched(ready: Place, server: GitServer) -> None:
    await added(ready, server.url("tool"))
    assert not (ready / "zebra").exists()


async def test_a_clone_that_fails_leaves_nothing_not_even_directories(ready: Place, server: GitServer) -> None:
    error = await refused(ready, server.url("never-made"), "deep/down/tool")
    assert isinstance(error, FetchError)
    assert not (ready / "deep").exists()
    assert ready.leftovers() == []
    assert not (ready / "grex.lock.jsonl").exists()
    assert ready.log() == ()


async def test_a_failed_add_gives_no_hint_that_only_sync_can_follow(ready: Place) -> None:
    error = await refused(ready, "http://host.invalid/tool")
    assert error.hint
    assert "`grex sync --offline`" in error.hint or "--offline" not in error.hint
    assert "sync again" not in error.hint
    (ready / "tool").mkdir()
    (ready / "tool/notes").write_text("mine")
    assert (await refused(ready, ready.root.as_uri(), "tool")).hint == (
        "Move tool elsewhere and run the command again; grex does not touch what it did not make."
    )


async def test_a_clone_that_fails_leaves_no_trust(ready: Place, server: GitServer) -> None:
    await refused(ready, server.url("never-made"), trust_url=True)
    assert trust(ready).prefixes() == ()


async def test_a_ref_that_does_not_exist_leaves_nothing(ready: Place, server: GitServer) -> None:
    error = await refused(ready, server.url("tool"), ref="no-such-branch")
    assert "no-such-branch" in error.message


async def test_a_cancelled_clone_leaves_nothing(ready: Place, server: GitServer, tmp_path: Path) -> None:
    """Cancelled while git runs: a git that only says that it was started stands in for a slow one."""
    tools = tmp_path / "bin"
    tools.mkdir()
    os.mkfifo(tools / "started")
    (tools / "git").write_text(f'#!/bin/sh\necho > "{tools}/started"; exec sleep 60\n')
    (tools / "git").chmod(0o755)
    environ = dict(ready.defaults.environ)
    environ["PATH"] = f"{tools}:{environ['PATH']}"
    before = snapshot(ready)
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(
                add, AddRequest(ready.root, server.url("tool"), "deep/tool"), ready.settings(environ=environ)
            )
            await anyio.to_thread.run_sync((tools / "started").read_text)
            tasks.cancel_scope.cancel()
    assert snapshot(ready) == before


async def test_what_is_declared_already_is_refused_with_its_place(ready: Place, server: GitServer) -> None:
    error = await refused(ready, server.url("tool"), "zebra")
    assert isinstance(error, UsageError)
    assert error.message == "zebra is declared already, at .grex/pack.yaml:8:5"


async def test_what_another_pack_declares_is_refused_as_well(ready: Place, server: GitServer) -> None:
    server.create("meta", {".grex/pack.yaml": pack_yaml("meta", children=[{"url": server.url("first"), "path": "in"}])})
    await added(ready, server.url("meta"))
    error = await refused(ready, server.url("tool"), "meta/in")
    assert error.message.startswith("meta/in is declared already, at meta/.grex/pack.yaml:")


async def test_a_path_that_another_machine_would_confuse_is_refused(ready: Place, server: GitServer) -> None:
    error = await refused(ready, server.url("tool"), "Zebra")
    assert isinstance(error, UsageError)
    assert error.message == "Zebra differs only in case or Unicode form from zebra, declared at .grex/pack.yaml:8:5"


async def test_an_existing_checkout_is_adopted_with_its_local_work(ready: Place, server: GitServer) -> None:
    git(ready.root, "clone", "--quiet", server.url("tool"), "tool")
    (ready / "tool/t").write_text("mine\n")
    report = await added(ready, server.url("tool"))
    assert report.exit_code == 0
    assert (ready / "tool/t").read_text() == "mine\n"
    assert ready.locked() == ["tool"]


async def test_a_checkout_of_something_else_is_not_taken_over(ready: Place, server: GitServer) -> None:
    git(ready.root, "clone", "--quiet", server.url("first"), "tool")
    with pytest.raises(PackError, match="tool was not added"):
        await added(ready, server.url("tool"))
    assert git(ready / "tool", "remote", "get-url", "origin") == server.url("first")
    assert server.url("tool") not in (ready / ".grex/pack.yaml").read_text()


async def test_files_in_the_way_are_left_there(ready: Place, server: GitServer) -> None:
    (ready / "tool").mkdir()
    (ready / "tool/notes").write_text("mine")
    error = await refused(ready, server.url("tool"))
    assert isinstance(error, PackError)


@pytest.mark.parametrize(
    ("url", "path", "ref"),
    [
        ("ext::sh -c x", None, None),
        ("-u", None, None),
        ("https://host.example/x", "../out", None),
        ("https://host.example/x", ".grex/x", None),
        ("https://host.example/x", "a/.git", None),
        ("https://host.example/x", "", None),
        ("https://host.example/x", None, "-x"),
        ("https://host.example/x", None, "a..b"),
    ],
)
async def test_what_git_could_misread_is_refused_before_anything_is_done(
    ready: Place, url: str, path: str | None, ref: str | None
) -> None:
    error = await refused(ready, url, path, ref=ref)
    assert isinstance(error, UsageError)
    assert error.hint


async def test_credentials_are_not_written_into_the_declaration(ready: Place) -> None:
    error = await refused(ready, "https://user:hunter2@host.invalid/tool")
    assert "hunter2" not in str([error.message, error.hint, error.details])


@pytest.mark.parametrize("is_typed_by_the_user", [True, False])
async def test_naming_a_url_on_the_command_line_is_trust_in_it_and_elsewhere_not(
    ready: Place, server: GitServer, *, is_typed_by_the_user: bool
) -> None:
    server.create(
        "runs", {".grex/pack.yaml": pack_yaml("runs", "declarative", actions=[{"exec": {"cmd": ["touch", "ran"]}}])}
    )
    report = await added(ready, server.url("runs"), trust_url=is_typed_by_the_user)
    assert (ready / "runs/ran").exists() == is_typed_by_the_user
    assert trust(ready).prefixes() == ((f"file://{server.path('runs')}",) if is_typed_by_the_user else ())
    assert report.exit_code == (0 if is_typed_by_the_user else 4)


async def test_trust_by_add_covers_no_pack_below(ready: Place, server: GitServer) -> None:
    actions = [{"exec": {"cmd": ["touch", "ran"]}}]
    server.create("inner", {".grex/pack.yaml": pack_yaml("inner", "declarative", actions=actions)})
    server.create("outer", {".grex/pack.yaml": pack_yaml("outer", children=[{"url": server.url("inner")}])})
    report = await added(ready, server.url("outer"), trust_url=True)
    install = by_path(report.sync)["outer/inner"].install
    assert install is not None
    assert install.status == "untrusted"
    assert not (ready / "outer/inner/ran").exists()


async def test_a_nested_workspace_is_a_pack_with_all_that_it_owns(ready: Place, server: GitServer) -> None:
    server.create(
        "team",
        {
            ".grex/pack.yaml": pack_yaml("team", children=[{"url": server.url("tool"), "path": "libs/tool"}]),
            "grex.lock.jsonl": "this is content here\n",
        },
    )
    report = await added(ready, server.url("team"))
    assert report.exit_code == 0
    assert (ready / "team/libs/tool/t").exists()
    assert ready.locked() == ["team", "team/libs/tool"]
    assert git(ready / "team", "status", "--porcelain") == ""


async def test_no_install_only_clones(ready: Place, server: GitServer) -> None:
    server.create("dirs", {".grex/pack.yaml": pack_yaml("dirs", "declarative", actions=[{"mkdir": {"path": "made"}}])})
    report = await added(ready, server.url("dirs"), no_install=True)
    assert by_path(report.sync)["dirs"].install is None
    assert not (ready / "dirs/made").exists()


async def test_the_same_add_again_after_a_kill_before_the_declaration_adopts_the_clone(
    ready: Place, server: GitServer
) -> None:
    text = (ready / ".grex/pack.yaml").read_text()
    await added(ready, server.url("tool"))
    (ready / ".grex/pack.yaml").write_text(text)
    assert by_path(await ready.sync())  # the first one is brought
    report = await added(ready, server.url("tool"))
    assert report.exit_code == 0
    assert ready.locked() == ["tool", "zebra"]


async def test_a_path_is_relative_to_the_workspace_root_whatever_its_spelling(ready: Place, server: GitServer) -> None:
    for spelling in ("./libs/a/", "/libs/b"):
        report = await added(ready, server.url("tool"), spelling)
        assert report.path == spelling.strip("./")


def test_a_request_trusts_nobody_unless_told_so(tmp_path: Path) -> None:
    assert not AddRequest(tmp_path, "x").trust_url
