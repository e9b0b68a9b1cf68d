"""The question whether packs are trusted: no unless told so, asked once for each prefix."""

from __future__ import annotations

import io
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from grex.builtin.pack_types.plain import Plain
from grex.cli.prompt import ask_for_trust, trust_question
from grex.engine import Step
from grex.plugin import Pack

pytestmark = pytest.mark.anyio

HOST = "https://host.example/team"


def step(path: str, identity: str | None, *would: str) -> Step:
    pack = Pack(path, Path("/ws") / path, path, "plain", None, "c")
    return Step(pack, Plain(), identity, would or (f"run {path}",), ())


def answers(*lines: str) -> Callable[[], Awaitable[str]]:
    left = list(lines)

    async def read() -> str:
        return left.pop(0)

    return read


@pytest.mark.parametrize("answer", ["y\n", "Y", " yes \n"])
async def test_yes_trusts_the_prefix_from_now_on(answer: str) -> None:
    out = io.StringIO()
    packs = [step("a", f"{HOST}/a"), step("b", f"{HOST}/b")]
    assert await ask_for_trust(packs, answers(answer), out) == [HOST]
    assert out.getvalue() == f"2 packs under {HOST} would run something of their author's. Trust them? [y/N/show] "


@pytest.mark.parametrize("answer", ["", "\n", "n\n", "no", "yess", "ye", "true"])
async def test_anything_else_trusts_nobody(answer: str) -> None:
    assert await ask_for_trust([step("a", f"{HOST}/a")], answers(answer), io.StringIO()) == []


async def test_show_lists_what_would_run_and_asks_again() -> None:
    out = io.StringIO()
    packs = [step("a", f"{HOST}/a", "exec make", "symlink ~/x")]
    assert await ask_for_trust(packs, answers("show\n", "s", "y"), out) == [HOST]
    assert out.getvalue().count("Trust them?") == 3
    assert out.getvalue().count("  a: exec make\n  a: symlink ~/x\n") == 2
    assert out.getvalue().startswith("1 pack under ")


async def test_each_prefix_is_asked_for_once_and_the_root_by_its_own_name() -> None:
    packs = [step("b", "ssh://other.example/x/b"), step("a", f"{HOST}/a"), step(".", None), step("c", f"{HOST}/c")]
    assert await ask_for_trust(packs, answers("y", "n", "y"), io.StringIO()) == [".", "ssh://other.example/x"]


async def test_nobody_is_asked_without_packs() -> None:
    assert await ask_for_trust([], answers(), io.StringIO()) == []


@pytest.mark.parametrize(
    ("as_json", "terminals", "is_asked"),
    [
        (False, (True, True), True),
        (True, (True, True), False),
        (False, (True, False), False),
        (False, (False, True), False),
    ],
)
async def test_only_a_terminal_on_both_sides_can_be_asked(
    monkeypatch: pytest.MonkeyPatch, *, as_json: bool, terminals: tuple[bool, bool], is_asked: bool
) -> None:
    for name, answer in zip(("stdin", "stderr"), terminals, strict=True):
        stream = io.StringIO()
        monkeypatch.setattr(stream, "isatty", lambda answer=answer: answer)
        monkeypatch.setattr(f"sys.{name}", stream)
    assert (trust_question(as_json=as_json) is not None) == is_asked
