"""`grex add` that fails, or is stopped, between the clone and the declaration: nothing is left, or it is said what.

The moments are events of the run itself: the sink is called in the middle of it.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import anyio
import pytest

from grex.engine import withdrawal
from grex.errors import ConfigError, GrexError, LockBusyError, LockTimeoutError, ManifestError
from grex.fs import move_to_trash
from grex.manifest import CloneNote, timestamp, write_note
from grex.progress import Event, Slice
from grex.verbs.add import AddRequest, add
from grex.workspace import TrustStore
from tests.support.git_server import GitServer, git
from tests.support.place import Place, by_path

pytestmark = pytest.mark.anyio

Then = Callable[[], object]


@pytest.fixture
def ready(place: Place, server: GitServer) -> Place:
    server.create("tool", {"t": "1\n", ".gitignore": "built\n"})
    place.declare()
    return place


class Busy:
    """Makes the manifest busy, as another process would, and free again."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._fd = -1

    def __call__(self) -> None:
        self._fd = os.open(self._file, os.O_RDWR | os.O_CLOEXEC)
        fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def end(self) -> None:
        """Give it up."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


@pytest.fixture
def busy(ready: Place) -> Generator[Busy]:
    """Called: the manifest is busy from then on."""
    made = Busy(ready / ".grex.jsonl.lock")
    yield made
    made.end()


def cloned(event: Event) -> bool:
    """The clone is complete; nothing is in its place yet."""
    return isinstance(event, Slice) and event.category == "git" and "clone" in str(event.args["argv"]).split()


def logged(event: Event) -> bool:
    """The clone is in its place and in the log, and the manifest is free again; it is not declared yet."""
    return isinstance(event, Slice) and event.name == "PACK (network)" and event.track.endswith("tool")


async def added(
    ready: Place, server: GitServer, path: str, when: Callable[[Event], bool], then: Then, **how: Any
) -> None:
    """`grex add`, in the middle of which something happens."""
    happened: list[Event] = []

    def sink(event: Event) -> None:
        if not happened and when(event):
            happened.append(event)
            then()

    try:
        settings = ready.settings(sink=sink, **how)
        await add(AddRequest(ready.root, server.url("tool"), path, trust_url=True), settings)
    finally:
        assert happened, "the moment never came"


def everything(ready: Place) -> list[str]:
    """What is there but the locks of the workspace, the log, and the directory for notes."""
    kept = (".grex.sync.lock", ".grex.jsonl.lock", "grex.jsonl", ".grex/state")
    paths = sorted(str(path.relative_to(ready.root)) for path in ready.root.rglob("*"))
    return [path for path in paths if path not in kept]


NOTHING = [".grex", ".grex/pack.yaml"]


@pytest.mark.parametrize("when", [cloned, logged])
@pytest.mark.parametrize("path", ["tool", "deep/down/tool"])
@pytest.mark.parametrize(
    ("how", "error"), [({"no_wait": True}, LockBusyError), ({"lock_timeout_s": 0.01}, LockTimeoutError)]
)
async def test_a_busy_manifest_leaves_nothing(
    ready: Place,
    server: GitServer,
    busy: Busy,
    when: Callable[[Event], bool],
    path: str,
    how: dict[str, Any],
    error: type[GrexError],
) -> None:
    before = (ready / ".grex/pack.yaml").read_bytes()
    with pytest.raises(error) as caught:
        await added(ready, server, path, when, busy, **how)
    assert everything(ready) == NOTHING
    assert (ready / ".grex/pack.yaml").read_bytes() == before
    assert "left there" not in (caught.value.hint or "")
    assert TrustStore(ready.defaults.state_dir, ready.root).prefixes() == ()


async def test_nobody_hears_of_it_later(ready: Place, server: GitServer, busy: Busy) -> None:
    with pytest.raises(LockBusyError):
        await added(ready, server, "tool", logged, busy, no_wait=True)
    busy.end()
    for _ in range(2):
        report = await ready.sync()
        assert (report.recovered, report.undeclared, report.packs) == ((), (), ())
    assert (await ready.status()).packs == ()


async def test_a_cancelled_wait_for_the_manifest_leaves_nothing(ready: Place, server: GitServer, busy: Busy) -> None:
    with anyio.CancelScope() as scope:

        def then() -> None:
            busy()
            scope.cancel()

        await added(ready, server, "deep/tool", logged, then)
    assert scope.cancelled_caught
    assert everything(ready) == NOTHING


async def test_a_declaration_that_cannot_be_written_leaves_nothing(ready: Place, server: GitServer) -> None:
    text = ready / ".grex/pack.yaml"

    def link() -> None:
        text.rename(ready / ".grex/real.yaml")
        text.symlink_to("real.yaml")

    with pytest.raises(ManifestError, match="symbolic link"):
        await added(ready, server, "tool", logged, link)
    assert everything(ready) == [".grex", ".grex/pack.yaml", ".grex/real.yaml"]
    assert TrustStore(ready.defaults.state_dir, ready.root).prefixes() == ()


async def test_a_trust_file_that_cannot_be_written_leaves_nothing_and_declares_nothing(
    ready: Place, server: GitServer
) -> None:
    with pytest.raises(ConfigError, match="the trust file"):
        await added(ready, server, "tool", logged, lambda: ready.defaults.state_dir.write_text("no directory"))
    assert everything(ready) == NOTHING
    assert "tool" not in (ready / ".grex/pack.yaml").read_text()


WORK: dict[str, Callable[[Path], object]] = {
    "an edit": lambda pack: (pack / "t").write_text("mine\n"),
    "a new file": lambda pack: (pack / "mine").write_text("mine\n"),
    "an ignored file": lambda pack: (pack / "built").write_text("mine\n"),
    "a commit": lambda pack: git(pack, "commit", "--quiet", "--allow-empty", "-m", "mine"),
    "a branch": lambda pack: git(pack, "switch", "--quiet", "-c", "mine"),
    "a merge": lambda pack: (pack / ".git/MERGE_HEAD").write_text(git(pack, "rev-parse", "HEAD") + "\n"),
}


@pytest.mark.parametrize("work", WORK)
async def test_work_that_somebody_began_in_the_clone_stays_and_is_named(
    ready: Place, server: GitServer, busy: Busy, work: str
) -> None:
    """The hazard: the clone is in sight for a moment, and an editor or a build may have found it."""

    def then() -> None:
        WORK[work](ready / "tool")
        busy()

    with pytest.raises(LockBusyError) as caught:
        await added(ready, server, "tool", logged, then, no_wait=True)
    assert caught.value.hint is not None
    assert caught.value.hint.startswith(
        "tool is cloned but not declared, and was left there: somebody has worked in it meanwhile."
    )
    assert (ready / "tool/.git").is_dir()
    assert not (ready / ".grex/trash").exists()


async def test_work_that_comes_with_the_last_look_goes_to_the_trash_and_is_named(
    ready: Place, server: GitServer, busy: Busy, monkeypatch: pytest.MonkeyPatch
) -> None:
    def late(path: Path, trash_dir: Path, label: str) -> Path:
        (path / "late").write_text("mine\n")
        return move_to_trash(path, trash_dir, label)

    monkeypatch.setattr(withdrawal, "move_to_trash", late)
    with pytest.raises(LockBusyError) as caught:
        await added(ready, server, "tool", logged, busy, no_wait=True)
    (kept,) = ready.root.glob(".grex/trash/*/tool/late")
    assert kept.read_text() == "mine\n"
    assert str(kept.parent.relative_to(ready.root)) in (caught.value.hint or "")


async def test_a_directory_that_was_there_before_stays_with_the_clone_and_that_is_said(
    ready: Place, server: GitServer, busy: Busy
) -> None:
    (ready / "tool").mkdir()
    with pytest.raises(LockBusyError) as caught:
        await added(ready, server, "tool", logged, busy, no_wait=True)
    assert "tool is cloned but not declared, and was left there: its directory was there before." in (
        caught.value.hint or ""
    )


async def test_a_checkout_of_the_users_own_is_never_taken_away(ready: Place, server: GitServer, busy: Busy) -> None:
    git(ready.root, "clone", "--quiet", server.url("tool"), "tool")
    with pytest.raises(LockBusyError):
        await added(ready, server, "tool", logged, busy, no_wait=True)
    assert (ready / "tool/t").read_text() == "1\n"


async def test_what_fails_after_the_declaration_says_that_it_is_declared(
    ready: Place, server: GitServer, busy: Busy
) -> None:
    declared: list[Event] = []

    def second(event: Event) -> bool:
        declared.extend([event] if logged(event) else [])
        return len(declared) == 2

    with pytest.raises(LockBusyError) as caught:
        await added(ready, server, "tool", second, busy, no_wait=True)
    assert (caught.value.hint or "").startswith("tool is cloned and declared; `grex sync` does the rest. ")
    assert "tool" in (ready / ".grex/pack.yaml").read_text()


async def test_a_failed_clone_leaves_not_even_its_lock_file(ready: Place, server: GitServer) -> None:
    with pytest.raises(GrexError):
        await add(AddRequest(ready.root, server.url("never-made"), "x"), ready.settings())
    assert everything(ready) == NOTHING


async def test_a_pack_that_was_removed_by_hand_is_not_called_undeclared(ready: Place, server: GitServer) -> None:
    ready.declare({"url": server.url("tool")})
    assert by_path(await ready.sync())
    ready.declare()
    assert (await ready.sync()).undeclared == ("tool",)
    (ready / "tool").rename(ready.root.parent / "gone")
    assert (await ready.sync()).undeclared == ()


async def test_a_clone_that_a_kill_left_undeclared_is_told_by_the_next_sync_and_not_by_the_one_after_it(
    ready: Place, server: GitServer
) -> None:
    """Killed between the clone's commit point and the log: the checkout is complete, and only its note knows of it."""
    ready.declare({"url": server.url("tool")})
    await ready.sync()
    ready.declare()
    (ready / "grex.jsonl").unlink()
    (ready / "grex.lock.jsonl").unlink()
    entries = ("t", ".gitignore", ".git")
    state = CloneNote("0123456789ab", "tool", ".grex-tmp-0123456789ab", "tool", "x", None, entries, timestamp())
    write_note(ready / ".grex/state", state)
    report = await ready.sync()
    assert report.recovered == ("tool: finished an interrupted clone",)
    assert report.undeclared == ("tool",)
