"""`grex run NAME`: hooks and declared actions over the tree, in order, each pack's failure and output its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.git_server import GitServer
from tests.support.running import Gate, Running
from tests.support.workspace import Run, Workspace, pack_yaml

pytestmark = pytest.mark.slow  # whole runs of the program; what they show in small is shown below


def run(workspace: Workspace, *arguments: str, expect: int = 0, **environ: Any) -> Run:
    return workspace.grex("run", "--json", *arguments, expect=expect, **environ)


def statuses(found: Run) -> dict[str, str]:
    return {path: pack["status"] for path, pack in found.packs.items()}


def scripted(server: GitServer, name: str, hooks: dict[str, str], **keys: Any) -> None:
    """A pack with these hooks, by name over their lines."""
    files = {f".grex/hooks/{hook}.sh": text for hook, text in hooks.items()}
    server.create(name, {".grex/pack.yaml": pack_yaml(name, "scripted", **keys), **files})


def declared(server: GitServer, name: str, *actions: dict[str, Any], **keys: Any) -> None:
    text = pack_yaml(name, "declarative", actions=list(actions), **keys)
    server.create(name, {".grex/pack.yaml": text, "rc": f"{name}\n"})


def begin(server: GitServer, workspace: Workspace, *names: str) -> None:
    workspace.declare(*({"url": server.url(name)} for name in names))
    workspace.sync()


def say(ran: Path, word: str) -> dict[str, Any]:
    return {"exec": {"cmd": ["/bin/sh", "-c", f"echo {word} >> {ran}"]}}


def test_a_hook_of_any_name_runs_where_it_is_and_in_the_order_of_dependencies(
    server: GitServer, workspace: Workspace, ran: Path
) -> None:
    """`z` comes first although `a` is waiting, for `a` needs it by way of a pack without the hook."""
    scripted(server, "z", {"unit-test": f"sleep 0.3; echo z $PWD $GREX_PACK_NAME >> {ran}\n"})
    server.create("between", {".grex/pack.yaml": pack_yaml("between", "meta", depends_on=["z"])})
    scripted(server, "a", {"unit-test": f"echo a >> {ran}\n", "other": "false\n"}, depends_on=["between"])
    scripted(server, "without", {"setup": "true\n"})
    begin(server, workspace, "z", "between", "a", "without")
    assert statuses(run(workspace, "unit-test")) == {"a": "ran", "z": "ran"}
    assert ran.read_text() == f"z {workspace / 'z'} z\na\n"


def test_what_depends_on_a_failed_pack_is_not_reached_and_the_others_run(
    server: GitServer, workspace: Workspace, ran: Path
) -> None:
    scripted(server, "base", {"check": "echo broken >&2; exit 3\n"})
    scripted(server, "top", {"check": f"echo top >> {ran}\n"}, depends_on=["base"])
    scripted(server, "alone", {"check": f"echo alone >> {ran}\n"})
    begin(server, workspace, "base", "top", "alone")
    found = run(workspace, "check", expect=4)
    assert statuses(found) == {"alone": "ran", "base": "failed", "top": "not-reached"}
    assert found.packs["base"]["error"]["details"]["returncode"] == 3
    assert ran.read_text().split() == ["alone"]
    assert statuses(run(workspace, "check", "alone")) == {"alone": "ran"}


def test_what_each_pack_said_is_kept_apart(server: GitServer, workspace: Workspace) -> None:
    """Two packs that run at once and say their lines in turn; one of them fails."""
    for name, code in (("one", 0), ("two", 1)):
        lines = "".join(f"echo {name} {number}; sleep 0.01\n" for number in range(5))
        scripted(server, name, {"speak": f"{lines}echo {name} error >&2\nexit {code}\n"})
    begin(server, workspace, "one", "two")
    found = run(workspace, "speak", expect=4)
    for name in ("one", "two"):
        lines = found.packs[name]["output"].splitlines()
        assert sorted(lines) == sorted([*(f"{name} {number}" for number in range(5)), f"{name} error"])
    text = workspace.grex("run", "speak", expect=4).stdout.splitlines()
    said = [line.split("|")[1].split()[0] for line in text if "|" in line]
    assert said == ["one"] * 6 + ["two"] * 6


def test_actions_of_one_kind_run_and_no_others(server: GitServer, workspace: Workspace, ran: Path) -> None:
    """Those inside a `when` that applies here are among them, those inside another one are not."""
    declared(
        server,
        "a",
        {"mkdir": {"path": "~/made"}},
        say(ran, "plain"),
        {
            "when": {
                "os": "linux",
                "actions": [say(ran, "inside"), {"when": {"os": "linux", "actions": [say(ran, "deep")]}}],
            }
        },
        {"when": {"os": "windows", "actions": [say(ran, "elsewhere")]}},
    )
    begin(server, workspace, "a")
    ran.unlink()
    (workspace.home / "made").rmdir()
    assert statuses(run(workspace, "exec")) == {"a": "ran"}
    assert ran.read_text().split() == ["plain", "inside", "deep"]
    assert not (workspace.home / "made").exists()
    assert statuses(run(workspace, "mkdir")) == {"a": "ran"}
    assert (workspace.home / "made").is_dir()
    assert statuses(run(workspace, "mkdir")) == {"a": "unchanged"}


def test_what_was_run_is_undone_once(server: GitServer, workspace: Workspace, ran: Path) -> None:
    """Run before the install, by it, and after it: one teardown takes back what all of them did."""
    actions: list[dict[str, Any]] = [
        {"mkdir": {"path": "~/made"}},
        {
            "when": {
                "os": "linux",
                "actions": [{"exec": {"cmd": ["true"], "undo": ["/bin/sh", "-c", f"echo undo >> {ran}"]}}],
            }
        },
    ]
    declared(server, "a", *actions)
    workspace.declare({"url": server.url("a")})
    workspace.sync("--no-install")
    run(workspace, "mkdir")
    run(workspace, "exec")
    workspace.sync()
    run(workspace, "exec")
    names = {json.loads(line).get("action") for line in workspace.log.read_text().splitlines()} - {None}
    assert names == {"0", "1", "1.0"}
    workspace.grex("teardown")
    assert ran.read_text().split() == ["undo"]
    assert not (workspace.home / "made").exists()


def test_a_name_that_no_pack_has_is_a_mistake_in_the_call(server: GitServer, workspace: Workspace) -> None:
    scripted(server, "a", {"unit-test": "true\n", "Upper": "true\n"})
    begin(server, workspace, "a")
    found = run(workspace, "unit-tset", expect=2).error
    assert found["message"] == "no pack has a hook or an action 'unit-tset'"
    assert found["hint"] == "Did you mean 'unit-test'?"
    assert run(workspace, "zzz", expect=2).error["hint"] == "There is: unit-test."
    assert run(workspace, "../../../bin/sh", expect=2).error["code"] == "usage.invalid"
    assert run(workspace, "Upper", expect=2).error["code"] == "usage.invalid"
    assert run(workspace, "unit-test", "nobody", expect=2).error["code"] == "usage.invalid"


def test_nothing_of_a_pack_that_is_not_trusted_is_run(server: GitServer, workspace: Workspace, ran: Path) -> None:
    scripted(server, "a", {"check": f"echo a >> {ran}\n"})
    declared(server, "b", {"mkdir": {"path": "inside"}}, say(ran, "b"))
    workspace.declare({"url": server.url("a")}, {"url": server.url("b")})
    workspace.sync("--no-install")
    del workspace.environ["GREX_TRUST"]
    assert statuses(run(workspace, "check", expect=4)) == {"a": "untrusted"}
    assert statuses(run(workspace, "exec", expect=4)) == {"b": "untrusted"}
    assert not ran.exists()
    assert statuses(run(workspace, "mkdir")) == {"b": "ran"}
    assert statuses(run(workspace, "check", "--trust", server.root.as_uri())) == {"a": "ran"}


def test_a_checkout_that_is_not_the_declared_one_does_not_run_in_its_name(
    server: GitServer, workspace: Workspace, ran: Path
) -> None:
    scripted(server, "evil", {"check": f"echo evil >> {ran}\n"})
    server.create("good", {"x": "1\n"})
    workspace.declare({"url": server.url("evil"), "path": "p"})
    workspace.sync("--no-install")
    workspace.declare({"url": server.url("good"), "path": "p"})
    assert statuses(run(workspace, "check", expect=4, GREX_TRUST=server.path("good").as_uri())) == {"p": "untrusted"}
    assert not ran.exists()


def test_a_dry_run_runs_nothing_and_writes_nothing(server: GitServer, workspace: Workspace, ran: Path) -> None:
    declared(server, "a", say(ran, "a"))
    workspace.declare({"url": server.url("a")})
    workspace.sync("--no-install")
    before = workspace.snapshot(git=True, times=True)
    found = run(workspace, "exec", "--dry-run")
    assert found.packs["a"]["changes"] == [f"exec /bin/sh -c 'echo a >> {ran}'"]
    assert not ran.exists()
    assert workspace.snapshot(git=True, times=True) == before


def test_it_runs_beside_a_sync_in_the_packs_that_the_sync_does_not_hold(
    server: GitServer, workspace: Workspace, ran: Path, tmp_path: Path
) -> None:
    """A sync holds one pack for as long as the test likes; in the other one a hook runs, and its record is kept."""
    gate = Gate(tmp_path / "gate")
    scripted(server, "held", {"setup": gate.script()})
    scripted(server, "free", {"check": f"echo free >> {ran}\n"})
    workspace.declare({"url": server.url("held")}, {"url": server.url("free")})
    with Running(workspace, "sync") as syncing:
        gate.wait_entered()
        assert statuses(run(workspace, "check", "free")) == {"free": "ran"}
        gate.open()
        assert syncing.finish().code == 0
    kinds = [json.loads(line).get("kind") for line in workspace.log.read_text().splitlines()]
    assert kinds.count("hook") == 4


def test_a_pack_that_moves_while_a_run_waits_for_it_is_not_run_by_what_was_planned(
    server: GitServer, workspace: Workspace, ran: Path, tmp_path: Path
) -> None:
    """The run has planned one pack and waits behind a hook for another; then that pack's HEAD goes on."""
    gate = Gate(tmp_path / "gate")
    scripted(server, "first", {"check": gate.script()})
    scripted(server, "second", {"check": f"echo ran >> {ran}\n"}, depends_on=["first"])
    begin(server, workspace, "first", "second")
    with Running(workspace, "run", "--json", "check") as running:
        gate.wait_entered()
        server.commit("second", {"news": "1\n"})
        workspace.sync("second", "--no-install")
        gate.open()
        found = running.finish(expect=4)
    message = found.packs["second"]["error"]["message"]
    assert message == "second/.grex/pack.yaml:3:1: second was moved while this run waited for it"
    assert not ran.exists()
