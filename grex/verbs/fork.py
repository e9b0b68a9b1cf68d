"""`grex fork DIR`: a second workspace, made of work trees of the packs that are here.

Recipe: hold WORKSPACE while the graph and the HEADs are read; find a free branch; hold the fork's own WORKSPACE; write
the record and the mark; build. How, says `grex.engine.forking`. One workspace is held at a time.
"""

from __future__ import annotations

import os
import re
import secrets
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from grex.engine import Session, Settings, survey
from grex.engine.exclusive import exclusive
from grex.engine.fork_places import home_now
from grex.engine.fork_provider import Provider, provider_named
from grex.engine.fork_work import fork_state
from grex.engine.forking import Candidates, ForkBuild, ForkedPack, candidates_of
from grex.engine.hiding import Hiding
from grex.engine.places import missing_directories
from grex.engine.survey import named
from grex.errors import UsageError
from grex.fs import canonical
from grex.git import CheckoutState, RefsUnreadableError, find_git_dirs, read_ref
from grex.manifest import (
    FORK_ROOT,
    ForkMark,
    ForkPack,
    ForkRecord,
    read_fork_mark,
    read_fork_records,
    timestamp,
    write_fork_mark,
    write_fork_record,
)
from grex.names import GREX_DIRECTORY, check_ref, clean, shown_argument
from grex.verbs.init import making
from grex.verbs.report import exit_code_of, failure_json
from grex.workspace import Layout

if TYPE_CHECKING:
    from grex.verbs.documents import ForkDocument

__all__ = ["ForkReport", "ForkRequest", "fork", "home_of"]

_LOCK = ".grex.sync.lock"
_SHOWN = 5


class ForkRequest(Struct, frozen=True):
    """What to fork, and where to.

    Attributes:
        root: the workspace.
        directory: where the fork goes, absolute; nothing may be there, or an empty directory.
        packs: PACK arguments; those below and above them come along; empty for all that are there.
        branch: the branch of every pack; None for `grex/` and the name of the directory.
        provider: how its directories are made.
    """

    root: Path
    directory: Path
    packs: tuple[str, ...] = ()
    branch: str | None = None
    provider: str = "auto"


class ForkReport(Struct, frozen=True):
    """What was made, packs sorted by path, `.` the workspace's own repository; `is_resumed` after a run was killed."""

    root: Path
    directory: Path
    branch: str
    provider: str
    packs: tuple[ForkedPack, ...]
    is_resumed: bool = False
    elapsed_s: float = 0.0

    @property
    def exit_code(self) -> int:
        """0, or what the failures come to."""
        return exit_code_of(pack.error for pack in self.packs)

    def to_json(self) -> ForkDocument:
        """The document of `--json`."""
        return {
            "schema": "grex.fork/1",
            "workspace": str(self.root),
            "directory": str(self.directory),
            "branch": self.branch,
            "provider": self.provider,
            "resumed": self.is_resumed,
            "exit_code": self.exit_code,
            "packs": [
                {
                    "path": pack.path,
                    "status": pack.status,
                    "branch": pack.branch,
                    "sha": pack.sha,
                    "edited": pack.edited,
                    "untracked": pack.untracked,
                    "text": pack.text,
                    "error": failure_json(pack.error),
                }
                for pack in self.packs
            ],
            "elapsed_s": round(self.elapsed_s, 3),
        }


def home_of(session: Session) -> Layout:
    """The workspace that has the records: this one, or, in a fork, the one whose repositories it shares."""
    return session.layout if session.fork is None else Layout(home_now(session.layout.root, session.fork))


