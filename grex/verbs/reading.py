"""Reads a manifest of another tool, with every file that it names. Takes no lock and writes nothing."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Protocol

from grex.engine import Session
from grex.errors import FetchError, UsageError
from grex.exclude import enclosing_repository
from grex.fs import UnsafeJoinError, canonical, read_regular, safe_join
from grex.git import GitDirs, IndexUnreadableError
from grex.git.origin import gitlinks, read_origin
from grex.git.peek import read_remote_files, read_submodule_settings
from grex.git.refs import find_git_dirs
from grex.interchange import Imported, MissingFileError, OwnRepository, Source, Wanted, parse, recognise
from grex.names import InvalidUrlError, clean, parse_url, redact
from grex.pack import Problems

__all__ = ["Asked", "read_imported", "read_source"]

_MAX_BYTES = 4 << 20
_MOST_FILES = 200
_FETCH_TIMEOUT_S = 900.0
_YAML = (".yml", ".yaml")
_REPO = ".repo"


class Asked(Protocol):
    """What of an import matters here."""

    @property
    def file(self) -> Path | None:
        """The manifest."""

    @property
    def name(self) -> str:
        """What it is called in messages; empty for its path."""

    @property
    def format_name(self) -> str | None:
        """Its format, if it was given."""

    @property
    def manifest_url(self) -> str | None:
        """Where it comes from, if that was given."""

    @property
    def branches(self) -> bool:
        """Whether branches of submodules are wanted."""


async def read_source(session: Session, asked: Asked) -> Source:
    """The manifest and what is known of the repository around it.

    Raises:
        UsageError: it cannot be read, or the URL that was given for it is none.
        GitError: git cannot read a .gitmodules.
    """
    file = asked.file or Path()
    if file.is_dir() and (file / "manifest.xml").is_file():
        file /= "manifest.xml"  # the directory .repo
    data = _read(file)
    base = _base(file)
    around = enclosing_repository(base)
    dirs = None if around is None else find_git_dirs(around[0])
    own = None if around is None or dirs is None else _own(session, around[0], dirs)
    if asked.manifest_url is not None:
        url = _checked(asked.manifest_url, session.layout.root)
        own = OwnRepository(url, None if own is None else own.ref, None if own is None else own.path)
    name = asked.format_name or recognise(file.name, data)
    settings: tuple[tuple[str, str], ...] = ()
    pins: dict[str, str] = {}
    if name == "gitmodules":
        settings = await read_submodule_settings(session.git_for("import"), file)
        try:
            pins = {} if dirs is None else gitlinks(dirs)
        except IndexUnreadableError as error:
            raise UsageError(
                f"the commits of the submodules cannot be read: {error}", hint="Give --branches to do without them."
            ) from error
    return Source(
        file=asked.name or str(file),
        data=data,
        own=own,
        platform=session.settings.platform,
        further=_local_manifests(file) if name == "repo" else (),
        settings=settings,
        pins=pins,
        branches=asked.branches,
    )


async def read_imported(session: Session, asked: Asked, name: str, source: Source, problems: Problems) -> Imported:
    """What the manifest comes to, with every file that it names.

    The last parse leaves its problems in `problems`; those of earlier ones were about a part.

    Raises:
        FetchError: a file of a remote could not be fetched.
        UsageError: the manifest names more files than anybody has.
    """
    files: dict[Wanted, tuple[tuple[str, bytes], ...]] = {}
    base = _base(asked.file or Path())
    around = enclosing_repository(base)
    top = base if around is None or base.name == "manifests" else around[0]
    while True:
        found = Problems()
        try:
            imported = parse(name, source, files, found)
        except MissingFileError as missing:
            if len(files) >= _MOST_FILES:
                raise UsageError(
                    f"{asked.file} imports more than {_MOST_FILES} files", hint="Do the imports go in a circle?"
                ) from None
            files[missing.wanted] = await _fetched(session, missing, top)
            continue
        problems.extend(found)
        return imported


async def _fetched(session: Session, missing: MissingFileError, top: Path) -> tuple[tuple[str, bytes], ...]:
    wanted = missing.wanted
    if wanted.tree.url is None:
        return _read_local(top, wanted.path)
    try:
        url = parse_url(wanted.tree.url, relative_to=session.layout.root)
    except InvalidUrlError:
        return ()  # the project itself is refused for its URL
    try:
        git = session.git_for("import", url)
        return await read_remote_files(git, url.plain, wanted.tree.ref, wanted.path, timeout_s=_FETCH_TIMEOUT_S)
    except FetchError as error:
        error.message = f"{missing.at}: what is imported there cannot be read: {error.message}"
        raise


def _read_local(top: Path, path: str) -> tuple[tuple[str, bytes], ...]:
    try:
        place = safe_join(top, str(PurePosixPath(path)))
    except (UnsafeJoinError, ValueError):
        return ()
    if place.is_dir():
        names = sorted(found.name for found in place.iterdir() if found.name.endswith(_YAML) and found.is_file())
        return tuple((f"{path.rstrip('/')}/{name}", _read(place / name)) for name in names)
    return ((path, _read(place)),) if place.is_file() else ()


def _read(file: Path) -> bytes:
    try:
        return read_regular(Path(canonical(file)), limit_bytes=_MAX_BYTES)
    except OSError as error:
        raise UsageError(
            f"{clean(str(file), 400)} cannot be read: {error.strerror or error}", hint="Give the path of a manifest."
        ) from error


def _base(file: Path) -> Path:
    """The directory in which the manifest's own repository is looked for. `repo` keeps it beside its manifest.xml."""
    directory = canonical(file).parent if not file.is_dir() else canonical(file)
    if directory.name == _REPO and (directory / "manifests").is_dir():
        return directory / "manifests"
    return directory


def _own(session: Session, work_tree: Path, dirs: GitDirs) -> OwnRepository:
    root = canonical(session.layout.root)
    origin = read_origin(dirs)
    path: str | None = None
    if root.is_relative_to(work_tree):
        path = ""
    elif work_tree.is_relative_to(root) and _REPO not in work_tree.relative_to(root).parts:
        path = work_tree.relative_to(root).as_posix()
    return OwnRepository(_without_credentials(origin.url), origin.ref, path)


def _without_credentials(url: str | None) -> str | None:
    """The address by which anybody would clone it: a token in the `origin` of this clone is nobody else's."""
    try:
        return None if url is None else parse_url(url, relative_to=Path("/")).plain
    except InvalidUrlError:
        return url  # refused where it is used


def _local_manifests(file: Path) -> tuple[tuple[str, bytes], ...]:
    """What a client of `repo` adds to its manifest."""
    here = canonical(file)
    home = next((parent for parent in here.parents if parent.name == _REPO), None)
    if home is None or not (home / "local_manifests").is_dir():
        return ()
    names = sorted(found for found in (home / "local_manifests").iterdir() if found.suffix == ".xml")
    return tuple((f"{_REPO}/local_manifests/{found.name}", _read(found)) for found in names)


def _checked(text: str, workspace: Path) -> str:
    try:
        url = parse_url(text, relative_to=workspace)
    except InvalidUrlError as error:
        raise UsageError(f"--manifest-url: {error}", hint=error.hint) from error
    if redact(text) != text:
        raise UsageError(
            "--manifest-url holds credentials, and pack.yaml is made to be committed", hint="Leave them out."
        )
    return url.resolved
