"""An install or a teardown that is killed at a step, also between the two halves of a backup: nothing is ever lost.

The hazard is a state that the next run does not understand: a file of the user's that was moved aside and not yet
replaced, an undo that was done and not yet recorded. Each test kills one real `grex` by SIGKILL at one step
(`tests.support.die_at`) and then goes one of the ways that a user would go:

- another teardown: the home is as it was before the first install, byte for byte;
- a sync: everything is installed, and a teardown after it still gives everything back.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from grex.manifest import Log, fold
from tests.e2e.test_kill_at_each_step import die_at, name
from tests.support.crash_scenario import folded
from tests.support.git_server import GitServer
from tests.support.workspace import Workspace, pack_yaml

BEFORE_AND_AFTER = ("before", "after")
RC = "grex.builtin.actions.symlink:"
Step = tuple[str, str, int]


def around(appends: int) -> list[Step]:
    """Every step of grex ends or begins with an append to the log, of which there are so many."""
    whole = [("grex.manifest.log:Log.append", when, nth) for nth in range(1, appends + 1) for when in BEFORE_AND_AFTER]
    return [*whole, *(("grex.manifest.log:_write", "torn", nth) for nth in (1, 2, 5, appends))]


# One pack whose actions are mkdir, symlink over a file, symlink over a directory, and exec with an undo.
INSTALL: list[Step] = [
    *around(9),
    (f"{RC}make_missing", "after", 1),
    # The moment between the rename and the link: the user's file has only its backup's name.
    *((f"{RC}move_aside", "after", nth) for nth in (1, 2)),
]
TEARDOWN: list[Step] = [
    *around(10),
    # The link is gone, and the user's file still has its backup's name.
    *((f"{RC}bring_back", "before", nth) for nth in (1, 2)),
    (f"{RC}remove_made", "before", 1),
]


class Home:
    """A workspace with one pack that takes the place of things of the user's."""

    def __init__(self, base: Path) -> None:
        self.server = server = GitServer(base / "server")
        self.workspace = Workspace(base)
        self.workspace.environ["GREX_TRUST"] = server.root.as_uri()
        home = self.workspace.home
        (home / ".rc").write_text("the user's\n")
        (home / ".rc").chmod(0o640)
        (home / ".conf").mkdir(mode=0o700)
        (home / ".conf/inner").write_text("the user's as well\n")
        flag = home / "switched-on"
        actions = [
            {"mkdir": {"path": "~/made/deep"}},
            {"symlink": {"src": "rc", "dst": "~/.rc", "backup": True}},
            {"symlink": {"src": "conf", "dst": "~/.conf", "backup": True}},
            {"exec": {"cmd": ["touch", str(flag)], "undo": ["rm", "-f", str(flag)]}},
        ]
        files = {".grex/pack.yaml": pack_yaml("dots", "declarative", actions=actions)}
        server.create("dots", files | {"rc": "the pack's\n", "conf/inner": "the pack's\n"})
        self.workspace.declare({"url": server.url("dots")})
        self.workspace.sync("--no-install")
        self.before = self.state()

    def state(self) -> dict[str, Any]:
        """The user's files: what they hold, their modes, and when they were written."""
        found = self.workspace.snapshot(times=True, roots=[self.workspace.home])
        home = f"{self.workspace.home.name}/"
        below = {path.removeprefix(home): facts for path, facts in found.items() if path.startswith(home)}
        # What stands in it comes and goes.
        return {path: facts for path, facts in below.items() if not path.startswith(("state", "cache", "config"))}

    def check_installed(self) -> None:
        """Insist that everything is in effect, and that no bracket is open."""
        home, pack = self.workspace.home, self.workspace / "dots"
        assert (home / ".rc").readlink() == pack / "rc"
        assert (home / ".conf").readlink() == pack / "conf"
        assert (home / "made/deep").is_dir()
        assert (home / "switched-on").exists()
        # A torn line is healed by the next append, and a sync that finds everything in effect appends nothing.
        record = fold(Log(self.workspace.log, self.workspace / ".grex/trash").read().events).packs["dots"]
        assert record.installed is not None
        assert record.open_brackets == ()

    def check_gone(self) -> None:
        """Insist that the home is as it was, and that the log has nothing more to take back."""
        assert self.state() == self.before
        record = folded(self.workspace).packs["dots"]
        assert (record.installed, record.open_brackets, record.completed) == (None, (), ())

    def check_every_byte_is_somewhere(self) -> None:
        """Insist that the user's files are there, under their own name or that of a backup."""
        for here, text in ((".rc", "the user's\n"), (".conf", "the user's as well\n")):
            places = [path for path in self.workspace.home.glob(f"{here}*") if not path.is_symlink()]
            texts = [(path / "inner" if path.is_dir() else path).read_text() for path in places]
            assert texts == [text]

    def check_brackets(self) -> None:
        """Insist that the log tells of everything that was begun, in pairs, but for what was being done at the end."""
        is_open: set[tuple[str, str, str]] = set()
        for line in self.workspace.log.read_bytes().split(b"\n"):
            try:
                event = json.loads(line)
            except ValueError:
                continue  # the torn end
            if not event["op"].startswith("action_"):
                continue
            key = (event["run"], event["action"], event["phase"])
            assert (key in is_open) == (event["op"] != "action_started")
            (is_open.add if event["op"] == "action_started" else is_open.remove)(key)
        assert len(is_open) <= 1


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.mark.exhaustive
@pytest.mark.parametrize("step", INSTALL, ids=name)
def test_an_install_killed_at_a_step_can_be_taken_back_whole(home: Home, step: Step) -> None:
    die_at(home.workspace, step, "sync", "--jobs", "1")
    home.check_every_byte_is_somewhere()
    home.check_brackets()
    home.workspace.grex("teardown")
    assert home.state() == home.before
    home.workspace.sync()
    home.check_installed()
    home.workspace.grex("teardown")
    home.check_gone()


