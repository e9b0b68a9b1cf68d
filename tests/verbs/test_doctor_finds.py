"""What `grex doctor` finds and leaves to people: each told with its place and severity, and no byte of it changed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from grex.errors import ConfigError
from grex.fs import utc_stamp
from grex.git import MoveNote, observe
from grex.git.records import write_note
from grex.manifest import action_started_event, add_event, render_line
from grex.verbs.doctor import DoctorRequest, doctor
from grex.verbs.over import SwitchRequest, switch
from grex.workspace import TrustStore
from tests.support.clinic import Clinic
from tests.support.git_server import git
from tests.support.lock_holder import LockHolder
from tests.support.place import Place
from tests.support.workspace import pack_yaml

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """The loop makes no difference here; locks have their own tests on both."""
    return "asyncio"


def declare(clinic: Clinic, *more: dict[str, object], **keys: object) -> None:
    clinic.place.declare(*({"url": clinic.server.url(name)} for name in ("tool", "other", "dots")), *more, **keys)


def damaged_log(clinic: Clinic) -> None:
    lines = clinic.log.read_bytes().splitlines(keepends=True)
    clinic.log.write_bytes(b"".join([lines[0], b"{not json}\n", *lines[1:]]))


def newer_log(clinic: Clinic) -> None:
    with clinic.log.open("a") as log:
        log.write('{"op":"add","schema_version":"2"}\n')


def linked_log(clinic: Clinic) -> None:
    clinic.log.rename(clinic / "elsewhere.jsonl")
    clinic.log.symlink_to("elsewhere.jsonl")


def newer_lockfile(clinic: Clinic) -> None:
    clinic.lockfile.write_text(clinic.lockfile.read_text() + '{"v":2}\n')


def linked_lockfile(clinic: Clinic) -> None:
    clinic.lockfile.rename(clinic / "elsewhere.jsonl")
    clinic.lockfile.symlink_to("elsewhere.jsonl")


def no_lock_line(clinic: Clinic) -> None:
    clinic.lockfile.write_text("".join(clinic.lockfile.read_text().splitlines(keepends=True)[1:]))


def commit_of_tomorrow(clinic: Clinic) -> None:
    head = git(clinic / "other", "rev-parse", "HEAD").strip()
    clinic.lockfile.write_text(clinic.lockfile.read_text().replace(head, "f" * 40))


def refused_root(clinic: Clinic) -> None:
    clinic.yaml.write_text(clinic.yaml.read_text() + "colour: red\nsize: 3\n")


def refused_pack(clinic: Clinic) -> None:
    (clinic / "tool/.grex/pack.yaml").write_text('schema_version: "1"\nname: Tool\ntype: meta\n')


def unknown_type(clinic: Clinic) -> None:
    (clinic / "tool/.grex/pack.yaml").write_text(pack_yaml("tool", "cobol"))


def conflict(clinic: Clinic) -> None:
    declare(clinic, {"url": clinic.server.url("other"), "path": "tool/deps/inner"})


def cycle(clinic: Clinic) -> None:
    (clinic / "other/.grex").mkdir()
    children = [{"url": "../up/other.git", "path": "again"}]
    (clinic / "other/.grex/pack.yaml").write_text(pack_yaml("other", children=children))


def needs_nobody(clinic: Clinic) -> None:
    (clinic / "tool/.grex/pack.yaml").write_text(
        (clinic / "tool/.grex/pack.yaml").read_text() + "depends_on: [nobody]\n"
    )


def unused_override(clinic: Clinic) -> None:
    declare(clinic, overrides=[{"path": "nowhere", "ref": "v1"}])


def tracked_child(clinic: Clinic) -> None:
    blob = git(clinic.root, "hash-object", "-w", "--stdin", stdin=b"1\\n").strip()
    git(clinic.root, "update-index", "--add", "--cacheinfo", f"100644,{blob},other/o")


def tracked_log(clinic: Clinic) -> None:
    git(clinic.root, "add", "--force", "grex.jsonl")


def tracked_lock(clinic: Clinic) -> None:
    git(clinic / "tool", "add", "--force", ".grex-lock")


def not_cloned(clinic: Clinic) -> None:
    shutil.rmtree(clinic / "other")


def in_the_way(clinic: Clinic) -> None:
    shutil.rmtree(clinic / "other/.git")


def nobody_declares(clinic: Clinic) -> None:
    clinic.place.declare({"url": clinic.server.url("tool")}, {"url": clinic.server.url("dots")})


def misplaced(clinic: Clinic) -> None:
    declare(clinic, {"url": clinic.server.url("other"), "path": "out/other"})
    (clinic / "out").symlink_to(clinic.base)


def locked_git(clinic: Clinic) -> None:
    (clinic / "other/.git/index.lock").touch()


def other_repository(clinic: Clinic) -> None:
    shutil.rmtree(clinic / "other")
    git(clinic.root, "clone", "--quiet", clinic.server.url("inner"), "other")


def other_remote(clinic: Clinic) -> None:
    git(clinic / "other", "remote", "set-url", "origin", "https://user:secret@host.example/fork")


def no_record(clinic: Clinic) -> None:
    (clinic / "other/.git/grex/checkout.json").write_text("{")


def no_head(clinic: Clinic) -> None:
    (clinic / "other/.git/HEAD").write_text("nonsense\n")


def lost_alternates(clinic: Clinic) -> None:
    (clinic / "other/.git/objects/info").mkdir(exist_ok=True)
    (clinic / "other/.git/objects/info/alternates").write_text("/gone/objects\n")


def cut_off(clinic: Clinic) -> None:
    (clinic / "other/.git/shallow").write_text(git(clinic / "other", "rev-parse", "HEAD"))


def left_out(clinic: Clinic) -> None:
    git(clinic / "other", "config", "remote.origin.promisor", "true")


def missing_object(clinic: Clinic) -> None:
    blob = git(clinic / "other", "rev-parse", "HEAD:o").strip()
    for pack in (clinic / "other/.git/objects/pack").glob("*.pack"):
        data = pack.read_bytes()
        for old in pack.parent.glob(f"{pack.stem}.*"):
            old.unlink()
        git(clinic / "other", "unpack-objects", "-q", stdin=data)
    (clinic / "other/.git/objects" / blob[:2] / blob[2:]).unlink()


def fifo_for_a_lock(clinic: Clinic) -> None:
    (clinic / ".grex.sync.lock").unlink(missing_ok=True)
    os.mkfifo(clinic / ".grex.sync.lock")


def link_for_a_lock(clinic: Clinic) -> None:
    (clinic / ".other.grex-backend.lock").unlink(missing_ok=True)
    (clinic / ".other.grex-backend.lock").symlink_to("elsewhere")


def linked_manifest_lock(clinic: Clinic) -> None:
    (clinic / ".grex.jsonl.lock").unlink()
    (clinic / ".grex.jsonl.lock").symlink_to("elsewhere")


def bad_settings(clinic: Clinic) -> None:
    (clinic / ".grex/config.toml").write_text("[sync]\njobs = 0\n")


def bad_local(clinic: Clinic) -> None:
    (clinic / ".grex/local.yaml").write_text("overrides: 3\n")


def bad_trust(clinic: Clinic) -> None:
    file = TrustStore(clinic.place.settings().state_dir, clinic.root).path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("{")


def temporary_of_somebody(clinic: Clinic) -> None:
    (clinic / "tool/deps/.grex-tmp-mine").mkdir()


def unreadable_record(clinic: Clinic) -> None:
    (clinic / ".grex/trash").mkdir(exist_ok=True)
    (clinic / f".grex/trash/{utc_stamp()}.json").write_text("{")


def without_record(clinic: Clinic) -> None:
    (clinic / f".grex/trash/{utc_stamp()}/kept").mkdir(parents=True)


def linked_trash(clinic: Clinic) -> None:
    (clinic / ".grex/trash").symlink_to(clinic.base)


def linked_exclude(clinic: Clinic) -> None:
    (clinic / "other/.git/info/exclude").rename(clinic / "other/.git/info/mine")
    (clinic / "other/.git/info/exclude").symlink_to("mine")


CASES: list[tuple[Callable[[Clinic], None], str, str, str, int]] = [
    # what is done, the code, its severity, where, the exit code
    (damaged_log, "log-damaged", "error", "grex.jsonl:2", 3),
    (newer_log, "log-newer", "error", "grex.jsonl:{lines}", 3),
    (linked_log, "log-unreadable", "error", "grex.jsonl", 3),
    (newer_lockfile, "lockfile-newer", "error", "grex.lock.jsonl:5", 3),
    (linked_lockfile, "lockfile-unreadable", "error", "grex.lock.jsonl", 3),
    (no_lock_line, "lockfile-outdated", "note", "grex.lock.jsonl", 0),
    (commit_of_tomorrow, "commit-not-here", "note", "other", 0),
    (refused_root, "declarations", "error", ".grex/pack.yaml:8:1", 3),
    (refused_pack, "pack-yaml", "error", "tool/.grex/pack.yaml:2:7", 4),
    (unknown_type, "plugin", "error", "tool/.grex/pack.yaml:3:1", 8),
    (conflict, "conflict", "error", "tool/deps/inner", 4),
    (cycle, "cycle", "error", "other/again", 4),
    (needs_nobody, "declaration", "error", "tool", 4),
    (unused_override, "unused-override", "warning", "override of nowhere", 0),
    (tracked_child, "tracked-child", "error", "other", 4),
    (tracked_log, "tracked-file", "error", "grex.jsonl", 3),
    (tracked_lock, "tracked-file", "error", "tool/.grex-lock", 4),
    (not_cloned, "not-cloned", "note", "other", 0),
    (in_the_way, "in-the-way", "error", "other", 4),
    (nobody_declares, "undeclared", "note", "other", 0),
    (misplaced, "misplaced", "error", "out/other", 4),
    (locked_git, "git-lock", "warning", "other", 0),
    (other_repository, "other-repository", "error", "other", 4),
    (other_remote, "remote-url", "warning", "other", 0),
    (no_record, "unfinished", "warning", "other", 0),
    (no_head, "head-unreadable", "error", "other", 4),
    (lost_alternates, "alternates", "error", "other", 4),
    (cut_off, "shallow", "note", "other", 0),
    (left_out, "partial", "note", "other", 0),
    (missing_object, "objects", "error", "other", 4),
    (fifo_for_a_lock, "lock-file", "error", ".grex.sync.lock", 3),
    (link_for_a_lock, "lock-file", "error", ".other.grex-backend.lock", 4),
    (linked_manifest_lock, "lock-file", "error", ".grex.jsonl.lock", 3),
    (bad_settings, "configuration", "error", ".grex/config.toml:2:1", 2),
    (bad_trust, "trust", "error", "{trust}", 2),
    (bad_local, "configuration", "error", ".grex/local.yaml:1:12", 2),
    (temporary_of_somebody, "temporary-directory", "note", "tool/deps/.grex-tmp-mine", 0),
    (unreadable_record, "trash-record", "warning", ".grex/trash/{stamp}.json", 0),
    (without_record, "trash-unrecorded", "note", ".grex/trash/{stamp}", 0),
    (linked_trash, "trash-link", "error", ".grex/trash", 3),
    (linked_exclude, "exclude-unreadable", "error", "other/.git/info/exclude", 4),
]


@pytest.mark.parametrize(
    ("damage", "code", "severity", "subject", "exit_code"), [pytest.param(*one, id=one[0].__name__) for one in CASES]
)
async def test_what_only_a_person_can_settle_is_told_with_its_place_and_left(
    damage: Callable[[Clinic], None], code: str, severity: str, subject: str, exit_code: int, clinic: Clinic
) -> None:
    damage(clinic)
    before = clinic.everything()
    lines = len(clinic.log.read_text().splitlines()) if clinic.log.is_file() else 0
    stamps = [path.name.removesuffix(".json") for path in (clinic / ".grex/trash").glob("2*")]
    report = await clinic.doctor(objects=damage is missing_object)
    assert clinic.everything() == before
    found = [one for one in report.findings if one.code == code]
    assert found, [(one.code, one.text) for one in report.findings]
    assert found[0].severity == severity
    trust = TrustStore(clinic.place.settings().state_dir, clinic.root).path
    assert found[0].subject == subject.format(lines=lines, stamp=stamps[0] if stamps else "", trust=trust)
    assert found[0].fix is None
    assert found[0].why
    assert found[0].hint
    assert "secret" not in str(report.to_json())
    assert report.exit_code == exit_code, [(one.code, one.severity) for one in report.findings]


async def test_a_checkout_of_somebody_else_that_git_refuses_is_told_as_that(
    clinic: Clinic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not as interrupted: git looks at the owner first, so a move that it refused has touched nothing."""
    real = shutil.which("git")
    (tmp_path / "bin").mkdir()
    fake = tmp_path / "bin/git"
    fake.write_text(f'#!/bin/sh\nGIT_TEST_ASSUME_DIFFERENT_OWNER=1 exec {real} "$@"\n')
    fake.chmod(0o755)
    environ = {**clinic.place.defaults.environ, "PATH": f"{fake.parent}:{os.environ['PATH']}"}
    clinic.place.defaults = replace(clinic.place.defaults, environ=environ)
    monkeypatch.setattr(os, "geteuid", lambda: -1)
    request = SwitchRequest(root=clinic.root, packs=("other",), branch="mine", create=True)
    (switched,) = (await switch(request, clinic.place.settings())).packs
    assert "dubious ownership" in switched.text
    assert observe(clinic / "other").note is None
    write_note(clinic / "other/.git", MoveNote("checkout", "other", None, None, None))  # of an older grex
    report = await clinic.doctor()
    mine = [(one.code, one.severity) for one in report.findings if one.pack == "other"]
    assert (mine, report.exit_code) == ([("owner", "error")], 4)
    (found,) = [one for one in report.findings if one.pack == "other"]
    assert f"safe.directory {clinic / 'other'}" in (found.hint or "")


