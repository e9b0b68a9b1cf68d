"""Work trees of one repository: making one, knowing those that there are, and taking one away.

git keeps what a linked work tree has of its own (HEAD, the index, what is begun) in `<common>/worktrees/<id>`, and
everything else for all of them together: objects, branches, remote-tracking refs, `config`, `info/exclude`, the stash.
Its directory holds a file `.git` that leads there; `gitdir` there leads back.

`git worktree prune` is never run: it forgets every work tree whose directory cannot be seen at the moment, also one of
the user's on a disk that is not mounted. One is forgotten by its path, and only if it is asked for.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from pathlib import Path

from grex.fs import TEMP_PREFIX, canonical, read_regular, remove_tree
from grex.git.command import LOCAL_TIMEOUT_S, BackendHold, GitRunner, require_backend, require_sha
from grex.git.commits import DURABLE, branch_ref
from grex.git.config_file import read_config
from grex.git.errors import CheckoutRefusedError, GitError
from grex.git.observe import CheckoutState
from grex.git.refs import GitDirs, RefsUnreadableError, has_plain_refs, read_ref

__all__ = [
    "add_work_tree",
    "count_commits",
    "delete_branch",
    "fill_work_tree",
    "finish_work_tree",
    "forget_work_tree",
    "is_half_made",
    "linked_work_trees",
    "registered_at",
    "settle_work_tree",
    "unmerged_count",
    "work_trees",
]

_POINTER_BYTES = 8192
_MOST_NAMES = 10_000


def linked_work_trees(common: Path) -> list[tuple[Path, Path]]:
    """The work trees that a repository has besides its main one, sorted: git directory, and where the work tree is.

    A work tree whose directory is gone counts: git keeps it until it is forgotten.
    """
    found: list[tuple[Path, Path]] = []
    try:
        names = sorted(os.listdir(f"{common}/worktrees"))  # noqa: PTH208 - most repositories have none
    except OSError:
        return found
    for name in names:
        own = common / "worktrees" / name
        try:
            text = os.fsdecode(read_regular(own / "gitdir", limit_bytes=_POINTER_BYTES)).rstrip("\r\n")
        except OSError:
            continue
        if text:
            found.append((own, Path(os.path.normpath(own / text)).parent))
    return found


def work_trees(dirs: GitDirs) -> list[Path]:
    """Where the work trees of a repository are, the main one among them if it is where it usually is."""
    common = canonical(dirs.common)
    main = [common.parent] if common.name == ".git" else []
    return [*main, *(place for _, place in linked_work_trees(common))]


def registered_at(common: Path, place: Path) -> Path | None:
    """The git directory of the work tree that a repository has at a place; None if it has none there.

    What is really there is another question.
    """
    wanted = canonical(place)
    is_there = os.path.exists(wanted)  # noqa: PTH110 - asked for each of them, as below
    # One look tells most of them apart; only what may be the same place is followed through every link on its way.
    return next(
        (
            own
            for own, at in linked_work_trees(common)
            if os.path.exists(at) == is_there and canonical(at) == wanted  # noqa: PTH110
        ),
        None,
    )


async def add_work_tree(
    runner: GitRunner,
    state: CheckoutState,
    place: Path,
    *,
    branch: str,
    sha: str,
    backend: BackendHold,
    checkout: bool = True,
    timeout_s: float | None = LOCAL_TIMEOUT_S,
) -> None:
    """Make a work tree on a branch of its own; a branch that is at that very commit already is taken.

    Cancellation: git has ended; a branch, a half-made work tree or both may be there.

    Args:
        runner: runs git.
        state: a checkout of the repository.
        place: where; nothing may be there, or an empty directory.
        branch: the short name of the branch.
        sha: the commit that it begins at.
        backend: the held BACKEND lock.
        checkout: whether its files are written; else it has an empty index, and HEAD.
        timeout_s: how long it may take.

    Raises:
        CheckoutRefusedError: the branch is there and elsewhere.
        GitError: git would not.
    """
    require_backend(backend)
    ref = branch_ref(branch)
    try:
        before = read_ref(state.dirs, ref)
    except RefsUnreadableError as error:
        raise GitError(f"the branch '{branch}' of '{state.path}' cannot be read: {error}") from error
    if before not in (None, require_sha(sha)):
        raise CheckoutRefusedError(f"the branch '{branch}' of '{state.path}' is there and is not at {sha}")
    if before is None and checkout and _is_usual(state.dirs):
        await _add_in_one(runner, state, place, branch=branch, sha=sha, backend=backend, timeout_s=timeout_s)
        return
    options = [] if checkout else ["--no-checkout"]
    # Without tracking: what begins at a commit has no upstream, whatever the user's configuration.
    new = ["--no-track", "-b", branch] if before is None else []
    await runner.run(
        ["worktree", "add", "--quiet", *options, *new, "--", str(place), sha if new else branch],
        cwd=state.real,
        write=backend,
        timeout_s=timeout_s,
        subject=f"'{state.path}'",
        config=DURABLE,
    )


def _is_usual(dirs: GitDirs) -> bool:
    """Whether a work tree needs nothing but what the documentation of git's layout names: no settings of its own."""
    config = read_config(dirs.common / "config")
    return (
        config is not None
        and has_plain_refs(dirs)
        and not config.is_true("core", "sparseCheckout", default=False)
        and config.get("extensions", "worktreeConfig") is None
    )


