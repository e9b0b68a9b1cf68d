"""Single files of a repository that is not checked out anywhere, and what git reads in a .gitmodules.

A file of a remote is fetched into a bare repository in a temporary directory of the system's: one commit, none of the
history, no checkout. No lock is needed, for nobody else knows of it; after a kill it is the system's to clean up.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from grex.errors import FetchError
from grex.git.command import GitRunner, require_sha
from grex.git.errors import RefNotFoundError
from grex.git.remote import parse_ref, resolve_remote

__all__ = ["read_remote_files", "read_submodule_settings"]

_SUFFIXES = (".yml", ".yaml")


async def read_remote_files(
    runner: GitRunner, url: str, ref: str | None, path: str, *, timeout_s: float | None
) -> tuple[tuple[str, bytes], ...]:
    """A file of a remote, with its path; of a directory, the YAML files in it; nothing where there is no such path.

    Cancellation: git has ended, and the temporary directory is gone.

    Args:
        runner: runs git.
        url: the address as git is given it.
        ref: a branch, a tag or a commit; None for the remote's HEAD.
        path: from the root of the repository.
        timeout_s: how long each git command may take.

    Raises:
        RefNotFoundError: the remote has no such ref.
        FetchError: it could not be fetched.
    """
    found = await resolve_remote(runner, url, ref, timeout_s)
    with tempfile.TemporaryDirectory(prefix="grex-peek-") as name:
        place = Path(name).resolve()
        await runner.run(["init", "--quiet", "--bare", "--template="], cwd=place, error=FetchError)
        await _fetch(runner, place, url, ref, found.sha, timeout_s)
        return await _read(runner, place, require_sha(found.sha), path)


async def _fetch(runner: GitRunner, place: Path, url: str, ref: str | None, sha: str, timeout_s: float | None) -> None:
    """The commit, by its id; from a server that gives none by its id, with what its refs name."""
    options = ["--no-tags", "--no-write-fetch-head", "--no-auto-gc"]
    declared = parse_ref(ref)
    try:
        await runner.run(
            ["fetch", "--depth=1", *options, "--", url, sha],
            cwd=place,
            timeout_s=timeout_s,
            subject=url,
            error=FetchError,
        )
    except RefNotFoundError:
        wanted = ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"]
        if declared.kind != "sha":
            wanted.append("+HEAD:refs/grex/head")
        await runner.run(
            ["fetch", *options, "--", url, *wanted], cwd=place, timeout_s=timeout_s, subject=url, error=FetchError
        )


async def _read(runner: GitRunner, place: Path, sha: str, path: str) -> tuple[tuple[str, bytes], ...]:
    wanted = path.strip("/")
    names = await _listed(runner, place, sha, wanted)
    if names == [("tree", wanted)]:
        inside = await _listed(runner, place, sha, f"{wanted}/")
        names = [(kind, name) for kind, name in sorted(inside) if name.endswith(_SUFFIXES)]
    found: list[tuple[str, bytes]] = []
    for kind, name in names:
        if kind == "blob":
            finished = await runner.run(["cat-file", "blob", f"{sha}:{name}"], cwd=place, error=FetchError)
            found.append((name, finished.stdout))
    return tuple(found)


async def _listed(runner: GitRunner, place: Path, sha: str, path: str) -> list[tuple[str, str]]:
    """Kind and path of what a commit has there; of a path that ends with a slash, of what is in it."""
    finished = await runner.run(["ls-tree", "-z", "--full-tree", sha, "--", path], cwd=place, error=FetchError)
    found: list[tuple[str, str]] = []
    for record in finished.stdout.split(b"\0"):
        facts, _, name = record.partition(b"\t")
        if name:
            found.append((facts.split(b" ")[1].decode("ascii"), os.fsdecode(name)))
    return found


async def read_submodule_settings(runner: GitRunner, file: Path) -> tuple[tuple[str, str], ...]:
    """What git reads in a .gitmodules: keys and values, in their order; a key without a value is true.

    Raises:
        GitError: git cannot read it.
    """
    path = Path(os.path.realpath(file))
    finished = await runner.run(["config", "--no-includes", "-z", "--list", f"--file={path}"], cwd=path.parent)
    found: list[tuple[str, str]] = []
    for record in finished.stdout.split(b"\0"):
        key, line_end, value = record.partition(b"\n")
        if key:
            found.append((os.fsdecode(key), os.fsdecode(value) if line_end else "true"))
    return tuple(found)
