"""All that a command said, whatever its size and whoever else speaks meanwhile."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from grex.engine.transcript import IN_MEMORY_BYTES, Spill, Transcript


def test_several_speak_by_turns_and_each_is_given_back_whole() -> None:
    spill = Spill()
    chance = random.Random(5)  # noqa: S311 - the same every time is what is wanted
    speakers = [Transcript(spill) for _ in range(4)]
    said = [bytearray() for _ in speakers]
    for _ in range(400):
        number = chance.randrange(len(speakers))
        piece = chance.randbytes(chance.choice([0, 1, 100, 5000]))
        speakers[number].feed(piece)
        said[number] += piece
    assert all(len(one) > 2 * IN_MEMORY_BYTES for one in said)
    assert [b"".join(speaker.pieces()) for speaker in speakers] == [bytes(one) for one in said]
    assert [speaker.size_bytes for speaker in speakers] == [len(one) for one in said]
    spill.close()


def test_over_the_limit_the_beginning_is_kept_and_the_rest_counted() -> None:
    spill = Spill()
    speaker = Transcript(spill, limit_bytes=100_000)
    for _ in range(30):
        speaker.feed(b"x" * 7000)
    assert b"".join(speaker.pieces()) == b"x" * 100_000
    assert (speaker.size_bytes, speaker.kept_bytes) == (210_000, 100_000)
    spill.close()


def test_nothing_is_kept_where_nobody_will_ask() -> None:
    speaker = Transcript(None)
    speaker.feed(b"x" * 100_000)
    assert (list(speaker.pieces()), speaker.size_bytes) == ([], 100_000)


def test_little_needs_no_file_and_a_kill_leaves_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    opened: list[str] = []
    real = os.open

    def seen(path: str, *how: int, **keys: int) -> int:
        opened.append(path)
        return real(path, *how, **keys)

    monkeypatch.setattr(os, "open", seen)
    spill = Spill()
    speaker = Transcript(spill)
    speaker.feed(b"x" * IN_MEMORY_BYTES)
    assert opened == []
    speaker.feed(b"y")
    assert len(opened) == 1
    assert list(tmp_path.iterdir()) == []
    assert b"".join(speaker.pieces()) == b"x" * IN_MEMORY_BYTES + b"y"
    speaker.forget()
    assert list(speaker.pieces()) == []
    spill.close()
