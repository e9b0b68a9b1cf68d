"""What the server writes by itself is what git would have made of it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.git_server import GitServer, git


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The processes that were started."""
    started: list[list[str]] = []
    run = subprocess.run

    def counted(command: list[str], **how: object) -> object:
        started.append(command)
        return run(command, **how)  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess, "run", counted)
    return started


def history(server: GitServer) -> list[str]:
    """Everything that the server can do by itself; gives the ids that it gave."""
    server.create(
        "x", {"f": "1", "dir/sub/g": "g\n", "dir.txt": "sorts before dir/", "dir-a": "and this", "é": b"\xff"}
    )
    given = [server.tag("x", "v1", annotated=True), server.tag("x", "light")]
    given.append(server.commit("x", {"f": "2", "dir/sub/g": None, "é": Path("dir.txt")}, message="two\n\nwith a body"))
    given.append(server.commit("x", {"g": "3"}, branch="deep/er"))
    given.append(server.commit("x", {"g": "4"}, branch="from-tag", start="v1"))
    given.append(server.commit("x", {"f": "5"}, amend=True, message="again"))
    given.append(server.commit("x", {}, message="nothing changed"))
    given += [server.tag("x", "tag-of-tag", at="v1", annotated=True), server.tag("x", "v1", at=given[2])]
    server.create("empty", branch="trunk")
    server.create("named", {"f": "1"}, branch="trunk")
    return given


@pytest.fixture
def one_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that git or the server writes is of one second."""
    monkeypatch.setattr("tests.support.git_objects.time.time", lambda: 1_700_000_000.5)
    monkeypatch.setenv("TZ", "UTC")


def with_git(server: GitServer, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The same history, of which git does everything."""
    monkeypatch.setattr(GitServer, "_is_filled", lambda *_: True)
    create = server.create

    def filled(name: str, files: dict[str, str] | None = None, *, branch: str = "main") -> Path:
        made = create(name, branch=branch)
        if files is not None:
            server.commit(name, files, branch=branch)
        return made

    monkeypatch.setattr(server, "create", filled)
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_DATE", "1700000000 +0000")
    return history(server)


def test_ids_and_refs_are_those_of_git_and_every_object_is_sound(
    tmp_path: Path, processes: list[list[str]], one_moment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = GitServer(tmp_path / "mine")
    given = history(mine)
    assert processes == []
    assert given == with_git(GitServer(tmp_path / "git"), monkeypatch)
    assert processes
    for name in ("x", "empty", "named"):
        refs, heads = (
            [git(tmp_path / way / f"{name}.git", *ask) for way in ("mine", "git")]
            for ask in (["for-each-ref"], ["symbolic-ref", "HEAD"])
        )
        assert refs[0] == refs[1]
        assert heads[0] == heads[1]
        assert not git(mine.path(name), "fsck", "--full", "--strict", "--no-dangling").strip()


@pytest.mark.parametrize(
    ("only_git", "ask", "answer"),
    [
        (
            lambda server: server.commit("x", {".gitattributes": "* text=auto\n", "crlf": "a\r\n"}),
            ["cat-file", "-s", "main:crlf"],
            "2",
        ),
        (
            lambda server: server.commit("x", {"f": "2"}, message="  # spaces around \n\n\n\n"),
            ["log", "-1", "--format=%B|", "main"],
            "  # spaces around\n|",
        ),
        (lambda server: server.tag("x", "old", at="main~1"), ["rev-list", "--count", "old"], "1"),
    ],
    ids=["attributes", "message", "revision"],
)
def test_what_only_git_knows_is_left_to_git(
    tmp_path: Path,
    only_git: Callable[[GitServer], str],
    ask: list[str],
    answer: str,
    processes: list[list[str]],
) -> None:
    server = GitServer(tmp_path)
    server.create("x", {"f": "0"})
    server.commit("x", {"f": "1"})
    assert processes == []
    only_git(server)
    assert processes
    assert git(server.path("x"), *ask) == answer


def test_the_work_tree_is_filled_when_it_is_asked_for_and_git_goes_on_from_there(tmp_path: Path) -> None:
    server = GitServer(tmp_path)
    server.create("x", {"f": "1", "dir/g": "g"})
    first = server.commit("x", {"f": "2"}, branch="next")
    assert [entry.name for entry in (tmp_path / "x.work").iterdir()] == [".git"]
    work = server.work("x")
    assert (work / "f").read_text() == "2"
    assert git(work, "status", "--porcelain", "--branch") == "## next"
    (work / "mine").write_text("the test's own\n")
    second = server.commit("x", {}, branch="next")
    assert git(server.path("x"), "rev-parse", "next^") == first
    assert git(server.path("x"), "show", f"{second}:mine") == "the test's own"


def test_a_server_that_was_copied_goes_on_as_the_first(tmp_path: Path) -> None:
    GitServer(tmp_path / "one").create("x", {"f": "1"})
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    other = GitServer(tmp_path / "two")
    tip = other.commit("x", {"f": "2"})
    assert git(other.path("x"), "log", "--format=%s", "main").split() == ["change", "change"]
    assert git(other.work("x"), "rev-parse", "HEAD") == tip
    assert git(tmp_path / "one/x.git", "log", "--format=%s", "main").split() == ["change"]
