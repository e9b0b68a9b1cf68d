"""`grex doctor`: what comes back from the trash, byte for byte, and what leaves it for good."""

from __future__ import annotations

import json
import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from grex.engine import Session
from grex.engine.trash import Trash
from grex.errors import ManifestError, UsageError
from grex.fs import utc_stamp
from grex.manifest import TrashRecord, timestamp, write_trash_record
from tests.support.git_server import git
from tests.support.removal import ENTRY, Nest, facts

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """The loop makes no difference here; locks have their own tests on both."""
    return "asyncio"


def old(nest: Nest, days: int) -> None:
    """Let everything in the trash have been moved there so many days ago, as its records say."""
    for path in (nest / ".grex/trash").glob("*.json"):
        record = json.loads(path.read_text())
        moved_at = datetime.now(UTC) - timedelta(days=days)
        record["moved_at"] = moved_at.isoformat(timespec="microseconds").replace("+00:00", "Z")
        path.write_text(json.dumps(record))


def put_in(nest: Nest, name: str) -> Path:
    """Something in the trash that has no record."""
    path = nest / ".grex/trash" / name
    path.parent.mkdir(exist_ok=True)
    if name.endswith(".bin"):
        path.write_text("torn")
    else:
        (path / "deep").mkdir(parents=True)
        (path / "deep/file").write_text("kept")
    return path


async def test_everything_of_a_pack_comes_back_byte_for_byte(nest: Nest) -> None:
    """Modes, times, links, files that git ignores or does not know, and the declaration as it was written."""
    tool = nest / "libs/tool"
    (tool / "built").mkdir()
    (tool / "built/out").write_bytes(b"\0\xff" * 1000)
    (tool / "built/out").chmod(0o751)
    (tool / "built/dangling").symlink_to("nowhere")
    (tool / "new").write_text("unknown to git")
    git(tool, "stash", "--include-untracked")
    (tool / "t").write_text("edited")
    os.utime(tool / "built", ns=(1, 1))
    inner, before = facts(tool / "deps/inner"), facts(tool)
    text = nest.yaml.read_text()
    assert (await nest.rm("tool", force=True)).exit_code == 0
    assert (await nest.rm("other")).exit_code == 0
    stamps = nest.in_trash()
    report = await nest.doctor(*stamps, stamps[0])
    assert (report.exit_code, len(report.restored)) == (0, 3)
    assert facts(tool / "deps/inner") == inner
    after = facts(tool)
    for gone in (".", "deps"):  # the inner pack was taken out of it and put back
        before.pop(gone), after.pop(gone)
    assert after == before
    entry = ENTRY.format(url=nest.server.url("tool")).partition("\n")[2]  # a comment above an entry is none of its own
    assert entry in nest.yaml.read_text()
    assert sorted(nest.yaml.read_text().splitlines()) == sorted(text.splitlines())
    assert nest.logged() == nest.there() == {"other", "libs/tool", "libs/tool/deps/inner"}
    assert list((nest / ".grex/trash").iterdir()) == []
    await nest.sync()
    assert set(nest.place.locked()) == nest.there()


async def test_a_restored_pack_is_known_with_all_that_the_log_said_of_it(nest: Nest) -> None:
    await nest.rm("other")
    await nest.doctor(f".grex/trash/{nest.in_trash()[0]}/other")
    await nest.sync()
    assert (await nest.rm("other")).exit_code == 0  # it is ours, and may go again


async def test_a_place_that_is_taken_is_left_as_it_is(nest: Nest) -> None:
    await nest.rm("other")
    (stamp,) = nest.in_trash()
    (nest / "other").write_text("mine")
    report = await nest.doctor(stamp)
    assert report.exit_code == 4
    assert "a file is at its place" in str(report.restored[0].error)
    assert (nest / "other").read_text() == "mine"
    assert nest.in_trash() == [stamp]
    (nest / "other").unlink()
    assert (await nest.doctor(stamp)).exit_code == 0


async def test_a_declaration_that_is_there_again_is_left_as_it_is(nest: Nest) -> None:
    await nest.rm("other")
    nest.yaml.write_text(nest.yaml.read_text() + f"  - url: {nest.server.url('tool')}\n    path: other\n")
    text = nest.yaml.read_text()
    report = await nest.doctor(*nest.in_trash())
    assert report.exit_code == 0
    assert "declared in the root's pack.yaml already" in report.restored[0].restored.notes[0]  # type: ignore[union-attr]
    assert nest.yaml.read_text() == text


@pytest.mark.parametrize("text", ["20260101T000000.000000Z", "../../etc", "", "."])
async def test_what_is_not_in_the_trash_is_no_argument(nest: Nest, text: str) -> None:
    with pytest.raises(UsageError):
        await nest.doctor(text)


async def test_a_path_that_is_another_one_is_refused(nest: Nest) -> None:
    await nest.rm("other")
    with pytest.raises(UsageError, match="is other, not 'libs/tool'"):
        await nest.doctor(f"{nest.in_trash()[0]}/libs/tool")


async def test_the_listing_has_the_newest_first_with_sizes(nest: Nest) -> None:
    await nest.rm("other")
    await nest.rm("tool")
    report = await nest.doctor(trash=True)
    assert report.trash is not None
    assert [one.trashed.record.path for one in report.trash] == ["libs/tool", "libs/tool/deps/inner", "other"]
    assert all(one.size_bytes > 1000 for one in report.trash)
    with pytest.raises(UsageError, match="--trash only lists"):
        await nest.doctor(trash=True, keep_days=1)


