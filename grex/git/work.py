"""What of somebody's work lies in a checkout and nowhere else: asked before the checkout is taken away.

A sync only needs to know what is in its way. Whoever takes a whole checkout away needs to know of everything: edits,
untracked files, stashes, commits of any branch, what git is in the middle of, submodules, other work trees, and
repositories that lie inside and that nobody has declared.

A commit is somewhere else if a remote-tracking ref reaches it, or one of the tags that grex fetched, or the commit
that grex itself checked out. Tags count as local where they are files of their own: a clone packs those that it
brings, and grex fetches none into `refs/tags`.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from msgspec import Struct

from grex.git.command import GitRunner, require_sha
from grex.git.commits import has_commit
from grex.git.index import GITLINK, IndexUnreadableError, read_index
from grex.git.observe import CheckoutState, Operation, observe
from grex.git.status import ask_head, porcelain

__all__ = ["LocalWork", "SubmoduleLoss", "find_work", "is_linked_worktree", "nested_repositories", "submodule_losses"]

_FORMAT = 0o170000
_NAMED = 10
_DEEPEST = 8  # submodules of submodules


class LocalWork(Struct, frozen=True, kw_only=True):
    """What would be lost with a checkout; of everything some is named.

    Attributes:
        edited: tracked files that differ from HEAD, or are in conflict.
        untracked: files that git does not know and does not ignore.
        stashes: how many there are.
        unpushed: branches, tags or `HEAD` with commits that are nowhere else.
        operation: what git is in the middle of.
        worktrees: other work trees that use this repository.
        submodules: submodules with work of their own, and what it is.
    """

    edited: tuple[str, ...] = ()
    untracked: tuple[str, ...] = ()
    stashes: int = 0
    unpushed: tuple[str, ...] = ()
    operation: Operation | None = None
    worktrees: tuple[str, ...] = ()
    submodules: tuple[tuple[str, str], ...] = ()

    def first(self) -> str | None:
        """One thing of it, as the end of a sentence that begins with what it is about; None where there is none."""
        if self.operation is not None:
            return f"has a {self.operation} in progress"
        if self.edited:
            return f"has edited files: {_some(self.edited)}"
        if self.untracked:
            return f"has untracked files: {_some(self.untracked)}"
        if self.stashes:
            return f"has {self.stashes} stash{'es' if self.stashes > 1 else ''}"
        if self.unpushed:
            return f"has commits that are not pushed, on {_some(self.unpushed)}"
        if self.submodules:
            path, what = self.submodules[0]
            return f"has a submodule {path} that {what}"
        if self.worktrees:
            return f"has other work trees: {_some(self.worktrees)}"
        return None


class SubmoduleLoss(Struct, frozen=True):
    """What of a submodule would be lost with the work tree that it is in.

    Attributes:
        path: the submodule, or the name of its repository where its work tree is gone.
        text: what it is, as the end of a sentence that begins with the submodule.
        is_in_repository: whether it is commits, stashes or what git is in the middle of, and not files alone. In a
            linked work tree such a repository is among the files of git that it forgets with the work tree.
    """

    path: str
    text: str
    is_in_repository: bool


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")  # noqa: PLR2004 - enough to know what it is


def is_linked_worktree(state: CheckoutState) -> bool:
    """Whether the checkout's repository lies elsewhere: as of a linked work tree, or of a `.git` that is a link."""
    return state.git_dir is not None and not stat.S_ISDIR((state.real / ".git").lstat().st_mode)


async def find_work(runner: GitRunner, state: CheckoutState, known: Iterable[str] = ()) -> LocalWork:
    """Find what lies in a checkout and nowhere else. Takes no lock, writes nothing.

    Args:
        runner: runs git.
        state: the checkout.
        known: commits that are somewhere else, as full ids; those that are not there are left out.

    Raises:
        GitError: git could not say.
        OSError: something cannot be looked at.
    """
    return await _find(runner, state, known, _DEEPEST)


async def _find(runner: GitRunner, state: CheckoutState, known: Iterable[str], depth: int) -> LocalWork:
    if state.head == "unreadable":
        state = await ask_head(runner, state)
    status = await porcelain(runner, state)
    stashes = await runner.run(["stash", "list", "--format=%H"], cwd=state.real)
    elsewhere = [sha for sha in sorted(set(known)) if await has_commit(runner, state, sha)]
    head = [] if state.head_sha is None else [state.head_sha]
    return LocalWork(
        edited=(*status.conflicted, *status.edited),
        untracked=status.untracked,
        stashes=len(stashes.stdout.splitlines()),
        unpushed=tuple(await _unpushed(runner, state.real, state.dirs.common, head, elsewhere)),
        operation=state.operation,
        worktrees=tuple(_worktrees(state.dirs.common)),
        submodules=tuple(await _submodules(runner, state, depth)),
    )


