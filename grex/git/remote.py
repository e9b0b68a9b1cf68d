"""What a declared ref is on the remote side now.

`resolve_remote` asks with one `git ls-remote`, and without any process where the remote is a repository on this
machine whose refs are plain files (`local_remote_refs`), or where the ref is a full object id.

A name that is both a branch and a tag is the branch, as for `git clone --branch`; `refs/tags/NAME` and
`refs/heads/NAME` say which one is meant. An annotated tag is the commit that it leads to.

Reading a local repository directly must not show more than `git ls-remote` would. So it is left to git if the
repository hides refs, belongs to somebody else, or is in any way out of the ordinary.
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote_to_bytes

from msgspec import Struct

from grex.errors import FetchError
from grex.git.command import GitRunner
from grex.git.config_file import read_config
from grex.git.errors import RefNotFoundError
from grex.git.objects import read_loose_object
from grex.git.records import RefKind
from grex.git.refs import (
    GitDirs,
    RefsUnreadableError,
    find_git_dirs,
    has_plain_refs,
    packed_peeled,
    read_head,
    read_ref,
)
from grex.names import check_ref, clean, is_full_sha, redact

__all__ = [
    "DeclaredRef",
    "LocalRemoteRefs",
    "RemoteRef",
    "local_remote_refs",
    "not_found",
    "parse_ref",
    "resolve_remote",
]

_HEADS = "refs/heads/"
_TAGS = "refs/tags/"


class RemoteRef(Struct, frozen=True):
    """What a declared ref stands for on the remote side."""

    kind: RefKind
    name: str | None
    """The short name of the branch or tag; None for an object id."""
    sha: str
    """The commit."""
    peeled: bool = False
    """Whether an annotated tag stood between the name and the commit."""


class DeclaredRef(Struct, frozen=True):
    """A declared ref, as far as it can be understood without the remote."""

    kind: RefKind | None
    """None if the remote has to say whether it is a branch or a tag."""
    name: str | None
    """Without `refs/heads/` and `refs/tags/`; None for the remote's own HEAD."""


def parse_ref(ref: str | None) -> DeclaredRef:
    """Read a declared ref.

    Raises:
        FetchError: git would not take it as a name, or it is neither a branch nor a tag.
    """
    if ref is None:
        return DeclaredRef("branch", None)
    if is_full_sha(ref):
        return DeclaredRef("sha", ref.lower())
    reason = check_ref(ref)
    if reason is not None:
        raise FetchError(f"the ref '{clean(ref)}' {reason}", hint="Use a branch, a tag or a full object id.")
    if ref.startswith(_HEADS):
        return DeclaredRef("branch", ref[len(_HEADS) :])
    if ref.startswith(_TAGS):
        return DeclaredRef("tag", ref[len(_TAGS) :])
    if ref.startswith("refs/"):
        raise FetchError(
            f"the ref '{clean(ref)}' is neither a branch nor a tag",
            hint="Use refs/heads/NAME, refs/tags/NAME or an id.",
        )
    return DeclaredRef(None, ref)


async def resolve_remote(
    runner: GitRunner, url: str, ref: str | None, timeout_s: float | None, *, real: str | None = None
) -> RemoteRef:
    """Find out what a ref stands for on the remote side now.

    Args:
        runner: runs git.
        url: the address as git is given it.
        ref: the declared ref; None for the remote's HEAD.
        timeout_s: how long the remote may take.
        real: the address that the runner makes of it, if that is another one.

    Raises:
        RefNotFoundError: the remote has no such branch or tag.
        FetchError: the remote could not be asked.
    """
    declared = parse_ref(ref)
    if declared.kind == "sha" and declared.name is not None:
        return RemoteRef("sha", None, declared.name)
    local = local_remote_refs(real or url)
    if local is not None:
        found = local.find(declared)
        if found is not None:
            return found
    names = _questions(declared)
    finished = await runner.run(
        ["ls-remote", "--symref", "--", url, *names],
        cwd=Path(os.path.abspath(os.sep)),  # noqa: PTH100 - the root; no repository's configuration is to be used
        timeout_s=timeout_s,
        subject=url,
        error=FetchError,
    )
    refs, symrefs = _parse_ls_remote(finished.stdout)
    return _choose(declared, refs, symrefs, url)


def _questions(declared: DeclaredRef) -> list[str]:
    if declared.name is None:
        return ["HEAD"]
    names = []
    if declared.kind in ("branch", None):
        names.append(_HEADS + declared.name)
    if declared.kind in ("tag", None):
        names += [_TAGS + declared.name, _TAGS + declared.name + "^{}"]
    return names


