"""Two people add packs to one workspace and merge: no conflict beyond what they have really both changed.

The hazard: both write behind the same last line of pack.yaml, and next to the same lines of the lockfile.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.git_server import GitServer, git
from tests.support.workspace import Workspace

pytestmark = pytest.mark.slow  # whole runs of the program; what they show in small is shown below

NAMES = ("base", "left", "right", "more")


@pytest.fixture
def people(server: GitServer, tmp_path: Path) -> tuple[Workspace, Workspace]:
    """Two clones of one workspace's repository, both synced; its one pack has a branch `next` as well."""
    for name in NAMES:
        server.create(name, {name: "1\n"})
    server.commit("base", {"base": "2\n"}, branch="next")
    server.create("team", {"README": "a workspace\n"})
    first, second = (Workspace(tmp_path, name) for name in ("first", "second"))
    git(first.root.parent, "clone", "--quiet", server.url("team"), "first")
    first.grex("init")
    first.grex("add", server.url("base"), "--ref", "main")
    publish(first, "One pack.")
    git(second.root.parent, "clone", "--quiet", server.url("team"), "second")
    second.sync()
    return first, second


def publish(who: Workspace, why: str) -> None:
    git(who.root, "add", "--all")
    git(who.root, "commit", "--quiet", "--message", why)
    git(who.root, "push", "--quiet", "origin", "HEAD:main")


def merge(who: Workspace) -> str:
    """What another one has pushed, merged as git does it; gives what git says."""
    git(who.root, "fetch", "--quiet", "origin")
    return git(who.root, "merge", "--no-edit", "origin/main", check=False)


def test_packs_that_two_people_added_are_both_there(people: tuple[Workspace, Workspace], server: GitServer) -> None:
    first, second = people
    first.grex("add", server.url("left"))
    publish(first, "Left.")
    second.grex("add", server.url("right"), "--group", "mine")
    second.grex("add", server.url("more"))
    git(second.root, "commit", "--quiet", "--all", "--message", "Right and more.")
    assert "CONFLICT" not in merge(second)
    assert git(second.root, "status", "--porcelain") == ""
    synced = {path: pack["status"] for path, pack in second.sync().packs.items()}
    assert synced == {"base": "unchanged", "left": "cloned", "more": "unchanged", "right": "unchanged"}
    assert git(second.root, "status", "--porcelain") == ""  # the merged lockfile is what the sync would write
    git(second.root, "push", "--quiet", "origin", "HEAD:main")
    git(first.root, "pull", "--quiet", "--ff-only", "origin", "main")
    first.sync()
    assert git(first.root, "status", "--porcelain") == ""


def test_what_both_changed_differently_is_the_only_conflict(
    people: tuple[Workspace, Workspace], server: GitServer
) -> None:
    first, second = people
    for who, ref, more in ((first, "next", "left"), (second, git(server.path("base"), "rev-parse", "main"), "right")):
        declared = who / ".grex/pack.yaml"
        declared.write_text(declared.read_text().replace("ref: main", f"ref: {ref}"))
        who.grex("add", server.url(more))
        who.sync()
    publish(first, "Base follows next.")
    git(second.root, "commit", "--quiet", "--all", "--message", "Base is pinned.")
    assert merge(second).count("CONFLICT") == 2
    lines = (second / "grex.lock.jsonl").read_text().splitlines()
    assert [line[:7] for line in lines if not line.startswith("{")] == ["<<<<<<<", "=======", ">>>>>>>"]
    assert [name for name in ("left", "right") if any(f'"path":"{name}"' in line for line in lines)] == [
        "left",
        "right",
    ]
    assert "unfinished merge" in second.grex("sync", "--json", expect=3).stdout


def test_a_repository_whose_grex_is_gone_merges_lines(people: tuple[Workspace, Workspace], server: GitServer) -> None:
    first, second = people
    driver = git(second.root, "config", "merge.grex.driver")
    python = driver.split()[3]
    git(second.root, "config", "merge.grex.driver", driver.replace(python, "/nowhere/python"))
    first.grex("add", server.url("left"))
    publish(first, "Left.")
    (second / ".grex/pack.yaml").write_text("# ours\n" + (second / ".grex/pack.yaml").read_text())
    git(second.root, "commit", "--quiet", "--all", "--message", "Nothing near.")
    assert "CONFLICT" not in merge(second)
    second.sync()
    assert git(second.root, "config", "merge.grex.driver") == driver  # and the next sync mends it
