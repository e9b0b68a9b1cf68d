"""What the file system of a lock file can do for those who wait: tell them, and keep their order.

Both need a local file system of Linux. On a network one inotify knows nothing of the other hosts, and a byte lock may
cost a round trip. It is told by its type in `/proc/self/mountinfo`, found by the descriptor's mount; one whose type
cannot be told is taken for a network one. Elsewhere (macOS) neither exists.

Where one is missing the wait is a poll. Exclusion is the same, for it is the kernel's lock alone; what is lost is that
waiters of different processes are served in order, and the quick wake-up. That is said once for each reason.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path

from msgspec import Struct

from grex.errors import LockFallbackWarning
from grex.locks.kernel import OpenedFile
from grex.locks.line import has_tickets

__all__ = ["Abilities", "abilities", "be_without_tickets", "forget_abilities", "warn_of_polling", "why_polled"]

# Types whose files may be changed by another machine, or that hide what is below them.
_NETWORK_TYPES = frozenset(
    {
        "9p",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "coda",
        "davfs",
        "drvfs",
        "fakeowner",
        "gfs2",
        "glusterfs",
        "gpfs",
        "grpcfuse",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "ocfs2",
        "orangefs",
        "prl_fs",
        "pvfs2",
        "smb3",
        "smbfs",
        "vboxsf",
        "virtiofs",
        "vmhgfs",
    }
)
_FUSE = "fuse."  # of a program's own; "fuseblk" is a local disk


class Abilities(Struct, frozen=True):
    """What can be had on one file system; `why_not` says in a word or two why not everything."""

    tickets: bool
    watch: bool
    why_not: str = ""


_known: dict[int, Abilities] = {}
_warned: set[str] = set()


def abilities(opened: OpenedFile) -> Abilities:
    """What the file system of an open lock file can do; found out once for each device."""
    device = opened.key[0]
    found = _known.get(device)
    if found is None:
        found = _known[device] = _find_out(opened.fd)
    return found


def _find_out(fd: int) -> Abilities:
    if not has_tickets:
        return Abilities(tickets=False, watch=False, why_not="this system has no open file description locks")
    kind = _file_system_type(fd)
    if kind is None:
        return Abilities(tickets=False, watch=False, why_not="the type of the file system cannot be told")
    if kind in _NETWORK_TYPES or kind.startswith(_FUSE):
        return Abilities(tickets=False, watch=False, why_not=f"the file system is of type {kind}")
    return Abilities(tickets=True, watch=True)


def _file_system_type(fd: int) -> str | None:
    """The type of the mount that the descriptor is on, as `/proc/self/mountinfo` names it."""
    try:
        lines = Path(f"/proc/self/fdinfo/{fd}").read_text("ascii").splitlines()
        mount = dict(line.split(":", 1) for line in lines if ":" in line)["mnt_id"].strip().encode("ascii")
        for line in Path("/proc/self/mountinfo").read_bytes().splitlines():
            if line.split(b" ", 1)[0] == mount:
                # proc(5): the optional fields in the middle end with a hyphen, the type comes behind it
                return line.split(b" - ", 1)[1].split(b" ", 1)[0].decode("ascii")
    except (OSError, ValueError, KeyError, IndexError):
        return None
    return None


def be_without_tickets(opened: OpenedFile, why_not: str) -> None:
    """Remember that the file system of an open lock file has no tickets after all."""
    _known[opened.key[0]] = Abilities(tickets=False, watch=False, why_not=why_not)


def why_polled(directory: Path) -> str | None:
    """Why waits for locks in a directory are polled, as a clause; None where they are not, or nobody can tell."""
    try:
        fd = os.open(directory, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
    except OSError:
        return None
    try:
        return _find_out(fd).why_not or None
    finally:
        os.close(fd)


def warn_of_polling(path: str, why: str) -> None:
    """Say, once for each reason, that a wait is polled."""
    if why in _warned:
        return
    _warned.add(why)
    warnings.warn(
        f"the lock {path} is polled every 5 to 50 ms, because {why}; it is as exclusive as ever, but waiters of"
        " different processes may not be served in order.",
        LockFallbackWarning,
        stacklevel=2,
    )


def forget_abilities() -> None:
    """Find out and warn anew: for tests."""
    _known.clear()
    _warned.clear()
