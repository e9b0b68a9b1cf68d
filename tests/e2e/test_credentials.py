"""Credentials that a pack.yaml declares reach git and nothing else: no file, no log, no output, no command line."""

from __future__ import annotations

import base64
import subprocess
import threading
from collections.abc import Generator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.support.git_server import GitServer
from tests.support.workspace import Workspace

SECRET = "geh3im"
WANTED = "Basic " + base64.b64encode(f"ada:{SECRET}".encode()).decode()


class Guarded(SimpleHTTPRequestHandler):
    """Serves files to those who know the password, as a host of git's plain HTTP protocol."""

    def do_GET(self) -> None:
        if self.headers.get("Authorization") != WANTED:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        super().do_GET()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        """Keep the test's output clean."""


@pytest.fixture
def host(tmp_path: Path) -> Generator[tuple[GitServer, str]]:
    server = GitServer(tmp_path / "served")
    http = ThreadingHTTPServer(("127.0.0.1", 0), partial(Guarded, directory=str(tmp_path / "served")))
    thread = threading.Thread(target=http.serve_forever)
    thread.start()
    try:
        yield server, f"127.0.0.1:{http.server_address[1]}"
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


def publish(repository: Path) -> None:
    subprocess.run(["git", "update-server-info"], cwd=repository, check=True)


def test_declared_credentials_clone_and_fetch_and_are_written_nowhere(
    tmp_path: Path, host: tuple[GitServer, str]
) -> None:
    server, address = host
    repository = server.create("app", {"a": "1\n"})
    publish(repository)
    workspace = Workspace(tmp_path, "ws")
    workspace.declare({"url": f"http://ada:{SECRET}@{address}/{repository.name}", "path": "app"})
    said = workspace.sync()
    server.commit("app", {"a": "2\n"})
    publish(repository)
    again = workspace.sync()
    assert (workspace.root / "app" / "a").read_text() == "2\n"
    assert SECRET not in said.stdout + said.stderr + again.stdout + again.stderr
    found = [
        path
        for path in workspace.root.rglob("*")
        if path.is_file() and SECRET.encode() in path.read_bytes() and path.name != "pack.yaml"
    ]
    assert found == []


def test_wrong_credentials_are_an_error_that_does_not_show_them(tmp_path: Path, host: tuple[GitServer, str]) -> None:
    server, address = host
    repository = server.create("app", {"a": "1\n"})
    publish(repository)
    workspace = Workspace(tmp_path, "ws")
    workspace.declare({"url": f"http://ada:wrong-{SECRET}@{address}/{repository.name}", "path": "app"})
    said = workspace.sync(expect=4)
    assert SECRET not in said.stdout + said.stderr
    assert "credential helper" in said.stdout
