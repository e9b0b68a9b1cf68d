"""Colours by role: when there are some, and that they never change a text or its layout."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from grex.cli import render
from grex.cli.app import _colour_of, run
from grex.cli.colours import ColourChoice, cells, colours, has_colours, in_role, plain, role_of
from grex.cli.lines import fitted, pack_line
from grex.cli.render.layout import aligned
from grex.verbs.status import PackStatus, StatusReport


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "choice", "environ", "expected"),
    [
        (Terminal(), None, {"TERM": "xterm"}, True),
        (Terminal(), ColourChoice.AUTO, {"TERM": "xterm"}, True),
        (Terminal(), None, {"TERM": "xterm", "NO_COLOR": ""}, True),
        (Terminal(), None, {"TERM": "xterm", "NO_COLOR": "1"}, False),
        (Terminal(), None, {"TERM": "dumb"}, False),
        (Terminal(), None, {}, False),
        (Terminal(), ColourChoice.NEVER, {"TERM": "xterm"}, False),
        (io.StringIO(), None, {"TERM": "xterm"}, False),
        (io.StringIO(), ColourChoice.ALWAYS, {"TERM": "dumb", "NO_COLOR": "1"}, True),
    ],
)
def test_a_terminal_has_colours_unless_somebody_says_otherwise(
    stream: io.StringIO, choice: ColourChoice | None, environ: dict[str, str], expected: bool
) -> None:
    assert has_colours(stream, choice, environ) is expected


def test_a_role_is_the_text_itself_where_there_are_no_colours() -> None:
    assert in_role("error", "x") == "x"
    with colours(True):
        assert in_role("error", "failed  ") == "\x1b[31mfailed\x1b[0m  "
        assert in_role(None, "x") == "x"
        assert in_role("error", "  ") == "  "
        with colours(False):
            assert in_role("error", "x") == "x"
    assert in_role("error", "x") == "x"


def test_what_is_coloured_is_aligned_and_broken_as_what_is_not() -> None:
    text = "libs/a was left alone, and this is a line that has to be broken: `grex sync --force` moves it"
    for width in (30, 40, 60, 100):
        bare = fitted([pack_line("left", "libs/a", text)], width)
        with colours(True):
            coloured = fitted([pack_line("left", "libs/a", text)], width)
        assert coloured != bare
        assert [plain(line) for line in coloured] == bare
    rows = [("a", "1"), ("漢字", "2"), ("\x1b[31mbcd\x1b[0m", "3")]
    assert [plain(line) for line in aligned(rows)] == ["a     1", "漢字  2", "bcd   3"]
    assert [cells(text) for text in ("abc", "漢字", "e\u0301", "\x1b[1mx\x1b[0m")] == [3, 4, 1, 1]


def test_a_status_and_its_text_stand_beside_each_colour() -> None:
    assert [role_of(status) for status in ("cloned", "left", "failed", "unchanged", "unheard-of")] == [
        "changed",
        "attention",
        "error",
        "dim",
        None,
    ]
    packs = (
        PackStatus("a", ("error",), text="no"),
        PackStatus("b", ("missing",), text="not cloned yet"),
        PackStatus("c", ("edited",), "main", edited=1, text="1 edited"),
    )
    bare = render.status(StatusReport(Path("/ws"), packs), width=80)
    with colours(True):
        coloured = render.status(StatusReport(Path("/ws"), packs), width=80)
    assert plain(coloured) == bare
    assert [line[:7] for line in coloured.splitlines()[:3]] == ["\x1b[31ma\x1b", "\x1b[33mb\x1b", "\x1b[36mc\x1b"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["--color", "always", "stauts"], ColourChoice.ALWAYS),
        (["stauts", "--color=never"], ColourChoice.NEVER),
        (["--color"], None),
        (["--color", "pink"], None),
    ],
)
def test_an_error_in_the_arguments_has_the_colours_that_they_ask_for(
    given: list[str], expected: ColourChoice | None
) -> None:
    assert _colour_of(given) is expected


@pytest.mark.parametrize("arguments", [("--color", "always", "status"), ("status", "--color=always")])
def test_color_may_stand_before_and_after_the_verb_and_counts_in_a_pipe(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["init"]) == 0
    Path(".grex/pack.yaml").write_text('schema_version: "1"\nname: r\ntype: meta\nchildren: [{url: ./no-such}]\n')
    capsys.readouterr()
    assert run(["status"]) == 0
    bare = capsys.readouterr().out
    assert run(list(arguments)) == 0
    coloured = capsys.readouterr().out
    assert coloured != plain(coloured) == bare
    assert run([*arguments, "no-such-pack"]) == 2
    assert capsys.readouterr().err.startswith("\x1b[31mgrex:\x1b[0m ")
    assert run([*arguments, "--color", "never", "no-such-pack"]) == 2
    assert capsys.readouterr().err.startswith("grex: ")


def test_a_json_document_has_no_colours(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["init", "--json", "--color", "always"]) == 0
    assert "\x1b" not in capsys.readouterr().out
