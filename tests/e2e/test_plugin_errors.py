"""Whatever is wrong with an action or with a plugin: told with its pack and place, and the other packs are done.

One table over everything that can be wrong, through the real `grex`. The plugin is a distribution on the path of that
process, so its entry points are what finds it.
"""

# ruff: noqa: E501 - the tables hold whole messages; one cut in two cannot be searched for
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.git_server import GitServer
from tests.support.workspace import Workspace

pytestmark = pytest.mark.slow  # whole runs of the program; what they show in small is shown below

PLUGIN = """
import os
from dataclasses import dataclass
from typing import ClassVar
import anyio
print("what a plugin prints is no part of the JSON document")
os.system("echo and neither is what its programs do")
from grex.errors import ActionError
from grex.plugin import ActionArguments, ActionType, Done, Fetcher, Outcome, PackType, Planned, PredicateType


@dataclass(frozen=True, slots=True, kw_only=True)
class BadArguments(ActionArguments):
    action: ClassVar[str] = "bad"
    at: str
    how: str = "raise"


def fail(arguments, at):
    if arguments.at == at:
        if arguments.how == "tell":
            raise ActionError("it is not possible", hint="Make it possible.")
        if arguments.how == "garbage":
            return 7
        raise RuntimeError("boom at " + at + " https://ann:s3cret@host.example/x")


class Bad(ActionType):
    name = "bad"
    arguments = BadArguments

    def check(self, arguments):
        return fail(arguments, "check")

    def needs_trust(self, arguments, ctx):
        found = fail(arguments, "needs_trust")
        return () if found is None else found

    def claims(self, arguments, ctx):
        found = fail(arguments, "claims")
        return () if found is None else found

    async def drift(self, arguments, ctx):
        return fail(arguments, "drift")

    def limit_s(self, arguments):
        return 0.2 if arguments.how == "hang" else 600

    def undo_limit_s(self, undo):
        return 600

    async def plan(self, arguments, ctx):
        if arguments.at == "plan" and arguments.how == "hang":
            await anyio.sleep_forever()
        if arguments.at == "fetch":
            return Planned("fetch")
        return fail(arguments, "plan") or Planned("bad", undo={"at": arguments.at})

    async def do(self, arguments, planned, ctx):
        if arguments.at == "do" and arguments.how == "hang":
            await anyio.sleep_forever()
        if arguments.at == "fetch":
            await ctx.fetch(arguments.how, sha256="0" * 64, label="it")
        return fail(arguments, "do") or Done("bad", undo=planned.undo)

    async def undo(self, undo, ctx):
        if undo["at"] == "undo":
            raise RuntimeError("boom at undo")


class Moody(PredicateType):
    name = "moody"

    def check(self, value):
        if value == "check":
            raise RuntimeError("boom at check")
        return "moody cannot be wrong" if value == "wrong" else None

    def holds(self, value, ctx):
        raise RuntimeError("boom at holds")


class Elsewhere(PredicateType):
    name = "elsewhere"
    platforms = ("windows",)

    def holds(self, value, ctx):
        raise RuntimeError("asked on a platform that it does not support")


class BadFetcher(Fetcher):
    name = "bad"

    def check(self, url):
        return None

    async def fetch(self, url, into, ctx):
        raise RuntimeError("boom at " + url)


class BadType(PackType):
    name = "bad-type"

    def needs_trust(self, ctx, pack):
        return ()

    async def install(self, ctx, pack):
        raise RuntimeError("boom at install")


class Old(BadType):
    name = "old"
    api_version = 0


class OldAction(Bad):
    api_version = 99
"""
ENTRIES = """\
[grex.actions]
bad = bad_plugin:Bad
broken = not_there_at_all:Nothing
old = bad_plugin:OldAction
[grex.predicates]
moody = bad_plugin:Moody
elsewhere = bad_plugin:Elsewhere
broken_predicate = not_there_at_all:Nothing
[grex.fetchers]
bad = bad_plugin:BadFetcher
[grex.pack_types]
bad-type = bad_plugin:BadType
old = bad_plugin:Old
"""
REPORT = "Report it to the authors of the plugin."
AT = "sick/.grex/pack.yaml:6:5: "


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A directory with the distribution `grex-bad`."""
    site = tmp_path / "site"
    info = site / "grex_bad-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: grex-bad\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRIES)
    (site / "bad_plugin.py").write_text(PLUGIN)
    return site


def sync(tmp_path: Path, site: Path, sick: str, expect: int) -> dict[str, Any]:
    """Sync a pack with this text and a healthy one; gives the error of the first, after a look at the second."""
    server = GitServer(tmp_path / "server")
    server.create("sick", {".grex/pack.yaml": f'schema_version: "1"\nname: sick\n{sick}'})
    healthy = 'schema_version: "1"\nname: healthy\ntype: declarative\nactions: [mkdir: {path: ~/healthy}]\n'
    server.create("healthy", {".grex/pack.yaml": healthy})
    workspace = Workspace(tmp_path)
    workspace.declare({"url": server.url("sick")}, {"url": server.url("healthy")})
    report = workspace.sync("--trust", server.root.as_uri(), expect=expect, PYTHONPATH=str(site))
    assert report.packs["healthy"]["install"]["status"] == "installed"
    assert (workspace.home / "healthy").is_dir()
    said = workspace.grex("sync", "--trust", server.root.as_uri(), expect=expect, PYTHONPATH=str(site))
    install = report.packs["sick"]["install"]
    assert install["status"] == "failed"
    assert install["error"]["message"].split(" raised ")[0] in said.stdout + said.stderr
    assert "s3cret" not in report.stdout + report.stderr + said.stdout + said.stderr
    found = install["error"]
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize(
    ("action", "code", "message", "hint"),
    [
        ("mkdir: {}", 4, "sick/.grex/pack.yaml:6:12: mkdir needs 'path'.", "Give it a value."),
        ("mkdir: {path: 7}", 4, "sick/.grex/pack.yaml:6:19: mkdir.path is text, and this is a number.", "Write it in quotes."),
        ("mkdir: {paht: a, path: b}", 4, "sick/.grex/pack.yaml:6:13: mkdir has no key 'paht'.", "Did you mean 'path'?"),
        ("mkdir: {path: ''}", 4, AT + "mkdir needs a path that is not empty.", None),
        ("mkdir: {path: a/$NOWHERE}", 4, AT + "the variable 'NOWHERE' at offset 2 is not set", "Set the variable"),
        ("makedir: {path: a}", 8, AT + "no plugin registers the action 'makedir'", "Did you mean 'mkdir'?"),
        ("broken: {}", 8, AT + "the plugin 'broken' of grex-bad (not_there_at_all:Nothing) cannot be imported: ModuleNotFoundError", "Update or reinstall grex-bad."),
        ("old: {at: do}", 8, AT + "the plugin 'old' of grex-bad (bad_plugin:OldAction) is written for version 99 of the plugin API, and this grex has 1", "Install a version of grex-bad that fits"),
        ("bad: {at: check}", 8, AT + "the action 'bad' raised RuntimeError: boom at check", REPORT),
        ("bad: {at: check, how: garbage}", 8, AT + "its check gave int instead of a sentence", REPORT),
        ("bad: {at: needs_trust}", 8, AT + "the action 'bad' raised RuntimeError: boom at needs_trust", REPORT),
        ("bad: {at: needs_trust, how: garbage}", 8, AT + "its needs_trust gave no tuple of texts", REPORT),
        ("bad: {at: claims}", 8, AT + "the action 'bad' raised RuntimeError: boom at claims", REPORT),
        ("bad: {at: claims, how: garbage}", 8, AT + "its claims gave no tuple of texts", REPORT),
        ("bad: {at: plan}", 8, AT + "the action 'bad' raised RuntimeError: boom at plan", REPORT),
        ("bad: {at: plan, how: garbage}", 8, AT + "the plan of the action 'bad' gave int instead of Planned", REPORT),
        ("bad: {at: plan, how: tell}", 4, AT + "it is not possible", "Make it possible."),
        ("bad: {at: plan, how: hang}", 8, AT + "the action 'bad' (bad_plugin.Bad) did not end within 0.2 s", "report it to the authors"),
        ("bad: {at: do}", 8, AT + "the action 'bad' raised RuntimeError: boom at do", REPORT),
        ("bad: {at: do, how: garbage}", 8, AT + "the action 'bad' gave int instead of Done", REPORT),
        ("bad: {at: do, how: hang}", 8, AT + "the action 'bad' (bad_plugin.Bad) did not end within 0.2 s", "report it to the authors"),
        ("when: {os: linux, actions: [bad: {at: do}]}", 8, "sick/.grex/pack.yaml:6:33: the action 'bad' raised RuntimeError: boom at do", REPORT),
        ("require: {all_of: [moody: wrong]}", 4, "sick/.grex/pack.yaml:6:31: moody cannot be wrong.", None),
        ("require: {all_of: [moody: check]}", 8, "sick/.grex/pack.yaml:6:24: the predicate 'moody' raised RuntimeError: boom at check", REPORT),
        ("require: {all_of: [moody: a]}", 8, "sick/.grex/pack.yaml:6:24: the predicate 'moody' raised RuntimeError: boom at holds", REPORT),
        ("require: {all_of: [elsewhere: a]}", 4, AT + "require: elsewhere a does not hold (elsewhere a cannot be decided on this platform)", "Make it hold"),
        ("require: {all_of: [modoy: a]}", 4, "sick/.grex/pack.yaml:6:24: there is no predicate 'modoy'.", "Did you mean 'moody'?"),
        ("require: {all_of: [broken_predicate: a]}", 8, "sick/.grex/pack.yaml:6:24: the plugin 'broken_predicate' of grex-bad (not_there_at_all:Nothing) cannot be imported", "Update or reinstall grex-bad."),
        ("bad: {at: fetch, how: 'gopher://host.example/x'}", 8, AT + "no plugin fetches URLs of the scheme 'gopher'", "known here: bad, file."),
        ("bad: {at: fetch, how: 'bad://ann:s3cret@host.example/x'}", 8, AT + "the fetcher 'bad' raised RuntimeError: boom at bad://***@host.example/x", REPORT),
        ("bad: {at: fetch, how: 'file:///nowhere/at/all'}", 4, AT + "file:///nowhere/at/all cannot be read: No such file or directory", "Check the path"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_an_action_is_told_with_its_place(
    tmp_path: Path, site: Path, action: str, code: int, message: str, hint: str | None
) -> None:
    error = sync(tmp_path, site, f"type: declarative\nactions:\n\n  - {action}\n", code)
    assert error["message"].startswith(message), error["message"]
    assert error["exit_code"] == code
    if hint is not None:
        assert hint in error["hint"]
    places = error["details"].get("problems") or [error["details"]]
    place = message.removeprefix("sick/.grex/pack.yaml:").split(":")
    assert [(found["file"], found["line"], found["column"]) for found in places] == [
        ("sick/.grex/pack.yaml", int(place[0]), int(place[1]))
    ]


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("bad-type", "sick/.grex/pack.yaml:3:1: the pack type 'bad-type' raised RuntimeError: boom at install (bad_plugin.py:", REPORT),
        ("badtype", "sick/.grex/pack.yaml:3:1: no plugin registers the pack type 'badtype'", "Did you mean 'bad-type'?"),
        ("old", "sick/.grex/pack.yaml:3:1: the plugin 'old' of grex-bad (bad_plugin:Old) is written for version 0 of the plugin API", "another grex"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_pack_type_is_told_with_its_place(
    tmp_path: Path, site: Path, name: str, message: str, hint: str
) -> None:
    error = sync(tmp_path, site, f"type: {name}\n", 8)
    assert error["message"].startswith(message), error["message"]
    assert hint in error["hint"]
    assert (error["details"]["file"], error["details"]["line"]) == ("sick/.grex/pack.yaml", 3)


def test_an_undo_that_raises_is_told_with_the_place_of_its_action_beside_what_failed(
    tmp_path: Path, site: Path
) -> None:
    text = "type: declarative\nactions:\n  - bad: {at: undo}\n  - bad: {at: do}\n"
    error = sync(tmp_path, site, text, 8)
    assert error["message"].startswith("sick/.grex/pack.yaml:6:5: the action 'bad' raised RuntimeError: boom at do")
    told = "could not take back: sick/.grex/pack.yaml:5:5: bad (RuntimeError: boom at undo (bad_plugin.py:"
    assert told in error["hint"]


def test_a_look_for_drift_that_raises_is_told_with_its_place_and_the_status_of_the_others(
    tmp_path: Path, site: Path
) -> None:
    server = GitServer(tmp_path / "server")
    sick = 'schema_version: "1"\nname: sick\ntype: declarative\nactions:\n  - bad: {at: drift}\n'
    healthy = 'schema_version: "1"\nname: healthy\ntype: declarative\nactions: [mkdir: {path: ~/healthy}]\n'
    server.create("sick", {".grex/pack.yaml": sick})
    server.create("healthy", {".grex/pack.yaml": healthy})
    workspace = Workspace(tmp_path)
    workspace.declare({"url": server.url("sick")}, {"url": server.url("healthy")})
    workspace.sync("--trust", server.root.as_uri(), PYTHONPATH=str(site))
    (workspace.home / "healthy").rmdir()
    said = workspace.grex("status", PYTHONPATH=str(site)).stdout
    assert (
        "sick/.grex/pack.yaml:5:5: the action 'bad' raised RuntimeError: boom at drift https://***@host.example/x (bad_plugin.py:"
        in said
    )
    assert f"mkdir {workspace.home}/healthy" in said


def test_a_pack_that_does_not_even_say_what_it_would_run_keeps_no_other_from_its_place(
    tmp_path: Path, site: Path
) -> None:
    """Both want one link; the one whose plugin raises when it is asked for trust is refused alone."""
    server = GitServer(tmp_path / "server")
    link = "  - symlink: {src: file, dst: ~/same}\n"
    for name, first in (("sick", "  - bad: {at: needs_trust}\n"), ("healthy", "")):
        text = f'schema_version: "1"\nname: {name}\ntype: declarative\nactions:\n{first}{link}'
        server.create(name, {".grex/pack.yaml": text, "file": ""})
    workspace = Workspace(tmp_path)
    workspace.declare({"url": server.url("sick")}, {"url": server.url("healthy")})
    report = workspace.sync("--trust", server.root.as_uri(), expect=4, PYTHONPATH=str(site))
    assert report.packs["healthy"]["install"]["status"] == "installed"
    assert (workspace.home / "same").readlink() == workspace / "healthy/file"
    assert report.packs["sick"]["install"]["status"] == "failed"
