"""A process that holds locks as grex does, and starts a hook inside of its hold, which obeys as well.

Run as a module it reads one JSON list a line and answers one line:

- `["hold", tier, path]` takes that lock and keeps it;
- `["spawn"]` starts a hook, told by `GREX_HELD` what is held here, and answers its pid;
- `["leave"]` starts one that lives on below nobody, and answers its pid;
- `["hook", ...]` hands the rest on to the hook, whose answer is the answer;
- `["ticket", file, seq]` takes a ticket by hand and keeps it;
- `["wait", tier, path]` waits for that lock as grex does, and answers "held", or the chain of the error;
- `["cycle", tier, path, file]` answers the chain that a wait for that lock would close, as JSON.
"""

from __future__ import annotations

import fcntl
import json
import os
import struct
import sys
from typing import Any

from tests.support.dialogue import Dialogue, start_module

__all__ = ["HookProcess"]

_MODULE = "tests.support.hook_process"  # this one, also where it runs under the name of `__main__`
_FLOCK = struct.Struct("hhqqi4x")


class HookProcess(Dialogue):
    """The process, seen from whoever started it; ended with the block, and its hook with it."""

    def __init__(self, *, env: dict[str, str] | None = None, orphan: bool = False) -> None:
        self.hook_pid = 0
        self._own_pid = 0
        shell = ["sh", "-c", 'exec 3<&0; "$@" <&3 & exit 0', "sh"] if orphan else []
        super().__init__(*start_module(_MODULE, env={**os.environ, **(env or {})}, within=shell))
        if orphan:
            self.wait_dead()  # the shell
        self._own_pid = int(self.ask("pid"))

    @property
    def pid(self) -> int:
        """The pid of the process, whatever started it."""
        return self._own_pid

    def tell(self, *command: object) -> None:
        """Give a command without waiting for the answer."""
        self.send(json.dumps(command))

    def told(self) -> Any:
        """Wait for an answer."""
        return json.loads(self.answer())

    def ask(self, *command: object) -> Any:
        """Give a command and wait for the answer."""
        self.tell(*command)
        return self.told()

    def spawn(self, how: str = "spawn") -> int:
        """Have it start a hook inside of its holds; the hook's pid."""
        self.hook_pid = int(self.ask(how))
        return self.hook_pid


class _Obeying:
    """What the commands have taken."""

    def __init__(self) -> None:
        self.holds: list[object] = []
        self.hook: HookProcess | None = None

    def obey(self, name: str, *arguments: Any) -> Any:
        match name:
            case "pid":
                return os.getpid()
            case "hold":
                self.holds.append(_take(*arguments))
            case "spawn" | "leave":
                from grex.locks import child_environment  # noqa: PLC0415 - a hook starts faster without

                self.hook = HookProcess(env=child_environment(), orphan=name == "leave")
                return self.hook.pid
            case "hook":
                return None if self.hook is None else self.hook.ask(*arguments)
            case "wait":
                return self._wait(*arguments)
            case "ticket":
                _take_ticket(*arguments)
            case "cycle":
                from grex.locks import Tier  # noqa: PLC0415 - as above
                from grex.locks.wait_graph import find_cycle  # noqa: PLC0415 - as above

                tier, path, file = arguments
                return find_cycle(Tier[tier], path, file)
            case _:
                raise ValueError(name)
        return "ok"

    def _wait(self, tier: str, path: str) -> object:
        import anyio  # noqa: PLC0415 - as above

        from grex.errors import LockDeadlockError  # noqa: PLC0415 - as above
        from grex.locks import PackLock, WaitPolicy, WorkspaceLock  # noqa: PLC0415 - as above

        async def wait() -> object:
            policy = WaitPolicy(timeout_s=60, first_report_s=0.05, report_every_s=0.05)
            if tier == "WORKSPACE":
                return await WorkspaceLock(path).acquire_async(policy)
            return await PackLock.open(path).acquire_async(policy)

        try:
            self.holds.append(anyio.run(wait))
        except LockDeadlockError as error:
            return error.chain
        return "held"


def _take(tier: str, path: str) -> object:
    from grex.locks import BackendLock, PackLock, WorkspaceLock, set_verb  # noqa: PLC0415 - as above

    set_verb("sync")
    if tier == "WORKSPACE":
        return WorkspaceLock(path).try_acquire()
    if tier == "PACK":
        return PackLock.open(path).try_acquire()
    return BackendLock.for_checkout(path).try_acquire()


def _take_ticket(file: str, seq: int) -> None:
    from grex.locks.ticket import render_ticket  # noqa: PLC0415 - as above

    fd = os.open(file, os.O_RDWR | os.O_CLOEXEC)  # kept open until the process ends
    byte = render_ticket(seq, os.getpid())
    fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, byte, 1, 0))


def main() -> None:
    """Obey until standard input ends."""
    obeying = _Obeying()
    for line in sys.stdin:
        print(json.dumps(obeying.obey(*json.loads(line))), flush=True)
    if obeying.hook is not None:
        obeying.hook.close()


if __name__ == "__main__":
    main()
