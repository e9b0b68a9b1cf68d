"""`grex locks`: who holds what, found without taking or making anything."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from grex.cli import render
from grex.errors import LockUnavailableError
from grex.locks import Tier, inspect_locks
from grex.manifest import CloneNote, LockLine, render_lockfile, write_note
from grex.names import PACK_LOCK_NAME
from grex.verbs.locks import LocksReport, LocksRequest, locks
from grex.workspace import Layout
from tests.support.lock_holder import LockHolder
from tests.support.place import Place
from tests.support.ticket_taker import TicketTaker
from tests.support.unprivileged import unprivileged_directory

pytestmark = pytest.mark.anyio


async def looked(place: Place) -> LocksReport:
    return await locks(LocksRequest(place.root), place.settings())


def told(report: LocksReport) -> list[str]:
    """What is printed where there is room for whole sentences."""
    return render.locks(report, width=10_000).splitlines()


def note_of(path: str) -> CloneNote:
    """A clone that is under way, as if it had just begun."""
    temp = f"{path.rpartition('/')[0]}/.grex-tmp-aaaaaaaaaaaa"
    return CloneNote(
        id="aaaaaaaaaaaa",
        pack=path,
        temp=temp,
        target=path,
        url="https://host.example/b",
        ref=None,
        entries=None,
        created_at="2026-11-20T23:52:17Z",
    )


async def test_nothing_is_held_and_nothing_is_made(place: Place) -> None:
    place.declare({"url": "https://host.example/a"})
    before = sorted(str(path) for path in place.root.rglob("*"))
    assert (await looked(place)).held == ()
    assert sorted(str(path) for path in place.root.rglob("*")) == before


async def test_every_tier_that_is_held_is_named_with_its_holder(place: Place) -> None:
    place.declare({"url": "https://host.example/a"})
    holds = place.session(verb="sync").holds
    root = place.root / "a"
    async with (
        holds.workspace(),
        holds.pack("a", root, "disk"),
        holds.backend("a", root),
        holds.manifest_exclusive("a"),
    ):
        report = await looked(place)
    assert [info.tier.name for info in report.held] == ["WORKSPACE", "MANIFEST", "PACK", "BACKEND"]
    assert {info.pids for info in report.held} == {(os.getpid(),)}
    assert all(one["held"] for one in report.to_json()["held"])
    assert (await looked(place)).held == ()


async def test_broken_declarations_hide_no_lock_that_is_known_otherwise_and_are_said(place: Place) -> None:
    """The root's pack.yaml cannot be read; of one pack the lockfile knows, of another its note of a clone."""
    place.declare()
    line = LockLine("deep/inside/a", "https://host.example/a", None, None, "1" * 40, "meta", (".",))
    (place / "grex.lock.jsonl").write_bytes(render_lockfile([line]))
    write_note(Layout(place.root).state_dir, note_of("other/place/b"))
    (place / ".grex/pack.yaml").write_text("nonsense")
    holds = place.session().holds
    for path in ("deep/inside/a", "other/place/b"):
        (place / path).mkdir(parents=True)
    async with holds.workspace(), holds.pack("a", place / "deep/inside/a", "disk"):
        with LockHolder("backend", place / "other/place/b") as holder:
            assert holder.ask("take") == "held"
            report = await looked(place)
    assert [(info.tier.name, str(info.path.relative_to(place.root))) for info in report.held] == [
        ("WORKSPACE", ".grex.sync.lock"),
        ("PACK", "deep/inside/a/.grex-lock"),
        ("BACKEND", "other/place/.b.grex-backend.lock"),
    ]
    assert report.exit_code == 3
    (error,) = report.to_json()["errors"]
    assert error["code"] == "manifest.invalid"
    assert f"note: there may be more locks than these: {error['message']}" in told(report)


async def test_a_pack_whose_declarations_cannot_be_read_is_no_reason_to_say_that_nothing_is_held(place: Place) -> None:
    place.declare({"url": "https://host.example/a"})
    (place / "a/.grex").mkdir(parents=True)
    (place / "a/.grex/pack.yaml").write_text("nonsense")
    await anyio.run_process(["git", "init", "--quiet", str(place / "a")])
    report = await looked(place)
    assert report.exit_code == 4
    lines = told(report)
    assert lines[0] == "No lock is held, as far as can be seen."
    assert lines[1].startswith("note: there may be more locks than these: ")
    assert "a/.grex/pack.yaml" in lines[1]