@pytest.mark.slow
@pytest.mark.parametrize("step", INSTALL, ids=name)
def test_an_install_killed_at_a_step_is_completed_by_a_sync_and_then_taken_back_whole(home: Home, step: Step) -> None:
    die_at(home.workspace, step, "sync", "--jobs", "1")
    home.workspace.sync()
    home.check_installed()
    home.check_every_byte_is_somewhere()
    home.workspace.grex("teardown")
    home.check_gone()


@pytest.mark.slow
@pytest.mark.parametrize("step", TEARDOWN, ids=name)
def test_a_teardown_killed_at_a_step_is_finished_by_another_one(home: Home, step: Step) -> None:
    home.workspace.sync()
    die_at(home.workspace, step, "teardown", "--jobs", "1")
    home.check_every_byte_is_somewhere()
    home.check_brackets()
    home.workspace.grex("teardown")
    home.check_gone()
    home.workspace.sync()
    home.check_installed()


@pytest.mark.exhaustive
@pytest.mark.parametrize("step", TEARDOWN, ids=name)
def test_after_a_teardown_killed_at_a_step_a_sync_installs_again_and_nothing_is_lost(home: Home, step: Step) -> None:
    home.workspace.sync()
    die_at(home.workspace, step, "teardown", "--jobs", "1")
    home.workspace.sync()
    home.check_installed()
    home.check_every_byte_is_somewhere()
    home.workspace.grex("teardown")
    home.check_gone()


@pytest.mark.slow
@pytest.mark.parametrize(
    "step",
    [
        ("grex.git.checkout:remove_note", "before", 1),  # the checkout is new, and all that is installed is old
        (f"{RC}replace_link", "after", 1),
        (f"{RC}move_aside", "after", 1),
    ],
    ids=name,
)
def test_an_update_to_other_actions_killed_at_a_step_is_completed_by_a_sync_and_then_taken_back_whole(
    home: Home, step: Step
) -> None:
    """With a real upstream; `tests/engine/test_killed_updates` kills such an update before every single change."""
    user = home.workspace.home
    (user / ".new").write_text("the user's, too\n")
    home.before = home.state()
    home.workspace.sync()
    actions = [
        {"symlink": {"src": "rc-2", "dst": "~/.rc", "backup": True}},
        {"symlink": {"src": "conf", "dst": "~/.new", "backup": True}},
    ]
    home.server.commit("dots", {".grex/pack.yaml": pack_yaml("dots", "declarative", actions=actions), "rc-2": "2\n"})
    die_at(home.workspace, step, "update", "--jobs", "1")
    home.check_every_byte_is_somewhere()
    home.check_brackets()
    home.workspace.sync()
    assert (user / ".rc").readlink() == home.workspace / "dots/rc-2"
    assert (user / ".new").readlink() == home.workspace / "dots/conf"
    assert [path.read_text() for path in user.glob(".new.grex-bak.*")] == ["the user's, too\n"]
    installed = home.state()
    assert {pack["status"] for pack in home.workspace.grex("update", "--json").packs.values()} == {"unchanged"}
    assert home.state() == installed
    home.workspace.grex("teardown")
    home.check_gone()
