"""The cache of objects that workspaces share: what it saves, that nothing depends on it, and what if it breaks."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import socketserver
import subprocess
import sys
import threading
from collections.abc import Generator
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from grex.git.mirror import list_mirrors, mirror_for, read_mirror, take_over
from grex.locks import MirrorLock
from grex.names import Rewrite, Rewrites, parse_url
from grex.progress import Slice
from grex.verbs.sync import PackReport
from tests.support.dying import run_until
from tests.support.git_server import GitServer, git
from tests.support.place import Place, by_path

MIB = 1 << 20


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GitServer:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Test")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "test@example.invalid")
    server = GitServer(tmp_path / "server")
    server.create("lib", {"f": "1", "dir/g": "g"})
    return server


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def place(tmp_path: Path, name: str, server: GitServer, cache: Path | None, **declared: Any) -> Place:
    found = Place(tmp_path / name, cache_dir=cache)
    found.declare({"url": server.url("lib"), **declared})
    return found


def sync(found: Place, **request: Any) -> PackReport:
    return by_path(anyio.run(partial(found.sync, **request)))["lib"]


def commands(found: Place, verb: str) -> list[str]:
    """What git commands of a verb were about, in order."""
    told = [
        str(event.args["argv"])
        for event in found.seen.events
        if isinstance(event, Slice) and event.name == f"git {verb}"
    ]
    found.seen.events.clear()
    return told


def whole(checkout: Path) -> None:
    """A checkout that stands on its own."""
    assert not (checkout / ".git/objects/info/alternates").exists()
    assert git(checkout, "fsck", "--full", "--strict") == ""
    assert git(checkout, "status", "--porcelain") == ""


def mirror_of(server: GitServer, cache: Path) -> Path:
    return mirror_for(cache, parse_url(server.url("lib")))


class Wire(socketserver.ThreadingTCPServer):
    """A host of `git://`, which counts the bytes that it sends."""

    daemon_threads = True
    sent = 0


class Serving(socketserver.BaseRequestHandler):
    """Runs `git upload-pack` for one connection."""

    def handle(self) -> None:
        first = self.request.recv(int(self.request.recv(4, socket.MSG_WAITALL), 16) - 4, socket.MSG_WAITALL)
        command, _, *extra = first.split(b"\0")
        protocol = next((word for word in extra if word.startswith(b"version=")), b"").decode()
        with subprocess.Popen(
            ["git", "upload-pack", command.partition(b" ")[2].decode()],
            stdin=self.request.fileno(),
            stdout=subprocess.PIPE,
            env={**os.environ, "GIT_PROTOCOL": protocol},
        ) as served:
            assert served.stdout is not None
            while piece := os.read(served.stdout.fileno(), 1 << 16):
                self.request.sendall(piece)
                assert isinstance(self.server, Wire)
                self.server.sent += len(piece)


@pytest.fixture
def wire() -> Generator[Wire]:
    with Wire(("127.0.0.1", 0), Serving) as serving:
        thread = threading.Thread(target=serving.serve_forever)
        thread.start()
        yield serving
        serving.shutdown()
        thread.join()


def test_a_second_workspace_moves_next_to_nothing_and_depends_on_nothing(
    tmp_path: Path, server: GitServer, cache: Path, wire: Wire
) -> None:
    server.commit("lib", {"big": os.urandom(2 * MIB)})
    url = f"git://127.0.0.1:{wire.server_address[1]}{server.path('lib')}"
    sent = []
    for name in ("one", "two"):
        found = Place(tmp_path / name, cache_dir=cache)
        found.declare({"url": url, "path": "lib"})
        before = wire.sent
        assert sync(found).status == "cloned"
        sent.append(wire.sent - before)
    assert sent[0] > 2 * MIB
    assert sent[1] < sent[0] / 100
    shutil.rmtree(cache)
    for name in ("one", "two"):
        whole(tmp_path / name / "ws/lib")
    packs = list((tmp_path / "two/ws/lib/.git/objects/pack").glob("*.pack"))
    assert all(path.stat().st_nlink >= 2 for path in packs)  # the same bytes on the disk as in the first one


def with_submodule(server: GitServer, url: str, *, size_bytes: int = 1 << 10) -> None:
    """`lib` has the submodule `sub`, of another repository, which stands in its `.gitmodules` with that URL."""
    server.create("sub", {"s": "1", "big": os.urandom(size_bytes)})
    work = server.work("lib")
    git(work, "-c", "protocol.file.allow=always", "submodule", "add", "--quiet", server.url("sub"), "sub")
    git(work, "config", "--file", ".gitmodules", "submodule.sub.url", url)
    git(work, "commit", "--quiet", "-am", "submodule")
    git(work, "push", "--quiet")


def whole_with_submodule(checkout: Path) -> None:
    whole(checkout)
    assert (checkout / "sub/s").read_text() == "1"
    git_dir = checkout / ".git/modules/sub"
    assert not (git_dir / "objects/info/alternates").exists()
    assert git(checkout / "sub", "fsck", "--full", "--strict") == ""
    assert not (checkout / ".git/grex/lent-objects").exists()


def test_a_second_workspace_moves_next_to_nothing_of_a_submodule_and_depends_on_nothing(
    tmp_path: Path, server: GitServer, cache: Path, wire: Wire
) -> None:
    with_submodule(server, "../sub.git", size_bytes=5 * MIB)
    url = f"git://127.0.0.1:{wire.server_address[1]}{server.path('lib')}"
    sent = []
    for name in ("one", "two"):
        found = Place(tmp_path / name, cache_dir=cache)
        found.declare({"url": url, "path": "lib", "submodules": True})
        before = wire.sent
        assert sync(found).notes == ("brought 1 submodule",)
        sent.append(wire.sent - before)
    assert 5 * MIB < sent[0] < 6 * MIB
    assert sent[1] < sent[0] / 100
    shutil.rmtree(cache)
    for name in ("one", "two"):
        whole_with_submodule(tmp_path / name / "ws/lib")
    packs = list((tmp_path / "two/ws/lib/.git/modules/sub/objects/pack").glob("*.pack"))
    assert all(path.stat().st_nlink >= 2 for path in packs)


def test_what_a_mirror_lacks_of_a_submodule_is_brought_and_learnt(
    tmp_path: Path, server: GitServer, cache: Path
) -> None:
    with_submodule(server, "../sub.git")
    sync(place(tmp_path, "one", server, cache, submodules=True))
    tip = server.commit("sub", {"s": "2"})
    git(server.work("lib") / "sub", "pull", "--quiet", "origin", "main")
    git(server.work("lib"), "commit", "--quiet", "-am", "newer")
    git(server.work("lib"), "push", "--quiet")
    second = place(tmp_path, "two", server, cache, submodules=True)
    assert sync(second).notes == ("brought 1 submodule",)
    assert (second / "lib/sub/s").read_text() == "2"
    mirror = mirror_for(cache, parse_url(server.url("sub")))
    assert tip in git(mirror, "show-ref")
    assert read_mirror(mirror) is not None
    shutil.rmtree(cache)
    assert git(second / "lib/sub", "fsck", "--full", "--strict") == ""


def test_a_submodule_goes_past_the_cache_where_it_wants_less_or_is_a_directory_that_the_network_names(
    tmp_path: Path, server: GitServer, cache: Path, wire: Wire
) -> None:
    with_submodule(server, server.url("sub"))
    found = place(tmp_path, "one", server, cache, submodules=True, depth=1)
    assert sync(found).notes == ("brought 1 submodule",)
    assert not cache.exists()
    found = Place(tmp_path / "two", cache_dir=cache)
    url = f"git://127.0.0.1:{wire.server_address[1]}{server.path('lib')}"
    found.declare({"url": url, "path": "lib", "submodules": True})
    assert sync(found).status == "failed"
    assert [mirror.url for _, mirror in list_mirrors(cache) if mirror is not None] == [url]


def test_a_mirror_of_a_submodule_is_of_what_is_really_asked(tmp_path: Path, server: GitServer, cache: Path) -> None:
    with_submodule(server, "https://h.invalid/sub")
    rules = Rewrites((Rewrite(f"{server.root.as_uri()}/", "https://h.invalid/"),))
    places = [Place(tmp_path / name, cache_dir=cache, rewrites=rules) for name in ("one", "two")]
    for found in places:
        found.declare({"url": server.url("lib"), "submodules": True})
        assert sync(found).notes == ("brought 1 submodule",)
        assert git(found / "lib/sub", "config", "remote.origin.url") == "https://h.invalid/sub"
    assert read_mirror(mirror_for(cache, parse_url(f"{server.root.as_uri()}/sub"))) is not None
    shutil.rmtree(cache)
    whole_with_submodule(places[1] / "lib")


def test_a_damaged_mirror_of_a_submodule_is_removed_and_the_clone_made_without(
    tmp_path: Path, server: GitServer, cache: Path
) -> None:
    with_submodule(server, "../sub.git")
    sync(place(tmp_path, "one", server, cache, submodules=True))
    mirror = mirror_for(cache, parse_url(server.url("sub")))
    flip(mirror)
    second = place(tmp_path, "two", server, cache, submodules=True)
    report = sync(second)
    assert report.status == "cloned", report.error
    assert report.notes[-1].startswith("the submodule sub: the mirror in the cache was damaged and is removed")
    whole_with_submodule(second / "lib")
    assert not mirror.exists()


def test_a_submodule_that_was_checked_out_and_cannot_keep_what_it_borrows_is_cloned_anew(
    tmp_path: Path, server: GitServer, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_submodule(server, "../sub.git")

    def refused(lent: Path, git_dir: Path) -> None:
        if git_dir.name == "sub":
            raise OSError(28, "No space left on device", "there")
        take_over(lent, git_dir)

    monkeypatch.setattr("grex.engine.sharing.take_over", refused)
    found = place(tmp_path, "one", server, cache, submodules=True)
    report = sync(found)
    assert report.status == "cloned", report.error
    assert "No space left on device (there)" in report.notes[-1]
    (kept,) = (found / "lib/.git/grex").glob("kept-*/0-sub/s")
    assert (str(kept.parent) in report.notes[-2], kept.read_text()) == (True, "1")
    whole_with_submodule(found / "lib")


@pytest.mark.slow
def test_a_submodule_that_borrows_and_is_killed_at_each_step_is_made_whole(
    tmp_path: Path, server: GitServer, cache: Path
) -> None:
    with_submodule(server, "../sub.git")
    sync(place(tmp_path, "one", server, cache, submodules=True))
    sub = mirror_for(cache, parse_url(server.url("sub")))
    for nth in range(1, 120):
        if nth % 2:  # in turn, the mirror is there or made
            shutil.rmtree(sub, ignore_errors=True)
        found = place(tmp_path, f"at-{nth}", server, cache, submodules=True)
        was_killed = run_until(partial(sync, found), nth, since="grex.engine.fitting:submodule_shared")
        report = sync(found)
        assert report.error is None, (nth, report.error)
        whole_with_submodule(found / "lib")
        assert found.leftovers() == []
        sync(place(tmp_path, f"other-{nth}", server, cache, submodules=True))
        assert [path for path in (cache / "mirrors").iterdir() if ".tmp-" in path.name] == []
        assert read_mirror(sub) is not None
        if not was_killed and nth % 2:
            break
    else:
        raise AssertionError("it never got through")


def test_a_pack_received_from_the_wire_holds_only_what_is_new(tmp_path: Path, server: GitServer, cache: Path) -> None:
    server.commit("lib", {"big": os.urandom(2 * MIB)})
    first = place(tmp_path, "one", server, cache)
    sync(first)
    mirror = mirror_of(server, cache)
    before = {path.name for path in mirror.glob("objects/pack/*.pack")}
    server.commit("lib", {"f": "2"})
    second = place(tmp_path, "two", server, cache)
    sync(second)
    new = [path for path in (second / "lib").glob(".git/objects/pack/*.pack") if path.name not in before]
    loose = list((second / "lib").glob(".git/objects/??/*"))
    assert sum(path.stat().st_size for path in (*new, *loose)) < 2 * MIB // 100
    assert (second / "lib/f").read_text() == "2"
    # What it brought is in the mirror now: the third has nothing left to fetch.
    sha = git(second / "lib", "rev-parse", "HEAD")
    assert sha in git(mirror, "show-ref")


def test_a_fetch_of_one_workspace_serves_the_next(tmp_path: Path, server: GitServer, cache: Path) -> None:
    places = [place(tmp_path, name, server, cache) for name in ("one", "two")]
    for one in places:
        sync(one)
        one.seen.events.clear()
    tip = server.commit("lib", {"f": "2"})
    server.tag("lib", "v2")
    for one in places:
        assert sync(one).new_sha == tip
    asked = [commands(one, "fetch") for one in places]
    assert [sum(server.url("lib") in line for line in lines) for lines in asked] == [1, 0]
    assert all(git(one / "lib", "rev-parse", "origin/main", "v2^{commit}") == f"{tip}\n{tip}" for one in places)
    shutil.rmtree(cache)
    for one in places:
        whole(one / "lib")


@pytest.mark.parametrize("permits", [1, 8])
def test_packs_of_one_run_with_one_address_make_one_mirror_whatever_the_permits(
    tmp_path: Path, server: GitServer, cache: Path, permits: int
) -> None:
    found = Place(tmp_path / "one", cache_dir=cache, network_permits=permits)
    found.declare(*({"url": server.url("lib"), "path": f"lib-{number}"} for number in range(4)))
    reports = by_path(anyio.run(found.sync))
    assert {report.status for report in reports.values()} == {"cloned"}
    assert len(commands(found, "init")) == 1
    shutil.rmtree(cache)
    for path in reports:
        whole(found / path)


@pytest.mark.parametrize("declared", [{"depth": 1}, {"filter": "blob:none"}])
def test_what_wants_less_than_everything_goes_past_the_cache(
    tmp_path: Path, server: GitServer, cache: Path, declared: dict[str, Any]
) -> None:
    server.commit("lib", {"f": "2"})
    found = place(tmp_path, "one", server, cache, **declared)
    assert sync(found).status == "cloned"
    assert not cache.exists()
    server.commit("lib", {"f": "3"})
    assert sync(found).status == "moved"


def test_a_cache_that_cannot_be_written_is_said_and_done_without(tmp_path: Path, server: GitServer) -> None:
    (tmp_path / "file").write_text("")
    report = sync(place(tmp_path, "one", server, tmp_path / "file/cache"))
    assert report.status == "cloned"
    (note,) = report.notes
    assert note.startswith("the cache was not used: ")


def test_a_full_disk_under_the_cache_is_said_and_done_without(
    tmp_path: Path, server: GitServer, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "there")

    monkeypatch.setattr("grex.engine.sharing.lend", full)
    found = place(tmp_path, "one", server, cache)
    report = sync(found)
    assert (report.status, report.notes) == ("cloned", ("the cache was not used: No space left on device (there)",))
    assert found.leftovers() == []


def truncate(mirror: Path) -> None:
    (pack,) = mirror.glob("objects/pack/*.pack")
    pack.chmod(0o644)
    with pack.open("r+b") as file:
        file.truncate(pack.stat().st_size // 2)


def flip(mirror: Path) -> None:
    """The same size, other bytes: only git can tell, when it reads them."""
    (pack,) = mirror.glob("objects/pack/*.pack")
    content = pack.read_bytes()
    pack.unlink()
    pack.write_bytes(content[:12] + bytes(byte ^ 0xFF for byte in content[12:-20]) + content[-20:])


def forget(mirror: Path) -> None:
    (mirror / "grex.json").unlink()


@pytest.mark.parametrize("damage", [truncate, flip, forget])
def test_a_damaged_mirror_is_noticed_and_made_anew(tmp_path: Path, server: GitServer, cache: Path, damage: Any) -> None:
    sync(place(tmp_path, "one", server, cache))
    mirror = mirror_of(server, cache)
    # The first clone shares these bytes by hard links; a disk that rots does not care, so the test unlinks.
    (pack,) = mirror.glob("objects/pack/*.pack")
    content = pack.read_bytes()
    pack.unlink()
    pack.write_bytes(content)
    damage(mirror)
    second = place(tmp_path, "two", server, cache)
    report = sync(second)
    assert report.status == "cloned"
    whole(second / "lib")
    assert second.leftovers() == []
    if damage is flip:
        (note,) = report.notes
        assert note.startswith("the mirror in the cache was damaged and is removed")
        sync(place(tmp_path, "three", server, cache))
    assert read_mirror(mirror) is not None
    assert git(mirror, "fsck", "--full") == ""


@pytest.mark.slow
def test_a_clone_with_a_cache_that_is_killed_at_each_step_is_made_whole(
    tmp_path: Path, server: GitServer, cache: Path
) -> None:
    for nth in range(1, 80):
        shutil.rmtree(cache, ignore_errors=True)
        found = place(tmp_path, f"at-{nth}", server, cache)
        was_killed = run_until(partial(sync, found), nth, since="grex.engine.cloning:clone_shared")
        sync(found)
        whole(found / "lib")
        assert found.leftovers() == []
        other = place(tmp_path, f"other-{nth}", server, cache)
        sync(other)
        assert [path for path in (cache / "mirrors").iterdir() if ".tmp-" in path.name] == []
        assert read_mirror(mirror_of(server, cache)) is not None
        if not was_killed:
            break
    else:
        raise AssertionError("it never got through")


HOLD = """
import sys
from grex.locks import MirrorLock
with MirrorLock.for_mirror(sys.argv[1]).try_acquire():
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_who_waits_for_a_mirror_that_another_process_makes_can_be_cancelled_and_leaves_nothing(
    tmp_path: Path, server: GitServer, cache: Path, backend: str
) -> None:
    mirror = mirror_of(server, cache)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(mirror)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    found = place(tmp_path, "one", server, cache)

    async def wait_and_cancel() -> None:
        waiting = anyio.Event()

        def sink(event: Any) -> None:
            found.seen(event)
            if getattr(event, "tier", "") == "CACHE":
                waiting.set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(found.sync, settings={"sink": sink}))
            await waiting.wait()
            tasks.cancel_scope.cancel()

    anyio.run(wait_and_cancel, backend=backend)
    assert found.leftovers() == []
    assert not (found / "lib/.git").exists()
    # Under a policy that does not wait, the clone is made without the cache.
    report = by_path(anyio.run(partial(found.sync, settings={"no_wait": True})))["lib"]
    assert report.status == "cloned"
    assert report.notes[0].startswith("the cache was not used: ")
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    with MirrorLock.for_mirror(mirror).try_acquire():
        pass


def test_one_address_in_several_spellings_has_one_mirror_and_credentials_are_in_no_name(cache: Path) -> None:
    one = mirror_for(cache, parse_url("https://ada:secret@Host.example/team/app.git"))
    assert one == mirror_for(cache, parse_url("https://host.example:443/team/app"))
    assert one != mirror_for(cache, parse_url("https://host.example/team/app2"))
    assert one.name.startswith("host.example-team-app-")
    assert "secret" not in str(one)
    assert list_mirrors(cache) == []
