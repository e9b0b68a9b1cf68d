"""`grex clone`: clones somebody's workspace and syncs it.

Recipe: note what is about to be done, clone into a temporary directory beside the place, insist on a workspace, rename
it there (a directory that is there and empty gets the clone in it, and its entries move up), sync. A clone that fails
leaves nothing. After a kill the same command again removes what is provably its own and begins anew, or goes on with a
workspace that is in its place. A URL that is typed here says what to fetch, not whom to trust: the root runs nothing
before `grex trust .`.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import stat
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from grex.engine import Hiding, Session, Settings
from grex.engine.exclusive import exclusive
from grex.engine.places import missing_directories
from grex.errors import NotAWorkspaceError, UsageError
from grex.fs import canonical, fsync_dir, remove_tree, rename_whole
from grex.git import BackendHold, move_in, observe, plan_move, resume_move
from grex.git import clone as clone_repository
from grex.locks.backend_lock import backend_lock_path
from grex.manifest.begun import BegunClone, read_begun, remove_begun, write_begun
from grex.names import GREX_TMP_PREFIX, PACK_YAML, InvalidUrlError, PackUrl, check_ref, clean, parse_url
from grex.verbs.asking import TrustQuestion
from grex.verbs.sync import SyncReport, SyncRequest, sync_session

if TYPE_CHECKING:
    from grex.verbs.documents import CloneDocument

__all__ = ["CloneReport", "CloneRequest", "clone", "place_of"]

_TIMEOUT_S = 4 * 3600.0
_WORD = re.compile(r"(?!\.{0,2}/|\.{1,2}\Z|[-~])[^:/\s\x00-\x1f][^:/]*(?:/[^\x00-\x1f]*)?")
"""A path that git would look for here, and no other kind of address: a colon before the first slash makes it a host."""


class CloneRequest(Struct, frozen=True, kw_only=True):
    """Which workspace to clone, and how to sync it.

    Attributes:
        url: the repository's URL or path, as typed.
        root: where the workspace is to be; absolute.
        ref: branch or tag; None for the remote's HEAD.
        depth: how many commits of the workspace's own history to fetch.
        groups: groups to turn on (`name`) and off (`!name`) on this machine.
        locked: check out the lockfile's commits.
        no_install: leave the install phase out.
        ask_trust: asks the user about untrusted packs; None where nobody can be asked.
    """

    url: str
    root: Path
    ref: str | None = None
    depth: int | None = None
    groups: tuple[str, ...] = ()
    locked: bool = False
    no_install: bool = False
    ask_trust: TrustQuestion | None = None


class CloneReport(Struct, frozen=True, kw_only=True):
    """What was cloned, and the sync that followed; `adopted` if an interrupted clone was gone on with."""

    root: Path
    url: str
    adopted: bool
    sync: SyncReport
    notes: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """The sync's."""
        return self.sync.exit_code

    def to_json(self) -> CloneDocument:
        """The document of `--json`."""
        return {
            "schema": "grex.clone/1",
            "workspace": str(self.root),
            "url": self.url,
            "adopted": self.adopted,
            "exit_code": self.exit_code,
            "notes": list(self.notes),
            "sync": self.sync.to_json(),
        }


def place_of(url: str, directory: Path | None, here: Path) -> Path:
    """Where a workspace goes: the directory that was named, else the last segment of the URL.

    Raises:
        UsageError: the URL is none that grex would clone from, or has no last segment.
    """
    if directory is not None:
        return canonical(directory if directory.is_absolute() else here / directory)
    name = _checked_url(url, here).default_name
    if not name:
        raise UsageError(f"{clean(url)!r} does not end in a name", hint="Give a directory behind the URL.")
    return canonical(here / name)


def _checked_url(text: str, here: Path) -> PackUrl:
    """The address as git reads it: what is there is a path, also without `./`."""
    is_word = _WORD.fullmatch(text) is not None
    if is_word and not os.path.lexists(here / text):
        raise UsageError(
            f"{clean(text)!r} is no address, and nothing of that name is in {here}",
            hint="Give an https, ssh or file URL, or the path of a repository that is there.",
        )
    try:
        return parse_url(f"./{text}" if is_word else text, relative_to=here)
    except InvalidUrlError as error:
        raise UsageError(str(error), hint=error.hint or "Give an https, ssh or file URL, or a path.") from error


