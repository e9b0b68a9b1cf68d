"""What is asked is the rewritten address; what is declared is what files and reports say."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from grex.names import Rewrite, Rewrites, parse_url
from grex.verbs.sync import PackReport
from tests.support.git_server import GitServer, git
from tests.support.place import Place, by_path


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GitServer:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Test")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "test@example.invalid")
    server = GitServer(tmp_path / "server")
    server.create("lib", {"f": "1"})
    return server


def place(
    tmp_path: Path, server: GitServer, *, is_shared: bool, url: str = "https://ada:secret@h.invalid/lib"
) -> Place:
    rules = Rewrites((Rewrite(f"{server.root.as_uri()}/", "https://h.invalid/", is_shared),))
    found = Place(tmp_path / "here", rewrites=rules)
    found.declare({"url": url})
    return found


def sync(found: Place, **settings: Any) -> PackReport:
    return by_path(anyio.run(partial(found.sync, settings=settings)))["lib"]


def test_the_users_rewriting_leaves_no_trace_in_files_and_reports(tmp_path: Path, server: GitServer) -> None:
    found = place(tmp_path, server, is_shared=False)
    report = sync(found)
    assert (report.status, report.url) == ("cloned", "https://***@h.invalid/lib")
    tip = server.commit("lib", {"f": "2"})
    assert sync(found).new_sha == tip
    assert git(found / "lib", "config", "remote.origin.url") == "https://h.invalid/lib"
    written = (found / "grex.jsonl").read_text() + (found / "grex.lock.jsonl").read_text()
    assert "https://h.invalid/lib" in written.replace("***@", "")
    assert str(server.root) not in written
    assert "secret" not in written + (found / "lib/.git/config").read_text()


def test_a_rewriting_of_the_workspace_binds_the_checkout_to_where_it_came_from(
    tmp_path: Path, server: GitServer
) -> None:
    """Once the rule is gone, what it brought must not pass for what is trusted under the declared address."""
    found = place(tmp_path, server, is_shared=True)
    sha = sync(found).new_sha
    session = found.session()
    declared = parse_url("https://h.invalid/lib")
    assert session.trust_key(declared) == parse_url(server.url("lib")).trust_key
    assert (session.host_of(declared), found.session(rewrites=Rewrites()).host_of(declared)) == ("local", "h.invalid")
    found.declare({"url": "https://h.invalid/lib", "ref": sha})
    assert sync(found).status == "unchanged"
    report = sync(found, rewrites=Rewrites())
    assert (report.status, report.code) == ("left", "different-repository")


def test_the_users_own_git_configuration_goes_on_rewriting(
    tmp_path: Path, server: GitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "gitconfig"
    config.write_text(f'[url "{server.root.as_uri()}/"]\n\tinsteadOf = https://h.invalid/\n')
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    found = Place(tmp_path / "here")
    found.declare({"url": "https://h.invalid/lib"})
    assert sync(found).status == "cloned"
    tip = server.commit("lib", {"f": "2"})
    assert sync(found).new_sha == tip


def test_submodules_are_rewritten_too(tmp_path: Path, server: GitServer) -> None:
    server.create("sub", {"s": "1"})
    work = server.work("lib")
    git(work, "-c", "protocol.file.allow=always", "submodule", "add", "--quiet", server.url("sub"), "sub")
    git(work, "config", "--file", ".gitmodules", "submodule.sub.url", "https://h.invalid/sub")
    git(work, "commit", "--quiet", "-am", "sub")
    server.push("lib", "main")
    found = place(tmp_path, server, is_shared=False)
    found.declare({"url": server.url("lib"), "submodules": True})
    assert sync(found).error is None
    assert (found / "lib/sub/s").read_text() == "1"
