"""Nothing of an untrusted pack runs, whichever way it would run, until this user says so; what says so ends at a slash.

The question on a terminal is asked through a pseudo-terminal of the test's own.
"""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.git_server import GitServer
from tests.support.workspace import Run, Workspace, pack_yaml

_PATIENCE_S = 30


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """An empty workspace; nothing is declared in it yet."""
    return Workspace(tmp_path)


def _exec(name: str, ran: Path, **keys: Any) -> str:
    actions = [{"mkdir": {"path": "made"}}, {"exec": {"cmd": ["/bin/sh", "-c", f"echo {name} >> {ran}"]}}]
    return pack_yaml(name, "declarative", actions=actions, **keys)


def _installs(run: Run) -> dict[str, str]:
    return {path: pack["install"]["status"] for path, pack in run.packs.items() if pack["install"]}


def test_nothing_of_an_untrusted_pack_runs_and_the_others_get_done(
    server: GitServer, workspace: Workspace, ran: Path
) -> None:
    server.create("acts", {".grex/pack.yaml": _exec("acts", ran)})
    hook = server.create("hook", {".grex/pack.yaml": pack_yaml("hook", "scripted")})
    assert hook.is_dir()
    script = server.work("hook") / ".grex/hooks/setup.sh"
    script.parent.mkdir(parents=True)
    script.write_text(f"#!/bin/sh\necho hook >> {ran}\n")
    script.chmod(0o755)
    server.commit("hook", {})
    outside = [{"symlink": {"src": "f", "dst": str(ran)}}]
    server.create("link", {"f": "1\n", ".grex/pack.yaml": pack_yaml("link", "declarative", actions=outside)})
    server.create(
        "harmless", {".grex/pack.yaml": pack_yaml("harmless", "declarative", actions=[{"mkdir": {"path": "m"}}])}
    )
    server.create("plain", {"f": "1\n"})
    server.create("needs", {".grex/pack.yaml": _exec("needs", ran, depends_on=["acts"])})
    workspace.declare(*({"url": server.url(name)} for name in ("acts", "hook", "link", "harmless", "plain", "needs")))
    for run in (workspace.sync(expect=4), workspace.sync(expect=4)):
        told = _installs(run)
        assert {told.pop(name) for name in ("acts", "hook", "link")} == {"untrusted"}
        assert told.pop("needs") in ("untrusted", "not-reached")
        assert not os.path.lexists(ran)
        assert not (workspace / "acts/made").exists()
    assert (workspace / "harmless/m").is_dir()
    assert (workspace / "plain/f").is_file()
    error = workspace.sync(expect=4).packs["acts"]["install"]["error"]
    assert (error["code"], error["exit_code"]) == ("pack.untrusted", 4)
    assert f"echo acts >> {ran}" in error["message"]
    assert error["hint"].startswith(f"If you trust its author: `grex trust {error['details']['prefix']}`")


def test_trust_that_was_given_lets_a_pack_run_and_can_be_taken_back(
    server: GitServer, workspace: Workspace, ran: Path
) -> None:
    server.create("a", {".grex/pack.yaml": _exec("a", ran)})
    workspace.declare({"url": server.url("a")})
    prefix = workspace.sync(expect=4).packs["a"]["install"]["error"]["details"]["prefix"]
    workspace.grex("trust", prefix)
    assert prefix in workspace.grex("trust").stdout
    assert _installs(workspace.sync()) == {"a": "installed"}
    assert ran.read_text() == "a\n"
    workspace.grex("trust", "--revoke", prefix)
    server.commit("a", {"f": "2\n"})
    assert _installs(workspace.sync(expect=4)) == {"a": "untrusted"}
    assert ran.read_text() == "a\n"


def test_trust_is_kept_with_the_user_and_not_in_the_workspace(
    server: GitServer, workspace: Workspace, ran: Path
) -> None:
    server.create("a", {".grex/pack.yaml": _exec("a", ran)})
    workspace.declare({"url": server.url("a")})
    before = workspace.snapshot(git=True)
    workspace.grex("trust", server.root.as_uri())
    assert workspace.snapshot(git=True) == before
    stranger = Workspace(workspace.root.parent, "stranger")
    assert workspace.grex("sync", "--json", expect=4, XDG_STATE_HOME=str(stranger.home)).packs["a"]["install"]
    assert not ran.exists()


def test_a_prefix_ends_at_a_path_boundary(server: GitServer, workspace: Workspace, ran: Path) -> None:
    children = []
    for place in ("team", "team-x", "team/sub"):
        host = GitServer(server.root / place)
        host.create("a", {".grex/pack.yaml": _exec(place.replace("/", "-"), ran)})
        children.append({"url": host.url("a"), "path": f"{place}/a"})
    workspace.declare(*children)
    run = workspace.sync("--trust", f"{server.root.as_uri()}/team", expect=4)
    assert _installs(run) == {"team/a": "installed", "team/sub/a": "installed", "team-x/a": "untrusted"}
    assert sorted(ran.read_text().split()) == ["team", "team-sub"]


def test_trust_for_one_run_is_not_kept(server: GitServer, workspace: Workspace, ran: Path) -> None:
    server.create("a", {".grex/pack.yaml": _exec("a", ran)})
    server.create("b", {".grex/pack.yaml": _exec("b", ran)})
    workspace.declare({"url": server.url("a")})
    assert _installs(workspace.sync("--trust", server.root.as_uri())) == {"a": "installed"}
    workspace.declare({"url": server.url("a")}, {"url": server.url("b")})
    assert _installs(workspace.sync(expect=4)) == {"b": "untrusted"}
    assert _installs(workspace.sync(GREX_TRUST=server.root.as_uri())) == {"b": "installed"}
    assert "file://" not in workspace.grex("trust").stdout