async def _add_in_one(
    runner: GitRunner,
    state: CheckoutState,
    place: Path,
    *,
    branch: str,
    sha: str,
    backend: BackendHold,
    timeout_s: float | None,
) -> None:
    """What `git worktree add -b` does, by one git process instead of four: these are most of what a fork costs.

    The git directory of the work tree is made apart and gets its name by a rename, complete and locked as git locks
    one that is being made. Then one checkout makes the branch, puts HEAD on it and writes the files.
    """
    common = canonical(state.dirs.common)
    _make_directory(place)
    for left in (common / "grex").glob(f"{TEMP_PREFIX}*"):
        if left.is_dir():
            remove_tree(left)  # of a run that was killed: BACKEND is ours
    temp = common / "grex" / f"{TEMP_PREFIX}{os.urandom(8).hex()}"
    temp.mkdir(parents=True)
    for name, text in (
        ("locked", "initializing\n"),
        ("commondir", "../..\n"),
        ("HEAD", f"{sha}\n"),
        ("gitdir", f"{canonical(place)}/.git\n"),
    ):
        (temp / name).write_bytes(os.fsencode(text))
    (common / "worktrees").mkdir(exist_ok=True)
    own = _named(temp, common / "worktrees", place.name)
    (place / ".git").write_bytes(os.fsencode(f"gitdir: {own}\n"))
    await runner.run(
        # By force, for every file is missing in a new work tree, which git would take for the user's wish.
        ["checkout", "--quiet", "--force", "--no-track", "-b", branch, require_sha(sha), "--"],
        cwd=place,
        write=backend,
        timeout_s=timeout_s,
        subject=f"'{place}'",
        config=DURABLE,
    )
    (own / "locked").unlink()


def _make_directory(place: Path) -> None:
    """Make sure that an empty directory is there.

    Raises:
        CheckoutRefusedError: something else is.
    """
    place.mkdir(parents=True, exist_ok=True)
    if any(place.iterdir()):
        raise CheckoutRefusedError(f"'{place}' is not empty", hint="Move what is there elsewhere, then run this again.")


