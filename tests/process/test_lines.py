"""What a command writes, as lines: whole, clean, bounded in length and number, and never in the way of the command."""

from __future__ import annotations

import itertools
import random
import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from grex.process import CommandLines, Stream
from grex.process.lines import LINE_CHARACTERS, LINES_A_SECOND, LINES_AT_ALL

SECOND_NS = 1_000_000_000


class Heard:
    """What was told, and a clock that stands until it is moved."""

    def __init__(self, **limits: int) -> None:
        self.told: list[tuple[Stream, str]] = []
        self.now_ns = 0
        self.lines = CommandLines(
            lambda line, stream: self.told.append((stream, line)), clock_ns=lambda: self.now_ns, **limits
        )

    @property
    def texts(self) -> list[str]:
        return [line for _, line in self.told]


def shown(*pieces: bytes, **limits: int) -> list[str]:
    heard = Heard(**limits)
    for piece in pieces:
        heard.lines.stdout(piece)
    heard.lines.finish()
    return heard.texts


def test_a_line_is_told_when_it_ends_and_the_last_one_when_the_command_does() -> None:
    heard = Heard()
    heard.lines.stdout(b"one\ntw")
    heard.lines.stderr(b"three\n")
    assert heard.told == [("stdout", "one"), ("stderr", "three")]
    heard.lines.stdout(b"o\nunended")
    assert heard.texts == ["one", "three", "two"]
    heard.lines.finish()
    assert heard.told[-1] == ("stdout", "unended")


def test_lines_of_both_streams_do_not_mix() -> None:
    heard = Heard()
    for out, err in itertools.zip_longest(b"aaaa\nbbbb\n", b"1\n22\n333\n"):
        heard.lines.stdout(bytes([out]) if out is not None else b"")
        heard.lines.stderr(bytes([err]) if err is not None else b"")
    assert sorted(heard.texts) == ["1", "22", "333", "aaaa", "bbbb"]


def test_a_progress_bar_is_its_last_state() -> None:
    assert shown(b" 10%\r 50%\r100%\n") == ["100%"]
    assert shown(b" 10%\r", b" 50%\r", b"100%\r", b"\n") == ["100%"]
    assert shown(b" 10%\r 50%\r\r") == [" 50%"]
    assert shown(b"windows\r\nlines\r", b"\n") == ["windows", "lines"]
    assert shown(b"\r\n") == [""]


@given(st.binary(max_size=200), st.integers(0, 2**32))
def test_how_the_bytes_arrive_changes_nothing(data: bytes, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - any partition will do
    data = bytes(b"ab\r\n\xc3\xa9 "[byte % 7] for byte in data)
    pieces, start = [], 0
    while start < len(data):
        end = start + chance.randint(1, 9)
        pieces.append(data[start:end])
        start = end
    assert shown(*pieces) == shown(data)


def test_a_line_is_cut_at_its_characters_and_its_bytes_are_not_kept() -> None:
    (line,) = shown("日".encode() * 5000 + b"\n")
    assert line == "日" * (LINE_CHARACTERS - 1) + "…"
    assert shown(b"\xff\xfe\n") == ["\ufffd\ufffd"]


def test_nothing_that_acts_on_a_terminal_or_is_secret_is_told() -> None:
    assert shown(b"\x1b[31mred\x07 \x1b]0;title\x07https://u:hunter2@host/x\n") == ["red https://***@host/x"]
    assert shown(b"https://u:\x1b[1mhunter2\x1b[0m@host/x\n") == ["https://***@host/x"]
    assert shown(b"https:\x1b[1m//u:hunter2@host/x\n") == ["https://***@host/x"]
    # The cut stands inside of the password: what tells that it is one lies behind the cut.
    (line,) = shown(b"x" * (LINE_CHARACTERS - 20) + b" https://u:" + b"hunter2" * 20 + b"@host/x\n")
    assert "hunter2" not in line


def test_no_more_lines_than_the_limit_and_the_rest_is_counted() -> None:
    texts = shown(b"".join(b"%d\n" % number for number in range(10)), b"10\n11", at_all=4, a_second=100)
    assert texts == ["0", "1", "2", "3", "… further output is not shown", "… 8 lines of output are not shown"]
    assert shown(b"a\nb\n", at_all=1)[-1] == "… 1 line of output is not shown"
    assert shown(b"a\nb\n", at_all=2) == ["a", "b", "… further output is not shown"]


def test_a_flood_is_thinned_and_the_gap_is_told() -> None:
    heard = Heard(at_all=100, a_second=2)
    heard.lines.stdout(b"a\nb\nc\nd\ne")
    assert heard.texts == ["a", "b"]
    heard.now_ns += SECOND_NS
    heard.lines.stdout(b"nd\nf\ng\n")
    assert heard.texts == ["a", "b", "…", "end", "f"]
    heard.lines.finish()
    assert heard.texts[-1] == "… 3 lines of output are not shown"


def test_a_line_that_was_begun_before_a_gap_is_not_joined_to_one_behind_it() -> None:
    heard = Heard(at_all=100, a_second=2)
    heard.lines.stdout(b"a\nb\nbegun ")
    heard.lines.stdout(b"and ended\nnext")
    heard.now_ns += SECOND_NS
    heard.lines.finish()
    assert heard.texts == ["a", "b", "…", "next", "… 1 line of output is not shown"]


def test_slow_output_is_never_thinned() -> None:
    heard = Heard(at_all=1000, a_second=2)
    for number in range(500):
        heard.now_ns += SECOND_NS // 2
        heard.lines.stdout(b"%d\n" % number)
    heard.lines.finish()
    assert heard.texts == [str(number) for number in range(500)]


def test_floods_of_every_shape_are_counted_in_bounded_memory() -> None:
    piece = 64 << 10
    for flood in (b"y\n" * (piece // 2), b"\n" * piece, b"\r" * piece, b"x" * piece, b"10%\r" * (piece // 4)):
        heard = Heard()
        heard.lines.stdout(flood)
        tracemalloc.start()
        try:
            for _ in range(100):
                heard.lines.stdout(flood)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        heard.lines.finish()
        assert peak < 4 * piece
        ends = 101 * flood.count(b"\n")
        assert len(heard.texts) <= LINES_A_SECOND + 2
        if ends > LINES_AT_ALL:
            assert heard.texts[-1] == f"… {ends - LINES_A_SECOND} lines of output are not shown"
