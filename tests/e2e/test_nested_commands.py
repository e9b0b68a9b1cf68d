"""A hook that runs grex on the workspace whose sync runs the hook: refused at once, while another sync queues too.

The hazard: the inner sync waits for a lock that its own ancestor keeps until it ends, and everybody behind it waits
along. `test_overlapping_syncs` has the simple cases; here a third sync stands in the queue before the inner one.
"""

from __future__ import annotations

import json
import re
import shlex
import sys
from pathlib import Path

import pytest

from tests.support.git_server import GitServer
from tests.support.lock_queue import wait_for_ticket
from tests.support.running import Gate, Running
from tests.support.workspace import Workspace, pack_yaml

pytestmark = pytest.mark.slow  # whole runs of the program; what they show in small is shown below

# Without a limit of its own an inner wait would end after a minute; "at once" has to be told from that.
AT_ONCE = "timeout 25"
LOST = {
    "told by GREX_HELD": "",
    "its variable unset": "env -u GREX_HELD",
    "an empty environment": 'env -i PATH="$PATH" HOME="$HOME" ${PYTHONPATH:+PYTHONPATH="$PYTHONPATH"}',
}


def with_hook(server: GitServer, tmp_path: Path, gate: Gate, *lines: str) -> Workspace:
    """A workspace with one pack whose hook stops at the gate, then runs these lines with `$grex` as the command."""
    grex = f"grex='{AT_ONCE} {shlex.quote(sys.executable)} -m grex'"
    script = gate.script() + "\n".join(["set -u", grex, f"out={shlex.quote(str(tmp_path))}", *lines]) + "\n"
    server.create("pack", {".grex/pack.yaml": pack_yaml("pack", "scripted"), ".grex/hooks/setup.sh": script})
    workspace = Workspace(tmp_path)
    workspace.environ["GREX_TRUST"] = server.root.as_uri()
    workspace.declare({"url": server.url("pack")})
    return workspace


@pytest.mark.parametrize("lost", LOST)
def test_an_inner_sync_is_refused_at_once_while_a_third_one_waits(server: GitServer, tmp_path: Path, lost: str) -> None:
    """Told as steps.

    - A sync stands in a hook, and another one queues for the workspace.
    - The hook runs a sync of the same workspace: it is refused, names its ancestor, and the hook goes on.
    - The outer sync ends well, and so does the one that queued.
    """
    gate = Gate(tmp_path / "gate")
    inner = f"{LOST[lost]} $grex sync --json > $out/inner 2>&1; echo $? > $out/code; exit 0"
    workspace = with_hook(server, tmp_path, gate, inner)
    with Running(workspace, "sync", "--json") as outer:
        gate.wait_entered()
        with Running(workspace, "sync", "--json") as third:
            wait_for_ticket(third.pid)
            gate.open()
            assert outer.finish().packs["pack"]["install"]["status"] == "installed"
            assert third.finish().packs["pack"]["status"] == "unchanged"
            outer_pid = outer.pid
    assert (tmp_path / "code").read_text() == "5\n"
    error = json.loads((tmp_path / "inner").read_text())["error"]
    assert error["code"] == "lock.deadlock"
    chain = error["details"]["chain"]
    assert re.match(rf"pid {outer_pid}( \(grex sync\))? holds WORKSPACE {re.escape(str(workspace.root))}$", chain[0])
    assert re.match(rf"pid \d+ wants WORKSPACE {re.escape(str(workspace.root))}$", chain[-1])
    assert f"pid {outer_pid}" in error["message"]


def test_a_dry_run_in_a_hook_may_ask_remotes_for_it_takes_no_lock(server: GitServer, tmp_path: Path) -> None:
    """The outer sync holds a disk permit, the inner plan needs a network permit: they are of two runs."""
    gate = Gate(tmp_path / "gate")
    server.create("late", {"file": "1\n"})
    plan_it = f"$grex sync --dry-run --json --trust {shlex.quote(server.root.as_uri())} > $out/plan.json"
    workspace = with_hook(server, tmp_path, gate, f"{plan_it}; echo $? > $out/code; exit 0")
    with Running(workspace, "sync", "--json") as outer:
        gate.wait_entered()
        workspace.declare({"url": server.url("pack")}, {"url": server.url("late")})
        server.commit("pack", {"more": "2\n"})
        gate.open()
        outer.finish()
    plan = json.loads((tmp_path / "plan.json").read_text())
    assert {pack["path"]: pack["status"] for pack in plan["packs"]} == {"pack": "planned", "late": "planned"}
    assert (tmp_path / "code").read_text() == "0\n"
    assert not (workspace / "late").exists()


def test_a_hook_that_goes_to_another_workspace_is_told_what_chose_the_workspace(
    server: GitServer, tmp_path: Path
) -> None:
    """GREX_WORKSPACE is set for hooks, so the directory decides nothing; told in the hint, which then works."""
    server.create("elsewhere", {"file": "1\n"})
    other = Workspace(tmp_path, "other ws")
    other.declare({"url": server.url("elsewhere")})
    gate = Gate(tmp_path / "gate")
    there = f"cd {shlex.quote(str(other.root))}"
    workspace = with_hook(
        server,
        tmp_path,
        gate,
        "$grex sync --json > $out/same; echo $? >> $out/codes",
        f"{there} && $grex sync --json > $out/other; echo $? >> $out/codes",
        "$grex sync --json --workspace . > $out/named; echo $? >> $out/codes",
        "(unset GREX_WORKSPACE; $grex sync --json > $out/unset; echo $? >> $out/codes)",
    )
    with Running(workspace, "sync", "--json") as outer:
        gate.wait_entered()
        gate.open()
        outer.finish()
    assert (tmp_path / "codes").read_text().split() == ["5", "5", "0", "0"]
    same, wrong = (json.loads((tmp_path / name).read_text())["error"] for name in ("same", "other"))
    assert (same["code"], wrong["code"]) == ("lock.deadlock", "lock.deadlock")
    assert "GREX_WORKSPACE" not in same["hint"]
    assert wrong["hint"].startswith("GREX_WORKSPACE chose the workspace")
    assert wrong["hint"].endswith(f"unset it or give --workspace '{other.root}'")
    assert json.loads((tmp_path / "unset").read_text())["workspace"] == str(other.root)


def test_looking_and_another_workspace_work_in_a_hook_while_a_third_sync_waits(
    server: GitServer, tmp_path: Path
) -> None:
    server.create("elsewhere", {"file": "1\n"})
    other = Workspace(tmp_path, "other")
    other.declare({"url": server.url("elsewhere")})
    gate = Gate(tmp_path / "gate")
    workspace = with_hook(
        server,
        tmp_path,
        gate,
        "$grex status --json > $out/status || exit 3",
        "$grex ls --json > $out/ls || exit 3",
        f"$grex sync --json --workspace {shlex.quote(str(other.root))} > $out/other.json || exit 3",
    )
    with Running(workspace, "sync", "--json") as outer:
        gate.wait_entered()
        with Running(workspace, "sync", "--json") as third:
            wait_for_ticket(third.pid)
            gate.open()
            assert outer.finish().packs["pack"]["install"]["status"] == "installed"
            third.finish()
    assert json.loads((tmp_path / "status").read_text())["workspace"] == str(workspace.root)
    assert (other / "elsewhere/file").read_text() == "1\n"