def _named(temp: Path, directory: Path, wanted: str) -> Path:
    """Rename a directory to a free name."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", wanted).strip("-") or "worktree"
    for number in range(_MOST_NAMES):
        own = directory / (f"{name}{number}" if number else name)
        if os.path.lexists(own):
            continue  # a rename would replace an empty directory, which is what a dying git leaves
        temp.rename(own)
        return own
    raise GitError(f"no free name was found in '{directory}'")


def is_half_made(own: Path) -> bool:
    """Whether a git that was making a work tree has died in it: it locks the new one until its files are there."""
    if os.path.lexists(own / "index.lock"):
        return True
    try:
        return read_regular(own / "locked", limit_bytes=_POINTER_BYTES).startswith(b"initializing")
    except OSError:
        return False


def finish_work_tree(own: Path) -> bool:
    """Whether all the files of a work tree are there, HEAD being on its branch; then it is no longer in the making.

    Both ways of making one write the index when all files are there, and one of them HEAD before that.
    """
    if os.path.lexists(own / "index.lock") or not os.path.lexists(own / "index"):
        return False
    if is_half_made(own):
        (own / "locked").unlink()
    return True


async def settle_work_tree(runner: GitRunner, state: CheckoutState, place: Path, *, backend: BackendHold) -> None:
    """Let a repository know where a work tree is whose `.git` was moved.

    Raises:
        GitError: git would not.
    """
    await runner.run(["worktree", "repair", "--", str(place)], cwd=state.real, write=backend)


async def fill_work_tree(runner: GitRunner, place: Path, *, backend: BackendHold) -> None:
    """Write the files of HEAD into a work tree that was made without.

    Raises:
        GitError: git would not; some may be written.
    """
    await runner.run(["reset", "--quiet", "--hard", "--no-recurse-submodules"], cwd=place, write=backend)


async def forget_work_tree(runner: GitRunner, state: CheckoutState, place: Path, *, backend: BackendHold) -> None:
    """Forget a work tree whose directory is not there any more; one that is not known is fine.

    Raises:
        GitError: git would not.
        ValueError: something is there: a bug in the caller.
    """
    if os.path.lexists(place):
        raise ValueError(f"'{place}' is there")
    if registered_at(state.dirs.common, place) is None:
        return
    await runner.run(
        # Twice: also one that the user has locked. There is nothing left that the lock could keep.
        ["worktree", "remove", "--force", "--force", "--", str(place)],
        cwd=state.real,
        write=backend,
        subject=f"'{place}'",
    )


async def count_commits(runner: GitRunner, state: CheckoutState, wanted: str, without: str) -> int:
    """How many commits the first has and the second lacks; both are full object ids.

    Raises:
        GitError: one of them is not there.
    """
    if require_sha(wanted) == require_sha(without):
        return 0
    found = await runner.run(["rev-list", "--count", wanted, f"^{without}", "--"], cwd=state.real)
    return int(found.stdout)


async def unmerged_count(
    runner: GitRunner,
    state: CheckoutState,
    shas: Collection[str],
    *,
    besides: Collection[str],
    since: str | None = None,
) -> int:
    """How many commits of these no branch, tag or remote-tracking branch would have without certain branches.

    Args:
        runner: runs git.
        state: a checkout of the repository.
        shas: full object ids of commits.
        besides: short names of the branches that do not count.
        since: a commit whose history does not count.

    Raises:
        GitError: a commit is not there.
    """
    if not shas:
        return 0
    excluded = [f"--exclude={branch_ref(branch).removeprefix('refs/heads/')}" for branch in sorted(besides)]
    # As words without a `--`, behind which nothing but paths may stand.
    revisions = [*map(require_sha, sorted(shas)), "--not", *excluded, "--branches", "--tags", "--remotes"]
    revisions += [] if since is None else [require_sha(since)]
    found = await runner.run(["rev-list", "--count", *revisions, "--"], cwd=state.real)
    return int(found.stdout)


async def delete_branch(
    runner: GitRunner, state: CheckoutState, branch: str, *, expected: str, backend: BackendHold
) -> None:
    """Delete a branch that is where it is expected, with its configuration.

    Raises:
        GitError: it is elsewhere by now, or git would not; it is still there.
    """
    ref = branch_ref(branch)
    await runner.run(["update-ref", "-d", ref, require_sha(expected)], cwd=state.real, write=backend)
    config = read_config(state.dirs.common / "config")
    if config is not None and any(
        config.get("branch", name, subsection=branch) is not None for name in ("merge", "remote", "rebase")
    ):
        await runner.run(
            ["config", "--local", "--remove-section", f"branch.{branch}"],
            cwd=state.real,
            write=backend,
            accept=(0, 1, 128),
        )
