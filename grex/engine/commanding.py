"""Runs a command of the user in packs: in the order of `depends_on`, in parallel, what each one says kept apart.

A pack is held while its command runs, so that no sync moves it under the command; without the lock only a permit is
held. Either way a grex inside of it that wants the workspace is refused at once: it is told by `GREX_HELD` what is
held above it. A command that fails stops no other one, not those that depend on its pack either: `git grep` ends with 1
where it finds nothing. With `fail_fast` nothing more is begun.

What is said is told in the order of paths, each as soon as all before it have been, and while nothing is held for it: a
reader who does not read (`| less`) keeps no pack from anybody. A command that says much is told in parts while it runs
once it is its turn, so that one without an end (`yes`) ends when nobody reads on.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Literal

import anyio
from msgspec import Struct

from grex.engine.members import Member, Members, check_still_there, in_parallel, order_of
from grex.engine.session import Session
from grex.engine.surroundings import child_environ
from grex.engine.transcript import Spill, Transcript
from grex.errors import CommandError, GrexError
from grex.names import clean, redact
from grex.plugin import Pack
from grex.process import Finished, run_process
from grex.process.lines import CommandLines
from grex.progress import CommandOutput, CommandStarted, PackFinished, PacksFound, PackStarted, Slice

__all__ = ["Command", "CommandOutcome", "CommandStatus", "Tell", "run_command"]

CommandStatus = Literal["ran", "failed", "not-reached", "planned"]
TAIL_BYTES = 64 << 10
PART_BYTES = 256 << 10
"""How much a command whose turn it is has said when a part of it is told."""
_SHOWN_CHARACTERS = 80


class Command(Struct, frozen=True):
    """What is to be run, and how.

    Attributes:
        argv: the program and its arguments.
        has_lock: whether the pack is held.
        fail_fast: begin nothing more after a failure.
        as_events: tell each line that it says as it comes, to the sink; for those who read events and no text.
    """

    argv: tuple[str, ...]
    has_lock: bool = True
    fail_fast: bool = False
    as_events: bool = False

    @property
    def label(self) -> str:
        """What it is called in messages."""
        return clean(redact(" ".join(self.argv)), _SHOWN_CHARACTERS)


class CommandOutcome(Struct, frozen=True):
    """What became of the command in one pack.

    `stdout` and `stderr` are the ends of what it said, of at most 64 KiB each; `out` and `err` all of it, as long as it
    has not been told.
    """

    path: str
    status: CommandStatus
    returncode: int | None = None
    stdout: bytes = b""
    stderr: bytes = b""
    stdout_bytes: int = 0
    stderr_bytes: int = 0
    duration_s: float = 0.0
    error: GrexError | None = None
    out: Transcript | None = None
    err: Transcript | None = None
    is_part: bool = False
    """Whether the command still runs, and `out` and `err` are what it said since the last part."""


Tell = Callable[[CommandOutcome], Awaitable[bool]]
"""Is told what became of a pack, with all that was said; gives whether anybody listens on."""


async def run_command(
    session: Session, members: Members, command: Command, tell: Tell | None
) -> tuple[dict[str, CommandOutcome], bool]:
    """Run a command in every member that is here.

    Tiers: PERMIT and PACK for each pack. Cancellation: no new command begins, running ones are ended with all that they
    started.

    Returns:
        What became of each pack, and whether everything that was to be told was heard.
    """
    spill = Spill()
    run = _Run(session, members, command, spill if tell is not None else None)
    try:
        return run.outcomes, await run.through(tell)
    finally:
        spill.close()


class _Run:
    def __init__(self, session: Session, members: Members, command: Command, spill: Spill | None) -> None:
        self._session = session
        self._members = members
        self._command = command
        self._spill = spill
        self._is_stopped = command.fail_fast and bool(members.refused)
        self._paths = sorted({*members.refused, *(member.path for member in members.here)})
        self._news = {path: anyio.Event() for path in self._paths}
        self._running: dict[str, tuple[Transcript, Transcript]] = {}
        self.outcomes: dict[str, CommandOutcome] = {}
        for path, error in members.refused.items():
            self._is(CommandOutcome(path, "failed", error=error))

    async def through(self, tell: Tell | None) -> bool:
        """Run all; gives whether everything was heard."""
        is_heard = True
        async with anyio.create_task_group() as tasks:
            if tell is not None:
                telling = tell

                async def say() -> None:
                    nonlocal is_heard
                    is_heard = await self._tell(telling)
                    if not is_heard:
                        tasks.cancel_scope.cancel()  # nobody reads on: as for any program that SIGPIPE ends

                tasks.start_soon(say)
            if self._command.as_events:
                self._session.settings.sink(PacksFound(len(self._members.here)))
            await in_parallel(self._members.here, self._one, order_of(self._session, self._members))
        return is_heard

    async def _tell(self, tell: Tell) -> bool:
        for path in self._paths:
            if not await self._tell_parts(path, tell):
                return False
            outcome = self.outcomes[path]
            if not await tell(outcome):
                return False
            for transcript in (outcome.out, outcome.err):
                if transcript is not None:
                    transcript.forget()
        return True

    async def _tell_parts(self, path: str, tell: Tell) -> bool:
        """Wait until a pack is done, and tell what its command says where that is much."""
        while path not in self.outcomes:
            await self._news[path].wait()
            if path in self.outcomes:
                break
            self._news[path] = anyio.Event()
            out, err = (transcript.take() for transcript in self._running[path])
            if not await tell(CommandOutcome(path, "ran", out=out, err=err, is_part=True)):
                return False
        return True

    def _is(self, outcome: CommandOutcome) -> None:
        self.outcomes[outcome.path] = outcome
        self._news[outcome.path].set()

    def _hear(self, path: str, transcript: Transcript) -> Callable[[bytes], None]:
        def hear(piece: bytes) -> None:
            transcript.feed(piece)
            if transcript.waiting_bytes > PART_BYTES:
                self._news[path].set()

        return hear

    async def _one(self, member: Member) -> None:
        try:
            async with self._held(member):
                outcome = CommandOutcome(member.path, "not-reached") if self._is_stopped else await self._run(member)
        except GrexError as error:
            outcome = CommandOutcome(member.path, "failed", error=error)
        if self._command.as_events:
            said = "" if outcome.error is None else outcome.error.message
            self._session.settings.sink(PackFinished(member.path, outcome.status, said))
        if outcome.status == "failed" and self._command.fail_fast:
            self._is_stopped = True
        self._is(outcome)

    @asynccontextmanager
    async def _held(self, member: Member) -> AsyncGenerator[None]:
        holds = self._session.holds
        if not self._command.has_lock:
            async with holds.disk_permit(member.path):
                yield
            return
        async with holds.pack(member.path, member.root, "disk"):
            check_still_there(member)
            yield

    async def _run(self, member: Member) -> CommandOutcome:
        settings = self._session.settings
        out, err = Transcript(self._spill), Transcript(self._spill)
        pack = Pack(member.path, member.root, member.name, "plain", None, "")
        environ = child_environ(settings.environ, pack, self._session.layout.root, settings.platform, dry_run=False)
        label, sink = self._command.label, settings.sink
        lines = CommandLines(lambda line, stream: sink(CommandOutput(member.path, label, line, stream)))
        self._running[member.path] = (out, err)
        on_stdout: list[Callable[[bytes], None]] = [self._hear(member.path, out)]
        on_stderr: list[Callable[[bytes], None]] = [self._hear(member.path, err)]
        if self._command.as_events:
            sink(PackStarted(member.path, "exec"))
            sink(CommandStarted(member.path, label))
            on_stdout.append(lines.stdout)
            on_stderr.append(lines.stderr)
        start = time.monotonic_ns()
        try:
            finished = await run_process(
                self._command.argv,
                cwd=member.root,
                env=environ,
                timeout_s=None,
                stdout_limit_bytes=TAIL_BYTES,
                on_stdout=_each(on_stdout),
                on_stderr=_each(on_stderr),
                ends_daemons=True,
            )
        except OSError as error:
            reason = error.strerror or str(error)
            raise CommandError(
                f"{member.path}: {label} could not be run: {reason}",
                hint="Check that the program exists, may be executed, and that there is room for what it says.",
                details={"errno": error.errno},
            ) from error
        finally:
            lines.finish()
            sink(Slice(label, "command", member.path, start, time.monotonic_ns(), {"cwd": str(member.root)}))
        return self._ended(member, finished, out, err)

    def _ended(self, member: Member, finished: Finished, out: Transcript, err: Transcript) -> CommandOutcome:
        error: GrexError | None = None
        if finished.returncode:
            error = CommandError(
                f"{member.path}: {self._command.label} {finished.describe_end()}",
                details={"returncode": finished.returncode},
            )
        return CommandOutcome(
            path=member.path,
            status="ran" if error is None else "failed",
            returncode=finished.returncode,
            stdout=finished.stdout,
            stderr=finished.stderr,
            stdout_bytes=out.size_bytes,
            stderr_bytes=err.size_bytes,
            duration_s=finished.duration_s,
            error=error,
            out=out,
            err=err,
        )


def _each(hearers: Sequence[Callable[[bytes], None]]) -> Callable[[bytes], None]:
    """One who hands a piece on to several."""

    def hear(piece: bytes) -> None:
        for hearer in hearers:
            hearer(piece)

    return hear
