"""Submodules: what the commit names, what of it is there, and bringing what is missing.

`git submodule update --checkout` does the work, one submodule at a time, so that each is judged before it is touched:
`--checkout` keeps `update = !command` from being run, and each URL in `.gitmodules` is checked like any other, because
a helper transport would run a program. What a submodule holds of the user's is found by `submodule_work`: edits, and
commits that no remote branch or tag of it reaches.

Kills. The note of the superproject names the submodules that had nothing checked out before: whatever is found of them
later was made by the dead command, or came after it, and is moved aside before they are made anew. A submodule that is
moved from one commit to another has a move note in its own git directory, and `grex.git.recover` mends it like any
checkout. Nested submodules are those of a checkout of their own, notes included.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from grex.fs import remove_tree
from grex.git.command import BackendHold, GitRunner, require_backend, require_sha
from grex.git.commits import has_commit, tree_of
from grex.git.errors import GitError
from grex.git.observe import CheckoutState, observe
from grex.git.records import CompletionRecord, MoveNote, remove_note, write_note, write_record
from grex.git.status import porcelain

__all__ = [
    "Submodule",
    "SubmoduleWork",
    "changed_submodules",
    "clear_new",
    "lent_to_submodules",
    "module_dir",
    "read_submodules",
    "submodule_work",
    "update_submodule",
]

_GITLINK = b"160000"


class Submodule(Struct, frozen=True):
    """A submodule of the commit that is checked out."""

    name: str
    path: str
    url: str
    """As `.gitmodules` has it; may be relative to the repository's own."""
    sha: str
    """The commit that it is to be at."""
    state: CheckoutState | None = None
    """Its checkout; None if nothing is checked out."""


class SubmoduleWork(Struct, frozen=True):
    """What of the user's is in a submodule, so that it must not be moved or taken away."""

    path: str
    reason: str


async def read_submodules(runner: GitRunner, state: CheckoutState) -> tuple[Submodule, ...]:
    """The submodules of a checkout, by path; those that `.gitmodules` does not tell of are left out.

    Raises:
        GitError: git cannot say, for instance because `.gitmodules` is damaged.
    """
    links = await _gitlinks(runner, state)
    if not links or not (state.real / ".gitmodules").is_file():
        return ()
    said = await runner.run(
        ["config", "-z", "--file", ".gitmodules", "--get-regexp", r"^submodule\..*\.(path|url)$"],
        cwd=state.real,
        accept=(0, 1),
    )
    names: dict[str, dict[str, str]] = {}
    for record in said.stdout.split(b"\0"):
        key, _, value = os.fsdecode(record).partition("\n")
        if key:
            name, _, variable = key.removeprefix("submodule.").rpartition(".")
            names.setdefault(name, {})[variable] = value
    found = [
        Submodule(name, values["path"], values["url"], links[values["path"]], _checkout_of(state, values["path"]))
        for name, values in names.items()
        if values.get("path") in links and "url" in values and _is_plain_name(name)
    ]
    return tuple(sorted(found, key=lambda one: one.path))


async def _gitlinks(runner: GitRunner, state: CheckoutState) -> dict[str, str]:
    finished = await runner.run(["ls-files", "--stage", "-z"], cwd=state.real)
    links: dict[str, str] = {}
    for record in finished.stdout.split(b"\0"):
        if record.startswith(_GITLINK):
            facts, _, path = record.partition(b"\t")
            links[os.fsdecode(path)] = facts.split(b" ")[1].decode("ascii")
    return links


def _checkout_of(state: CheckoutState, path: str) -> CheckoutState | None:
    """The submodule's checkout. One that a symlink leads to is somebody else's directory."""
    place = state.real / path
    if place.resolve() != place or not os.path.lexists(place / ".git"):
        return None
    found = observe(place)
    return found if found.kind == "checkout" else None


async def changed_submodules(runner: GitRunner, state: CheckoutState, to_sha: str) -> tuple[Submodule, ...]:
    """The submodules that are there and that another commit of the repository has elsewhere, or not at all.

    Raises:
        GitError: git cannot say.
    """
    present = [one for one in await read_submodules(runner, state) if one.state is not None]
    if not present:
        return ()
    listed = await runner.run(
        ["ls-tree", "-r", "-z", "--full-tree", require_sha(to_sha)], cwd=state.real, subject=f"'{state.path}'"
    )
    wanted = {
        os.fsdecode(path): facts.split(b" ")[2].decode("ascii")
        for facts, _, path in (record.partition(b"\t") for record in listed.stdout.split(b"\0"))
        if facts.startswith(_GITLINK)
    }
    return tuple(one for one in present if one.state is not None and wanted.get(one.path) != one.state.head_sha)


async def submodule_work(runner: GitRunner, submodules: Sequence[Submodule]) -> tuple[SubmoduleWork, ...]:
    """What of the user's is in these submodules and in those below them.

    Raises:
        GitError: git cannot say.
    """
    found: list[SubmoduleWork] = []
    for one in submodules:
        if one.state is None:
            continue
        reason = await _work_in(runner, one.state)
        if reason is not None:
            found.append(SubmoduleWork(one.path, reason))
            continue
        below = await submodule_work(runner, await read_submodules(runner, one.state))
        found += [SubmoduleWork(f"{one.path}/{inner.path}", inner.reason) for inner in below]
    return tuple(found)


