"""Brings a file by its URL and its hash: what stands around every fetcher (`ActionContext.fetch`).

    kept before, and its bytes still have the hash ── that file
    a directory of its own below `.grex/state/fetched`
    fetcher ── watched: how large the file becomes, and how long it takes
    hash ── another one, and everything is thrown away
    renamed to `.grex/state/fetched/<sha256>`, which therefore always has the bytes of its name

Whatever ends it (an error, the limits, a cancellation), the directory is removed with all that is in it. One that a
killed run left is removed by the next run's recovery; as that cannot know whose it is, a fetch whose directory has
gone begins again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

import anyio
from msgspec import Struct

from grex.errors import FetchError, GrexError
from grex.fs import TEMP_PREFIX, fsync_dir, open_regular, remove_tree
from grex.names import clean, redact
from grex.plugin.failures import blamed
from grex.plugin.fetcher import Fetcher

__all__ = ["FETCHED", "FetchRequest", "Kept", "fetch", "sweep_fetches"]

FETCHED = "fetched"
"""The directory below `.grex/state`."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_PIECE_BYTES = 1 << 20
_LOOK_EVERY_S = 0.2
_TRIES = 3


class FetchRequest(Struct, frozen=True):
    """What is wanted.

    Attributes:
        url: where it is; it may hold credentials, and is shown without them.
        sha256: of the bytes, 64 hexadecimal digits.
        limit_bytes: how large it may be.
        timeout_s: how long it may take.
    """

    url: str
    sha256: str
    limit_bytes: int
    timeout_s: float

    @property
    def shown(self) -> str:
        """The URL for a message."""
        return clean(redact(self.url), 300)


class Kept(Struct, frozen=True):
    """Where what is fetched is kept, and how.

    Attributes:
        directory: `.grex/state/fetched` of the workspace.
        environ: the variables of the caller.
        offline: whether only what is kept already may be given.
        find: gives the fetcher of a scheme.
        progress: is told how many bytes have come, of how many, if that is known.
    """

    directory: Path
    environ: Mapping[str, str]
    offline: bool
    find: Callable[[str], Fetcher]
    progress: Callable[[int, int | None], None]


async def fetch(request: FetchRequest, kept: Kept) -> Path:
    """The file with that hash, fetched if it is not there. It is not to be changed: the next one gets the same.

    Cancellation: nothing is left of a fetch that did not end.

    Raises:
        FetchError: it could not be brought, or is something else than was asked for.
        PluginError: there is no fetcher for it, or that failed.
    """
    sha256 = request.sha256.lower()
    if not _SHA256.fullmatch(sha256):
        raise FetchError(f"{clean(request.sha256, 80)!r} is no SHA-256", hint="Write its 64 hexadecimal digits.")
    _check_directory(kept.directory)
    path = kept.directory / sha256
    if await _digest(path) == sha256:
        return path
    if kept.offline:
        raise FetchError(
            f"{request.shown} was not fetched before, and --offline forbids it", hint="Run it again without --offline."
        )
    fetcher = _fetcher(request, kept)
    try:
        kept.directory.mkdir(parents=True, exist_ok=True)
        for _ in range(_TRIES):
            if await _try(fetcher, request, kept, path):
                return path
    except OSError as error:
        raise FetchError(
            f"{request.shown} could not be kept in {kept.directory}: {error.strerror or error}",
            hint="Check the space and the permissions there.",
        ) from error
    raise FetchError(
        f"somebody removes what is being fetched for {request.shown} from {kept.directory}",
        hint="Let nothing but grex remove files there, and run it again.",
    )


def sweep_fetches(directory: Path) -> None:
    """Remove what killed fetches left; what cannot be removed stays."""
    if directory.is_symlink() or not directory.is_dir():
        return
    for left in directory.iterdir():
        if left.name.startswith(TEMP_PREFIX):
            with contextlib.suppress(OSError):
                remove_tree(left)


