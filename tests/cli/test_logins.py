"""Who is asked what, how often, and what is kept of the answers."""

from __future__ import annotations

import io
from collections.abc import Sequence

import anyio
import pytest

from grex.cli.logins import TerminalLogins, terminal_logins


class Person:
    """Types these lines, one for each question."""

    def __init__(self, *lines: str) -> None:
        self._lines = list(lines)
        self.shown: list[bool] = []
        self.out = io.StringIO()
        self.logins = TerminalLogins(self._read, self.out)

    async def _read(self, question: str, is_shown: bool) -> str:
        self.out.write(question)
        self.shown.append(is_shown)
        await anyio.lowlevel.checkpoint()  # others may ask meanwhile
        return self._lines.pop(0) + "\n"

    async def log_in(self, attempt: str, host: str = "h.example") -> tuple[str, str]:
        """As one git does."""
        user = await self.logins.answer(attempt, f"Username for 'https://{host}/path.git': ")
        if not user:
            return "", ""
        return user, await self.logins.answer(attempt, f"Password for 'https://{user}@{host}/path.git': ")


async def in_parallel(person: Person, attempts: Sequence[str], host: str = "h.example") -> list[tuple[str, str]]:
    got: list[tuple[str, str]] = []

    async def one(attempt: str) -> None:
        got.append(await person.log_in(attempt, host))

    async with anyio.create_task_group() as tasks:
        for attempt in attempts:
            tasks.start_soon(one, attempt)
    return got


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_many_at_once_are_answered_by_one_question(backend: str) -> None:
    async def check() -> None:
        person = Person("ada", "secret")
        assert await in_parallel(person, "12345") == [("ada", "secret")] * 5
        assert person.shown == [True, False]

    anyio.run(check, backend=backend)


def test_each_host_has_its_own_question_and_only_its_own_answer() -> None:
    async def check() -> None:
        person = Person("ada", "one", "bob", "two")
        assert await person.log_in("1") == ("ada", "one")
        assert await person.log_in("2", "other.example:8443") == ("bob", "two")
        assert "https://other.example:8443" in person.out.getvalue()

    anyio.run(check)


def test_what_was_refused_is_asked_once_more_and_whoever_had_it_is_run_again() -> None:
    async def check() -> None:
        person = Person("ada", "wrong", "ada", "right")
        await in_parallel(person, "123")
        assert [await person.logins.is_worth_another(attempt) for attempt in "123"] == [True] * 3
        assert await in_parallel(person, "456") == [("ada", "right")] * 3
        assert not await person.logins.is_worth_another("7")  # it was never answered
        assert person.out.getvalue().count("did not accept that") == 1

    anyio.run(check)


def test_who_was_told_the_user_just_before_it_was_refused_begins_anew() -> None:
    async def check() -> None:
        person = Person("ada", "wrong", "bob", "right")
        await person.log_in("1")
        assert await person.logins.answer("2", "Username for 'https://h.example': ") == "ada"
        assert await person.logins.is_worth_another("1")
        assert await person.logins.answer("2", "Password for 'https://ada@h.example': ") == ""
        assert await person.logins.is_worth_another("2")
        assert await in_parallel(person, "34") == [("bob", "right")] * 2

    anyio.run(check)


def test_two_wrong_answers_or_an_empty_one_are_the_end() -> None:
    async def check() -> None:
        person = Person("ada", "wrong", "bob", "wrong")
        await person.log_in("1")
        assert await person.logins.is_worth_another("1")
        await person.log_in("2")
        assert not await person.logins.is_worth_another("2")
        assert await person.log_in("3") == ("", "")
        silent = Person("")
        assert await silent.log_in("1") == ("", "")
        assert await silent.log_in("2") == ("", "")
        assert silent.shown == [True]

    anyio.run(check)


def test_a_user_in_the_url_is_asked_for_the_password_only() -> None:
    async def check() -> None:
        person = Person("secret")
        question = "Password for 'https://ada@h.example': "
        assert await person.logins.answer("1", question) == "secret"
        assert await person.logins.answer("2", question) == "secret"
        assert person.shown == [False]

    anyio.run(check)


@pytest.mark.parametrize(
    "question", ["", "Passphrase for key: ", "Password for 'ext::sh': ", "Are you sure (yes/no)? "]
)
def test_a_question_that_is_not_for_a_login_is_not_asked(question: str) -> None:
    person = Person()
    assert anyio.run(person.logins.answer, "1", question) == ""
    assert person.out.getvalue() == ""


def test_nobody_is_asked_without_a_terminal() -> None:
    assert terminal_logins("sync") is None
