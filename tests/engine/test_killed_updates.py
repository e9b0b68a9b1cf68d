"""An update that is killed before each change that it makes to the disk: the runs after it make everything whole.

The pack is the root's own, so nothing but actions and the log is at work, and each kill is a fork of this process
(`tests.support.dying`). For every single change the same is demanded:

- right after the kill everything of the user's is there once, and the log tells of the action that was begun (and of
  the one around it);
- a sync, and for a forced update another one, ends where an undisturbed update ends, with no bracket open; where the
  sync cannot, it says what to do, and loses nothing either;
- another sync and another update change nothing then;
- a teardown gives back what was there at first, and everything else as one after an undisturbed update does.
"""

from __future__ import annotations

import errno
import itertools
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from grex.builtin.backups import bring_back
from tests.builtin.test_properties import Action, pack_of
from tests.support.dying import Way, changes_of, die_before
from tests.support.life import FIRST_CHANGE, Kind, Life, Verb
from tests.support.sandbox import Snapshot, snapshot

USERS: dict[str, Kind] = {
    **dict.fromkeys(("link", "copy", "moved", "kept"), "file"),
    **dict.fromkeys(("moves", "old"), "directory"),
    "goes": "link",
}


def symlink(dst: str, src: str = "one", *, backup: bool = True) -> Action:
    return {"symlink": {"src": f"files/{src}", "dst": f"~/{dst}", "backup": backup}}


def copy(dst: str, src: str = "one", *, backup: bool = True) -> Action:
    return {"copy": {"src": f"files/{src}", "dst": f"~/{dst}", "backup": backup}}


def env(value: str) -> Action:
    return {"env": {"name": "ONE", "value": value}}


def switch(name: str) -> Action:
    """A command with an undo."""
    return {"exec": {"cmd": ["touch", f"$HOME/{name}"], "undo": ["rm", "-f", f"$HOME/{name}"]}}


def when(condition: str, *actions: Action) -> Action:
    return {"when": {condition: [{"path_exists": "~/later"}], "actions": list(actions)}}


@dataclass(frozen=True)
class Case:
    """What is installed, what the pack.yaml says afterwards, and what the user does in between."""

    first: list[Action]
    second: list[Action]
    verb: Verb = "update"
    meanwhile: Callable[[Life], None] = lambda life: None


def by_hand(*names: str) -> Callable[[Life], None]:
    """The user puts a file of their own in the place of what was installed, and edits the block, if there is one."""

    def change(life: Life) -> None:
        for name in names:
            life.put(name, "file", 0o600)
        rc = life.home / ".bashrc"
        if b"'x'" in rc.read_bytes():
            rc.write_bytes(rc.read_bytes().replace(b"'x'", b"'by hand'"))

    return change


OLD = [{"mkdir": {"path": "~/made/deep"}}, symlink("link"), symlink("moves"), symlink("goes"), copy("copy"), env("x")]
NEW: list[Action] = [
    {"mkdir": {"path": "~/made/deep"}},
    symlink("link", "two"),
    symlink("moved"),
    copy("copy", "two"),
    env("y"),
    {"rmdir": {"path": "~/old", "backup": True}},
    {"mkdir": {"path": "~/more/deep", "mode": "0700"}},
    switch("on too"),
]
FREE: list[Action] = [
    {"mkdir": {"path": "~/free"}},
    symlink("free link", backup=False),
    copy("free copy", backup=False),
    env("x"),
]
EITHER = [
    when("none_of", symlink("link"), copy("kept"), switch("on")),
    when("all_of", copy("copy"), symlink("moved"), switch("on too")),
]

CASES = {
    "another version": Case([*OLD, switch("on")], NEW),
    "other kinds in the same places": Case([symlink("link"), copy("copy")], [copy("link"), symlink("copy")]),
    "by force, over what has a backup": Case(
        OLD[:-1], OLD[:-1], "force", by_hand("link", "copy", "moves", "made/deep")
    ),
    "by force, over what has none": Case(FREE, FREE, "force", by_hand("free", "free link", "free copy")),
    "a condition that holds no more": Case(EITHER, EITHER, "force", lambda life: life.put("later", "file")),
}


class Prepared:
    """A home and a workspace right before the update; every round begins with a copy of them, in the same place."""

    def __init__(self, case: Case, base: Path) -> None:
        self.case, self._base, self._template = case, base / "place", base / "template"
        self.life = Life(self._base)
        for name, kind in USERS.items():
            self.life.put(name, kind, 0o640)
        (self.life.home / ".bashrc").write_text("the user's, without a newline")
        self.start = snapshot(self.life.home)
        self.life.declare(pack_of(case.first))
        assert not self.life.run("sync")
        case.meanwhile(self.life)
        self.life.declare(pack_of(case.second))
        self._marks = list(self.life.marks)
        shutil.copytree(self._base, self._template, symlinks=True)

    def update(self) -> None:
        errors = self.life.run(self.case.verb)
        assert not errors

    def begin(self) -> Life:
        for directory in (self.life.root, self.life.home):  # themselves they stay: trust is bound to the very directory
            for path in directory.iterdir():
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink()
            shutil.copytree(self._template / directory.name, directory, symlinks=True, dirs_exist_ok=True)
        self.life.marks = list(self._marks)
        return self.life


