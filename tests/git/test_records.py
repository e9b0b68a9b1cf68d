"""Completion records and move notes: durable, without credentials, and robust against damage."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from grex.git import CompletionRecord, MoveNote, read_note, read_record, write_record
from grex.git.records import note_path, remove_note, write_note

A, B = "a" * 40, "b" * 40
RECORD = CompletionRecord("https://h/x", "main", "branch", "main", A, "origin/main", tree=B)


def test_a_record_is_read_back(tmp_path: Path) -> None:
    assert read_record(tmp_path) is None
    write_record(tmp_path, RECORD)
    assert read_record(tmp_path) == RECORD
    assert json.loads((tmp_path / "grex/checkout.json").read_bytes())["v"] == 1


def test_a_note_is_read_back_with_the_record_to_come(tmp_path: Path) -> None:
    assert read_note(tmp_path) is None
    note = MoveNote("checkout", "libs/a", A, B, "main", was_clean=True, pid=7, boot_id="x", record=RECORD)
    write_note(tmp_path, note)
    assert read_note(tmp_path) == note
    remove_note(tmp_path)
    remove_note(tmp_path)
    assert read_note(tmp_path) is None


def test_a_note_says_who_wrote_it(tmp_path: Path) -> None:
    write_note(tmp_path, MoveNote("fetch", "p"))
    note = read_note(tmp_path)
    assert note is not None
    assert note.pid == os.getpid()
    assert note.boot_id == Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def test_credentials_do_not_reach_the_disk(tmp_path: Path) -> None:
    write_record(tmp_path, CompletionRecord("https://u:geheim@h/x", None, "sha", None, A, None))
    assert b"geheim" not in (tmp_path / "grex/checkout.json").read_bytes()


def test_both_are_flushed_with_their_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[str] = []
    fsync = os.fsync

    def spy(fd: int) -> None:
        flushed.append(str(Path(f"/proc/self/fd/{fd}").readlink()))
        fsync(fd)

    monkeypatch.setattr(os, "fsync", spy)
    write_note(tmp_path, MoveNote("fetch", "p"))
    assert flushed[0] == str(tmp_path)  # the new directory's name
    assert flushed[-1] == str(tmp_path / "grex")
    assert len(flushed) == 3
    flushed.clear()
    remove_note(tmp_path)
    assert flushed == [str(tmp_path / "grex")]


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"null", b"[]", b"{}", b"\xff", b"[" * 50_000, b'{"v":2}', b'{"v":1}',
        b'{"v":1,"op":"other","pack":""}',
        b'{"v":1,"op":"checkout","pack":"p","from":"x","to":null,"branch":null}',
        b'{"v":1,"op":"checkout","pack":"p","from":1}', b'{"v":1,"op":"fetch","pack":7}', b" " * 100_000,
    ],
)  # fmt: skip
def test_damage_makes_a_record_none_and_a_note_unknown(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "grex").mkdir()
    (tmp_path / "grex/checkout.json").write_bytes(content)
    note_path(tmp_path).write_bytes(content)
    assert read_record(tmp_path) is None
    assert read_note(tmp_path) == MoveNote("unknown", "")


@pytest.mark.parametrize("change", [{"sha": "abc"}, {"kind": "other"}, {"url": None}, {"branch": 1}, {"v": "1"}])
def test_a_record_with_a_wrong_value_is_none(tmp_path: Path, change: dict[str, object]) -> None:
    write_record(tmp_path, RECORD)
    file = tmp_path / "grex/checkout.json"
    file.write_text(json.dumps({**json.loads(file.read_bytes()), **change}))
    assert read_record(tmp_path) is None