async def fork(request: ForkRequest, settings: Settings) -> ForkReport:
    """Fork a workspace.

    Tiers: WORKSPACE of the source, then that of the fork; under it PERMIT, PACK, BACKEND, MANIFEST. Cancellation: what
    was made stays; the same call again goes on with it, and `fork rm` takes it away.

    Raises:
        UsageError: the directory or the branch is not free, or a PACK argument means no pack.
        ManifestError: the root's pack.yaml, the log or the lockfile cannot be used; nothing was made.
        LockError: a workspace could not be had.
    """
    started = time.monotonic()
    provider = provider_named(request.provider)
    source = Session.open(request.root, settings)
    home = home_of(source)
    directory = _checked_directory(request.directory, (source.layout.root, home.root))
    _check_free(directory)
    branch = _checked_branch(request.branch, directory)
    async with exclusive(source):
        found = survey(source.layout, settings.platform)
        chosen = named(found, {*source.lines}, request.packs) if request.packs else None
        wanted = candidates_of(source, found, chosen)
        candidates = wanted if chosen is None else candidates_of(source, found, None)
    with making(f"the fork {directory}"):
        made = missing_directories(directory)
        directory.mkdir(parents=True, exist_ok=True)
        session = Session.open(directory, _for_waiting(settings))
        try:
            await Hiding(session.layout, session.holds).hide([])
            async with session.holds.workspace():
                begin = _Begin(source, home, directory, branch, provider)
                mark, is_resumed = begin.mark(wanted)
                build = ForkBuild(session, source.layout, provider, candidates, mark)
                packs = await build.run()
        finally:
            _remove_if_unused(directory, made)
    return ForkReport(
        source.layout.root,
        directory,
        mark.branch,
        provider.name,
        tuple(packs),
        is_resumed,
        time.monotonic() - started,
    )


def _for_waiting(settings: Settings) -> Settings:
    """The settings of a fork: unless `--jobs` says how many, two packs for each core are worked on at once.

    Half of the time of a pack is spent in waiting for its git and for the disk, and what is done for it before and
    after keeps a core busy as well.
    """
    return settings if settings.jobs is not None else replace(settings, jobs=max(2 * (os.cpu_count() or 1), 2))


def _checked_directory(directory: Path, workspaces: Iterable[Path]) -> Path:
    place = canonical(directory.parent) / directory.name
    if directory.name in ("", "..") or place.is_symlink():
        raise UsageError(f"a fork cannot be made at {directory}", hint="Give a directory that does not exist yet.")
    for workspace in workspaces:
        if place == workspace or place.is_relative_to(workspace):
            raise UsageError(
                f"{directory} lies in the workspace {workspace}, and a fork lies beside it",
                hint=f"Give another place, such as {shown_argument(f'{workspace}-{place.name}')}.",
            )
    if os.path.lexists(place) and not place.is_dir():
        raise UsageError(f"{directory} is not a directory", hint="Give a directory that does not exist yet.")
    return place


def _check_free(directory: Path) -> None:
    """Refuse a directory that holds something and is no fork that was begun, before a lock file is made in it."""
    if not directory.is_dir() or read_fork_mark(Layout(directory).state_dir) is not None:
        return
    if set(os.listdir(directory)) - {_LOCK, GREX_DIRECTORY}:  # noqa: PTH208 - names are what is wanted
        raise UsageError(f"{directory} is not empty", hint="Give a directory that does not exist yet.")


def _checked_branch(branch: str | None, directory: Path) -> str:
    if branch is None:
        name = re.sub(r"[^\w.-]+", "-", directory.name).strip(".-") or "fork"
        branch = f"grex/{name.replace('..', '-').removesuffix('.lock')}"
    wrong = check_ref(branch)
    if wrong is not None:
        raise UsageError(f"{clean(branch)!r} is no name of a branch: it {wrong}", hint="Give another --branch.")
    return branch


