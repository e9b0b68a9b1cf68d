"""Bounded output never shows half a character."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grex.process import clip_text


def test_short_output_is_kept_whole() -> None:
    assert clip_text("grün".encode(), 100) == "grün"


def test_the_tail_starts_at_a_whole_character() -> None:
    data = "aä€😀".encode()
    assert [clip_text(data, limit) for limit in range(11)] == [
        "", "", "", "", "😀", "😀", "😀", "€😀", "€😀", "ä€😀", "aä€😀",
    ]  # fmt: skip


def test_the_head_ends_at_a_whole_character() -> None:
    data = "😀€äa".encode()
    assert [clip_text(data, limit, keep_tail=False) for limit in range(11)] == [
        "", "", "", "", "😀", "😀", "😀", "😀€", "😀€", "😀€ä", "😀€äa",
    ]  # fmt: skip


def test_bytes_that_are_no_text_are_replaced() -> None:
    assert clip_text(b"a\xff\xfeb", 100) == "a\ufffd\ufffdb"
    assert clip_text(b"\x80" * 9 + b"end", 5) == "end"


@given(st.text(), st.integers(0, 50), st.booleans())
def test_what_is_kept_is_a_piece_of_the_text(text: str, limit: int, keep_tail: bool) -> None:
    clipped = clip_text(text.encode("utf-8", "replace"), limit, keep_tail=keep_tail)
    text = text.encode("utf-8", "replace").decode()
    assert text.endswith(clipped) if keep_tail else text.startswith(clipped)
    assert len(clipped.encode()) <= limit
    assert len(clipped.encode()) > limit - 4 or clipped == text


@pytest.mark.parametrize("limit", [0, -1])
def test_no_room_gives_no_text(limit: int) -> None:
    assert clip_text(b"abc", limit) == ""