async def clone(request: CloneRequest, settings: Settings, *, here: Path) -> CloneReport:
    """Clone a workspace and sync it.

    Tiers: PERMIT and BACKEND for the clone, then all, in order. Cancellation: before the workspace is in its place,
    nothing is left; after that it is a workspace like any other, and the same command again goes on.

    Args:
        request: what to clone.
        settings: of this call.
        here: what a relative URL starts from.

    Raises:
        UsageError: the URL or the ref is refused, or the place is not free.
        NotAWorkspaceError: what was cloned is no workspace; nothing of it is left.
        FetchError: it could not be cloned.
    """
    url = _checked_url(request.url, here)
    if request.ref is not None and (wrong := check_ref(request.ref)) is not None:
        raise UsageError(f"{request.ref!r} is no ref: it {wrong}", hint="Give a branch or a tag.")
    session = Session.open(request.root, settings)
    _check_place(request.root)
    made = missing_directories(request.root.parent)
    try:
        request.root.parent.mkdir(parents=True, exist_ok=True)
        async with _alone(session) as backend:
            adopted = await _bring(session, request, url, backend)
    except BaseException:
        for directory in made:
            with contextlib.suppress(OSError):  # something else is in it
                directory.rmdir()
        raise
    await Hiding(session.layout, session.holds).hide([])  # before the first lock file appears
    async with exclusive(session):
        report = await sync_session(
            session,
            SyncRequest(
                root=request.root,
                groups=request.groups,
                locked=request.locked,
                no_install=request.no_install,
                ask_trust=request.ask_trust,
            ),
        )
    remove_begun(settings.state_dir, request.root)
    return CloneReport(root=request.root, url=url.redacted, adopted=adopted, sync=report)


def _check_place(root: Path) -> None:
    if os.path.lexists(root) and not root.is_dir():
        raise UsageError(f"{root} is a file", hint="Give a directory that does not exist yet, or an empty one.")


@asynccontextmanager
async def _alone(session: Session) -> AsyncGenerator[BackendHold]:
    """Hold the place against another clone of this kind, and leave no lock file beside it."""
    root = session.layout.root
    async with session.holds.backend(".", root) as backend:
        try:
            yield backend
        finally:
            # Nothing is done under it any more; whoever waits for it compares it with what the path leads to.
            backend_lock_path(root).unlink(missing_ok=True)


async def _bring(session: Session, request: CloneRequest, url: PackUrl, backend: BackendHold) -> bool:
    """Clone into place; gives whether an earlier clone was there already. BACKEND is held."""
    root, state_dir = request.root, session.settings.state_dir
    begun = read_begun(state_dir, root)
    if begun is not None and begun.url == url.identity:
        if _go_on(begun):
            return True
    elif begun is not None:
        _drop_temp(begun)
    if root.is_dir() and any(root.iterdir()):
        raise UsageError(
            f"{root} is there already, and is not empty",
            hint="Give a directory that does not exist yet; `grex sync` in a workspace that is there.",
        )
    # What is there may be a mount of its own (a volume, a container's directory): nothing can be renamed into it.
    note = BegunClone(root, f"{GREX_TMP_PREFIX}{secrets.token_hex(6)}", url.identity, is_inside=root.is_dir())
    temp = note.temp_path
    write_begun(state_dir, note)
    try:
        await clone_repository(
            session.git_for(".", url),
            url=session.address(url).plain,
            identity=session.address(url).identity,
            ref=request.ref,
            temp=temp,
            pack=".",
            backend=backend,
            timeout_s=_TIMEOUT_S,
            depth=request.depth,
        )
        _check_workspace(temp, url)
        if root.is_dir():
            entries = plan_move(temp, root)
            write_begun(state_dir, replace(note, entries=entries))
            move_in(temp, root, entries)
        else:
            rename_whole(temp, root)
        fsync_dir(root.parent)
    except BaseException:
        remove_tree(temp)
        remove_begun(state_dir, root)
        raise
    remove_tree(temp)
    return False


def _go_on(begun: BegunClone) -> bool:
    """Settle what a killed clone has left; gives whether the workspace is in its place."""
    root, temp = begun.target, begun.temp_path
    if begun.entries is not None and _is_directory(temp / ".git") and not (root / ".git").exists():
        resume_move(temp, root, begun.entries)
    _drop_temp(begun)
    if not root.is_dir():
        return False
    state = observe(root)
    return state.kind == "checkout" and state.record is not None and state.record.url == begun.url


def _drop_temp(begun: BegunClone) -> None:
    temp = begun.temp_path
    if _is_directory(temp):
        remove_tree(temp)


def _is_directory(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except OSError:
        return False


def _check_workspace(temp: Path, url: PackUrl) -> None:
    if not (temp / PACK_YAML).is_file() or (temp / PACK_YAML).is_symlink():
        raise NotAWorkspaceError(
            f"{url.redacted} is no workspace: it has no {PACK_YAML}; nothing of it was kept",
            hint="`git clone` it and `grex init` there, or `grex add` it to a workspace.",
        )