async def _unpushed(
    runner: GitRunner, cwd: Path, common: Path, head: Sequence[str], elsewhere: Sequence[str]
) -> list[str]:
    """The refs that have commits which are nowhere else; the most common answer, none, costs one process."""
    tags = _loose_tags(common)
    not_ours = ["--not", "--remotes", "--glob=refs/grex/tags/*", *map(require_sha, elsewhere)]
    if not await _count(runner, cwd, [*head, "--branches", *(f"refs/tags/{tag}" for tag in tags)], not_ours):
        return []
    listed = await runner.run(["for-each-ref", "--format=%(refname)", "refs/heads"], cwd=cwd)
    refs = [os.fsdecode(name) for name in listed.stdout.splitlines()]
    found: list[str] = []
    for ref in [*refs, *(f"refs/tags/{tag}" for tag in tags)]:
        if len(found) < _NAMED and await _count(runner, cwd, [ref], not_ours):
            found.append(ref.removeprefix("refs/heads/").removeprefix("refs/"))
    return found or ["a detached HEAD"]


async def _count(runner: GitRunner, cwd: Path, wanted: Sequence[str], without: Sequence[str]) -> int:
    finished = await runner.run(["rev-list", "--count", "--max-count=1", *wanted, *without, "--"], cwd=cwd)
    return int(finished.stdout)


def _loose_tags(common: Path) -> list[str]:
    top = common / "refs/tags"
    return sorted(
        os.path.relpath(os.path.join(directory, name), top)  # noqa: PTH118 - texts in, texts out
        for directory, _, names in os.walk(top)
        for name in names
        if not name.endswith(".lock")
    )


def _worktrees(common: Path) -> list[str]:
    """Where the other work trees are, as their administrative files say; one that is gone counts until it is pruned."""
    found: list[str] = []
    try:
        names = sorted(os.listdir(common / "worktrees"))  # noqa: PTH208 - names are what is wanted
    except (FileNotFoundError, NotADirectoryError):
        return found
    for name in names:
        try:
            text = (common / "worktrees" / name / "gitdir").read_text(encoding="utf-8", errors="surrogateescape")
        except OSError:
            text = name
        found.append(text.strip().removesuffix("/.git"))
    return found


async def submodule_losses(runner: GitRunner, state: CheckoutState) -> list[SubmoduleLoss]:
    """What of its submodules would be lost with a checkout, linked work tree or not. Takes no lock, writes nothing.

    Raises:
        GitError: git could not say.
        OSError: something cannot be looked at.
    """
    return await _losses(runner, state, _DEEPEST)


async def _submodules(runner: GitRunner, state: CheckoutState, depth: int) -> list[tuple[str, str]]:
    return [(loss.path, loss.text) for loss in await _losses(runner, state, depth)]


async def _losses(runner: GitRunner, state: CheckoutState, depth: int) -> list[SubmoduleLoss]:
    """The submodules that have work of their own; also those whose work tree is gone and whose repository is not."""
    found: list[SubmoduleLoss] = []
    seen: set[str] = set()
    for path in _gitlinks(state):
        below = observe(state.real / path)
        if below.kind != "checkout":
            continue
        seen.add(os.path.realpath(below.dirs.common))
        if depth == 0:
            continue
        work = await _find(runner, below, (), depth - 1)
        what = work.first()
        if what is not None:
            is_kept = bool(work.unpushed or work.stashes or work.operation or work.submodules)
            found.append(SubmoduleLoss(path, what, is_kept))
    for git_dir in _absorbed(state.dirs.own):  # a linked work tree has its own; those of the repository are not its
        if os.path.realpath(git_dir) not in seen:
            unpushed = await _unpushed(runner, git_dir, git_dir, [], [])
            if unpushed:
                text = f"has commits that are not pushed, on {_some(unpushed)}"
                found.append(SubmoduleLoss(git_dir.name, text, is_in_repository=True))
    return found


def _gitlinks(state: CheckoutState) -> list[str]:
    try:
        index = read_index(state.dirs)
    except IndexUnreadableError:
        return []
    return [os.fsdecode(entry.path) for entry in index.entries if entry.mode & _FORMAT == GITLINK]


def _absorbed(git_dir: Path) -> list[Path]:
    """The repositories of submodules that git keeps in `modules/`; a name may have several segments."""
    found: list[Path] = []
    pending = [git_dir / "modules"]
    while pending:
        directory = pending.pop()
        for path in sorted(directory.iterdir()) if directory.is_dir() else ():
            if not path.is_dir() or path.is_symlink():
                continue
            if (path / "HEAD").is_file() and (path / "objects").is_dir():
                found.append(path)
            else:
                pending.append(path)
    return found


def nested_repositories(state: CheckoutState, besides: Collection[str] = ()) -> list[str]:
    """Repositories in the directory of a checkout that are neither its submodules nor known packs; some of them.

    Args:
        state: the checkout.
        besides: the paths of packs in it, from the checkout.

    Raises:
        OSError: a directory cannot be read.
    """
    links = set(_gitlinks(state))
    return _repositories(state.real, {*links, *besides})


def _repositories(top: Path, besides: Collection[str]) -> list[str]:
    found: list[str] = []
    pending = [""]
    while pending and len(found) < _NAMED:
        prefix = pending.pop()
        with os.scandir(top / prefix) as entries:
            names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
        for name in sorted(names):
            path = f"{prefix}{name}"
            if name == ".git" or path in besides:
                continue
            if os.path.lexists(top / path / ".git"):
                found.append(path)
            else:
                pending.append(f"{path}/")
    return found