def test_a_pack_is_trusted_by_typing_its_url_and_what_it_owns_is_not(
    server: GitServer, workspace: Workspace, ran: Path
) -> None:
    server.create("child", {".grex/pack.yaml": _exec("child", ran)})
    server.create("a", {".grex/pack.yaml": _exec("a", ran, children=[{"url": server.url("child")}])})
    workspace.declare()
    document = workspace.grex("add", "--json", server.url("a"), expect=4).document
    told = {pack["path"]: pack["install"] for pack in document["sync"]["packs"]}
    assert {path: install["status"] for path, install in told.items()} == {"a": "installed", "a/child": "untrusted"}
    assert ran.read_text() == "a\n"


def test_a_root_that_init_did_not_make_runs_nothing_until_it_is_trusted(workspace: Workspace, ran: Path) -> None:
    actions = [{"exec": {"cmd": ["/bin/sh", "-c", f"echo root >> {ran}"]}}]
    (workspace / ".grex").mkdir()
    (workspace / ".grex/pack.yaml").write_text(pack_yaml("root", "declarative", actions=actions))
    assert _installs(workspace.sync(expect=4)) == {".": "untrusted"}
    assert not ran.exists()
    workspace.grex("trust", ".")
    assert _installs(workspace.sync()) == {".": "installed"}
    assert ran.read_text() == "root\n"


# -- the question on a terminal ---------------------------------------------------------------------------------------


class _Terminal:
    """What a person at a terminal sees and types."""

    def __init__(self, master: int, process: subprocess.Popen[bytes]) -> None:
        self._master = master
        self.process = process
        self.seen = ""

    def wait_for(self, text: str) -> None:
        """Read until a text has appeared since the last one that was waited for."""
        deadline = time.monotonic() + _PATIENCE_S
        while text not in self.seen:
            left = deadline - time.monotonic()
            assert left > 0, f"{text!r} did not come: {self.seen!r}"
            assert self.process.poll() is None or select.select([self._master], [], [], 0)[0], self.seen
            if select.select([self._master], [], [], min(left, 0.1))[0]:
                self.seen += os.read(self._master, 4096).decode()
        self.seen = self.seen.partition(text)[2]

    def type(self, text: str) -> None:
        """Type this."""
        os.write(self._master, text.encode())

    def end(self) -> tuple[int, str]:
        """Wait for the end; gives the exit code and the standard output."""
        out, _ = self.process.communicate(timeout=_PATIENCE_S)
        return self.process.returncode, out.decode()


@contextmanager
def _terminal(workspace: Workspace, *arguments: str) -> Iterator[_Terminal]:
    """Run grex with a terminal as its standard input and error."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        workspace.command(*arguments),
        cwd=workspace.root,
        env=workspace.environ,
        stdin=slave,
        stdout=subprocess.PIPE,
        stderr=slave,
        start_new_session=True,
    )
    os.close(slave)
    try:
        yield _Terminal(master, process)
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()
        os.close(master)


@pytest.fixture
def asking(server: GitServer, workspace: Workspace, ran: Path) -> Workspace:
    """A workspace of two packs that would run something, both cloned."""
    for name in ("a", "b"):
        server.create(name, {".grex/pack.yaml": _exec(name, ran)})
    workspace.declare({"url": server.url("a")}, {"url": server.url("b")})
    workspace.sync("--no-install")
    return workspace


def test_on_a_terminal_the_user_is_asked_once_and_yes_is_kept(asking: Workspace, ran: Path) -> None:
    with _terminal(asking, "sync") as terminal:
        terminal.wait_for("2 packs under ")
        terminal.wait_for("[y/N/show] ")
        terminal.type("show\n")
        terminal.wait_for(f"echo b >> {ran}")
        terminal.wait_for("[y/N/show] ")
        assert not ran.exists()
        terminal.type("y\n")
        code, _ = terminal.end()
    assert code == 0
    assert sorted(ran.read_text().split()) == ["a", "b"]
    assert "file://" in asking.grex("trust").stdout


@pytest.mark.parametrize("answer", ["n\n", "\n", "yep\n", "\x04"])
def test_anything_but_yes_is_no(answer: str, asking: Workspace, ran: Path) -> None:
    with _terminal(asking, "sync") as terminal:
        terminal.wait_for("[y/N/show] ")
        terminal.type(answer)
        code, out = terminal.end()
    assert code == 4
    assert out.count("not trusted to run") == 2
    assert not ran.exists()


def test_the_question_holds_no_pack_and_can_be_interrupted(asking: Workspace, ran: Path) -> None:
    with _terminal(asking, "sync") as terminal:
        terminal.wait_for("[y/N/show] ")
        tiers = {lock["tier"] for lock in asking.grex("locks", "--json").document["held"]}
        assert tiers == {"WORKSPACE"}
        terminal.process.send_signal(signal.SIGINT)
        code, _ = terminal.end()
    assert code == 130
    assert not ran.exists()
    asking.sync("--no-wait", expect=4)


def test_nobody_is_asked_where_a_program_reads_the_answer(asking: Workspace) -> None:
    with _terminal(asking, "sync", "--json") as terminal:
        code, _ = terminal.end()
    assert code == 4
