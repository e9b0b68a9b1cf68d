"""The `env` action: a variable, for what runs later in the pack, and in the startup file of the user's shell.

With `scope: session` it is only exported to the pack's later actions, each time the pack runs: that changes nothing
outside of the run, so it is neither reported nor undone. With `scope: user` it is exported as well, and written as a
block into the startup file (`grex.builtin.shells` says which one, `grex.builtin.blocks` what a block is).

One block belongs to one variable of one pack of one workspace; its id is a hash of the three. A workspace that was
moved goes on with the id that its log has. What is found decides:

| found                             | done                                                                             |
|-----------------------------------|----------------------------------------------------------------------------------|
| no block                          | one is put at the end of the file, which is made if it is missing                |
| the block, with this line         | nothing                                                                          |
| the block, with another line      | it is replaced where it stands                                                   |
| the block, edited by hand         | an error; with `update --force` replaced, and the whole file kept as a backup    |
| markers that do not fit together  | an error that names file and line, `--force` or not                              |

The file may be a link, as dotfile managers make them; what it leads to is replaced atomically and keeps its mode. Packs
of several workspaces may come to it at once, so it is read, changed and replaced inside `ctx.exclusively`.

**Undo** takes out the block, or puts back the line that it had before; a file that then holds what it held before gets
its time back, and one that was made for the block goes. Edited by hand, the block stays, and that is said.

Undo data: `{"file", "name", "id", "sum", "value", "made", "temp", "before", "was", "backup", "after"}`. `value` is as
declared: what its variables stood for (tokens among them) has no place in the log. So the earlier line is put back by
expanding the earlier value again; the sum tells whether that gives the same, and where it does not, the undo says so.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from msgspec import Struct

from grex.builtin.backups import free_backup
from grex.builtin.blocks import Block, BlockError, block_sum, find_block, with_block, without_block
from grex.builtin.directories import make_missing, missing_directories, remove_made
from grex.builtin.paths import disk_error, shown
from grex.builtin.recorded import (
    made_directories,
    recorded_number,
    recorded_path,
    recorded_paths,
    recorded_text,
    remove_temporary,
)
from grex.builtin.shells import Startup, assignment, startup_file
from grex.errors import ActionError
from grex.fs import TEMP_PREFIX, keep_attributes, read_regular, replace_file
from grex.plugin import ActionContext, ActionType, Done, Planned
from grex.plugin import Env as EnvArguments

__all__ = ["Env"]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OWN_VARIABLES = "GREX_"
_ID_DIGITS = 16
_LARGEST_FILE = 16 << 20


class Env(ActionType[EnvArguments]):
    """Sets variables."""

    name = "env"
    arguments = EnvArguments

    def check(self, arguments: EnvArguments) -> str | None:
        """A name that every shell takes, and a value that an environment can hold."""
        if not _NAME.fullmatch(arguments.name):
            return f"env cannot set a variable named {shown(arguments.name)!r}: letters, digits and _ only"
        if arguments.name.upper().startswith(_OWN_VARIABLES):
            return f"env cannot set {arguments.name}: variables that begin with {_OWN_VARIABLES} are grex's own"
        return "env cannot set a value with a NUL character" if "\0" in arguments.value else None

    def needs_trust(self, arguments: EnvArguments, ctx: ActionContext) -> tuple[str, ...]:
        """Always: a variable decides what other programs do."""
        del ctx
        return (f"env {arguments.name}={shown(arguments.value)} ({arguments.scope})",)

    def claims(self, arguments: EnvArguments, ctx: ActionContext) -> tuple[str, ...]:
        """The variable, where it lasts."""
        del ctx
        return (f"variable {arguments.name}",) if arguments.scope == "user" else ()

    async def plan(self, arguments: EnvArguments, ctx: ActionContext) -> Planned | None:
        """The block, if it does not say the right thing yet; the rest of the pack sees the variable in any case."""
        value = ctx.expand(arguments.value)
        ctx.export(arguments.name, value, arguments.value)
        if arguments.scope == "session":
            return None
        block = _read(arguments, value, ctx)
        data, status = _contents(block)
        found = _found(block, data)
        if found is not None and found.sum == block.sum:
            return None
        if found is not None and found.sum is None and not ctx.force:
            raise ActionError(
                f"{block.title}: {shown(block.file)}:{found.line}: the block was edited by hand",
                hint="Take the block away with its two markers, or use `grex update --force`, which keeps a backup.",
            )
        new = with_block(data, block.id, block.label, block.body)
        undo: dict[str, Any] = {
            "file": str(block.file),
            "name": block.name,
            "id": block.id,
            "sum": block.sum,
            "value": arguments.value,
            "made": [str(path) for path in missing_directories(block.file.parent, block.title)],
            "temp": str(block.file.with_name(f"{TEMP_PREFIX}{os.urandom(8).hex()}")),
            "before": _before(data, status),
            "was": None if found is None or found.sum is None else _earlier(block, found.sum, ctx),
            "backup": None if found is None or found.sum is not None else str(free_backup(block.file)),
            "after": _digest(new),
        }
        what = "" if found is None else ": a new value" if found.sum else ", with a backup of the file"
        return Planned(f"{block.title}{what}", undo=undo, facts=block)

    async def do(self, arguments: EnvArguments, planned: Planned, ctx: ActionContext) -> Done:
        """Write the block."""
        del arguments
        block, undo = cast("_Wanted", planned.facts), dict(planned.undo or {})

        def change() -> None:
            before = [earlier for earlier in ctx.recorded() if earlier.get("file") == str(block.file)]
            for earlier in before:
                remove_temporary(earlier, beside=block.file)
            make_missing(recorded_paths(undo, "made"), block.title)
            data, status = _contents(block)
            found = _found(block, data)
            if found is not None and found.sum is None and undo["backup"] is None:
                raise ActionError(f"{block.title}: {shown(block.file)} was edited meanwhile", hint="Sync again.")
            new = with_block(data, block.id, block.label, block.body)
            undo["before"], undo["after"] = _before(data, status), _digest(new)
            temp = recorded_path(undo, "temp")
            if undo["backup"] is not None and data is not None and status is not None:
                for earlier in before:
                    _forget_copy(earlier, block.file, data, status)
                _keep(block.file, data, status, recorded_path(undo, "backup"), temp)
            replace_file(block.file, new, temp=temp, still=status, must_be_new=status is None)

        try:
            await ctx.exclusively(block.file, change)
        except OSError as error:
            raise disk_error(block.title, error) from error
        if undo["backup"] is not None:
            return Done(f"{block.title}: kept the file as {shown(Path(undo['backup']).name)}", undo=undo)
        return Done(planned.text, undo=undo)

    def describe_undo(self, undo: Mapping[str, Any]) -> str:
        """The variable and the file."""
        return f"env {shown(recorded_text(undo, 'name'))} in {shown(recorded_path(undo, 'file'))}"

    def undo_claims(self, undo: Mapping[str, Any]) -> tuple[str, ...]:
        """The directories that were made for the file. The block has an id of its own, whoever sets the variable."""
        return made_directories(undo)

    async def undo(self, undo: Mapping[str, Any], ctx: ActionContext) -> None:
        """Take the block out, or put back what it was."""
        file = recorded_path(undo, "file")
        try:
            await ctx.exclusively(file, lambda: _take_back(undo, file, ctx))
        except OSError as error:
            raise disk_error(f"{self.describe_undo(undo)} cannot be undone", error) from error

    async def drift(self, arguments: EnvArguments, ctx: ActionContext) -> str | None:
        """The block, if it is gone or was edited; that its variables have other values by now is no drift."""
        planned = await self.plan(arguments, ctx)
        if planned is None:
            return None
        block = cast("_Wanted", planned.facts)
        found = _found(block, _contents(block)[0])
        if found is None:
            return f"{block.title}: the block is gone"
        written = [undo.get("sum") for undo in ctx.recorded() if undo.get("id") == block.id]
        return None if found.sum in written[-1:] else f"{block.title}: the block has another value"


class _Wanted(Struct, frozen=True):
    """The block that is wanted, and where."""

    file: Path
    startup: Startup
    name: str
    id: str
    label: str
    body: bytes

    @property
    def sum(self) -> str:
        return block_sum(self.body)

    @property
    def title(self) -> str:
        return f"env {self.name} in {shown(self.startup.file)}"


def _read(arguments: EnvArguments, value: str, ctx: ActionContext) -> _Wanted:
    if ctx.platform == "windows":
        raise ActionError(
            f"env {arguments.name}: Windows has no startup file of a shell",
            hint="Say `scope: session`, or put it into a `when` with `os`.",
        )
    startup = startup_file(ctx.home, ctx.environ)
    file = Path(os.path.realpath(startup.file))
    body = assignment(startup.dialect, arguments.name, os.fsencode(value))
    label = shown(f"{arguments.name} of the pack {ctx.pack.path}")
    return _Wanted(file, startup, arguments.name, _block_id(arguments.name, file, ctx), label, body)


def _block_id(name: str, file: Path, ctx: ActionContext) -> str:
    """The id that an earlier run has written, wherever the workspace was then, or the one of this place."""
    for undo in reversed(ctx.recorded()):
        found = undo.get("id")
        if undo.get("name") == name and undo.get("file") == str(file) and isinstance(found, str):
            return _checked_id(found)
    key = "\0".join((os.path.realpath(ctx.workspace), ctx.pack.path, name))
    return hashlib.sha256(os.fsencode(key)).hexdigest()[:_ID_DIGITS]


def _checked_id(text: str) -> str:
    if re.fullmatch(f"[0-9a-f]{{{_ID_DIGITS}}}", text):
        return text
    raise ActionError(
        f"the recorded undo data cannot be used: 'id' is {shown(text)!r}",
        hint="The log was edited or damaged; take the block away by hand.",
    )


def _contents(block: _Wanted) -> tuple[bytes | None, os.stat_result | None]:
    """The bytes and the status of the file; neither where there is none.

    Raises:
        ActionError: it cannot be read.
    """
    try:
        return _load(block.file)
    except OSError as error:
        raise disk_error(f"{block.title}: {shown(block.file)}", error) from error


def _load(file: Path) -> tuple[bytes | None, os.stat_result | None]:
    try:
        status = file.stat()  # before the bytes: what is written after it makes the file another one
        return read_regular(file, limit_bytes=_LARGEST_FILE), status
    except (FileNotFoundError, NotADirectoryError):
        return None, None


def _found(block: _Wanted, data: bytes | None) -> Block | None:
    return None if data is None else _find(data, block.id, block.file, block.title)


def _find(data: bytes, block_id: str, file: Path, title: str) -> Block | None:
    try:
        return find_block(data, block_id)
    except BlockError as error:
        raise ActionError(
            f"{title}: {shown(file)}:{error.line}: {error.reason}",
            hint="Put the markers right, or take away what is left of the block, and run it again.",
        ) from error


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _before(data: bytes | None, status: os.stat_result | None) -> dict[str, Any] | None:
    """What the file held, and since when."""
    if data is None or status is None:
        return None
    return {"sha256": _digest(data), "mtime_ns": status.st_mtime_ns}


def _earlier(block: _Wanted, earlier_sum: str, ctx: ActionContext) -> dict[str, Any]:
    """What is known of the line that is about to be replaced: its sum, and the value that gave it, as declared."""
    values = [
        undo.get("value") for undo in ctx.recorded() if (undo.get("id"), undo.get("sum")) == (block.id, earlier_sum)
    ]
    return {"sum": earlier_sum, "value": values[-1] if values else None, "dialect": block.startup.dialect}


def _keep(file: Path, data: bytes, status: os.stat_result, backup: Path, temp: Path) -> None:
    replace_file(backup, data, mode=stat.S_IMODE(status.st_mode), temp=temp, must_be_new=True)
    keep_attributes(file, backup)
    os.utime(backup, ns=(status.st_atime_ns, status.st_mtime_ns))


def _forget_copy(undo: Mapping[str, Any], file: Path, data: bytes, status: os.stat_result) -> None:
    """Take away the backup of a run that was killed before it replaced the file: a copy of what is still there.

    An older one with the same bytes is what the user had at another time, and stays.
    """
    backup = None if undo.get("backup") is None else recorded_path(undo, "backup")
    if backup is None or backup.parent != file.parent or not backup.name.startswith(f"{file.name}.grex-bak."):
        return
    with contextlib.suppress(OSError):  # what cannot be read, or is not there, stays as it is
        if backup.lstat().st_mtime_ns >= status.st_mtime_ns and read_regular(backup) == data:
            backup.unlink()


def _take_back(undo: Mapping[str, Any], file: Path, ctx: ActionContext) -> None:
    made = recorded_paths(undo, "made")
    remove_temporary(undo, beside=file)
    data, status = _load(file)
    if data is not None and status is not None and not _restored(undo, file, data, ctx):
        _take_out(undo, file, data, status, ctx)
    remove_made(made, ctx)


def _restored(undo: Mapping[str, Any], file: Path, data: bytes, ctx: ActionContext) -> bool:
    """Bring the file back from its backup if nothing but grex has written to it since.

    In a teardown it stays beside: what is in it is an edited block, of which nothing shall be left in the file.
    """
    backup = None if undo.get("backup") is None else recorded_path(undo, "backup")
    if backup is None or not os.path.lexists(backup):
        return False
    kept = read_regular(backup)
    if data == kept:
        backup.unlink()  # the file was never replaced
        return True
    if ctx.is_teardown or _digest(data) != undo.get("after"):
        ctx.note(f"{shown(backup)} stays: it is {shown(file)} as it was edited by hand")
        return False
    backup.replace(file)
    return True


def _take_out(undo: Mapping[str, Any], file: Path, data: bytes, status: os.stat_result, ctx: ActionContext) -> None:
    block_id, title = _checked_id(recorded_text(undo, "id")), f"env {shown(recorded_text(undo, 'name'))}"
    found = _find(data, block_id, file, title)
    was = undo.get("was")
    if found is None or (isinstance(was, Mapping) and found.sum is not None and found.sum == was.get("sum")):
        _put_back_time(undo, file, data)  # it is not there, or is what it was before
        return
    ours = {undo.get("sum"), *(other.get("sum") for other in ctx.recorded() if other.get("id") == block_id)}
    if found.sum not in ours:
        ctx.note(f"the block of {title} in {shown(file)}:{found.line} stays: it was edited by hand")
        return
    if isinstance(was, Mapping):
        new: bytes | None = with_block(data, block_id, _label(data, found), _line_before(was, undo, title, ctx))
    else:
        new = without_block(data, block_id)
    if new is None:
        file.unlink()
        return
    replace_file(file, new, temp=recorded_path(undo, "temp"), still=status)
    _put_back_time(undo, file, new)


def _put_back_time(undo: Mapping[str, Any], file: Path, data: bytes) -> None:
    """Give a file that holds what it held before the time that it had then."""
    before = undo.get("before")
    if isinstance(before, Mapping) and before.get("sha256") == _digest(data):
        mtime_ns = recorded_number(before, "mtime_ns")
        if file.stat().st_mtime_ns != mtime_ns:
            os.utime(file, ns=(file.stat().st_atime_ns, mtime_ns))


def _label(data: bytes, found: Block) -> str:
    """The title in the marker as it stands, so that putting back a line puts back the markers as well."""
    line = data[found.start : found.end].split(b"\n", 1)[0]
    return line.removeprefix(b"# >>> grex: ").rsplit(b" (id ", 1)[0].decode("utf-8", "surrogateescape")


def _line_before(was: Mapping[str, Any], undo: Mapping[str, Any], title: str, ctx: ActionContext) -> bytes:
    """The line that stood in the block before.

    Raises:
        ActionError: it cannot be made again.
    """
    value, dialect = was.get("value"), was.get("dialect")
    line = None
    if isinstance(value, str) and dialect in ("bash", "zsh", "fish", "sh"):
        with contextlib.suppress(ActionError):
            line = assignment(dialect, recorded_text(undo, "name"), os.fsencode(ctx.expand(value)))
    if line is None or block_sum(line) != was.get("sum"):
        raise ActionError(
            f"the earlier value of {title} cannot be put back: what it was made of has changed; the new one stays",
            hint="Put the earlier value into the pack.yaml and sync, or edit the file by hand.",
        )
    return line