class _Fetching:
    """The `FetchContext` of one fetch."""

    def __init__(self, request: FetchRequest, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.limit_bytes = request.limit_bytes
        self.total_bytes: int | None = None
        self._request = request

    def expect(self, total_bytes: int) -> None:
        """Note how many bytes will come."""
        self.total_bytes = total_bytes
        if total_bytes > self.limit_bytes:
            raise _too_large(self._request)


async def _try(fetcher: Fetcher, request: FetchRequest, kept: Kept, path: Path) -> bool:
    """Fetch it once; false if its directory was taken away meanwhile."""
    temp = kept.directory / f"{TEMP_PREFIX}{secrets.token_hex(8)}"
    temp.mkdir(mode=0o700)
    try:
        into = temp / "file"
        await _watched(fetcher, request, kept, into)
        await _keep(request, into, path)
    except (GrexError, OSError):
        if temp.is_dir():
            raise
        return False  # somebody took it for a dead run's
    finally:
        if temp.is_dir():
            remove_tree(temp)
    return True


async def _watched(fetcher: Fetcher, request: FetchRequest, kept: Kept, into: Path) -> None:
    """Let the fetcher work, and end it when it takes too long or brings too much."""
    context = _Fetching(request, kept.environ)
    failure: Exception | None = None
    is_too_large = False
    with anyio.move_on_after(request.timeout_s) as limit:
        async with anyio.create_task_group() as tasks:

            async def look() -> None:
                nonlocal is_too_large
                while not is_too_large:
                    await anyio.sleep(_LOOK_EVERY_S)
                    size = _size(into)
                    kept.progress(size, context.total_bytes)
                    is_too_large = size > request.limit_bytes
                tasks.cancel_scope.cancel()

            tasks.start_soon(look)
            try:
                with blamed(f"the fetcher {fetcher.name!r}"):
                    await fetcher.fetch(request.url, into, context)
            except Exception as error:  # noqa: BLE001 - raised again below, without the group around it
                failure = error
            tasks.cancel_scope.cancel()
    if is_too_large or _size(into) > request.limit_bytes:
        raise _too_large(request)
    if failure is not None:
        raise _without_credentials(failure)
    if limit.cancelled_caught:
        raise FetchError(
            f"{request.shown} did not come within {request.timeout_s:g} s", hint="Try again, or allow it more time."
        )
    kept.progress(_size(into), context.total_bytes)


async def _keep(request: FetchRequest, into: Path, path: Path) -> None:
    found = await _digest(into, durable=True)
    if found is None:
        raise FetchError(
            f"the fetcher brought no file for {request.shown}", hint="Report it to the authors of the plugin."
        )
    if found != request.sha256.lower():
        raise FetchError(
            f"{request.shown} has the SHA-256 {found}, and {request.sha256.lower()} was asked for",
            hint="Do not use it before you know why: it was changed, or the pack.yaml has the hash of another version.",
        )
    into.chmod(0o444)
    into.replace(path)
    fsync_dir(path.parent)


async def _digest(path: Path, *, durable: bool = False) -> str | None:
    """The SHA-256 of a regular file, which is made durable if that is asked for; None where there is none."""

    def read() -> str | None:
        try:
            fd = open_regular(path)
        except OSError:
            return None
        digest = hashlib.sha256()
        with os.fdopen(fd, "rb") as file:
            while piece := file.read(_PIECE_BYTES):
                digest.update(piece)
            if durable:
                os.fsync(file.fileno())
        return digest.hexdigest()

    return await anyio.to_thread.run_sync(read, abandon_on_cancel=True)


def _check_directory(directory: Path) -> None:
    """Nobody may lead what is fetched elsewhere: a workspace is often a clone of somebody else's repository."""
    for part in (directory.parent.parent, directory.parent, directory):
        if part.is_symlink():
            raise FetchError(
                f"{part} is a symbolic link, and grex keeps what it fetches only inside the workspace",
                hint="Remove the link; a directory is made when it is needed.",
            )


def _fetcher(request: FetchRequest, kept: Kept) -> Fetcher:
    scheme = _SCHEME.match(request.url)
    if scheme is None:
        raise FetchError(f"{request.shown} is no URL", hint="Write it with its scheme: https://...")
    fetcher = kept.find(scheme[1].lower())
    with blamed(f"the fetcher {fetcher.name!r}"):
        wrong = fetcher.check(request.url)
    if wrong is not None:
        raise FetchError(f"{request.shown} is not fetched: {clean(redact(wrong), 300)}", hint="Change the URL.")
    return fetcher


def _size(path: Path) -> int:
    try:
        status = path.lstat()
    except OSError:
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else 0


def _too_large(request: FetchRequest) -> FetchError:
    return FetchError(
        f"{request.shown} is larger than the {request.limit_bytes} bytes that are allowed",
        hint="Check the URL, or allow it more.",
    )


def _without_credentials(error: Exception) -> Exception:
    if isinstance(error, GrexError):
        error.message = redact(error.message)
        error.hint = None if error.hint is None else redact(error.hint)
        error.args = (error.message,)
    return error