def state(life: Life) -> list[Any]:
    """The home: backups without the time in their names, and what was made now without its own."""
    found = []
    for name, facts in snapshot(life.home).items():
        head, mark, rest = name.partition(".grex-bak.")
        inside = "/" + rest.partition("/")[2] if "/" in rest else ""
        is_users = facts[0] == "file" and bytes(facts[3]).startswith(b"the user's") and name != ".bashrc"  # type: ignore[call-overload]
        found.append((f"{head}{mark}{inside}", facts if is_users or facts[0] != "file" else (facts[1], facts[3])))
    return sorted(found, key=repr)


def check(prepared: Prepared, expected: list[Any], end: list[Any]) -> None:
    """What has to hold after a kill."""
    life, verb = prepared.life, prepared.case.verb
    life.check_marks()
    begun = life.open_brackets()
    assert all(inner.startswith(f"{outer}.") for outer, inner in itertools.pairwise(begun)), begun
    refusals = life.run("sync")
    life.check_marks()
    if verb == "force":
        assert all(error.hint for error in refusals)
        prepared.update()
        life.check_marks()
    else:
        assert not refusals
    assert state(life) == expected
    assert life.open_brackets() == []
    before = snapshot(life.home)
    assert not life.run("sync")
    assert not life.run("update")
    assert snapshot(life.home) == before
    assert not life.run("teardown")
    assert state(life) == end
    check_start(prepared)


def check_start(prepared: Prepared) -> None:
    """Insist that what was there at first is there, to the byte and the nanosecond."""
    now: Snapshot = snapshot(prepared.life.home)
    assert {name: now.get(name) for name in prepared.start} == prepared.start
    prepared.life.check_marks()


def test_what_a_teardown_could_not_take_back_is_not_forgotten_for_what_it_could(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One action has made two links, as its pack.yaml has changed, and the backup of the newer cannot come back."""
    life = Life(tmp_path)
    for name in ("link", "moved"):
        life.put(name, "file")
    start = snapshot(life.home)
    for name in ("link", "moved"):
        life.declare(pack_of([symlink(name)]))
        assert not life.run("update")

    def refuse(backup: Path, path: Path, ctx: object) -> None:
        if path.name == "moved":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        bring_back(backup, path, ctx)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr("grex.builtin.actions.symlink.bring_back", refuse)
        (error,) = life.run("teardown")
        assert "moved" in error.message
    life.check_marks()
    assert not life.run("teardown")
    assert snapshot(life.home) == start


def test_a_forced_update_that_fails_forgets_no_backup_of_one_that_was_killed(tmp_path: Path) -> None:
    """Killed with the user's file moved aside, and followed by a run that makes the directory anew and then fails."""
    life = Life(tmp_path)
    made: Action = {"mkdir": {"path": "~/made"}}
    life.declare(pack_of([made]))
    assert not life.run("sync")
    life.put("made", "file", 0o600)
    start = snapshot(life.home)
    die_before(lambda: life.run("force"), 3, since=FIRST_CHANGE)
    assert not (life.home / "made").exists()
    life.declare(pack_of([made, {"require": {"all_of": [{"path_exists": "~/nowhere"}]}}]))
    assert life.run("sync")
    life.check_marks()
    life.declare(pack_of([made]))
    assert not life.run("sync")
    assert (life.home / "made").is_dir()
    assert not life.run("teardown")
    assert snapshot(life.home) == start


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "way"),
    [
        *((name, "whole") for name in CASES),
        *(pytest.param(name, "torn", marks=pytest.mark.exhaustive) for name in CASES),
    ],
)
def test_an_update_killed_at_any_change_is_made_whole(
    name: str, way: Way, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda fd: None)
    prepared = Prepared(CASES[name], tmp_path)
    changes = changes_of(prepared.update, since=FIRST_CHANGE)
    expected = state(prepared.life)
    prepared.life.check_marks()
    assert not prepared.life.run("teardown")
    end = state(prepared.life)
    check_start(prepared)
    for nth, change in enumerate(changes, 1):
        if way == "torn" and change != "write":
            continue
        prepared.begin()
        die_before(prepared.update, nth, since=FIRST_CHANGE, way=way)
        try:
            check(prepared, expected, end)
        except AssertionError as error:
            error.add_note(f"killed before change {nth} of {len(changes)}, a {change}, of: {' '.join(changes)}")
            raise