async def test_locks_of_packs_that_nobody_declares_are_found_beside_and_inside_of_those_that_are(place: Place) -> None:
    """What no declaration, record and note names: a pack beside a declared one, and the git of a pack that is gone."""
    place.declare({"url": "https://host.example/a", "path": "deep/a"})
    for path in ("deep/a/child", "beside"):
        (place / path).mkdir(parents=True)
    with (
        LockHolder("pack", place / "deep/a/child") as one,
        LockHolder("backend", place / "deep/gone") as two,
        LockHolder("pack", place / "beside") as three,
    ):
        for holder in (one, two, three):
            assert holder.ask("take") == "held"
        report = await looked(place)
    assert [(info.tier.name, str(info.path.relative_to(place.root)), info.pids) for info in report.held] == [
        ("PACK", "beside/.grex-lock", (three.pid,)),
        ("BACKEND", "deep/.gone.grex-backend.lock", (two.pid,)),
        ("PACK", "deep/a/child/.grex-lock", (one.pid,)),
    ]
    assert report.exit_code == 0


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (Path.mkdir, "it is a directory, where a lock file should be: remove what stands there"),
        (os.mkfifo, "it is a FIFO, where a lock file should be: remove what stands there"),
        (lambda path: path.symlink_to("/dev/null"), "it is a symbolic link, where a lock file should be"),
        (lambda path: path.write_text("mine"), "it holds content that is not grex's: move the file away"),
    ],
)
async def test_a_lock_file_that_no_acquire_would_take_is_said_to_be_unusable(
    place: Place, make: Callable[[Path], object], says: str
) -> None:
    place.declare({"url": "https://host.example/a"})
    (place / "a").mkdir()
    files = (Layout(place.root).workspace_lock, place / "a" / PACK_LOCK_NAME, place / ".a.grex-backend.lock")
    for file in files:
        make(file)
    holds = place.session(no_wait=True).holds
    with pytest.raises(LockUnavailableError):
        async with holds.workspace():
            pytest.fail("it was taken all the same")
    report = await looked(place)
    assert [info.path for info in report.others] == list(files)
    assert all(says in str(one["problem"]) and not one["held"] for one in report.to_json()["others"])
    assert told(report)[2].startswith(f"  unusable: {says}")


@pytest.mark.parametrize("mode", [0o000, 0o444])
def test_a_lock_file_that_this_user_may_not_use_is_said_to_be_unusable(mode: int) -> None:
    with unprivileged_directory() as directory:
        file = directory / "lock"
        file.touch(mode)
        (info,) = inspect_locks([(Tier.WORKSPACE, file)])
        word = "written" if mode else "read"
        assert info.describe() == f"unusable: it may not be {word} by this user (Permission denied)"


@pytest.mark.skipif(not Path("/proc/locks").exists(), reason="needs the kernel's list of locks")
async def test_a_queue_is_read_at_a_glance_and_a_note_that_was_left_behind_is_marked(place: Place) -> None:
    """Another process holds the workspace, two wait for it; a third was killed and left its note in a pack."""
    place.declare({"url": "https://host.example/a"})
    file = Layout(place.root).workspace_lock
    with LockHolder("pack", place.root / "a") as killed:
        assert killed.ask("take") == "held"
        killed.kill()
    with LockHolder("workspace", place.root) as holder, TicketTaker(file) as one, TicketTaker(file) as two:
        assert holder.ask("take") == "held"
        two.ask("read 8")
        one.ask("take 7")
        report = await looked(place)
        lines = told(report)
        document = report.to_json()
    assert [line.split(" on host ")[0] for line in lines] == [
        f"WORKSPACE  {file}",
        f"  held by pid {holder.pid}",
        f"    1. pid {one.pid} tests.support.ticket_taker (waiting)",
        f"    2. pid {two.pid} tests.support.ticket_taker (waiting to read)",
        f"PACK       {place.root / 'a' / PACK_LOCK_NAME}",
        f"  free; nothing needs doing (its last holder left a record: pid {killed.pid}",
    ]
    assert " for " not in lines[5]
    assert lines[5].endswith("; that process has ended)")
    (held,) = document["held"]
    (other,) = document["others"]
    assert held["tier"] == "WORKSPACE"
    assert [waiter["pid"] for waiter in held["queue"]] == [one.pid, two.pid]
    assert held["held_for_s"] is not None
    assert other["holder"] is not None
    assert (other["tier"], other["held"], other["holder"]["stale"], other["held_for_s"]) == ("PACK", False, True, None)


@pytest.mark.skipif(not Path("/proc/locks").exists(), reason="needs the kernel's list of locks")
async def test_a_line_before_a_lock_that_is_free_is_shown(place: Place) -> None:
    place.declare()
    with TicketTaker(Layout(place.root).workspace_lock) as one:
        one.ask("take 7")
        lines = told(await looked(place))
    assert lines == [
        "No lock is held.",
        f"WORKSPACE  {Layout(place.root).workspace_lock}",
        "  free",
        f"    1. pid {one.pid} tests.support.ticket_taker (waiting)",
    ]


@pytest.mark.skipif(not Path("/proc/locks").exists(), reason="needs the kernel's list of locks")
async def test_no_sentence_is_wider_than_a_narrow_terminal_and_no_path_is_broken(place: Place) -> None:
    place.declare({"url": "https://host.example/a"})
    async with place.session(verb="sync").holds.workspace():
        report = await looked(place)
        lines = render.locks(report).splitlines()
    assert lines[0] == f"WORKSPACE  {Layout(place.root).workspace_lock}"
    assert len(lines) > 2  # the sentence about this process is longer than a line
    assert all(len(line) <= 80 and line.startswith("  ") for line in lines[1:])
    assert " ".join(line.strip() for line in lines[1:]) == told(report)[1].strip()
