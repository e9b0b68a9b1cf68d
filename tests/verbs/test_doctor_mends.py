"""What `grex doctor --fix` mends: broken one way at a time, found, mended, and nothing of the user's touched."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from grex.engine.checks import FIXES
from grex.engine.trash import Trash
from grex.errors import UsageError
from grex.exclude import ensure_block, read_block
from grex.fs import utc_stamp
from grex.git.records import MoveNote, write_note
from grex.manifest import (
    CloneNote,
    ForkPack,
    ForkRecord,
    TrashRecord,
    action_started_event,
    fold,
    render_line,
    timestamp,
    write_fork_record,
    write_trash_record,
)
from grex.manifest import write_note as write_clone_note
from grex.workspace import Layout
from tests.support.clinic import Clinic
from tests.support.git_server import git

pytestmark = pytest.mark.anyio

STAMP = "20260101T000000.000000Z"


@pytest.fixture
def anyio_backend() -> str:
    """The loop makes no difference here; locks have their own tests on both."""
    return "asyncio"


def torn(clinic: Clinic) -> None:
    with clinic.log.open("ab") as log:
        log.write(b'{"op":"sync","ts":"2026')


def lost(clinic: Clinic) -> None:
    clinic.log.unlink()


def emptied(clinic: Clinic) -> None:
    clinic.log.write_bytes(b"")


def incomplete(clinic: Clinic) -> None:
    lines = clinic.log.read_text().splitlines(keepends=True)
    clinic.log.write_text("".join(line for line in lines if '"id":"other"' not in line))


def killed_clone(clinic: Clinic) -> None:
    temp = ".grex-tmp-0123456789ab"
    (clinic / temp).mkdir()
    (clinic / temp / "half").write_text("half")
    note = CloneNote("0123456789ab", "other", temp, "other", "https://host.example/other", None, None, timestamp())
    write_clone_note(clinic / ".grex/state", note)


def damaged_clone_note(clinic: Clinic) -> None:
    (clinic / ".grex/state").mkdir(exist_ok=True)
    (clinic / ".grex/state/clone-abc.json").write_text("{ no note")


def killed_move(clinic: Clinic) -> None:
    head = git(clinic / "other", "rev-parse", "HEAD").strip()
    write_note(clinic / "other/.git", MoveNote(op="checkout", pack="other", from_sha=head, to_sha=head))
    (clinic / "other/.git/index.lock").touch()


def damaged_line(clinic: Clinic) -> None:
    clinic.lockfile.write_text(clinic.lockfile.read_text().replace('"path":"tool"', '"path":"to', 1))


def merge_conflict(clinic: Clinic) -> None:
    first, *rest = clinic.lockfile.read_text().splitlines(keepends=True)
    other = first.replace('"sha":"', '"sha":"0')
    text = f"<<<<<<< ours\n{first}=======\n{other}>>>>>>> theirs\n{''.join(rest)}"
    clinic.lockfile.write_text(text)


def line_of_nobody(clinic: Clinic) -> None:
    line = json.loads(clinic.lockfile.read_text().splitlines()[0]) | {"path": "zz"}
    with clinic.lockfile.open("a") as lockfile:
        lockfile.write(json.dumps(line, separators=(",", ":")) + "\n")


def open_bracket(clinic: Clinic) -> None:
    with clinic.log.open("ab") as log:
        log.write(render_line(action_started_event("dots", action="1", kind="symlink", run="dead")))


def hidden_no_more(clinic: Clinic) -> None:
    exclude = clinic / ".git/info/exclude"
    exclude.write_text(exclude.read_text().replace("/tool\n", ""))


def own_lock_seen(clinic: Clinic) -> None:
    (clinic / "other/.git/info/exclude").write_text("/mine\n")


def doubled_block(clinic: Clinic) -> None:
    exclude = clinic / ".git/info/exclude"
    exclude.write_text(exclude.read_text() * 2)


def stale_block(clinic: Clinic) -> None:
    exclude = clinic / ".git/info/exclude"
    ensure_block(exclude, [*read_block(exclude), "/gone"])


def no_attributes(clinic: Clinic) -> None:
    (clinic / ".git/info/attributes").unlink()


def no_driver(clinic: Clinic) -> None:
    git(clinic.root, "config", "--remove-section", "merge.grex")


def record_of_nothing(clinic: Clinic) -> None:
    trash = clinic / ".grex/trash"
    trash.mkdir(exist_ok=True)
    record = TrashRecord(stamp=STAMP, path="other", kind="whole", why="removed", verb="rm", moved_at=timestamp())
    write_trash_record(trash, record)


def empty_in_trash(clinic: Clinic) -> None:
    (clinic / ".grex/trash" / STAMP).mkdir(parents=True)


def killed_sweep(clinic: Clinic) -> None:
    doomed = clinic / f".grex/trash/.grex-tmp-{STAMP}"
    doomed.mkdir(parents=True)
    (doomed / "old").write_text("old")


def deleted_fork(clinic: Clinic) -> None:
    directory = clinic.base / "fork"
    record = ForkRecord(
        id="0123456789ab",
        directory=str(directory),
        source=str(clinic.root),
        branch="grex/fork",
        provider="worktree",
        created_at=timestamp(),
        packs=(ForkPack("other", "grex/fork", git(clinic / "other", "rev-parse", "HEAD")),),
    )
    write_fork_record(clinic / ".grex/state", record)
    git(clinic / "other", "worktree", "add", "--quiet", "-b", "grex/fork", str(directory / "other"))
    shutil.rmtree(directory)


def temporary_file(clinic: Clinic) -> None:
    (clinic / ".grex/.grex-tmp-0123456789abcdef").write_text("half")


def killed_comparison(clinic: Clinic) -> None:
    git(clinic.root, "init", "--quiet", "--bare", ".grex/state/.grex-tmp-kinship-x")


BREAKS: dict[str, list[Callable[[Clinic], None]]] = {
    "log-torn": [torn],
    "log-lost": [lost, emptied],
    "log-incomplete": [incomplete],
    "interrupted-clone": [killed_clone],
    "clone-note-damaged": [damaged_clone_note],
    "interrupted-move": [killed_move],
    "lockfile-damaged": [damaged_line],
    "lockfile-merge": [merge_conflict],
    "lockfile-undeclared": [line_of_nobody],
    "open-bracket": [open_bracket],
    "exclude-lacking": [hidden_no_more, own_lock_seen],
    "exclude-damaged": [doubled_block],
    "exclude-stale": [stale_block],
    "merge-driver": [no_attributes, no_driver],
    "trash-moved": [record_of_nothing],
    "trash-empty": [empty_in_trash],
    "trash-sweep": [killed_sweep],
    "fork-gone": [deleted_fork],
    "temporary-file": [temporary_file],
    "temporary-comparison": [killed_comparison],
}
CASES = [pytest.param(code, one, id=one.__name__) for code, ways in BREAKS.items() for one in ways]


async def test_a_healthy_workspace_has_no_finding(clinic: Clinic) -> None:
    before = clinic.everything()
    report = await clinic.doctor(objects=True)
    assert (report.findings, report.exit_code) == ((), 0)
    assert report.check_up is not None
    assert report.check_up.checks > 15
    fixed = await clinic.doctor(fix=True)
    assert fixed.check_up is not None
    assert (fixed.findings, fixed.check_up.mended) == ((), ())
    assert clinic.everything() == before


@pytest.mark.parametrize(("code", "damage"), CASES)
async def test_what_is_broken_is_found_and_mended_and_nothing_of_the_users_is_touched(
    code: str, damage: Callable[[Clinic], None], clinic: Clinic
) -> None:
    damage(clinic)
    users, broken = clinic.users(), clinic.everything()
    found = await clinic.doctor()
    assert code in [one.code for one in found.findings]
    assert all(one.fix is not None for one in found.findings if one.code == code)
    planned = await clinic.doctor(fix=True, dry_run=True)
    assert planned.check_up is not None
    assert code in [one.finding.code for one in planned.check_up.mended]
    assert clinic.everything() == broken, "a look has written something"
    mended = await clinic.doctor(fix=True)
    assert mended.check_up is not None
    assert [str(one.error) for one in mended.check_up.mended if one.error is not None] == []
    assert code in [one.finding.code for one in mended.check_up.mended]
    assert code not in [one.code for one in mended.findings]
    assert mended.exit_code == 0
    assert clinic.users() == users
    await clinic.sync(offline=code not in ("lockfile-damaged", "lockfile-merge"))
    assert [one.code for one in (await clinic.doctor()).findings] == []
    assert clinic.users() == users
    assert clinic.place.leftovers() == []


async def test_every_fix_there_is_has_a_case_here() -> None:
    """Those of forks that were moved need whole forks: `test_fork_moved.py`."""
    assert set(FIXES) == {*BREAKS, "fork-home", "fork-moved"}


async def test_a_lost_log_knows_afterwards_whose_the_checkouts_are_but_not_the_adopted_ones(clinic: Clinic) -> None:
    before = fold(clinic.place.log()).packs
    git(clinic / "other", "config", "--unset", "grex.cloned")  # as in a clone of the user's own
    lost(clinic)
    await clinic.doctor(fix=True)
    after = fold(clinic.place.log()).packs
    assert {path for path, pack in after.items() if pack.owned} == {"dots", "tool", "tool/deps/inner"}
    assert "other" not in after
    for path in ("dots", "tool", "tool/deps/inner"):
        kept = (before[path].url, before[path].ref, before[path].sha, before[path].branch)
        assert (after[path].url, after[path].ref, after[path].sha, after[path].branch) == kept
    assert after["dots"].installed is None


async def test_an_install_after_a_lost_log_takes_its_own_earlier_work_for_no_strangers(clinic: Clinic) -> None:
    before = clinic.users()
    lost(clinic)
    await clinic.doctor(fix=True)
    report = await clinic.place.sync(offline=True)
    assert report.exit_code == 0
    assert [pack.install.status for pack in report.packs if pack.install is not None] == ["installed"]
    assert clinic.users() == before
    assert not list(clinic.home.rglob("*.grex-bak.*"))
    assert fold(clinic.place.log()).packs["dots"].installed is not None


async def test_after_a_lost_log_a_copy_that_has_changed_since_is_refused_and_not_overwritten(clinic: Clinic) -> None:
    lost(clinic)
    (clinic.home / "copied").write_text("changed by the user\n")
    await clinic.doctor(fix=True)
    report = await clinic.place.sync(offline=True)
    assert report.exit_code == 4
    assert (clinic.home / "copied").read_text() == "changed by the user\n"


async def test_what_a_fix_sets_aside_is_kept_whole(clinic: Clinic) -> None:
    merge_conflict(clinic)
    damaged_clone_note(clinic)
    torn(clinic)
    lockfile, note = clinic.lockfile.read_bytes(), (clinic / ".grex/state/clone-abc.json").read_bytes()
    await clinic.doctor(fix=True)
    kept = {path.name.rpartition("-")[0]: path.read_bytes() for path in (clinic / ".grex/trash").glob("*.bin")}
    assert kept == {"lockfile": lockfile, "note": note, "torn-log": b'{"op":"sync","ts":"2026'}
    swept = await clinic.doctor(keep_days=0)
    assert len(swept.swept or ()) == 3


async def test_of_a_merge_the_lines_outside_the_conflict_stay_and_the_others_are_resolved_anew(clinic: Clinic) -> None:
    healthy = clinic.lockfile.read_bytes()
    merge_conflict(clinic)
    await clinic.doctor(fix=True)
    assert clinic.lockfile.read_bytes() == b"".join(healthy.splitlines(keepends=True)[1:])
    await clinic.sync()
    assert clinic.lockfile.read_bytes() == healthy


async def test_of_two_lines_for_one_pack_neither_is_believed(clinic: Clinic) -> None:
    healthy = clinic.lockfile.read_bytes().splitlines(keepends=True)
    clinic.lockfile.write_bytes(b"".join([*healthy, healthy[1]]))
    await clinic.doctor(fix=True)
    assert clinic.lockfile.read_bytes().splitlines(keepends=True) == [healthy[0], *healthy[2:]]
    await clinic.sync()
    assert clinic.lockfile.read_bytes().splitlines(keepends=True) == healthy


async def test_the_users_own_lines_beside_a_block_stay(clinic: Clinic) -> None:
    doubled_block(clinic)
    own_lock_seen(clinic)
    await clinic.doctor(fix=True)
    assert (clinic / ".git/info/exclude").read_text().startswith("# mine\n/scratch\n")
    assert (clinic / ".git/info/exclude").read_text().count(">>> grex") == 1
    assert (clinic / "other/.git/info/exclude").read_text().startswith("/mine\n")


async def test_a_pack_argument_narrows_what_is_told_and_mended(clinic: Clinic) -> None:
    killed_move(clinic)
    open_bracket(clinic)
    assert await clinic.codes("tool") == []
    assert await clinic.codes("other") == ["interrupted-move"]
    await clinic.doctor("other", fix=True)
    assert await clinic.codes() == ["open-bracket"]
    with pytest.raises(UsageError, match="no pack 'nowhere'"):
        await clinic.doctor("nowhere")


async def test_a_bracket_of_a_pack_that_is_not_trusted_any_more_is_not_mended_and_says_why(clinic: Clinic) -> None:
    open_bracket(clinic)
    clinic.place.defaults = clinic.place.settings(trust=())
    report = await clinic.doctor(fix=True)
    assert report.check_up is not None
    (failed,) = report.check_up.mended
    assert "not trusted" in str(failed.error)
    assert report.exit_code == 4
    assert [one.code for one in report.findings] == ["open-bracket"]


async def test_a_teardown_that_was_killed_is_not_taken_back_by_a_fix(clinic: Clinic) -> None:
    with clinic.log.open("ab") as log:
        log.write(render_line(action_started_event("dots", action="1", kind="symlink", run="dead", phase="undo")))
    finding = await clinic.found("open-bracket", fix=True)
    assert finding.fix is None
    assert "grex teardown dots" in str(finding.hint)


async def test_compact_rewrites_the_log_keeps_what_it_amounts_to_and_tells_the_sizes(clinic: Clinic) -> None:
    with clinic.log.open("ab") as log:
        for _ in range(50):
            log.write(clinic.log.read_bytes().splitlines(keepends=True)[1])
    before, folded = clinic.log.read_bytes(), fold(clinic.place.log())
    planned = (await clinic.doctor(compact=True, dry_run=True)).check_up
    assert clinic.log.read_bytes() == before
    done = (await clinic.doctor(compact=True)).check_up
    assert planned is not None
    assert done is not None
    assert planned.compaction is not None
    assert done.compaction is not None
    assert done.compaction.report is not None
    assert planned.compaction.report == done.compaction.report
    after = clinic.log.read_bytes()
    assert (done.compaction.report.size_bytes_before, done.compaction.report.size_bytes_after) == (
        len(before),
        len(after),
    )
    assert len(after) < len(before) / 2
    assert fold(clinic.place.log()) == folded


async def test_a_damaged_log_is_not_compacted(clinic: Clinic) -> None:
    clinic.log.write_bytes(b"no event\n" + clinic.log.read_bytes())
    before = clinic.log.read_bytes()
    report = await clinic.doctor(compact=True, fix=True)
    assert report.exit_code == 3
    assert report.check_up is not None
    assert report.check_up.compaction is not None
    assert "grex.jsonl:1" in str(report.check_up.compaction.error)
    assert clinic.log.read_bytes() == before


async def test_options_that_mean_nothing_together_are_refused(clinic: Clinic) -> None:
    with pytest.raises(UsageError, match="--dry-run needs --fix or --compact"):
        await clinic.doctor(dry_run=True)
    with pytest.raises(UsageError, match="go with no PACK"):
        await clinic.doctor("other", keep_days=1)
    with pytest.raises(UsageError, match="--trash only lists"):
        await clinic.doctor(trash=True, fix=True)


def test_the_name_of_what_is_kept_is_one_that_a_sweep_knows(tmp_path: Path) -> None:
    trash = tmp_path / ".grex/trash"
    trash.mkdir(parents=True)
    for name in ("lockfile", "note", "torn-log", "somebody"):
        (trash / f"{name}-{utc_stamp()}.bin").touch()
    gone = anyio.run(Trash(Layout(tmp_path)).sweep, 0)
    assert sorted(name.rpartition("-")[0] for name in gone) == ["lockfile", "note", "torn-log"]
    assert [path.name.partition("-")[0] for path in trash.iterdir()] == ["somebody"]
    assert os.path.lexists(trash)