def _parse_ls_remote(output: bytes) -> tuple[dict[str, str], dict[str, str]]:
    refs: dict[str, str] = {}
    symrefs: dict[str, str] = {}
    for line in os.fsdecode(output).splitlines():
        value, _, name = line.partition("\t")
        if value.startswith("ref: "):
            symrefs[name] = value[len("ref: ") :]
        elif is_full_sha(value):
            refs[name] = value
    return refs, symrefs


def _choose(declared: DeclaredRef, refs: dict[str, str], symrefs: dict[str, str], url: str) -> RemoteRef:
    # ls-remote matches the end of names, so that others may be among the answers; only exact names are looked up.
    name = declared.name
    if name is None:
        head = symrefs.get("HEAD", "")
        if "HEAD" not in refs:
            raise RefNotFoundError(
                f"the repository {redact(url)} has no commit on its default branch",
                hint="Push a commit to it, or declare a `ref`.",
            )
        if head.startswith(_HEADS):
            return RemoteRef("branch", head[len(_HEADS) :], refs["HEAD"])
        return RemoteRef("sha", None, refs["HEAD"])
    if declared.kind != "tag" and _HEADS + name in refs:
        return RemoteRef("branch", name, refs[_HEADS + name])
    if declared.kind != "branch" and _TAGS + name in refs:
        commit = refs.get(_TAGS + name + "^{}")
        return RemoteRef("tag", name, commit or refs[_TAGS + name], peeled=commit is not None)
    raise not_found(declared, url)


def not_found(declared: DeclaredRef, url: str) -> RefNotFoundError:
    """The error for a branch or tag that the remote does not have."""
    what = {"branch": "branch", "tag": "tag"}.get(declared.kind or "", "branch or tag")
    return RefNotFoundError(
        f"the repository {redact(url)} has no {what} '{clean(declared.name or 'HEAD')}'",
        hint="Check the ref's spelling, and that it has been pushed.",
    )


class LocalRemoteRefs:
    """The refs of a repository on this machine, read as they stand at each question."""

    def __init__(self, dirs: GitDirs) -> None:
        self._dirs = dirs

    def find(self, declared: DeclaredRef) -> RemoteRef | None:
        """What the ref stands for; None if git has to be asked, also for one that was not found."""
        try:
            return self._find(declared)
        except RefsUnreadableError:
            return None

    def _find(self, declared: DeclaredRef) -> RemoteRef | None:
        name = declared.name
        if name is None:
            head = read_head(self._dirs)
            if head.sha is None:
                return None
            return RemoteRef("branch" if head.branch else "sha", head.branch, head.sha)
        if declared.kind != "tag":
            sha = read_ref(self._dirs, _HEADS + name)
            if sha is not None:
                return RemoteRef("branch", name, sha)
        if declared.kind != "branch":
            sha = read_ref(self._dirs, _TAGS + name)
            commit = None if sha is None else self._peel(_TAGS + name, sha)
            if commit is not None:
                return RemoteRef("tag", name, commit, peeled=commit != sha)
        return None

    def _peel(self, name: str, sha: str) -> str | None:
        """The commit that a tag leads to; None if only git can tell."""
        found = read_loose_object(self._dirs.common, sha)
        if found is None:
            # In a pack, which is not opened here. packed-refs usually knows, unless the loose ref is newer than it.
            return None if (self._dirs.common / name).exists() else packed_peeled(self._dirs.common, name)
        if found.kind == "commit":
            return sha
        return found.target if found.target_kind == "commit" else None


def local_remote_refs(url: str) -> LocalRemoteRefs | None:
    """The refs of the repository that a path or file URL leads to; None if git has to be asked.

    Args:
        url: the address as git is given it: only absolute paths and `file://` URLs can be local.
    """
    path = _local_path(url)
    if path is None:
        return None
    dirs = _enter(path)
    if dirs is None or not _is_ours(dirs) or not has_plain_refs(dirs):
        return None
    config = read_config(dirs.common / "config")
    if config is None or config.has_includes or any(key == "hiderefs" for _, _, key in config.values):
        return None
    return LocalRemoteRefs(dirs)


def _local_path(url: str) -> Path | None:
    if url.startswith("/"):
        return Path(url)
    if url.startswith("file:///"):
        return Path(os.fsdecode(unquote_to_bytes(url[len("file://") :])))
    return None


def _enter(path: Path) -> GitDirs | None:
    """The repository at a path, tried in git's own order: a work tree, a bare one, and both with `.git` added."""
    for base in (path, path.with_name(path.name + ".git")):
        dirs = find_git_dirs(base)
        if dirs is not None:
            return dirs
        if (base / "HEAD").is_file() and (base / "objects").is_dir() and (base / "refs").is_dir():
            return GitDirs(base, base)
    return None


def _is_ours(dirs: GitDirs) -> bool:
    """Whether git would read this repository without being told that it is safe."""
    if not hasattr(os, "geteuid"):
        return False
    try:
        return dirs.own.stat().st_uid == os.geteuid()
    except OSError:
        return False
