"""What somebody changes by hand of an install: seen by status, left by sync, mended by `update --force`, never lost."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support.distribution import python_path, write_distribution
from tests.support.git_server import GitServer
from tests.support.workspace import Workspace, pack_yaml

pytestmark = pytest.mark.slow  # whole runs of the program; what they show in small is shown below

TEAR_DOWN = """
import os, sys
from pathlib import Path
import anyio
from grex.engine import Present, RunContext, Session, Settings
from grex.engine.exclusive import exclusive
from grex.engine.installable import examine
from grex.pack import read_pack_spec

async def main(root, path):
    environ = dict(os.environ)
    home = Path(environ["HOME"])
    session = Session.open(root, Settings(home, environ, "linux", home / "state", "teardown"))
    async with exclusive(session):
        spec = read_pack_spec(root / path, is_root=False, platform="linux", display=path)
        pack = examine(session, Present(path, spec, "", None))
        outcome = await pack.pack_type.teardown(RunContext(session), pack.pack)
        print(*outcome.notes, sep="\\n")

anyio.run(main, Path(sys.argv[1]), sys.argv[2])
"""

PLUGIN = """
import subprocess
from dataclasses import dataclass
from typing import ClassVar

import anyio
from grex.plugin import ActionArguments, ActionType, Done, Outcome, PackType, Planned


class _Kind(PackType):
    def needs_trust(self, ctx, pack):
        return ()

    async def install(self, ctx, pack):
        if ctx.dry_run:
            await self.look()
        return Outcome("unchanged")


class Raising(_Kind):
    name = "raising"

    async def look(self):
        raise ZeroDivisionError("what is it")


class Hanging(_Kind):
    name = "hanging"

    def limit_s(self, pack):
        return 0.2

    async def look(self):
        await anyio.Event().wait()


@dataclass(frozen=True, slots=True, kw_only=True)
class AskArguments(ActionArguments):
    action: ClassVar[str] = "ask"
    cmd: tuple[str, ...]


class Ask(ActionType[AskArguments]):
    name = "ask"
    arguments = AskArguments

    def needs_trust(self, arguments, ctx):
        return ("ask",)

    async def plan(self, arguments, ctx):
        found = await ctx.run_process(arguments.cmd, cwd=ctx.pack.root, env={}, timeout_s=5, label="ask")
        return Planned("ask") if found.returncode else None

    async def do(self, arguments, planned, ctx):
        return Done("asked")
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


class Dots:
    """A workspace with the pack `dots`: a link into the home, a directory, and a link where the user has a file."""

    def __init__(self, workspace: Workspace, server: GitServer, *, last: Sequence[Any] = ()) -> None:
        actions = [
            {"symlink": {"src": "rc", "dst": "~/.rc", "backup": True}},
            {"mkdir": {"path": "~/cache"}},
            {"when": {"os": "linux", "actions": [{"symlink": {"src": "rc", "dst": "~/.a"}}, _link("~/.b")]}},
            *last,
        ]
        files = {"rc": "packed\n", ".grex/pack.yaml": pack_yaml("dots", "declarative", actions=actions)}
        server.create("dots", files)
        self.workspace = workspace
        self.home = workspace.home
        workspace.declare({"url": server.url("dots")})
        workspace.sync("--trust", server.root.as_uri())

    @property
    def tampered(self) -> list[str]:
        """What status says, by the text and by the document, which are to agree."""
        status = self.workspace.grex("status", "--json").packs["dots"]
        text = self.workspace.grex("status").stdout
        told = [line.removeprefix("  tampered: ") for line in text.splitlines() if line.startswith("  tampered: ")]
        assert told == status["tampered"]
        assert ("install-tampered" in status["states"]) == bool(told)
        return told

    def backups(self) -> list[str]:
        """What the backups beside `~/.rc` hold, oldest first."""
        return [path.read_text() for path in sorted(self.home.glob(".rc.grex-bak.*"))]


def _link(dst: str) -> dict[str, Any]:
    return {"symlink": {"src": "rc", "dst": dst}}


def _replace(path: Path) -> None:
    path.unlink()
    path.write_text("by hand\n")