@pytest.mark.parametrize("damage", [damaged_log, newer_log, newer_lockfile, other_repository, no_head, locked_git])
async def test_a_fix_leaves_what_it_cannot_mend_byte_for_byte(damage: Callable[[Clinic], None], clinic: Clinic) -> None:
    damage(clinic)
    before = clinic.everything()
    await clinic.doctor(fix=True)
    assert clinic.everything() == before


async def test_everything_else_is_looked_at_and_mended_with_refused_settings(clinic: Clinic) -> None:
    bad_settings(clinic)
    user = ConfigError("/u/config.toml:1:2: no", details={"file": "/u/config.toml", "line": 1, "column": 2})
    clinic.place.defaults = replace(clinic.place.defaults, refused=(user,))
    clinic.log.unlink()
    report = await clinic.doctor(fix=True)
    assert [one.finding.code for one in report.check_up.mended] == ["log-lost"] if report.check_up else False
    found = [(one.code, one.subject, one.severity) for one in report.findings if one.severity == "error"]
    assert found == [
        ("configuration", "/u/config.toml:1:2", "error"),
        ("configuration", ".grex/config.toml:2:1", "error"),
    ]
    assert report.exit_code == 2
    assert (await clinic.doctor(trash=True)).notes == ("the defaults are in force: /u/config.toml:1:2: no",)


