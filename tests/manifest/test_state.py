"""Clone notes: durable, one file each, and none of them misleads recovery."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from grex.manifest import CloneNote, read_notes, remove_note, write_note
from tests.support.broken_disk import BrokenDisk

NOTE = CloneNote(
    id="r1-7",
    pack="libs/a",
    temp="libs/.grex-tmp-0a1b",
    target="libs/a",
    url="https://h/a",
    ref=None,
    entries=None,
    created_at="2026-11-20T10:00:00.000000Z",
)


def test_a_note_is_written_replaced_read_and_removed(tmp_path: Path) -> None:
    state = tmp_path / ".grex/state"
    assert read_notes(state) == ([], [])
    write_note(state, NOTE)
    assert read_notes(state) == ([NOTE], [])
    moving = replace(NOTE, ref="v1", entries=("README", "ü", ".git"))
    write_note(state, moving)
    assert read_notes(state) == ([moving], [])
    remove_note(state, NOTE.id)
    remove_note(state, NOTE.id)
    assert read_notes(state) == ([], [])
    assert list(state.iterdir()) == []


def test_notes_come_oldest_first(tmp_path: Path) -> None:
    notes = [
        replace(NOTE, id=name, created_at=f"2026-11-20T10:00:0{at}.000000Z")
        for name, at in (("a", 3), ("b", 1), ("c", 2))
    ]
    for note in notes:
        write_note(tmp_path, note)
    assert [note.id for note in read_notes(tmp_path)[0]] == ["b", "c", "a"]


def test_a_wide_checkout_fits_into_a_note(tmp_path: Path) -> None:
    wide = replace(NOTE, entries=tuple(f"file-{number:06}" for number in range(20_000)))
    write_note(tmp_path, wide)
    assert read_notes(tmp_path) == ([wide], [])


def test_a_note_that_cannot_be_written_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_note(tmp_path, NOTE)
    BrokenDisk(monkeypatch).fail("write", code=errno.ENOSPC)
    with pytest.raises(OSError, match="No space left"):
        write_note(tmp_path, replace(NOTE, entries=("x",)))
    assert read_notes(tmp_path) == ([NOTE], [])


def test_writing_and_removing_flush_what_has_to_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = BrokenDisk(monkeypatch)
    write_note(tmp_path / "state", NOTE)
    assert disk.calls["fsync"] == 3  # the new directory's name, the file, the file's name
    remove_note(tmp_path / "state", NOTE.id)
    assert disk.calls["fsync"] == 4


def raw(**changed: Any) -> bytes:
    value: dict[str, Any] = {
        "v": 1,
        "id": "x",
        "pack": "a",
        "temp": ".grex-tmp-1",
        "target": "a",
        "url": "u",
        "ref": None,
        "entries": None,
        "created_at": "t",
    }
    return json.dumps({**value, **changed}).encode()


BAD_NOTES = [
    (b"", "is empty"),
    (b"{", "is not JSON (Expecting property name enclosed in double quotes at column 2)"),
    (b"[]", "is not a JSON object"),
    (raw(v=2), "has the version 2, which this grex does not read"),
    (raw(pack=None), "has no 'pack'"),
    (raw(ref=5), "has a 'ref' that is not text"),
    (raw(id="y"), "is the note 'y' under another name"),
    (raw(temp="/home/me/.grex-tmp-1"), "has a 'temp' that is no temporary directory of grex beside its 'target'"),
    (raw(temp="../.grex-tmp-1"), "has a 'temp' that is no temporary directory of grex beside its 'target'"),
    (raw(temp="b/.grex-tmp-1"), "has a 'temp' that is no temporary directory of grex beside its 'target'"),
    (raw(temp="src"), "has a 'temp' that is no temporary directory of grex beside its 'target'"),
    (raw(pack="../x"), "has a 'pack' that holds the segment '..'"),
    (raw(target="../x"), "has a 'target' that holds the segment '..'"),
    (raw(target="/x"), "has a 'target' that is absolute"),
    (raw(target=".git/hooks"), "has a 'target' that holds '.git', a name that git or grex keeps for itself"),
    (raw(entries="ab"), "has 'entries' that are not a list of text"),
    (raw(entries=["../x"]), "has the entry '../x', which is no path below the pack"),
    (raw(entries=["a", ".."]), "has the entry '..', which is no path below the pack"),
]


@pytest.mark.parametrize(("data", "reason"), BAD_NOTES)
def test_a_damaged_note_is_reported_with_its_reason_and_hides_no_other(
    tmp_path: Path, data: bytes, reason: str
) -> None:
    write_note(tmp_path, NOTE)
    (tmp_path / "clone-x.json").write_bytes(data)
    notes, damaged = read_notes(tmp_path)
    assert notes == [NOTE]
    assert [(found.path.name, found.reason) for found in damaged] == [("clone-x.json", reason)]


def test_a_note_that_is_a_link_or_a_fifo_is_damaged_and_nobody_waits_for_it(tmp_path: Path) -> None:
    (tmp_path / "clone-a.json").symlink_to("/etc/hostname")
    os.mkfifo(tmp_path / "clone-b.json")
    notes, damaged = read_notes(tmp_path)
    assert notes == []
    assert [found.reason for found in damaged] == [
        "cannot be read: Too many levels of symbolic links",
        "cannot be read: not a regular file",
    ]


def test_other_files_are_none_of_its_business(tmp_path: Path) -> None:
    for name in (".grex-tmp-1", "clone-x.txt", "other.json"):
        (tmp_path / name).write_bytes(b"{")
    assert read_notes(tmp_path) == ([], [])


@pytest.mark.parametrize(
    "note",
    [
        replace(NOTE, id="../x"),
        replace(NOTE, id=""),
        replace(NOTE, temp="/abs/.grex-tmp-1"),
        replace(NOTE, temp="libs/a"),
        replace(NOTE, target="/abs"),
        replace(NOTE, entries=("a/../b",)),
        replace(NOTE, url="https://user:secret@h/a"),
    ],
)
def test_a_note_that_recovery_would_refuse_is_not_written(tmp_path: Path, note: CloneNote) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        write_note(tmp_path, note)
    assert "secret" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []
