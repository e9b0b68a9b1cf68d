"""`kill -9` while git's own credential cache keeps a daemon: the next sync does not wait for that."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Generator
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.test_credentials import SECRET, Guarded, publish
from tests.support.git_server import GitServer, git
from tests.support.killing import Started, eventually, flock_is_free, start
from tests.support.processes import alive
from tests.support.workspace import Workspace

PROGRAM = b"credential-cache--daemon"


class Held(Guarded):
    """Answers who is there, and keeps everybody waiting who asks for an object, until the gate is open."""

    def __init__(self, *arguments: Any, gate: threading.Event, **keywords: Any) -> None:
        self._gate = gate
        super().__init__(*arguments, **keywords)

    def do_GET(self) -> None:  # noqa: N802 - the name is the base class's
        if "/objects/" in self.path:
            self._gate.wait(60)
        super().do_GET()


@pytest.fixture
def host(tmp_path: Path) -> Generator[tuple[GitServer, str, threading.Event]]:
    """A server that wants a password, its address, and its gate."""
    gate = threading.Event()
    http = ThreadingHTTPServer(("127.0.0.1", 0), partial(Held, gate=gate, directory=str(tmp_path / "served")))
    thread = threading.Thread(target=http.serve_forever)
    thread.start()
    try:
        yield GitServer(tmp_path / "served"), f"127.0.0.1:{http.server_address[1]}", gate
    finally:
        gate.set()
        http.shutdown()
        http.server_close()
        thread.join()


def daemons(started: Started) -> list[int]:
    """The credential daemons that this run has brought about."""
    found = []
    for pid in started.family():
        try:
            if PROGRAM in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
        except OSError:
            continue
    return found


def all_but_one_killed(started: Started, spared: int) -> bool:
    """Kill what a run has started, and what that goes on to start, but for one; whether that one is alone."""
    others = [pid for pid in started.children() if pid != spared]
    for pid in others:
        with contextlib.suppress(ProcessLookupError):  # it may end by itself
            os.kill(pid, signal.SIGKILL)
    return not others


def test_a_credential_daemon_of_a_killed_sync_keeps_nobody_waiting(
    tmp_path: Path, host: tuple[GitServer, str, threading.Event]
) -> None:
    """Told as steps.

    - A clone asks for a password; a helper knows it, and git's cache starts a daemon to remember it.
    - In the middle of the clone grex is killed, and git as well. The daemon lives.
    - The backend lock is free, and the next sync completes without waiting for anybody.
    """
    if not Path(git(tmp_path, "--exec-path"), "git-credential-cache--daemon").exists():
        pytest.skip("this git was built without a credential cache")
    server, address, gate = host
    repository = server.create("app", {"a": "1\n"})
    publish(repository)
    knows = tmp_path / "knows"
    knows.write_text(f"#!/bin/sh\n[ $1 = get ] && printf 'username=ada\\npassword={SECRET}\\n'\nexit 0\n")
    knows.chmod(0o755)
    workspace = Workspace(tmp_path, "ws")
    config = tmp_path / "gitconfig"
    config.write_text(f'[credential]\n\thelper = {knows}\n\thelper = cache --socket "{tmp_path}/cache/socket"\n')
    workspace.environ["GIT_CONFIG_GLOBAL"] = str(config)
    workspace.declare({"url": f"http://{address}/{repository.name}", "path": "app"})
    backend = workspace / ".app.grex-backend.lock"
    with start(workspace, "sync") as first:
        (daemon,) = eventually(lambda: daemons(first), "the daemon of the credential cache")
        assert not flock_is_free(backend)
        first.kill_alone()
        eventually(lambda: all_but_one_killed(first, daemon), "the end of git")
        # A process that ends loses its environment, by which it is found here, a moment before its descriptors.
        eventually(lambda: flock_is_free(backend), "the end of the lock")
        gate.set()
        with start(workspace, "sync") as second:
            done = second.result()
        assert done.code == 0, done.stderr
        assert "waiting" not in done.stderr
        assert alive(daemon)
    assert (workspace / "app/a").read_text() == "1\n"
