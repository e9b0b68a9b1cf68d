"""What `grex locks` shows while a pack is being added, and after that was killed.

The hazard: the pack is declared last, so whoever looks only at declarations finds nothing, while the next sync waits.
"""

from __future__ import annotations

from pathlib import Path

from tests.support.git_server import GitServer
from tests.support.killing import start
from tests.support.slow_git import SlowTransport
from tests.support.workspace import Run, Workspace


def listed(run: Run) -> list[tuple[str, str, bool]]:
    root = Path(run.document["workspace"])
    return [
        (lock["tier"], str(Path(lock["path"]).relative_to(root)), lock["outlived"]) for lock in run.document["held"]
    ]


def test_the_locks_of_a_pack_that_is_being_added_are_listed_and_so_is_what_a_killed_add_leaves(
    server: GitServer, tmp_path: Path
) -> None:
    """Told as steps.

    - `grex add` stands in its clone, two directories deep: all that it holds is listed.
    - It is killed alone. Its git goes on with the lock of the checkout, which is listed with that git as its holder.
    """
    workspace = Workspace(tmp_path)
    workspace.declare()
    server.create("big", {"data": "".join(str(number * 7919 % 100_003) for number in range(60_000))})
    slow = SlowTransport(tmp_path / "ssh", workspace, ignores_term=True)
    with start(workspace, "add", slow.url(server.path("big")), "deep/inside/x") as adding:
        slow.wait()
        assert listed(workspace.grex("locks", "--json")) == [
            ("WORKSPACE", ".grex.sync.lock", False),
            ("PACK", "deep/inside/x/.grex-lock", False),
            ("BACKEND", "deep/inside/.x.grex-backend.lock", False),
        ]
        adding.kill_alone()
        left = workspace.grex("locks", "--json")
        assert listed(left) == [("BACKEND", "deep/inside/.x.grex-backend.lock", True)]
        (lock,) = left.document["held"]
        assert lock["holder"]["pid"] == adding.process.pid
        assert {int(name.rpartition("(pid ")[2].rstrip(")")) for name in lock["holder"]["kept_by"]} <= set(
            adding.children()
        )
        assert any(name.startswith("git (pid ") for name in lock["holder"]["kept_by"])
        adding.kill_everything()
    assert listed(workspace.grex("locks", "--json")) == []
