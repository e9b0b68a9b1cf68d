"""Fetching: the remote's refs are recorded, and nothing of the user's changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from grex.errors import FetchError
from grex.git import (
    CheckoutState,
    RefNotFoundError,
    fetch_branch,
    fetch_sha,
    fetch_tag,
    has_commit,
    observe,
    read_note,
    read_ref,
    set_origin,
)
from tests.git.conftest import Lab
from tests.support.git_server import git

pytestmark = pytest.mark.anyio


@pytest.fixture
def state(lab: Lab, shas: dict[str, str]) -> CheckoutState:
    git(lab.path, "clone", "--quiet", "--single-branch", "--no-tags", lab.server.url("x"), "pack")
    git(lab.path / "pack", "config", "--unset", "remote.origin.tagOpt")
    return observe(lab.path / "pack")


async def test_a_moved_and_a_rewritten_branch_are_followed(lab: Lab, state: CheckoutState) -> None:
    git(state.real, "config", "fetch.prune", "true")
    git(state.real, "config", "fetch.pruneTags", "true")
    git(state.real, "tag", "mine")
    git(state.real, "update-ref", "refs/remotes/origin/gone", "HEAD")
    before = git(state.real, "status"), read_ref(state.dirs, "refs/heads/main")
    for amend in (False, True):
        tip = lab.server.commit("x", {"f": f"new {amend}"}, amend=amend)
        assert await fetch_branch(lab.runner, state, "main", pack="p", backend=lab.backend, timeout_s=60) == tip
        assert read_ref(state.dirs, "refs/remotes/origin/main") == tip
    assert [command.argv[1] for command in lab.commands] == ["fetch", "fetch"]
    assert read_ref(state.dirs, "refs/heads/main") == before[1]
    assert not (state.dirs.own / "FETCH_HEAD").exists()
    assert read_note(state.dirs.own) is None
    assert "mine" in git(state.real, "tag").split()  # nothing was pruned
    assert read_ref(state.dirs, "refs/remotes/origin/gone")


async def test_tags_on_what_is_fetched_come_along(lab: Lab, state: CheckoutState) -> None:
    lab.server.commit("x", {"f": "5"})
    lab.server.tag("x", "v2", annotated=True)
    await fetch_branch(lab.runner, state, "main", pack="p", backend=lab.backend, timeout_s=60)
    assert "v2" in git(state.real, "tag").split()


async def test_a_moved_tag_is_found_and_the_local_one_stays(
    lab: Lab, state: CheckoutState, shas: dict[str, str]
) -> None:
    git(state.real, "tag", "v1", shas["main"])  # the user's own, elsewhere
    fetched = await fetch_tag(lab.runner, state, "v1", pack="p", backend=lab.backend, timeout_s=60)
    assert fetched == shas["v1"]
    lab.server.tag("x", "v1", at=lab.server.commit("x", {"f": "6"}), annotated=True)
    moved = await fetch_tag(lab.runner, state, "v1", pack="p", backend=lab.backend, timeout_s=60)
    assert moved != fetched
    assert git(state.real, "rev-parse", "v1") == shas["main"]


async def test_a_commit_is_fetched_by_its_id_and_only_if_it_is_missing(
    lab: Lab, state: CheckoutState, shas: dict[str, str]
) -> None:
    sha = shas["feature/x"]
    assert not await has_commit(lab.runner, state, sha)
    await fetch_sha(lab.runner, state, sha, pack="p", backend=lab.backend, timeout_s=60)
    assert await has_commit(lab.runner, state, sha)
    lab.commands.clear()
    await fetch_sha(lab.runner, state, sha, pack="p", backend=lab.backend, timeout_s=60)
    assert [command.argv[1] for command in lab.commands] == ["cat-file"]


async def test_a_server_that_gives_no_ids_is_asked_for_all_it_has(
    lab: Lab, state: CheckoutState, shas: dict[str, str]
) -> None:
    for key in ("allowTipSHA1InWant", "allowReachableSHA1InWant", "allowAnySHA1InWant"):
        git(lab.server.path("x"), "config", f"uploadpack.{key}", "false")
    git(state.real, "config", "protocol.version", "0")
    await fetch_sha(lab.runner, state, shas["feature/x"], pack="p", backend=lab.backend, timeout_s=60)
    assert await has_commit(lab.runner, state, shas["feature/x"])
    with pytest.raises(RefNotFoundError, match="does not have the commit f{40}"):  # noqa: RUF043 - a count
        await fetch_sha(lab.runner, state, "f" * 40, pack="p", backend=lab.backend, timeout_s=60)


async def test_what_the_remote_lacks_is_named_and_leaves_no_note(lab: Lab, state: CheckoutState) -> None:
    for fetch in (fetch_branch, fetch_tag):
        with pytest.raises(RefNotFoundError):
            await fetch(lab.runner, state, "nope", pack="p", backend=lab.backend, timeout_s=60)
    assert read_note(state.dirs.own) is None


@pytest.mark.parametrize("name", ["-x", "--upload-pack=x", "a:b", "+a", "a b", ""])
async def test_a_name_that_is_no_ref_does_not_reach_git(lab: Lab, state: CheckoutState, name: str) -> None:
    if name == "+a":  # a good name, and no force sign
        with pytest.raises(RefNotFoundError):
            await fetch_branch(lab.runner, state, name, pack="p", backend=lab.backend, timeout_s=60)
        return
    for fetch in (fetch_branch, fetch_tag):
        with pytest.raises(FetchError):
            await fetch(lab.runner, state, name, pack="p", backend=lab.backend, timeout_s=60)
    assert lab.commands == []


async def test_a_stopped_fetch_leaves_its_note(lab: Lab, state: CheckoutState, tmp_path: Path) -> None:
    ssh = tmp_path / "ssh"
    ssh.write_text("#!/bin/sh\nexec sleep 600\n")
    ssh.chmod(0o755)
    git(state.real, "config", "core.sshCommand", str(ssh))
    await set_origin(lab.runner, state, "ssh://host.invalid/x", backend=lab.backend)
    with pytest.raises(FetchError, match="did not end within"):
        await fetch_branch(lab.runner, state, "main", pack="p", backend=lab.backend, timeout_s=0.3)
    note = read_note(state.dirs.own)
    assert note is not None
    assert (note.op, note.pack) == ("fetch", "p")