class _Begin(Struct, frozen=True):
    """What is written before anything is made, or was by a run that was killed. The fork's WORKSPACE is held."""

    source: Session
    home: Layout
    directory: Path
    branch: str
    provider: Provider

    def mark(self, wanted: Candidates) -> tuple[ForkMark, bool]:
        """What the fork is told of itself, and whether a run before this one has begun it."""
        layout = Layout(self.directory)
        mark = read_fork_mark(layout.state_dir)
        records, _ = read_fork_records(self.home.state_dir)
        record = next((record for record in records if record.directory == str(self.directory)), None)
        if mark is not None:
            self._check_resumable(mark, record)
            return mark, True
        if record is not None:
            if fork_state(record)[0] != "making" or any(self._exists(pack) for pack in record.packs):
                raise UsageError(
                    f"a fork is recorded at {self.directory}, and its directory is gone",
                    hint=f"`grex fork rm {shown_argument(str(self.directory))}` clears what is left of it.",
                )
            self._check_same(record.branch, record.source)
            return self._write_mark(record), True
        if set(os.listdir(self.directory)) - {_LOCK}:  # noqa: PTH208 - names are what is wanted
            raise UsageError(f"{self.directory} is not empty", hint="Give a directory that does not exist yet.")
        record = self._record(wanted)
        write_fork_record(self.home.state_dir, record)
        return self._write_mark(record), False

    def _check_resumable(self, mark: ForkMark, record: ForkRecord | None) -> None:
        shown = shown_argument(str(self.directory))
        if record is None or record.id != mark.id:
            raise UsageError(
                f"{self.directory} is a fork of {mark.home}, or was one of this workspace",
                hint="Give another directory.",
            )
        if mark.stage == "whole":
            raise UsageError(f"{self.directory} is a fork already", hint=f"`grex fork rm {shown}` takes it away.")
        if mark.stage == "removing":
            raise UsageError(
                f"{self.directory} is a fork that is being removed", hint=f"`grex fork rm {shown}` goes on with it."
            )
        self._check_same(mark.branch, mark.source)

    def _check_same(self, branch: str, source: str) -> None:
        if (branch, source) != (self.branch, str(self.source.layout.root)):
            raise UsageError(
                f"{self.directory} was begun as a fork of {source} on the branch {branch}",
                hint=f"Go on with that, or take it away: `grex fork rm {shown_argument(str(self.directory))}`.",
            )

    def _exists(self, pack: ForkPack) -> bool:
        dirs = find_git_dirs(canonical(self.source.layout.pack_dir(pack.path)))
        return dirs is not None and read_ref(dirs, f"refs/heads/{pack.branch}") is not None

    def _record(self, wanted: Candidates) -> ForkRecord:
        """A new record: every pack with a branch that is free."""
        states = {**({FORK_ROOT: wanted.root} if wanted.root is not None else {}), **wanted.packs}
        taken: dict[Path, int] = {}
        packs: list[ForkPack] = []
        wrong: list[str] = []
        for path, state in sorted(states.items()):
            # Two packs may be work trees of one repository, and one branch cannot be checked out twice.
            common = canonical(state.dirs.common)
            number = taken[common] = taken.get(common, 0) + 1
            branch = self.branch if number == 1 else f"{self.branch}-{number}"
            if _is_taken(state, branch):
                wrong.append(path)
            packs.append(ForkPack(path, branch, state.head_sha or ""))
        if wrong:
            more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
            raise UsageError(
                f"the branch {self.branch}, or one in its way, is there already in {', '.join(wrong[:_SHOWN])}{more}",
                hint="Give another name with --branch; a fork that was removed may have left it with commits.",
                details={"packs": wrong, "branch": self.branch},
            )
        return ForkRecord(
            id=secrets.token_hex(6),
            directory=str(self.directory),
            source=str(self.source.layout.root),
            branch=self.branch,
            provider=self.provider.name,
            created_at=timestamp(),
            packs=tuple(packs),
        )

    def _write_mark(self, record: ForkRecord) -> ForkMark:
        mark = ForkMark(
            id=record.id,
            home=str(self.home.root),
            source=record.source,
            base=str(self.source.base),
            branch=record.branch,
            stage="making",
            packs=record.packs,
        )
        write_fork_mark(Layout(self.directory).state_dir, mark)
        return mark


def _is_taken(state: CheckoutState, branch: str) -> bool:
    """Whether the branch is there, or one whose name is a directory on its way; what git alone can say, it will."""
    parts = branch.split("/")
    try:
        return any(
            read_ref(state.dirs, f"refs/heads/{'/'.join(parts[:count])}") is not None
            for count in range(1, len(parts) + 1)
        )
    except RefsUnreadableError:
        return False


def _remove_if_unused(directory: Path, made: list[Path]) -> None:
    """Take the directory of a fork away again that was refused, with what was made for it."""
    if directory not in made:
        return
    try:
        if os.listdir(directory) == [_LOCK]:  # noqa: PTH208 - names are what is wanted
            (directory / _LOCK).unlink()
            for path in made:
                path.rmdir()
    except OSError:
        return  # something has come to lie there