async def _work_in(runner: GitRunner, state: CheckoutState) -> str | None:
    if state.operation is not None:
        return f"a {state.operation} is in progress"
    status = await porcelain(runner, state)
    if not status.is_clean:
        return "it has edited or untracked files"
    if (state.dirs.common / "refs" / "stash").exists():
        return "it has a stash"
    heads = await runner.run(
        ["rev-list", "--max-count=1", "HEAD", "--branches", "--not", "--remotes", "--tags", "--"],
        cwd=state.real,
        accept=(0, 128),
    )
    if heads.returncode or heads.stdout.strip():
        # A commit that was fetched by its id is on no branch of the remote, and grex itself put HEAD there.
        if await _is_only_placed(runner, state):
            return None
        return "it has commits that are not pushed"
    return None


async def _is_only_placed(runner: GitRunner, state: CheckoutState) -> bool:
    """Whether HEAD is detached at the commit where the last update of ours has left it, and no branch is ahead."""
    if state.record is None or state.head_branch is not None or state.head_sha != state.record.sha:
        return False
    branches = await runner.run(
        ["rev-list", "--max-count=1", "--branches", "--not", "HEAD", "--remotes", "--tags", "--"],
        cwd=state.real,
        accept=(0, 128),
    )
    return branches.returncode == 0 and not branches.stdout.strip()


async def update_submodule(
    runner: GitRunner,
    state: CheckoutState,
    one: Submodule,
    *,
    pack: str,
    identity: str,
    protocols: Sequence[str],
    depth: int | None,
    backend: BackendHold,
    timeout_s: float | None,
    lender: Path | None = None,
) -> CheckoutState:
    """Bring one submodule to its commit: cloned if nothing is there, else fetched and checked out.

    The caller has made sure that it holds nothing of the user's, and has noted it if it is new. Cancellation: git has
    ended; the notes stand.

    Args:
        runner: runs git.
        state: the checkout around it.
        one: the submodule.
        pack: the pack's path, for notes.
        identity: the submodule's address without credentials, for the record.
        protocols: the transports that its URL may use.
        depth: how many commits of history to fetch.
        backend: the held BACKEND lock of the whole pack.
        timeout_s: how long git may take.
        lender: a repository from which one that is cloned borrows objects, instead of having them sent.

    Returns:
        The submodule's checkout, detached at its commit.

    Raises:
        FetchError: it could not be fetched.
        GitError: git failed otherwise, or what it left is not what was asked for.
    """
    require_backend(backend)
    inner = one.state
    if inner is not None:
        write_note(
            inner.dirs.own,
            MoveNote(op="checkout", pack=pack, from_sha=inner.head_sha, to_sha=require_sha(one.sha), was_clean=True),
        )
    # A bare `update` would obey `submodule.*.update`, which a user may have set to something else than a checkout.
    options = ["--init", "--checkout", *([] if depth is None else [f"--depth={depth}"])]
    if lender is not None:
        options.append(f"--reference={lender}")
    if inner is not None and await has_commit(runner, inner, one.sha):
        options.append("--no-fetch")
    await runner.run(
        ["submodule", "update", *options, "--", one.path],
        cwd=state.real,
        write=backend,
        timeout_s=timeout_s,
        subject=f"the submodule '{one.path}' of '{state.path}'",
        extra_env={"GIT_ALLOW_PROTOCOL": ":".join(protocols)},
        config=("submodule.alternateErrorStrategy=die",),
    )
    found = _checkout_of(state, one.path)
    if found is None or found.head_sha != one.sha:
        raise GitError(f"git reported success, but the submodule '{one.path}' of '{state.path}' is not at {one.sha}")
    record = CompletionRecord(
        url=identity,
        ref=None,
        kind="sha",
        branch=None,
        sha=one.sha,
        upstream=None,
        tree=await tree_of(runner, found, one.sha),
    )
    write_record(found.dirs.own, record)
    if inner is not None:
        remove_note(inner.dirs.own)
    return observe(found.path)


def clear_new(state: CheckoutState, note: MoveNote, aside: Path) -> tuple[tuple[str, Path], ...]:
    """Take away what a killed command has left of submodules that were not checked out before it.

    Args:
        state: the checkout around them.
        note: the dead command's.
        aside: where files that lie in their places are kept; it is made when it is needed.

    Returns:
        The paths of those that had files, and where these are now.

    Raises:
        OSError: something could not be moved or removed.
    """
    kept: list[tuple[str, Path]] = []
    for path in note.new:
        place = state.real / path
        if place.resolve() != place or not place.is_dir():
            continue
        git_file = place / ".git"
        if git_file.is_file():
            git_file.unlink()  # without it, git checks out everything anew
        if any(place.iterdir()):
            aside.mkdir(parents=True, exist_ok=True)
            kept.append((path, aside / f"{len(kept)}-{place.name}"))
            place.rename(kept[-1][1])
            place.mkdir()
    modules = state.dirs.common / "modules"
    for name in filter(_is_plain_name, note.made):
        remove_tree(modules / name)
    remove_tree(lent_to_submodules(state))
    return tuple(kept)


def lent_to_submodules(state: CheckoutState) -> Path:
    """Where the objects lie that a submodule of a checkout borrows while it is cloned: on its own file system."""
    return state.dirs.common / "grex" / "lent-objects"


def module_dir(state: CheckoutState, one: Submodule) -> Path:
    """Where the git directory of a submodule lies, or would."""
    return state.dirs.common / "modules" / one.name


def _is_plain_name(name: str) -> bool:
    """Whether a submodule's name leads nowhere but below `modules`; git refuses others as well."""
    return all(part not in ("", ".", "..") for part in name.split("/"))
