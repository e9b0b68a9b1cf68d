"""`grex sync --pull`: the workspace's own repository first, fast-forward or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from grex.errors import FetchError, PackError, UsageError
from tests.support.git_server import git
from tests.support.lock_holder import LockHolder
from tests.support.removal import Nest, facts
from tests.verbs.test_killed_moves import Shared

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """One is enough here: what waits and what is cancelled is shown on both where the locks are."""
    return "asyncio"


@pytest.fixture
def shared(nest: Nest) -> Shared:
    made = Shared(nest)
    made.prepare()
    return made


async def test_what_colleagues_declared_is_pulled_and_brought_and_edits_stay(nest: Nest, shared: Shared) -> None:
    old = git(shared.root, "rev-parse", "HEAD")
    report = await nest.place.sync(pull=True)
    assert report.exit_code == 0
    assert report.pulled is not None
    assert (report.pulled.branch, report.pulled.upstream, report.pulled.old) == ("main", "origin/main", old)
    assert git(shared.root, "rev-parse", "HEAD") == report.pulled.new == git(shared.root, "rev-parse", "origin/main")
    assert (nest / "late/l").read_text() == "1\n"
    assert (nest / "notes").read_text() == "edited\n"
    assert git(shared.root, "symbolic-ref", "HEAD") == "refs/heads/main"
    assert not (nest / ".grex/state/pulling").exists()
    again = await nest.place.sync(pull=True)
    assert again.pulled is not None
    assert again.pulled.old == again.pulled.new


async def test_without_the_option_the_repository_is_not_moved(nest: Nest, shared: Shared) -> None:
    old = git(shared.root, "rev-parse", "HEAD")
    assert (await nest.place.sync()).pulled is None
    assert git(shared.root, "rev-parse", "HEAD") == old


async def test_a_dry_run_says_what_is_there_to_pull_and_writes_nothing(nest: Nest, shared: Shared) -> None:
    before = facts(shared.root)
    report = await nest.place.sync(pull=True, dry_run=True)
    assert report.pulled is not None
    assert report.pulled.new == git(shared.nest.base / "hub.git", "rev-parse", "main")
    assert facts(shared.root) == before


@pytest.mark.parametrize(
    "why", ["diverged", "touched edits", "untracked in the way", "detached", "no upstream", "merge"]
)
async def test_what_cannot_be_fast_forwarded_stops_before_anything_else(nest: Nest, shared: Shared, why: str) -> None:
    root = shared.root
    match why:
        case "diverged":
            git(root, "commit", "--quiet", "--allow-empty", "-m", "mine")
            said = "has diverged"
        case "touched edits":
            (root / ".grex/pack.yaml").write_text(nest.yaml.read_text() + "# mine\n")
            said = r"touches \.grex/pack\.yaml|pack\.yaml"
        case "untracked in the way":
            (root / ".grex/config.toml").write_text("# mine\n")
            said = r"config\.toml"
        case "detached":
            git(root, "checkout", "--quiet", "--detach")
            said = "on no branch"
        case "no upstream":
            git(root, "branch", "--quiet", "--unset-upstream")
            said = "follows nothing"
        case _:
            (root / ".git/MERGE_HEAD").write_text(git(root, "rev-parse", "HEAD") + "\n")
            said = "merge is in progress"
    (nest / "other/o").unlink()
    nest.server.commit("other", {"new": "1\n"})
    head, text = git(root, "rev-parse", "HEAD"), nest.yaml.read_text()
    with pytest.raises(PackError, match=said):
        await nest.place.sync(pull=True)
    assert git(root, "rev-parse", "HEAD") == head
    assert nest.yaml.read_text() == text
    assert not (nest / "other/new").exists()  # the rest did not go on without the declarations that were wanted
    assert not (nest / "late").exists()
    assert not (nest / ".grex/state/pulling").exists()
    if why != "merge":
        assert (await nest.place.sync()).pulled is None  # nothing is left half-done


async def test_commits_of_ones_own_that_are_ahead_are_no_reason_to_stop(nest: Nest, shared: Shared) -> None:
    await nest.place.sync(pull=True)
    git(shared.root, "commit", "--quiet", "--allow-empty", "-m", "mine")
    report = await nest.place.sync(pull=True)
    assert report.exit_code == 0
    assert report.pulled is not None
    assert report.pulled.old == report.pulled.new == git(shared.root, "rev-parse", "HEAD")


async def test_a_remote_that_cannot_be_asked_stops_the_sync(nest: Nest, shared: Shared) -> None:
    git(shared.root, "remote", "set-url", "origin", str(nest.base / "nowhere"))
    with pytest.raises(FetchError):
        await nest.place.sync(pull=True)


async def test_a_workspace_that_is_no_repository_of_its_own_has_nothing_to_pull(nest: Nest, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no git repository of its own"):
        await nest.place.sync(pull=True)
    git(nest.base, "init", "--quiet")
    try:
        with pytest.raises(UsageError, match="moved by nobody but you"):
            await nest.place.sync(pull=True)
    finally:
        assert git(nest.base, "status", "--porcelain") != ""


async def test_pull_and_offline_exclude_each_other(nest: Nest) -> None:
    with pytest.raises(UsageError, match="--offline"):
        await nest.place.sync(pull=True, offline=True)


async def test_git_that_outlived_its_grex_in_the_workspaces_repository_is_waited_for(
    nest: Nest, shared: Shared
) -> None:
    nest.place.defaults = nest.place.settings(no_wait=True)
    head = git(shared.root, "rev-parse", "HEAD")
    with LockHolder("backend", shared.root) as holder:
        assert holder.ask("take") == "held"
        with pytest.raises(Exception, match=f"pid {holder.pid} "):
            await nest.place.sync(pull=True)
    assert git(shared.root, "rev-parse", "HEAD") == head
    assert (await nest.place.sync(pull=True)).exit_code == 0
