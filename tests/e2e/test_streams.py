"""Standard streams that are closed, that nobody reads any more, or that cannot take every character."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.support.git_server import GitServer
from tests.support.workspace import Workspace


@pytest.fixture
def workspace(server: GitServer, tmp_path: Path) -> Workspace:
    server.create("p", {"f": "1\n"})
    made = Workspace(tmp_path)
    made.declare({"url": server.url("p")})
    return made


def _sh(workspace: Workspace, line: str, *arguments: str, **environ: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["/bin/sh", "-c", line, "sh", *workspace.command(*arguments)],
        cwd=workspace.root,
        env=workspace.environ | environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_sync_with_closed_streams_does_its_work(workspace: Workspace, closed: str) -> None:
    done = _sh(workspace, f'"$@" {closed}', "sync")
    assert done.returncode == 0
    assert b"Traceback" not in done.stderr
    assert (workspace / "p/f").read_text() == "1\n"


def test_progress_does_not_go_to_the_output_when_there_is_no_error_stream(workspace: Workspace) -> None:
    report = _sh(workspace, '"$@" 2>&-', "sync", "--json").stdout
    assert json.loads(report)["exit_code"] == 0
    text = _sh(workspace, '"$@" 2>&-', "sync").stdout.decode()
    assert text.splitlines()[0].startswith("Synced:")


def test_a_reader_that_goes_away_is_no_bug(workspace: Workspace) -> None:
    done = _sh(workspace, '{ "$@"; echo "code $?" >&2; } | true; sleep 0', "schema", "sync")
    assert done.stderr in (b"code 141\n", b"code 0\n")  # 0: it was all written before `true` had ended


@pytest.mark.parametrize("arguments", [("schema", "sync"), ("--help",), ("sync", "--help"), ("help", "sync")])
def test_a_reader_that_has_gone_before_is_none_either(workspace: Workspace, arguments: tuple[str, ...]) -> None:
    gone_r, gone_w = os.pipe()
    os.close(gone_r)
    late = subprocess.run(
        workspace.command(*arguments), env=workspace.environ, stdout=gone_w, stderr=subprocess.PIPE, check=False
    )
    os.close(gone_w)
    assert (late.returncode, late.stderr) == (141, b"")


def test_what_the_terminal_cannot_show_is_escaped(workspace: Workspace) -> None:
    workspace.sync()
    done = _sh(workspace, '"$@"', "ls", "--tree", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, b"")
    assert rb"\u2514" in done.stdout


def test_a_workspace_whose_path_is_not_utf_8_can_be_reported(server: GitServer, tmp_path: Path) -> None:
    server.create("p", {"f": "1\n"})
    made = Workspace(tmp_path, os.fsdecode(b"\xff\xfe"))
    made.declare({"url": server.url("p")})
    assert _sh(made, '"$@"', "sync", PYTHONIOENCODING="utf-8:strict").returncode == 0
    document = json.loads(_sh(made, '"$@"', "ls", "--json", PYTHONIOENCODING="utf-8:strict").stdout)
    assert os.fsencode(document["workspace"]) == os.fsencode(made.root)


def test_a_damaged_checkout_does_not_hide_how_the_others_stand(workspace: Workspace, server: GitServer) -> None:
    workspace.declare({"url": server.url("p"), "path": "bad"}, {"url": server.url("p"), "path": "good"})
    workspace.sync()
    (workspace / "bad/.git/index").write_bytes(b"garbage")
    (workspace / "good/f").write_text("2\n")
    packs = workspace.grex("status", "--json", expect=4).packs
    assert packs["bad"]["states"] == ["error"]
    assert packs["good"]["states"] == ["edited"]


@pytest.mark.parametrize("arguments", ["sync", "--version", "--quiet --version", "sync --help"])
def test_a_report_that_cannot_be_written_is_said(workspace: Workspace, arguments: str) -> None:
    done = _sh(workspace, '"$@" > /dev/full', *arguments.split())
    assert done.returncode == 1
    assert done.stderr.endswith(b"grex: the report cannot be written: No space left on device\n")
    assert b"Traceback" not in done.stderr
    assert arguments == "sync" or done.stderr.count(b"\n") == 1


def test_every_problem_of_a_childs_pack_yaml_is_shown_at_once(workspace: Workspace, server: GitServer) -> None:
    server.create("bad", {".grex/pack.yaml": 'schema_version: "1"\nname: BAD\ntype: meta\nfoo: 1\n'})
    workspace.declare({"url": server.url("bad")})
    text = workspace.grex("sync", expect=4).stdout
    assert "bad/.grex/pack.yaml:2:7" in text
    assert "bad/.grex/pack.yaml:4:1: " in text
    (workspace / ".grex/pack.yaml").write_text('schema_version: "1"\nname: BAD\ntype: meta\nfoo: 1\n')
    told = workspace.grex("sync", expect=3).stderr
    assert "\n  .grex/pack.yaml:4:1: " in told
    assert told.count("  hint: ") == 2
    assert "{" not in told


def test_each_pack_is_told_once_where_both_streams_are_one(workspace: Workspace, server: GitServer) -> None:
    """The hazard: one event in two wordings, one as it happened and one in the report."""
    workspace.declare({"url": server.url("p")}, {"url": server.url("none"), "path": "q"})
    told = _sh(workspace, '"$@" 2>&1', "sync").stdout.decode().splitlines()
    assert [line for line in told if line.startswith("cloned")] == [told[0]]
    assert told[0].startswith("cloned       p: main at ")
    assert [line.split()[:2] for line in told[1:]] == [["failed", "q:"], ["hint:", "Check"], ["Synced:", "2"]]
    plan = _sh(workspace, '"$@" 2>&1', "sync", "--dry-run").stdout.decode()
    assert plan.count("planned      q: ") == 1


def test_both_streams_have_the_same_words_where_they_are_two(workspace: Workspace, server: GitServer) -> None:
    done = _sh(workspace, '"$@"', "sync")
    assert done.stderr.decode().splitlines() == done.stdout.decode().splitlines()[:1]
    server.commit("p", {"f": "2\n"})
    done = _sh(workspace, '"$@"', "sync")
    assert done.stderr.decode().splitlines() == done.stdout.decode().splitlines()[:1]
    assert done.stderr.startswith(b"moved        p: main ")


@pytest.mark.parametrize("locale", ["C", "POSIX"])
def test_a_name_that_the_locale_lacks_is_found_and_told_escaped(server: GitServer, tmp_path: Path, locale: str) -> None:
    """Python would take names of files for ASCII, and find no pack `ü`; git and pack.yaml have it as UTF-8."""
    server.create("p", {"f": "1\n"})
    workspace = Workspace(tmp_path)
    workspace.declare({"url": server.url("p"), "path": "ü"})
    ascii_only = {"PYTHONUTF8": "0", "LC_ALL": locale, "PYTHONCOERCECLOCALE": "0"}
    done = _sh(workspace, '"$@" 2>&1', "sync", **ascii_only)
    assert (done.returncode, (workspace / "ü/f").read_text()) == (0, "1\n")
    assert b"cloned       \\xfc: main" in done.stdout
    assert json.loads(_sh(workspace, '"$@"', "ls", "--json", **ascii_only).stdout)["packs"][0]["path"] == "ü"
    wrong = _sh(workspace, '"$@"', "status", "ö", **ascii_only)
    assert (wrong.returncode, wrong.stderr.splitlines()[0]) == (2, b"grex: there is no pack '\\xf6' in this workspace")