async def test_all_problems_of_a_file_are_told_at_once(clinic: Clinic) -> None:
    refused_root(clinic)
    found = [one.subject for one in (await clinic.doctor()).findings if one.code == "declarations"]
    assert found == [".grex/pack.yaml:8:1", ".grex/pack.yaml:9:1"]


async def test_many_bad_lines_are_counted_and_not_all_told(clinic: Clinic) -> None:
    clinic.log.write_bytes(b"no event\n" * 30)
    found = [one for one in (await clinic.doctor()).findings if one.code == "log-damaged"]
    assert len(found) == 21
    assert "10 further lines" in found[-1].text


async def test_with_a_damaged_log_nothing_else_is_mended(clinic: Clinic) -> None:
    """What is grex's and what is the user's, only the log knows."""
    damaged_log(clinic)
    write_note(clinic / "other/.git", MoveNote(op="fetch", pack="other"))
    before = clinic.everything()
    report = await clinic.doctor(fix=True)
    assert report.check_up is not None
    assert ["not all of the log can be read" in str(one.error) for one in report.check_up.mended] == [True]
    assert clinic.everything() == before
    assert report.exit_code == 3


async def test_objects_are_looked_for_only_where_that_is_asked(clinic: Clinic) -> None:
    missing_object(clinic)
    assert await clinic.codes() == []
    assert await clinic.codes(objects=True) == ["objects"]