async def test_a_record_that_was_shipped_cannot_name_a_place_outside(nest: Nest, tmp_path: Path) -> None:
    """A workspace may be a clone of somebody else's repository, with a trash in it."""
    stamp = utc_stamp()
    content = nest / ".grex/trash" / stamp
    content.mkdir(parents=True)
    record = {
        "schema_version": "1", "path": "../outside", "kind": "whole", "owned": True, "why": "", "verb": "rm",
        "moved_at": timestamp(), "entries": [],
    }  # fmt: skip
    (content.parent / f"{stamp}.json").write_text(json.dumps(record))
    with pytest.raises(UsageError, match="so nobody knows where"):
        await nest.doctor(stamp)
    found = (await nest.doctor()).findings
    assert [one.code for one in found] == ["trash-record"]
    (nest / "way").symlink_to(tmp_path)
    (content / "way").mkdir()
    (content / "way/in").mkdir()
    (content.parent / f"{stamp}.json").write_text(json.dumps(record | {"path": "way/in"}))
    assert "outside the workspace" in str((await nest.doctor(stamp)).restored[0].error)
    assert not (tmp_path / "in").exists()


async def test_old_things_go_by_the_time_in_their_record_and_not_by_the_disks(nest: Nest) -> None:
    await nest.rm("other")
    (stamp,) = nest.in_trash()
    os.utime(nest / ".grex/trash" / stamp, (1, 1))
    assert (await nest.doctor(keep_days=90)).swept == ()
    old(nest, 89)
    assert (await nest.doctor(keep_days=90)).swept == ()
    old(nest, 91)
    assert (await nest.doctor(keep_days=90)).swept == (stamp,)
    assert list((nest / ".grex/trash").iterdir()) == []


async def test_things_without_a_record_go_by_their_names_and_strange_ones_stay(nest: Nest, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious/file").write_text("")
    long_ago, now = "20200101T000000.000000Z", utc_stamp()
    for name in (long_ago, now, f"torn-log-{long_ago}.bin", f"torn-log-{now}.bin", "mine"):
        put_in(nest, name)
    link = nest / ".grex/trash/20200102T000000.000000Z"
    link.symlink_to(tmp_path / "precious")
    assert set((await nest.doctor(keep_days=90)).swept or ()) == {long_ago, f"torn-log-{long_ago}.bin"}
    left = {path.name for path in (nest / ".grex/trash").iterdir()}
    assert left == {now, f"torn-log-{now}.bin", "mine", link.name}
    assert (tmp_path / "precious/file").exists()


async def test_a_sync_and_a_removal_sweep_when_they_succeed(nest: Nest) -> None:
    await nest.rm("other")
    old(nest, 100)
    (nest / "libs/tool/deps/inner/i").write_text("edited")
    assert (await nest.rm("tool")).exit_code == 4
    assert len(nest.in_trash()) == 1
    nest.place.defaults = nest.place.settings(keep_days=101)
    assert (await nest.place.sync()).swept == ()
    nest.place.defaults = nest.place.settings(keep_days=90)
    assert len((await nest.place.sync()).swept) == 1
    nest.place.defaults = nest.place.settings(keep_days=0)
    report = await nest.rm("tool", force=True)
    assert len(report.swept) == 2


async def test_another_file_system_is_refused_and_nothing_is_copied(
    nest: Nest, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = os.rename

    def refuse(source: object, target: object, **how: object) -> None:
        if "trash" in str(target) and "tool" in str(target):
            raise OSError(18, "Invalid cross-device link", str(source), None, str(target))
        rename(source, target, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "rename", refuse)
    before = facts(nest / "libs")
    report = await nest.rm("libs/tool")
    assert report.exit_code == 4
    assert "on another file system" in str(report.packs[0].error) + str(report.packs[1].error)
    assert facts(nest / "libs") == before
    assert nest.in_trash() == []
    assert list((nest / ".grex/trash").iterdir()) == []


async def test_a_trash_that_is_a_link_is_refused(nest: Nest, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (nest / ".grex/trash").symlink_to(tmp_path / "there")
    session = Session.open(nest.place.root, nest.place.settings())
    record = TrashRecord(stamp="", path="other", kind="whole", why="", verb="rm", moved_at=timestamp())
    with pytest.raises(ManifestError, match="is a symbolic link"):
        Trash(session.layout).put_away(nest / "other", record)
    assert list((tmp_path / "there").iterdir()) == []


async def test_a_restore_whose_half_is_done_goes_on(nest: Nest) -> None:
    """Strays: a record without its content, one whose content came back and was moved on, an empty directory."""
    trash = nest / ".grex/trash"
    await nest.rm("other")
    (stamp,) = nest.in_trash()
    shutil.rmtree(trash / stamp)
    (trash / utc_stamp()).mkdir()
    await nest.sync()
    assert list(trash.iterdir()) == []
    with pytest.raises(UsageError):
        await nest.doctor(stamp)


def test_a_record_is_written_only_if_it_can_be_read(tmp_path: Path) -> None:
    record = TrashRecord(stamp=utc_stamp(), path="../x", kind="whole", why="", verb="rm", moved_at=timestamp())
    with pytest.raises(ValueError, match="path"):
        write_trash_record(tmp_path, record)
    assert list(tmp_path.iterdir()) == []
