"""Who a process is, and who its ancestors are: a pid alone is reused, a pid with its start time and boot is not.

Everything is read from `/proc`; where that is missing (macOS) the answers are "unknown" and the records that depend on
them are shown without a verdict. All functions answer None or an empty tuple instead of raising: they only ever feed
hints and the check for a lost `GREX_HELD`.
"""

from __future__ import annotations

import os
import re
import socket
from functools import cache
from pathlib import Path

__all__ = [
    "age_s",
    "ancestors",
    "boot_id",
    "command_name",
    "command_summary",
    "host_name",
    "is_stopped",
    "own_start_time",
    "start_time",
]

_STATE_FIELD = 0  # counted behind the command name
_PARENT_FIELD = 1
_START_TIME_FIELD = 19
_MAX_ANCESTORS = 64
_MAX_COMMAND_BYTES = 4096
_MAX_NAME_LENGTH = 40
_INTERPRETER = re.compile(r"(python|pypy)[0-9.]*")
_VERB = re.compile(r"[a-z][a-z-]{0,24}")
# What grex and git may have before their verb that takes a value of its own; anything else that begins with a dash is
# taken for a switch. A wrong guess costs a wrong word in a listing.
_WITH_VALUE = frozenset({"--workspace", "--jobs", "-j", "--lock-timeout", "--trace", "--git-dir", "-C", "-c"})
_INTERPRETER_WITH_VALUE = frozenset({"-W", "-X", "--check-hash-based-pycs"})


@cache
def boot_id() -> str:
    """The id of this boot of the machine; empty where the system has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


@cache
def host_name() -> str:
    """The name of this machine."""
    return socket.gethostname()


def _stat_fields(pid: int) -> list[str] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_bytes().decode("ascii", "replace")
    except OSError:
        return None
    # The command name stands in parentheses and may itself hold spaces and parentheses, hence the last one.
    return text[text.rfind(")") + 1 :].split()


def start_time(pid: int) -> int | None:
    """When the process started, in clock ticks since boot; None if there is no such process (a zombie is none)."""
    fields = _stat_fields(pid)
    if fields is None or len(fields) <= _START_TIME_FIELD or fields[_STATE_FIELD] in {"Z", "X"}:
        return None
    try:
        return int(fields[_START_TIME_FIELD])
    except ValueError:
        return None


def is_stopped(pid: int) -> bool:
    """Whether the process stands still, by Ctrl-Z, SIGSTOP or a debugger; false if it cannot be told."""
    fields = _stat_fields(pid)
    return fields is not None and fields[_STATE_FIELD : _STATE_FIELD + 1] in (["T"], ["t"])


def age_s(pid: int) -> float | None:
    """For how long the process has been running; None if it cannot be told."""
    started = start_time(pid)
    try:
        uptime_s = float(Path("/proc/uptime").read_text("ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return None
    return None if started is None else uptime_s - started / os.sysconf("SC_CLK_TCK")


def command_name(pid: int) -> str:
    """The name of the program, without control characters; empty if it cannot be told."""
    try:
        text = Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return "".join(c for c in text if c.isprintable())


def command_summary(pid: int) -> str:
    """The program and, of grex and git, its verb: "grex sync"; nothing else of the command line, which may be secret.

    A script is named instead of its interpreter. Where the command line cannot be read it is the name of the program,
    and where that cannot be read either the answer is empty.
    """
    from grex.names import clean  # noqa: PLC0415 - only where somebody is named

    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:  # noqa: PTH123 - read up to a limit
            words = [os.fsdecode(word) for word in file.read(_MAX_COMMAND_BYTES).split(b"\0")]
    except OSError:
        words = []
    name, rest = _program(words)
    name = clean(name, _MAX_NAME_LENGTH).strip() or clean(command_name(pid), _MAX_NAME_LENGTH).strip()
    verb = _verb(rest) if name in {"git", "grex"} else ""
    return f"{name} {verb}" if verb else name


def _program(words: list[str]) -> tuple[str, list[str]]:
    name = os.path.basename(words[0]) if words else ""  # noqa: PTH119 - a string, as everywhere here
    if not _INTERPRETER.fullmatch(name):
        return name, words[1:]
    rest = words[1:]
    while rest and rest[0].startswith("-"):
        option = rest.pop(0)
        if option == "-m" and rest:
            return rest[0], rest[1:]
        if option in {"-", "-c"}:
            return name, []
        if option in _INTERPRETER_WITH_VALUE and rest:
            rest.pop(0)
    if not rest or not rest[0]:
        return name, []
    return os.path.basename(rest[0]), rest[1:]  # noqa: PTH119 - as above


def _verb(words: list[str]) -> str:
    rest = iter(words)
    for word in rest:
        if word in _WITH_VALUE:
            next(rest, None)
        elif not word.startswith("-"):
            return word if _VERB.fullmatch(word) else ""
    return ""


def ancestors(pid: int) -> tuple[int, ...]:
    """The parents of a process, nearest first, without init."""
    found: list[int] = []
    while len(found) < _MAX_ANCESTORS:
        fields = _stat_fields(pid)
        try:
            pid = int(fields[_PARENT_FIELD]) if fields else 0
        except (ValueError, IndexError):
            break
        if pid <= 1 or pid in found:
            break
        found.append(pid)
    return tuple(found)


_own: tuple[int, int | None] | None = None


def own_start_time() -> int | None:
    """When this process started; read once per process, and again after a fork."""
    global _own  # noqa: PLW0603 - a cache of one value, keyed by the pid so that a fork reads its own
    pid = os.getpid()
    if _own is None or _own[0] != pid:
        _own = (pid, start_time(pid))
    return _own[1]