def tear_down(workspace: Workspace, pack: str) -> str:
    """Undo an installation in a second process; gives the notes."""
    command = [sys.executable, "-c", TEAR_DOWN, str(workspace.root), pack]
    done = subprocess.run(command, env=workspace.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _turn(path: Path) -> None:
    path.unlink()
    path.symlink_to("/nowhere")


def _make_file(path: Path) -> None:
    path.rmdir()
    path.write_text("by hand\n")


def _remove(*paths: Path) -> None:
    for path in paths:
        path.unlink()


CHANGES: dict[str, tuple[Callable[[Path], None], list[str]]] = {
    "a link removed": (lambda home: _remove(home / ".rc"), ["symlink {home}/.rc -> {rc}: the link is gone"]),
    "a link replaced": (
        lambda home: _replace(home / ".rc"),
        ["symlink {home}/.rc -> {rc}: something else is in its place"],
    ),
    "a link turned": (
        lambda home: _turn(home / ".rc"),
        ["symlink {home}/.rc -> {rc}: it leads to /nowhere by now"],
    ),
    "a directory removed": (lambda home: (home / "cache").rmdir(), ["mkdir {home}/cache: it is gone"]),
    "a directory that is a file now": (
        lambda home: _make_file(home / "cache"),
        ["mkdir {home}/cache: it is no directory any more"],
    ),
    "two links inside a when": (
        lambda home: _remove(home / ".a", home / ".b"),
        ["symlink {home}/.a -> {rc}: the link is gone", "symlink {home}/.b -> {rc}: the link is gone"],
    ),
}


QUICK = {"a link replaced", "two links inside a when"}


@pytest.mark.parametrize(
    "change", [pytest.param(change, marks=() if change in QUICK else pytest.mark.slow) for change in CHANGES]
)
def test_what_was_changed_by_hand_is_told_line_by_line_left_by_sync_and_mended_when_asked(
    server: GitServer, workspace: Workspace, change: str
) -> None:
    dots = Dots(workspace, server)
    make, expected = CHANGES[change]
    expected = [line.format(home=dots.home, rc=workspace / "dots/rc") for line in expected]
    assert dots.tampered == []
    workspace.grex("status", "--fail-on-drift")
    make(dots.home)
    before = workspace.snapshot(git=True, times=True, roots=[dots.home])
    assert dots.tampered == expected
    workspace.grex("status", "--fail-on-drift", expect=7)
    notes = workspace.sync().packs["dots"]["notes"]
    assert [note for note in notes if expected[0] in note and "grex update --force dots" in note]
    assert workspace.snapshot(git=True, times=True, roots=[dots.home]) == before
    workspace.grex("update", "--dry-run", "--force", "--trust", server.root.as_uri())
    assert workspace.snapshot(git=True, times=True, roots=[dots.home]) == before
    workspace.grex("update", "--force", "--trust", server.root.as_uri())
    assert dots.tampered == []
    assert workspace.sync().packs["dots"]["notes"] == []


def test_the_life_of_a_file_of_the_user_that_a_pack_replaces_and_the_user_puts_back(
    server: GitServer, workspace: Workspace
) -> None:
    """One place through everything that can happen to it.

    - the user's file makes room for the link, as the pack.yaml allows;
    - the user replaces the link: status says so, sync and update leave it, and so does an update that needs no install;
    - update --force keeps the user's version beside, and the link is there again;
    - a teardown brings back what was there first, and the user's version is still beside.
    """
    (workspace.home / ".rc").write_text("original\n")
    dots = Dots(workspace, server)
    assert dots.backups() == ["original\n"]
    _replace(dots.home / ".rc")
    for verb in ("sync", "update"):
        report = workspace.grex(verb, "--json").packs["dots"]
        assert report["install"] is None
        assert "changed by hand" in report["notes"][0]
        assert (dots.home / ".rc").read_text() == "by hand\n"
    report = workspace.grex("update", "--json", "--force", "--trust", server.root.as_uri()).packs["dots"]
    assert report["install"]["status"] == "updated"
    assert "kept what was there as .rc.grex-bak." in report["install"]["changes"][0]
    assert (dots.home / ".rc").readlink() == workspace / "dots/rc"
    assert dots.backups() == ["original\n", "by hand\n"]
    assert "stays: what" in tear_down(workspace, "dots")
    assert (dots.home / ".rc").read_text() == "original\n"
    assert dots.backups() == ["by hand\n"]
    assert not (dots.home / "cache").exists()


def test_a_file_in_the_place_of_a_directory_is_kept_and_comes_back_with_the_teardown(
    server: GitServer, workspace: Workspace
) -> None:
    dots = Dots(workspace, server)
    (dots.home / "cache").rmdir()
    (dots.home / "cache").write_text("by hand\n")
    workspace.grex("update", "--force", "--trust", server.root.as_uri())
    assert [path.read_text() for path in dots.home.glob("cache.grex-bak.*")] == ["by hand\n"]
    tear_down(workspace, "dots")
    assert (dots.home / "cache").read_text() == "by hand\n"
    assert list(dots.home.glob("cache.grex-bak.*")) == []


def test_a_forced_update_that_fails_leaves_what_the_user_had_made_of_it(
    server: GitServer, workspace: Workspace
) -> None:
    (workspace.home / "wanted").touch()
    (workspace.home / ".rc").write_text("original\n")
    wanted = {"require": {"all_of": [{"path_exists": "~/wanted"}]}}
    dots = Dots(workspace, server, last=[wanted])
    _replace(dots.home / ".rc")
    (workspace.home / "wanted").unlink()
    before = workspace.snapshot(roots=[dots.home])
    report = workspace.grex("update", "--json", "--force", "--trust", server.root.as_uri(), expect=4).packs["dots"]
    assert "wanted" in report["install"]["error"]["message"]
    after = workspace.snapshot(roots=[dots.home])
    assert after.pop("ws/grex.jsonl") != before.pop("ws/grex.jsonl")
    assert after == before
    (workspace.home / "wanted").touch()
    workspace.grex("update", "--force", "--trust", server.root.as_uri())
    assert dots.backups() == ["original\n", "by hand\n"]
    tear_down(workspace, "dots")
    assert (dots.home / ".rc").read_text() == "original\n"


def test_a_pack_that_was_never_installed_is_told_apart_from_one_that_has_changed(
    server: GitServer, workspace: Workspace
) -> None:
    server.create("dirs", {".grex/pack.yaml": pack_yaml("dirs", "declarative", actions=[{"mkdir": {"path": "m"}}])})
    workspace.declare({"url": server.url("dirs")})
    workspace.sync("--no-install")
    assert workspace.grex("status", "--json").packs["dirs"]["states"] == ["not-installed"]
    assert "not installed yet" in workspace.grex("status").stdout
    workspace.sync()
    server.commit("dirs", {".gitignore": "m/\n"})
    workspace.sync("--no-install")
    (workspace / "dirs/m").rmdir()
    status = workspace.grex("status", "--json").packs["dirs"]
    assert (status["states"], status["tampered"]) == (["install-outdated"], [])


def test_looking_runs_nothing_that_a_pack_brings_trusted_or_not(
    server: GitServer, workspace: Workspace, tmp_path: Path
) -> None:
    """Packs that were trusted for one run are looked at as any other: by plugins, and by nothing that they wrote.

    - a command that would run again, as what it creates is gone;
    - a hook that is there;
    - an action of a plugin that asks a command of the pack: it is refused, and that is said.
    """
    ran = tmp_path / "ran"
    site = write_distribution(tmp_path / "site", "asking", PLUGIN, {"grex.actions": {"ask": "Ask"}})
    shell = ["/bin/sh", "-c", f"echo x >> {ran}; touch made"]
    server.create(
        "runs",
        {
            ".gitignore": "made\n",
            ".grex/pack.yaml": pack_yaml("runs", "declarative", actions=[{"exec": {"cmd": shell, "creates": "made"}}]),
        },
    )
    hook = f"echo hook >> {ran}\n"
    server.create("hook", {".grex/pack.yaml": pack_yaml("hook", "scripted"), ".grex/hooks/setup.sh": hook})
    server.create("asks", {".grex/pack.yaml": pack_yaml("asks", "declarative", actions=[{"ask": {"cmd": shell}}])})
    workspace.declare(*({"url": server.url(name)} for name in ("runs", "hook", "asks")))
    path = python_path(site)
    workspace.sync("--trust", server.root.as_uri(), PYTHONPATH=path)
    assert sorted(ran.read_text().split()) == ["hook", "x", "x"]
    (workspace / "runs/made").unlink()
    ran.unlink()
    for trust in ("", server.root.as_uri()):
        packs = workspace.grex("status", "--json", PYTHONPATH=path, GREX_TRUST=trust).packs
        assert packs["runs"]["tampered"] == [
            f"exec /bin/sh -c 'echo x >> {ran}; touch made': made, which it creates, is gone"
        ]
        assert packs["hook"]["states"] == []
        assert "install-unknown" in packs["asks"]["states"]
        assert "wants to run a command to see how things are" in packs["asks"]["text"]
        assert not ran.exists()
    workspace.sync(PYTHONPATH=path)
    assert not ran.exists()


@pytest.mark.parametrize(
    ("kind", "why"), [("raising", "ZeroDivisionError: what is it"), ("hanging", "did not end within 0.2 s")]
)
def test_a_plugin_that_raises_or_hangs_is_told_and_hides_no_other_pack(
    server: GitServer, workspace: Workspace, tmp_path: Path, kind: str, why: str
) -> None:
    site = write_distribution(
        tmp_path / "site", "broken", PLUGIN, {"grex.pack_types": {"raising": "Raising", "hanging": "Hanging"}}
    )
    path = python_path(site)
    server.create("bad", {".grex/pack.yaml": pack_yaml("bad", kind)})
    server.create("good", {".grex/pack.yaml": pack_yaml("good", "declarative", actions=[{"mkdir": {"path": "~/g"}}])})
    workspace.declare({"url": server.url("bad")}, {"url": server.url("good")})
    workspace.sync("--trust", server.root.as_uri(), PYTHONPATH=path)
    (workspace.home / "g").rmdir()
    packs = workspace.grex("status", "--json", PYTHONPATH=path).packs
    assert packs["bad"]["states"] == ["install-unknown"]
    assert why in packs["bad"]["text"]
    assert packs["good"]["tampered"] == [f"mkdir {workspace.home}/g: it is gone"]
    workspace.grex("status", "--fail-on-drift", expect=7, PYTHONPATH=path)
    notes = workspace.sync(PYTHONPATH=path).packs["bad"]["notes"]
    assert [note for note in notes if "cannot be told" in note and why in note]
