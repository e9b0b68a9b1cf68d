"""Single files of a remote, what git reads in a .gitmodules, and what a checkout says of itself."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from grex.errors import FetchError
from grex.git import GitRunner, RefNotFoundError, find_git_dirs
from grex.git.origin import Origin, gitlinks, read_origin, submodule_of
from grex.git.peek import read_remote_files, read_submodule_settings
from tests.git.conftest import Lab
from tests.support.git_server import git
from tests.support.loops import trio_among_the_slow  # noqa: F401 - a fixture

pytestmark = pytest.mark.anyio


async def test_a_file_is_read_at_a_branch_a_tag_and_a_commit_and_nothing_stays(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tempfile_root = tmp_path / "tmp"
    tempfile_root.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tempfile_root))
    lab.server.create("up", {"west.yml": "1", "d/b.yml": "b", "d/a.yaml": "a", "d/no.txt": "n", "d/in/c.yml": "c"})
    lab.server.tag("up", "v1", annotated=True)
    old = git(lab.server.work("up"), "rev-parse", "HEAD")
    lab.server.commit("up", {"west.yml": "2"})
    url = lab.server.url("up")

    async def read(ref: str | None, path: str) -> tuple[tuple[str, bytes], ...]:
        return await read_remote_files(lab.runner, url, ref, path, timeout_s=60)

    for ref, content in ((None, b"2"), ("main", b"2"), ("v1", b"1"), (old, b"1")):
        assert await read(ref, "west.yml") == (("west.yml", content),)
    assert await read("v1", "d") == (("d/a.yaml", b"a"), ("d/b.yml", b"b"))
    assert await read("v1", "never.yml") == ()
    with pytest.raises(RefNotFoundError):
        await read("never", "west.yml")
    with pytest.raises(FetchError):
        await read_remote_files(lab.runner, f"{url}x", "main", "west.yml", timeout_s=60)
    assert not list(tempfile_root.iterdir())


async def test_a_server_that_gives_no_commit_by_its_id_is_asked_for_what_its_refs_name(
    lab: Lab, tmp_path: Path
) -> None:
    """The first version of the protocol knows such servers; the second one gives every commit."""
    lab.server.create("up", {"f": "1"})
    old = git(lab.server.work("up"), "rev-parse", "HEAD")
    lab.server.commit("up", {"f": "2"})
    (tmp_path / "config").write_text("[protocol]\n\tversion = 0\n")
    runner = GitRunner({**os.environ, "GIT_CONFIG_GLOBAL": str(tmp_path / "config")})
    assert await read_remote_files(runner, lab.server.url("up"), old, "f", timeout_s=60) == (("f", b"1"),)


async def test_the_settings_of_submodules_are_what_git_reads(lab: Lab, tmp_path: Path) -> None:
    file = tmp_path / ".gitmodules"
    file.write_text('[submodule "a \\"b\\""]\n\tpath = "x # y" ; c\n\tshallow\n[include]\n\tpath = other\n')
    (tmp_path / "other").write_text("[core]\n\tevil = yes\n")
    assert await read_submodule_settings(lab.runner, file) == (
        ('submodule.a "b".path', "x # y"),
        ('submodule.a "b".shallow', "true"),
        ("include.path", "other"),
    )


def origin_of(checkout: Path) -> Origin:
    dirs = find_git_dirs(checkout)
    assert dirs is not None
    return read_origin(dirs)


async def test_a_checkout_says_the_branch_that_it_follows_or_else_its_commit(lab: Lab, tmp_path: Path) -> None:
    lab.server.create("up", {"f": "1"})
    git(tmp_path, "clone", "--quiet", lab.server.url("up"), "co")
    checkout = tmp_path / "co"
    sha = git(checkout, "rev-parse", "HEAD")
    assert origin_of(checkout) == Origin(lab.server.url("up"), "main", is_branch=True)
    git(checkout, "switch", "--quiet", "-c", "other", "--track", "origin/main")
    assert origin_of(checkout).ref == sha
    git(checkout, "switch", "--quiet", "-c", "own", "--no-track")
    git(checkout, "remote", "add", "fork", "https://h.invalid/x")
    assert origin_of(checkout) == Origin(lab.server.url("up"), sha, remotes={"fork": "https://h.invalid/x"})
    git(checkout, "remote", "remove", "origin")
    git(checkout, "switch", "--quiet", "--orphan", "empty")
    assert origin_of(checkout) == Origin(None, None, remotes={"fork": "https://h.invalid/x"})


async def test_submodules_are_known_by_the_index_around_them_and_by_where_they_keep_their_objects(
    lab: Lab, tmp_path: Path
) -> None:
    lab.server.create("up", {"f": "1"})
    git(tmp_path, "clone", "--quiet", lab.server.url("up"), "co")
    checkout = tmp_path / "co"
    git(checkout, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", lab.server.url("up"), "libs/a")
    dirs, inner = find_git_dirs(checkout), find_git_dirs(checkout / "libs/a")
    assert dirs is not None
    assert inner is not None
    assert gitlinks(dirs) == {"libs/a": git(checkout, "rev-parse", "HEAD")}
    assert (submodule_of(dirs), submodule_of(inner)) == (None, checkout / ".git")