async def test_a_record_that_a_dead_process_left_in_a_lock_file_is_only_a_note(clinic: Clinic) -> None:
    with LockHolder("workspace", clinic.root) as holder:
        assert holder.ask("take") == "held"
        holder.kill()
    report = await clinic.doctor()
    assert [(one.code, one.subject, one.severity) for one in report.findings] == [
        ("lock-record", ".grex.sync.lock", "note")
    ]
    assert report.exit_code == 0


async def test_what_another_run_is_doing_now_is_no_leftover(clinic: Clinic) -> None:
    """Its notes, brackets and half-written files are its own; only once it is gone they are told."""
    write_note(clinic / "other/.git", MoveNote(op="fetch", pack="other"))
    with clinic.log.open("ab") as log:
        log.write(render_line(action_started_event("dots", action="1", kind="symlink", run="other")))
    (clinic / ".grex/.grex-tmp-0123456789abcdef").touch()
    with LockHolder("workspace", clinic.root) as holder:
        assert holder.ask("take") == "held"
        assert await clinic.codes() == []
        assert holder.ask("release") == "ok"
    assert await clinic.codes() == ["interrupted-move", "open-bracket", "temporary-file"]


async def test_an_action_of_a_pack_that_is_held_now_is_no_leftover(clinic: Clinic) -> None:
    """`grex run` holds no workspace while it works."""
    with clinic.log.open("ab") as log:
        log.write(render_line(action_started_event("dots", action="1", kind="symlink", run="other")))
    with LockHolder("pack", clinic / "dots") as holder:
        assert holder.ask("take") == "held"
        assert await clinic.codes() == []
        assert holder.ask("release") == "ok"
    assert await clinic.codes() == ["open-bracket"]


async def test_a_log_that_names_places_outside_is_not_followed(clinic: Clinic, tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "victim")
    with clinic.log.open("ab") as log:
        for path in ("../victim", str(tmp_path / "victim"), "other/../../victim"):
            log.write(render_line(add_event(path, url="https://host.example/x", ref=None, owned=True)))
    report = await clinic.doctor(fix=True)
    assert "undeclared" not in [one.code for one in report.findings]


async def test_a_workspace_without_packs_or_records_is_healthy(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.declare()
    report = await doctor(DoctorRequest(root=place.root), replace(place.settings()))
    assert report.findings == ()
