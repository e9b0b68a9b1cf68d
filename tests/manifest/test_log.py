"""The log on disk: what was acknowledged is there, whatever happened after or in between."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from grex.errors import CorruptLogError, ManifestError, SchemaVersionError
from grex.manifest import (
    Event,
    Log,
    add_event,
    fold,
    installed_event,
    lines_needed,
    render_line,
    sync_event,
)
from tests.support.broken_disk import BrokenDisk, Operation
from tests.support.holds import FakeHold
from tests.support.log_writer import batch

HOLD = FakeHold()
FIRST = add_event("a", url="https://h/a", ref="main", owned=True)
SECOND = sync_event("libs/ü", sha="1" * 40, branch="main")
THIRD = installed_event("a", actions_hash="2" * 64)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "grex.jsonl"


@pytest.fixture
def log(path: Path, tmp_path: Path) -> Log:
    return Log(path, tmp_path / "trash")


def trash(tmp_path: Path) -> list[bytes]:
    directory = tmp_path / "trash"
    return [file.read_bytes() for file in sorted(directory.iterdir())] if directory.exists() else []


def test_a_log_that_is_not_there_is_empty_and_reading_does_not_make_it(log: Log, path: Path) -> None:
    contents = log.read()
    assert (list(contents.events), contents.torn_tail, contents.size_bytes) == ([], None, 0)
    assert not path.exists()


def test_what_is_appended_is_read_back_in_order(log: Log, path: Path, tmp_path: Path) -> None:
    assert log.append([FIRST, SECOND], hold=HOLD).events == 2
    report = log.append([THIRD], hold=HOLD)
    assert list(log.read().events) == [FIRST, SECOND, THIRD]
    assert report.size_bytes == log.read().size_bytes == path.stat().st_size
    assert path.read_bytes() == b"".join(map(render_line, [FIRST, SECOND, THIRD]))
    assert trash(tmp_path) == []


def test_nothing_is_written_without_the_lock(log: Log, path: Path) -> None:
    released = FakeHold(active=False)
    for write in (
        lambda: log.append([FIRST], hold=released),
        lambda: log.heal(hold=released),
        lambda: log.compact(hold=released),
    ):
        with pytest.raises(RuntimeError, match="only while MANIFEST is held"):
            write()
    assert not path.exists()


def test_appending_no_events_changes_no_byte_and_no_time_and_makes_no_file(log: Log, path: Path) -> None:
    assert log.append([], hold=HOLD).size_bytes == 0
    assert not path.exists()
    path.write_bytes(render_line(FIRST) + b'{"torn')
    os.utime(path, ns=(1, 1))
    log.append([], hold=HOLD)
    assert path.stat().st_mtime_ns == 1


def test_an_event_that_cannot_be_a_line_leaves_the_others_unwritten_too(log: Log, path: Path) -> None:
    with pytest.raises(ValueError, match="no UTC time"):
        log.append([FIRST, Event("x", "now", "a", {})], hold=HOLD)
    assert not path.exists()


def test_one_append_is_one_write_and_one_flush_and_a_new_file_flushes_its_directory_first(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    real_write, real_fsync = os.write, os.fsync

    def write(fd: int, data: bytes) -> int:
        order.append("write")
        return real_write(fd, data)

    def fsync(fd: int) -> None:
        order.append("flush directory" if stat.S_ISDIR(os.fstat(fd).st_mode) else "flush")
        real_fsync(fd)

    monkeypatch.setattr(os, "write", write)
    monkeypatch.setattr(os, "fsync", fsync)
    log.append([FIRST, SECOND, THIRD], hold=HOLD)
    assert order == ["flush directory", "write", "flush"]
    order.clear()
    log.append([FIRST, SECOND], hold=HOLD)
    assert order == ["write", "flush"]


# --- Torn tails --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", range(1, len(render_line(SECOND)) - 1))
def test_a_last_line_that_is_cut_anywhere_is_reported_kept_and_healed(
    log: Log, path: Path, tmp_path: Path, cut: int
) -> None:
    torn = render_line(SECOND)[:cut]
    path.write_bytes(render_line(FIRST) + torn)
    contents = log.read()
    assert list(contents.events) == [FIRST]
    assert contents.torn_tail == torn
    assert path.read_bytes() == render_line(FIRST) + torn  # reading heals nothing

    report = log.append([THIRD], hold=HOLD)
    assert path.read_bytes() == render_line(FIRST) + render_line(THIRD)
    assert report.torn is not None
    assert report.torn.read_bytes() == torn
    assert report.torn.name.startswith("torn-log-")
    assert trash(tmp_path) == [torn]


def test_a_whole_last_line_that_lacks_its_line_feed_counts_and_is_completed(
    log: Log, path: Path, tmp_path: Path
) -> None:
    path.write_bytes(render_line(FIRST) + render_line(SECOND)[:-1])
    contents = log.read()
    assert list(contents.events) == [FIRST, SECOND]
    assert contents.torn_tail is None
    report = log.append([THIRD], hold=HOLD)
    assert path.read_bytes() == b"".join(map(render_line, [FIRST, SECOND, THIRD]))
    assert report.size_bytes == path.stat().st_size
    assert report.torn is None
    assert trash(tmp_path) == []


@pytest.mark.parametrize("tail", [b"\0" * 5000, b"x" * 200_000, b"\xff", b'{"op":1}'])
def test_any_tail_without_line_feed_is_torn_however_long(log: Log, path: Path, tmp_path: Path, tail: bytes) -> None:
    path.write_bytes(render_line(FIRST) + tail)
    assert log.read().torn_tail == tail
    log.append([SECOND], hold=HOLD)
    assert list(log.read().events) == [FIRST, SECOND]
    assert trash(tmp_path) == [tail]


def test_a_log_that_is_one_torn_line_is_healed_to_nothing(log: Log, path: Path, tmp_path: Path) -> None:
    path.write_bytes(b'{"op":"ad')
    assert list(log.read().events) == []
    assert log.heal(hold=HOLD) is not None
    assert path.read_bytes() == b""
    assert log.heal(hold=HOLD) is None
    assert trash(tmp_path) == [b'{"op":"ad']


def test_healing_flushes_the_bytes_in_the_trash_and_then_the_cut(
    log: Log, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_bytes(b"torn")
    disk = BrokenDisk(monkeypatch)
    log.heal(hold=HOLD)
    assert disk.calls["fsync"] == 4  # the name of the trash, the file in it, its name, the cut
    path.write_bytes(b"torn again")
    log.heal(hold=HOLD)
    assert disk.calls["fsync"] == 7


def test_healing_completes_a_last_line_and_leaves_a_sound_log_alone(log: Log, path: Path) -> None:
    assert log.heal(hold=HOLD) is None
    assert not path.exists()
    path.write_bytes(render_line(FIRST)[:-1])
    assert log.heal(hold=HOLD) is None
    assert path.read_bytes() == render_line(FIRST)
    os.utime(path, ns=(1, 1))
    assert log.heal(hold=HOLD) is None
    assert path.stat().st_mtime_ns == 1


def test_two_torn_lines_in_one_moment_are_both_kept(
    log: Log, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stamps = iter(["now", "now", "later"])
    monkeypatch.setattr("grex.manifest.log.utc_stamp", lambda: next(stamps))
    for torn in (b"one", b"two"):
        with path.open("ab") as file:
            file.write(torn)
        log.append([FIRST], hold=HOLD)
    assert sorted(trash(tmp_path)) == [b"one", b"two"]


def test_torn_bytes_are_durable_in_the_trash_before_they_are_cut_off(
    log: Log, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_bytes(render_line(FIRST) + b"torn")
    disk = BrokenDisk(monkeypatch)
    disk.fail("fsync", code=errno.EIO)  # of the file in the trash
    with pytest.raises(ManifestError):
        log.append([SECOND], hold=HOLD)
    assert path.read_bytes() == render_line(FIRST) + b"torn"
    assert disk.calls["ftruncate"] == 0
    assert log.append([SECOND], hold=HOLD).torn is not None
    assert trash(tmp_path) == [b"torn"]


def test_a_newer_grex_that_was_cut_off_before_its_line_feed_is_not_healed_away(log: Log, path: Path) -> None:
    newer = render_line(SECOND).replace(b'"schema_version":"1"', b'"schema_version":"2"')[:-1]
    path.write_bytes(render_line(FIRST) + newer)
    for use in (log.read, lambda: log.append([THIRD], hold=HOLD)):
        with pytest.raises(SchemaVersionError, match=r"grex\.jsonl:2: "):
            use()
    assert path.read_bytes() == render_line(FIRST) + newer


# --- Damage ------------------------------------------------------------------------------------------------------


def test_damage_in_the_middle_names_file_and_line_and_changes_nothing(log: Log, path: Path, tmp_path: Path) -> None:
    damaged = render_line(FIRST) + b'{"op":"sy\n' + render_line(THIRD) + b'{"torn'
    path.write_bytes(damaged)
    for use in (log.read, lambda: log.compact(hold=HOLD)):
        with pytest.raises(CorruptLogError) as caught:
            use()
        assert caught.value.message.startswith(f"{path}:2: the line is not JSON")
        assert caught.value.details["line"] == 2
    assert path.read_bytes() == damaged
    assert trash(tmp_path) == []


def test_an_empty_line_in_the_middle_is_damage(log: Log, path: Path) -> None:
    path.write_bytes(render_line(FIRST) + b"\n" + render_line(SECOND))
    with pytest.raises(CorruptLogError, match=r"grex\.jsonl:2: the line is empty"):
        log.read()


def test_lines_that_an_editor_ended_with_crlf_are_read(log: Log, path: Path) -> None:
    path.write_bytes(render_line(FIRST).replace(b"\n", b"\r\n"))
    assert list(log.read().events) == [FIRST]


@pytest.mark.parametrize("kind", ["link", "dangling link", "directory", "fifo"])
def test_a_log_that_is_no_regular_file_is_refused_without_waiting(
    log: Log, path: Path, tmp_path: Path, kind: str
) -> None:
    elsewhere = tmp_path / "elsewhere"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    else:
        path.symlink_to(elsewhere)
        if kind == "link":
            elsewhere.write_bytes(render_line(FIRST))
    for use in (log.read, lambda: log.append([FIRST], hold=HOLD)):
        with pytest.raises(ManifestError, match=r"grex\.jsonl: the log cannot be (read|written): ") as caught:
            use()
        assert caught.value.hint is not None
    if kind == "link":
        assert elsewhere.read_bytes() == render_line(FIRST)
    if kind == "dangling link":
        assert not elsewhere.exists()


# --- Disks that fail ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("accepted", [None, 0, 1, 50, len(render_line(SECOND)) + 10])
def test_a_full_disk_records_nothing_and_says_so(
    log: Log, path: Path, monkeypatch: pytest.MonkeyPatch, accepted: int | None
) -> None:
    log.append([FIRST], hold=HOLD)
    before = path.read_bytes()
    disk = BrokenDisk(monkeypatch)
    disk.fail("write", accept_bytes=accepted)
    with pytest.raises(ManifestError) as caught:
        log.append([SECOND, THIRD], hold=HOLD)
    assert caught.value.message == f"{path}: the log cannot be written: No space left on device"
    assert caught.value.hint == "Free some space, then run the command again."
    assert path.read_bytes() == before
    assert disk.calls["write"] == 1  # a short write is not gone on with
    disk.repair()
    log.append([SECOND], hold=HOLD)
    assert list(log.read().events) == [FIRST, SECOND]


def test_a_flush_that_fails_records_nothing_and_is_not_tried_again(
    log: Log, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.append([FIRST], hold=HOLD)
    disk = BrokenDisk(monkeypatch)
    disk.fail("fsync", code=errno.EIO)
    with pytest.raises(ManifestError, match="Input/output error"):
        log.append([SECOND], hold=HOLD)
    assert disk.calls["fsync"] == 1
    assert path.read_bytes() == render_line(FIRST)


def test_a_disk_that_cannot_even_cut_back_leaves_a_torn_line_for_the_next_append(
    log: Log, path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    log.append([FIRST], hold=HOLD)
    disk = BrokenDisk(monkeypatch)
    disk.fail("write", accept_bytes=10)
    disk.fail("ftruncate", code=errno.EIO)
    with pytest.raises(ManifestError, match="No space left"):
        log.append([SECOND], hold=HOLD)
    assert log.read().torn_tail == render_line(SECOND)[:10]
    disk.repair()
    log.append([THIRD], hold=HOLD)
    assert list(log.read().events) == [FIRST, THIRD]


@pytest.mark.parametrize("operation", ["fsync", "write"])
def test_a_new_log_on_a_broken_disk_is_empty_or_missing(
    log: Log, path: Path, monkeypatch: pytest.MonkeyPatch, operation: Operation
) -> None:
    BrokenDisk(monkeypatch).fail(operation)
    with pytest.raises(ManifestError):
        log.append([FIRST], hold=HOLD)
    assert path.read_bytes() == b""
    assert list(log.read().events) == []


def test_failures_leak_no_descriptor(log: Log, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = BrokenDisk(monkeypatch)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for operation in ("fsync", "write", "fsync", "write"):
        disk.fail("write" if operation == "write" else "fsync")
        with pytest.raises(ManifestError):
            log.append([FIRST], hold=HOLD)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_killed_writer_loses_nothing_that_it_acknowledged(log: Log, path: Path, tmp_path: Path) -> None:
    """Several writers in turn are killed in the middle of their work.

    - each says which appends have returned
    - after the kill, all of these are in the log, whole and in order, and at most one append more, or a part of it
    - the next writer heals what is torn and goes on
    """
    acknowledged = 0
    for _ in range(4):
        with subprocess.Popen(
            [sys.executable, "-m", "tests.support.log_writer", str(path), str(tmp_path / "trash")],
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        ) as writer:
            assert writer.stdout is not None
            said = [writer.stdout.readline() for _ in range(5)]
            writer.send_signal(signal.SIGKILL)
            said += writer.stdout.readlines()
        acknowledged += sum(line.endswith(b"\n") for line in said)
        found = [event.id for event in log.read().events]
        whole = found.count("pack-0-0")
        assert whole >= 1
        last = int(said[-1])
        expected = [event.id for number in range(last + 1) for event in batch(number)]
        newest = found[len(found) - found[::-1].index("pack-0-0") - 1 :]
        assert newest[: len(expected)] == expected
        assert len(newest) <= len(expected) + 8
    log.append([FIRST], hold=HOLD)
    assert log.read().torn_tail is None
    assert acknowledged >= 20


# --- Compaction --------------------------------------------------------------------------------------------------


def test_compaction_keeps_the_fold_and_the_mode_and_drops_history(log: Log, path: Path) -> None:
    log.append([FIRST, *[sync_event("a", sha=f"{number:040}", branch=None) for number in range(50)]], hold=HOLD)
    path.chmod(0o640)
    folded = fold(log.read().events)
    report = log.compact(hold=HOLD)
    after = log.read()
    assert fold(after.events) == folded
    assert (report.events_before, report.events_after, len(after.events)) == (51, 2, 2)
    assert report.size_bytes_after == after.size_bytes < report.size_bytes_before
    assert lines_needed(folded) == 2
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_compacting_a_compact_or_missing_log_changes_nothing(log: Log, path: Path) -> None:
    assert log.compact(hold=HOLD).events_after == 0
    assert not path.exists()
    log.append([FIRST], hold=HOLD)
    os.utime(path, ns=(1, 1))
    report = log.compact(hold=HOLD)
    assert report.events_before == report.events_after == 1
    assert path.stat().st_mtime_ns == 1


def test_a_torn_tail_is_kept_in_the_trash_by_a_compaction_too(log: Log, path: Path, tmp_path: Path) -> None:
    path.write_bytes(render_line(FIRST) * 3 + b"torn")
    log.compact(hold=HOLD)
    assert path.read_bytes() == render_line(FIRST)
    assert trash(tmp_path) == [b"torn"]


def test_a_compaction_that_fails_leaves_the_log_as_it_was(
    log: Log, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_bytes(render_line(FIRST) * 3)
    BrokenDisk(monkeypatch).fail("replace", code=errno.EACCES)
    with pytest.raises(ManifestError, match="the log cannot be replaced: Permission denied"):
        log.compact(hold=HOLD)
    assert path.read_bytes() == render_line(FIRST) * 3
    assert [file.name for file in tmp_path.iterdir()] == ["grex.jsonl"]


def test_a_hundred_thousand_events_are_read_once_and_folded(
    log: Log, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One pass over the bytes and one over the events, counted; an append to it reads one block of its end."""
    lines = [render_line(sync_event(f"p{number}", sha=f"{number:040}", branch="main")) for number in range(1000)]
    path.write_bytes(b"".join(lines) * 100)
    size = path.stat().st_size
    read: list[int] = []
    real = os.read

    def counting_read(fd: int, length: int) -> bytes:
        data = real(fd, length)
        read.append(len(data))
        return data

    monkeypatch.setattr(os, "read", counting_read)
    contents = log.read()
    assert len(contents.events) == 100_000
    assert sum(read) == size
    assert len(fold(contents.events).packs) == 1000
    read.clear()
    log.append([FIRST], hold=HOLD)
    assert sum(read) <= 64 * 1024
