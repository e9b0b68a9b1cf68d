"""Asks the person at the terminal for a user and a password, once for each host, and answers every git from memory.

git itself never prompts (GIT_TERMINAL_PROMPT=0): with many clones at once, nobody could tell which question is whose.
Where no credential helper knows an answer, git runs `grex.git.askpass`, which comes here through a socket in a private
directory. One question stands on the terminal at a time, the other processes wait for its answer.

What is typed stays in memory until the run ends; git tells the user's own helpers what has worked, as ever, and they
decide what to keep. Credentials that a host refused are asked for once more, and the git commands that had them are run
again (`GitRunner.run`); after that the host is not asked about any more. An empty answer means: without.

The question names scheme and host, taken apart from git's own and cleaned, because the rest of it is a text that a
pack.yaml may have chosen.
"""

from __future__ import annotations

import itertools
import os
import re
import shlex
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TextIO

import anyio
from anyio.abc import SocketStream, TaskStatus
from msgspec import Struct, field

from grex.cli.streams import terminal_for_a_question
from grex.fs import remove_tree
from grex.git import askpass
from grex.names import clean

__all__ = ["ASKING_VERBS", "TerminalLogins", "terminal_logins"]

ASKING_VERBS = frozenset({"add", "clone", "fetch", "import", "push", "set", "status", "switch", "sync", "update"})
"""The verbs that may talk to a remote."""

_MOST_QUESTIONS = 2
_LIMIT_BYTES = 8192
_SOCKET_PATH_CHARS = 90
_QUESTION = re.compile(
    r"(?P<what>Username|Password) for '(?P<scheme>[a-z]+)://(?:(?P<user>[^@/]*)@)?(?P<host>[^/']+).*'"
)

Read = Callable[[str, bool], Awaitable[str]]
"""Puts a question on the terminal and reads a line; what is typed is shown if the second argument is true."""


class _Host(Struct):
    """What is known about one host."""

    user: str | None = None
    """As it was typed; None if it was not asked for, or refused."""
    typed: set[str] = field(default_factory=set)
    """Every user that was typed; others stand in a URL."""
    passwords: dict[str, str] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    """Users whose password, as it was typed last, did not work."""
    questions: int = 0
    is_over: bool = False
    """Whether the person said that there is no answer."""


class TerminalLogins:
    """Answers git's questions. It answers while `serve` runs.

    Args:
        read: puts a question to the person.
        out: where everything else is said.
    """

    def __init__(self, read: Read, out: TextIO) -> None:
        self._read = read
        self._out = out
        self._hosts: dict[str, _Host] = {}
        self._given: dict[str, tuple[str, str, str]] = {}
        self._outdated: dict[str, str] = {}
        self._attempts = itertools.count(1)
        self._variables: dict[str, str] = {}
        self._turn = anyio.Lock()

    def variables(self) -> tuple[str, dict[str, str]]:
        """An id for one attempt of a command, and what its git has to find in its environment."""
        attempt = str(next(self._attempts))
        return attempt, {**self._variables, "GREX_ASKPASS_ATTEMPT": attempt} if self._variables else {}

    async def is_worth_another(self, attempt: str) -> bool:
        """Whether a command that was refused should be run again; what it was given is then asked for anew."""
        outdated = self._outdated.pop(attempt, None)
        if outdated is not None:
            return bool(self._hosts[outdated].passwords) or self._may_ask(self._hosts[outdated])
        given = self._given.pop(attempt, None)
        if given is None:
            return False
        origin, user, password = given
        host = self._hosts[origin]
        async with self._turn:
            if host.passwords.get(user) == password:
                del host.passwords[user]
                host.refused.add(user)
                if host.user == user:
                    host.user = None
        return bool(host.passwords) or self._may_ask(host)

    async def serve(self, *, task_status: TaskStatus[None]) -> None:
        """Answer until it is cancelled. Where no socket can be made, nobody is asked, and git fails with its hint."""
        directory = Path(tempfile.mkdtemp(prefix="grex-ask-"))  # only this user may enter it
        if len(str(directory)) > _SOCKET_PATH_CHARS:
            directory.rmdir()
            directory = Path(tempfile.mkdtemp(prefix="grex-ask-", dir="/tmp"))
        try:
            script = directory / "askpass"
            program = shlex.join([sys.executable or "python3", "-I", "-S", askpass.__file__])
            script.write_text(f'#!/bin/sh\nexec {program} "$@"\n', "utf-8")
            script.chmod(0o700)
            place = directory / "socket"
            async with await anyio.create_unix_listener(place, mode=0o600) as listener:
                self._variables = {"GIT_ASKPASS": str(script), "GREX_ASKPASS_SOCKET": str(place)}
                task_status.started()
                await listener.serve(self._answer)
        finally:
            self._variables = {}
            remove_tree(directory)

    async def _answer(self, stream: SocketStream) -> None:
        async with stream:
            asked = b""
            try:
                while len(asked) < _LIMIT_BYTES:
                    asked += await stream.receive()
            except anyio.EndOfStream:
                pass
            except anyio.BrokenResourceError:
                return
            attempt, _, question = asked.decode("utf-8", "surrogateescape").partition("\0")
            answer = await self.answer(attempt, question)
            try:
                await stream.send(answer.encode("utf-8", "surrogateescape"))
            except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                return  # its git was ended meanwhile

    async def answer(self, attempt: str, question: str) -> str:
        """The answer to one question of git's, from memory or from the person; empty if there is none."""
        found = _QUESTION.match(question)
        if found is None:
            return ""
        origin = f"{found['scheme']}://{found['host'].lower()}"
        async with self._turn:
            host = self._hosts.setdefault(origin, _Host())
            if found["what"] == "Username":
                return await self._user(host, origin)
            user = found["user"] or ""
            if user in host.refused & host.typed and user != host.user and self._may_ask(host):
                # This git was told the user just before it was refused to another. It begins anew, with the new one.
                self._outdated[attempt] = origin
                return ""
            password = await self._password(host, origin, user)
            if password:
                self._given[attempt] = (origin, user, password)
            return password

    async def _user(self, host: _Host, origin: str) -> str:
        if host.user is None and self._may_ask(host):
            if host.refused:
                print(f"grex: {clean(origin)} did not accept that.", file=self._out)
            host.user = await self._ask(f"Username for {clean(origin)}: ", is_shown=True) or None
            host.is_over = host.user is None
            host.typed.add(host.user or "")
        return host.user or ""

    async def _password(self, host: _Host, origin: str, user: str) -> str:
        if user in host.passwords:
            return host.passwords[user]
        if not self._may_ask(host):
            return ""
        if user in host.refused - host.typed:
            print(f"grex: {clean(origin)} did not accept that.", file=self._out)
        host.questions += 1
        password = await self._ask(f"Password for {clean(user)} at {clean(origin)}: ", is_shown=False)
        if password:
            host.passwords[user] = password
            host.refused.discard(user)
        else:
            host.is_over = True
        return password

    def _may_ask(self, host: _Host) -> bool:
        return host.questions < _MOST_QUESTIONS and not host.is_over

    async def _ask(self, question: str, *, is_shown: bool) -> str:
        return (await self._read(question, is_shown)).rstrip("\r\n")


def terminal_logins(verb: str) -> TerminalLogins | None:
    """Who answers git's questions in a call of this verb; None where git is not asked anything, or nobody is there."""
    if verb not in ASKING_VERBS or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None
    return TerminalLogins(_read_line, sys.stderr)


async def _read_line(question: str, is_shown: bool) -> str:
    """The answer to a question on the terminal, not echoed unless it may be seen.

    Cancellation: the terminal is as it was before.
    """
    import termios  # noqa: PLC0415 - only where there is a terminal

    number = sys.stdin.fileno()
    before = termios.tcgetattr(number)
    hidden = [*before]
    hidden[3] &= ~termios.ECHO
    with terminal_for_a_question() as out:
        try:
            if not is_shown:
                termios.tcsetattr(number, termios.TCSADRAIN, hidden)  # before the question: people type fast
            print(question, end="", file=out, flush=True)
            await anyio.wait_readable(sys.stdin)  # a read would keep Ctrl-C from ending the run
            return os.read(number, _LIMIT_BYTES).decode("utf-8", "surrogateescape")
        finally:
            termios.tcsetattr(number, termios.TCSADRAIN, before)
            if not is_shown:
                print(file=out)
