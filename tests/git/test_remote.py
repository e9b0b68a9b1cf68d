"""What a declared ref is on the remote side: the same with and without a process."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from grex.errors import FetchError
from grex.git import GitCommand, GitRunner, RefNotFoundError, RemoteRef, local_remote_refs, parse_ref, resolve_remote
from tests.git.conftest import Lab
from tests.support.git_server import GitServer, git

pytestmark = pytest.mark.anyio


QUESTIONS: list[tuple[str | None, Callable[[dict[str, str]], RemoteRef]]] = [
    (None, lambda shas: RemoteRef("branch", "main", shas["main"])),
    ("main", lambda shas: RemoteRef("branch", "main", shas["main"])),
    ("refs/heads/main", lambda shas: RemoteRef("branch", "main", shas["main"])),
    ("v1", lambda shas: RemoteRef("tag", "v1", shas["v1"], peeled=True)),
    ("light", lambda shas: RemoteRef("tag", "light", shas["v1"])),
    ("both", lambda shas: RemoteRef("branch", "both", shas["both"])),
    ("refs/tags/both", lambda shas: RemoteRef("tag", "both", shas["v1"])),
    ("tag-of-tag", lambda shas: RemoteRef("tag", "tag-of-tag", shas["v1"], peeled=True)),
]


@pytest.mark.parametrize("how", ["process", "files", "packed"])
async def test_a_ref_is_what_it_is_on_the_remote(
    lab: Lab, shas: dict[str, str], monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    if how == "process":
        monkeypatch.setattr("grex.git.remote.local_remote_refs", lambda url: None)
    if how == "packed":
        git(lab.server.path("x"), "gc", "--quiet")
    for ref, expected in QUESTIONS:
        lab.commands.clear()
        assert await resolve_remote(lab.runner, lab.server.url("x"), ref, 30) == expected(shas)
        if how == "process":
            assert [command.argv[:2] for command in lab.commands] == [("git", "ls-remote")]
        elif ref != "tag-of-tag" or how == "packed":  # loose, its two steps to the commit are left to git
            assert lab.commands == []


async def test_a_path_is_read_as_well_and_so_is_a_work_tree(
    server: GitServer, shas: dict[str, str], runner: GitRunner, commands: list[GitCommand]
) -> None:
    for url in (str(server.path("x")), str(server.path("x")).removesuffix(".git"), str(server.work("x"))):
        assert (await resolve_remote(runner, url, "refs/heads/both", 30)).sha == shas["both"]
    assert commands == []


async def test_a_full_object_id_needs_nobody(runner: GitRunner, commands: list[GitCommand]) -> None:
    assert await resolve_remote(runner, "https://nowhere.invalid/x", "A" * 40, 1) == RemoteRef("sha", None, "a" * 40)
    assert commands == []


@pytest.mark.parametrize("ref", ["nope", "refs/heads/v1", "refs/tags/main", "ain", "heads/main", "a" * 39])
async def test_a_ref_that_is_not_there_is_named(
    server: GitServer, shas: dict[str, str], runner: GitRunner, ref: str
) -> None:
    name = ref.removeprefix("refs/heads/").removeprefix("refs/tags/")
    with pytest.raises(RefNotFoundError, match=f"has no (branch|tag|branch or tag) '{name}'$"):
        await resolve_remote(runner, server.url("x"), ref, 30)


@pytest.mark.parametrize(
    "ref", ["-x", "--orphan=x", "--upload-pack=touch x", "a..b", "", "x y", "refs/pull/1/head", "@"]
)
async def test_a_ref_that_is_no_name_is_refused_before_git_sees_it(
    runner: GitRunner, commands: list[GitCommand], ref: str
) -> None:
    with pytest.raises(FetchError):
        await resolve_remote(runner, "/nowhere", ref, 30)
    assert commands == []


async def test_an_empty_repository_has_nothing_to_check_out(server: GitServer, runner: GitRunner) -> None:
    server.create("empty")
    with pytest.raises(RefNotFoundError, match="has no commit on its default branch"):
        await resolve_remote(runner, server.url("empty"), None, 30)


async def test_a_detached_remote_head_is_a_commit(server: GitServer, shas: dict[str, str], runner: GitRunner) -> None:
    git(server.path("x"), "update-ref", "--no-deref", "HEAD", shas["v1"])
    assert await resolve_remote(runner, server.url("x"), None, 30) == RemoteRef("sha", None, shas["v1"])


async def test_a_remote_that_is_not_there_is_a_fetch_error(runner: GitRunner, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match=r"does not (appear|exist)|not.*repository") as raised:
        await resolve_remote(runner, f"file://{tmp_path}/none.git", None, 30)
    assert raised.value.hint is not None


def test_what_is_out_of_the_ordinary_is_left_to_git(server: GitServer, shas: dict[str, str], tmp_path: Path) -> None:
    assert local_remote_refs(server.url("x")) is not None
    for url in (
        "https://h/x",
        "git@h:x",
        "ssh://h/x",
        "relative",
        f"file://host{server.path('x')}",
        str(tmp_path / "none"),
    ):
        assert local_remote_refs(url) is None
    for key, value in (
        ("transfer.hideRefs", "refs/heads/secret"),
        ("uploadpack.hideRefs", "refs/heads/secret"),
        ("include.path", "other"),
        ("extensions.refStorage", "reftable"),
        ("core.repositoryFormatVersion", "2"),
    ):
        config = server.path("x") / "config"
        before = config.read_bytes()
        git(tmp_path, "config", "--file", str(config), key, value)
        assert local_remote_refs(server.url("x")) is None, key
        config.write_bytes(before)


def test_a_repository_of_somebody_else_is_left_to_git(
    server: GitServer, shas: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert local_remote_refs(server.url("x")) is None


def test_a_file_url_is_decoded(server: GitServer, tmp_path: Path) -> None:
    server.create("a b%c", {"f": "1"})
    assert "%20" in server.url("a b%c")
    refs = local_remote_refs(server.url("a b%c"))
    assert refs is not None
    assert refs.find(parse_ref("main")) is not None
