"""`grex merge-driver`: what git calls to merge the root's pack.yaml and the lockfile.

People do not call it; `grex init` and `grex sync` tell the workspace's repository to (see `grex.git.merge_driver`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from grex.errors import GrexError, ManifestError, UsageError
from grex.fs import read_regular
from grex.git import GitRunner
from grex.git.merge_driver import merge_lines
from grex.manifest.merge import merge_lockfiles, merge_pack_yaml
from grex.names import PACK_YAML, clean
from grex.workspace import Layout

__all__ = ["MergeDriverReport", "MergeDriverRequest", "merge_driver"]


class MergeDriverRequest(Struct, frozen=True):
    """What git hands to a driver.

    Attributes:
        base: a file with the last version that both sides had; empty if there was none.
        ours: a file with this side's version; it is overwritten with the outcome.
        theirs: a file with the other side's version.
        path: whose versions they are, from the root of the work tree.
    """

    base: Path
    ours: Path
    theirs: Path
    path: str


class MergeDriverReport(Struct, frozen=True):
    """Whether a person has to decide something; `conflicts` says in which lines of the lockfile."""

    is_merged: bool
    conflicts: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 if everything was merged, else 1: what git expects of a driver."""
        return 0 if self.is_merged else 1


async def merge_driver(request: MergeDriverRequest, environ: Mapping[str, str]) -> MergeDriverReport:
    """Merge a file of a workspace, into `ours`. Takes no lock: the files are git's own, made for this call.

    Where the two sides cannot be merged by packs, the outcome is git's merge of lines, with its markers.

    Raises:
        UsageError: the path is none that grex merges, or a file cannot be read or written.
    """
    names = Layout(Path("/"))
    try:
        base, ours, theirs = (read_regular(path) for path in (request.base, request.ours, request.theirs))
        lines = await merge_lines(GitRunner(environ), request.base, request.ours, request.theirs)
        if Path(request.path).name == names.lockfile.name:
            report, data = _lockfile(base, ours, theirs, lines.data)
        elif f"/{request.path}".endswith(f"/{PACK_YAML}"):
            report, data = _pack_yaml(base, ours, theirs, None if lines.has_conflicts else lines.data, lines.data)
        else:
            raise UsageError(
                f"{clean(request.path)} is not a file that grex merges",
                hint="Leave it to git, which calls this by itself.",
            )
        request.ours.write_bytes(data)
    except OSError as error:
        raise UsageError(
            f"{error.filename}: {error.strerror or error}",
            hint="Leave it to git, which calls this with files of its own.",
        ) from error
    return report


def _lockfile(base: bytes, ours: bytes, theirs: bytes, lines: bytes) -> tuple[MergeDriverReport, bytes]:
    try:
        merged = merge_lockfiles(base, ours, theirs)
    except (ManifestError, ValueError):  # one side is damaged: a person sees it best in its lines
        return MergeDriverReport(is_merged=False), lines
    return MergeDriverReport(not merged.conflicts, merged.conflicts), merged.data


def _pack_yaml(
    base: bytes, ours: bytes, theirs: bytes, merged: bytes | None, lines: bytes
) -> tuple[MergeDriverReport, bytes]:
    try:
        texts = [data.decode() for data in (base, ours, theirs)]
        found = merge_pack_yaml(*texts, merged_text=None if merged is None else merged.decode())
    except (UnicodeDecodeError, GrexError):
        found = None
    if found is None:
        return MergeDriverReport(is_merged=False), lines
    return MergeDriverReport(is_merged=True), found.encode()
