"""What every tool waits for, and a workspace in which each of them comes to wait for it.

A tool that is in neither table fails `tests/mcp/test_cancelled_calls.py`: whoever adds one says here what it waits for.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Literal

import anyio
from msgspec.structs import replace

from grex.engine import Settings, SharedPermits
from grex.engine.holds import PermitKind
from grex.git.mirror import mirror_for
from grex.mcp.place import Asked
from grex.mcp.place import Place as ServedPlace
from grex.names import parse_url
from grex.progress import Event, HolderSeen
from grex.verbs.fork import ForkRequest, fork
from grex.verbs.sync import SyncRequest, sync
from tests.support.git_server import GitServer, git
from tests.support.lock_holder import Kind, LockHolder
from tests.support.mcp_client import place_of
from tests.support.place import Place
from tests.support.workspace import pack_yaml

__all__ = ["HOLDERS", "NOTHING", "WAITS", "Ground", "Lock"]

Lock = Literal[
    "WORKSPACE", "PERMIT disk", "PERMIT network", "PACK", "BACKEND", "MANIFEST", "MANIFEST to write", "CACHE"
]

_B = {"packs": ["b"]}
_ADD = {"url": "../up/c.git"}
_EXEC = {"command": ["true"], **_B}
_FETCH = {"fetch": True, **_B}
_FORK = {"directory": "../g"}
_SET = {"pack": "b", "ref": "next"}
_SWITCH = {"branch": "topic", "create": True, **_B}

WAITS: dict[str, dict[Lock, dict[str, Any]]] = {
    "status": {
        "MANIFEST": {},
        "PERMIT network": _FETCH,
        "PACK": _FETCH,
        "BACKEND": _FETCH,
    },
    "sync": {
        "WORKSPACE": {},
        "PERMIT network": _B,
        "PACK": _B,
        "BACKEND": _B,
        "MANIFEST": {},
        "MANIFEST to write": {"groups": ["extra"]},
        "CACHE": _B,
    },
    "update": {"WORKSPACE": {}, "PERMIT network": _B, "PACK": _B, "BACKEND": _B, "MANIFEST": {}, "CACHE": _B},
    "add": {"WORKSPACE": _ADD, "PERMIT network": _ADD, "MANIFEST": _ADD, "MANIFEST to write": _ADD, "CACHE": _ADD},
    "rm": {
        "WORKSPACE": _B,
        "PERMIT disk": _B,
        "PACK": _B,
        "BACKEND": {"packs": ["e"]},
        "MANIFEST": _B,
        "MANIFEST to write": {**_B, "keep_files": True, "skip_teardown": True},
    },
    "set": {
        "WORKSPACE": _SET,
        "PERMIT network": _SET,
        "PACK": _SET,
        "BACKEND": _SET,
        "MANIFEST": _SET,
        "MANIFEST to write": _SET,
    },
    "override": {
        "WORKSPACE": _SET,
        "PERMIT network": _SET,
        "PACK": _SET,
        "BACKEND": _SET,
        "MANIFEST": {},
        "MANIFEST to write": _SET,
    },
    "ls": {"MANIFEST": {}},
    "graph": {"MANIFEST": {}},
    "diff": {"MANIFEST": {}},
    "path": {"MANIFEST": {"pack": "b"}},
    "exec": {"PERMIT disk": _EXEC, "PACK": _EXEC, "MANIFEST": _EXEC},
    "run": {
        "PERMIT disk": {"name": "check", **_B},
        "PACK": {"name": "check", **_B},
        "MANIFEST": {"name": "check"},
    },
    "switch": {"PERMIT disk": _SWITCH, "PACK": _SWITCH, "BACKEND": _SWITCH, "MANIFEST": _SWITCH},
    "fetch": {"PERMIT network": _B, "PACK": _B, "BACKEND": _B, "MANIFEST": _B},
    "fork": {"WORKSPACE": _FORK, "PERMIT disk": _FORK, "PACK": _FORK, "BACKEND": _FORK, "MANIFEST": _FORK},
    "fork_rm": {"PERMIT disk": {"directory": "../f"}, "BACKEND": {"directory": "../f"}},
    "teardown": {"WORKSPACE": _B, "PERMIT disk": _B, "PACK": _B, "MANIFEST": _B, "MANIFEST to write": _B},
    "import": {
        "WORKSPACE": {"scan": True},
        "PERMIT network": {"scan": True},
        "PACK": {"scan": True},
        "BACKEND": {"scan": True},
        "MANIFEST": {"scan": True},
        "MANIFEST to write": {"scan": True},
        "CACHE": {"scan": True},
    },
    "export": {"MANIFEST": {"format_name": "west"}},
    "freeze": {"WORKSPACE": {"write": True}, "MANIFEST": {}, "MANIFEST to write": {"write": True}},
    "doctor": {"WORKSPACE": {"fix": True}, "MANIFEST": {}, "MANIFEST to write": {"compact": True}},
}
"""For each tool the locks that it can wait for, and arguments with which it does in a `Ground`."""

NOTHING = {
    "fork_ls": "looks at files and asks git, without a lock",
    "locks": "says who waits, and must not be one of them",
    "trust": "reads a file that is replaced as a whole",
    "config": "reads files that people write",
    "plugins": "looks at what is installed with Python",
    "schema": "follows from the program",
    "cache_ls": "what it looks at may change meanwhile",
    "cache_gc": "a mirror that somebody has is in use, and stays",
}
"""The tools that wait for nobody, and why."""

HOLDERS: dict[Lock, tuple[Kind, tuple[str, ...]]] = {
    "WORKSPACE": ("workspace", ("ws",)),
    "PERMIT disk": ("pack", ("ws/a",)),
    "PERMIT network": ("pack", ("ws/a",)),
    "PACK": ("pack", ("ws/b", "ws/d")),
    "BACKEND": ("backend", ("ws/b", "ws/d", "ws/e")),
    "MANIFEST": ("writer", ("ws",)),
    "MANIFEST to write": ("reader", ("ws",)),
    "CACHE": ("mirror", ("b", "c")),
}
"""What processes of their own hold, and of what; for permits, what the calls that have them wait for."""


class Ground:
    """A server's place with the packs `a`, `b`, `d` and `e`, of which upstream has more of `b`, and a fork of `d`.

    `b` has something installed, and a hook; `stray` is a checkout that nobody declares. A call has one permit of each
    kind, and so has the server.
    """

    def __init__(self, base: Path) -> None:
        self.base = base
        self.server = GitServer(base / "up")
        scripts = {f".grex/hooks/{name}.sh": "#!/bin/sh\n:\n" for name in ("setup", "check")}
        self.server.create("b", {"file": "b\n", ".grex/pack.yaml": pack_yaml("b", "scripted"), **scripts})
        for name in "acde":
            self.server.create(name, {"file": f"{name}\n"})
        self.workspace = Place(base, cache_dir=base / "cache", jobs=1, trust=(self.server.root.as_uri(),))
        self.root = self.workspace.root
        self.workspace.declare(*({"url": f"../up/{name}.git"} for name in "abde"))
        assert anyio.run(sync, SyncRequest(self.root), self.workspace.settings()).exit_code == 0
        assert anyio.run(fork, ForkRequest(self.root, base / "f", ("d",)), self.workspace.settings()).exit_code == 0
        git(self.root, "clone", "--quiet", self.server.url("c"), "stray")
        self.server.commit("b", {"file": "b, changed\n"})
        self.server.commit("b", {"file": "next\n"}, branch="next")
        self.blocked: list[str] = []
        """The tiers of the locks that calls found held by another process, as they find them."""
        self.place: ServedPlace
        self.serve_anew()
        self._declared = (self.root / ".grex/pack.yaml").read_bytes()

    def serve_anew(self) -> None:
        """Let `place` be that of a new server; permits belong to one event loop."""
        self.blocked.clear()
        plain = place_of(self.root, self.workspace.defaults)

        def made(asked: Asked) -> Settings:
            def sink(event: Event) -> None:
                if isinstance(event, HolderSeen):
                    self.blocked.append(event.tier)
                asked.sink(event)

            return plain.make_settings(replace(asked, sink=sink))

        self.place = replace(plain, make_settings=made, permits=SharedPermits())

    @contextmanager
    def held(self, lock: Lock) -> Iterator[list[LockHolder]]:
        """Processes that hold what stands for this lock."""
        kind, names = HOLDERS[lock]
        with ExitStack() as stack:
            holders = [stack.enter_context(LockHolder(kind, self._path_of(kind, name))) for name in names]
            for holder in holders:
                assert holder.ask("take") == "held"
            yield holders

    def _path_of(self, kind: Kind, name: str) -> Path:
        if kind != "mirror":
            return self.base / name
        return mirror_for(self.base / "cache", parse_url(str(self.server.path(name))))

    def waiting_for_permits(self, kind: PermitKind) -> int:
        """How many calls wait for a permit that another call has."""
        pools = self.place.permits._pools
        return pools[kind].statistics().waiting if pools else 0

    def permits_in_use(self, kind: PermitKind) -> int:
        """How many permits calls have."""
        return self.place.permits.in_use(kind)

    def restore(self) -> None:
        """Take back what a cancelled call had declared; its part that declares was done when it had to wait."""
        (self.root / ".grex/pack.yaml").write_bytes(self._declared)
