"""Long reports go through a pager, and it is never the pager that decides how a call ends."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from msgspec.structs import replace

from grex.cli.app import run
from grex.cli.call import Call
from grex.cli.execution import tell
from grex.cli.pager import page, pager_of

TEXT = "\n".join(f"line {number}" for number in range(5000))


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"GREX_PAGER": "more", "PAGER": "most"}, "more"),
        ({"PAGER": "most -s"}, "most -s"),
        ({"GREX_PAGER": "", "PAGER": "most"}, None),
        ({"PAGER": " cat "}, None),
        ({"PATH": "/nonexistent"}, None),
    ],
)
def test_the_own_variable_goes_before_the_common_one(environ: dict[str, str], expected: str | None) -> None:
    assert pager_of(environ) == expected


def test_less_is_for_those_who_chose_none(tmp_path: Path) -> None:
    program = tmp_path / "less"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert pager_of({"PATH": str(tmp_path)}) == "less"


def test_all_of_it_reaches_the_pager_which_is_told_how_to_behave(tmp_path: Path) -> None:
    there = tmp_path / "there"
    environ = {**os.environ, "GREX_PAGER": f'(echo "$LESS$LV"; cat) > {there}'}
    environ.pop("LESS", None)
    heard = signal.getsignal(signal.SIGINT)
    assert page(TEXT, environ)
    assert there.read_text() == f"FRX-c\n{TEXT}\n"
    assert signal.getsignal(signal.SIGINT) is heard
    assert page("x", {**environ, "LESS": "S"})
    assert there.read_text() == "S-c\nx\n"


def test_one_that_is_left_early_or_fails_was_one_and_one_that_is_not_there_was_none(
    capfd: pytest.CaptureFixture[str],
) -> None:
    for command, expected in (
        ("true", True),
        ("exit 3", True),
        ("head -n1 > /dev/null", True),
        ("no-such-pager", False),
    ):
        assert page(TEXT, {**os.environ, "GREX_PAGER": command}) is expected
    assert "Traceback" not in capfd.readouterr().err


def test_it_is_for_what_a_terminal_has_no_room_for_and_only_if_it_is_wanted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there = tmp_path / "there"
    call = Call(environ={**os.environ, "GREX_PAGER": f"cat > {there}"})
    text = "\n".join("abcd")

    def is_paged(call: Call, *, height: int | None, pages: bool = True) -> bool:
        monkeypatch.setattr("grex.cli.execution.terminal_height", lambda _: height)
        there.unlink(missing_ok=True)
        tell(call, text, pages=pages)
        printed = capsys.readouterr().out
        assert printed == ("" if there.exists() else f"{text}\n")
        return there.exists()

    assert is_paged(call, height=4)  # the last row is for the prompt
    assert not is_paged(call, height=5)
    assert not is_paged(call, height=None)  # a pipe
    assert not is_paged(call, height=4, pages=False)
    assert not is_paged(replace(call, no_pager=True), height=4)
    assert not is_paged(replace(call, environ={"GREX_PAGER": "exit 127"}), height=4)


def test_no_pager_may_stand_before_and_after_the_verb(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there = tmp_path / "there"
    monkeypatch.setenv("GREX_PAGER", f"cat > {there}")
    monkeypatch.setattr("grex.cli.execution.terminal_height", lambda _: 1)
    monkeypatch.chdir(tmp_path)
    assert run(["init"]) == 0
    capsys.readouterr()
    for verb in (["status"], ["ls"], ["graph"], ["locks"], ["config"], ["plugins"], ["doctor"], ["help", "sync"]):
        assert run(["--no-pager", *verb]) == 0
        printed = capsys.readouterr().out
        assert printed.endswith("\n")
        assert run([*verb, "--no-pager"]) == 0
        assert capsys.readouterr().out == printed
        assert not there.exists(), verb
        assert run(verb) == 0
        assert (capsys.readouterr().out, there.read_text()) == ("", printed), verb
        there.unlink()
