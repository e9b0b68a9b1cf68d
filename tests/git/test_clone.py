"""Cloning: what is left behind for each kind of ref, with how few processes, and what is refused."""

from __future__ import annotations

import os
from typing import Any

import anyio
import pytest

from grex.errors import FetchError
from grex.git import (
    ClonedCheckout,
    CompletionRecord,
    Edits,
    GitProgress,
    GitRunner,
    RefNotFoundError,
    RemoteRef,
    clone,
    edited_paths,
    observe,
)
from tests.git.conftest import Lab
from tests.support.backend import is_free
from tests.support.git_server import git
from tests.support.processes import alive, wait_for_file

pytestmark = pytest.mark.anyio


async def cloned(lab: Lab, *, runner: GitRunner | None = None, **options: Any) -> ClonedCheckout:
    options = {"url": lab.server.url("x"), "identity": "id", "ref": None, "timeout_s": 60, **options}
    temp = lab.path / ".grex-tmp-1"
    return await clone(runner or lab.runner, temp=temp, pack="libs/x", backend=lab.backend, **options)


async def test_the_default_branch_needs_one_process(lab: Lab, shas: dict[str, str]) -> None:
    done = await cloned(lab)
    assert [command.argv[1] for command in lab.commands] == ["clone"]
    assert lab.commands[0].write
    tree = git(done.temp, "rev-parse", "HEAD^{tree}")
    record = CompletionRecord("id", None, "branch", "main", shas["main"], "origin/main", tree)
    assert done == ClonedCheckout(lab.path / ".grex-tmp-1", RemoteRef("branch", "main", shas["main"]), record)
    state = observe(done.temp)
    assert (state.kind, state.head, state.head_branch, state.record) == ("checkout", "branch", "main", record)
    assert (done.temp / "f").read_text() == "2"
    assert git(done.temp, "rev-parse", "--abbrev-ref", "main@{upstream}") == "origin/main"
    assert git(done.temp, "status", "--porcelain") == ""
    assert not (done.temp / ".git/hooks").exists()
    assert edited_paths(state) == Edits(decided=True)


@pytest.mark.parametrize(
    ("ref", "expected"),
    [
        ("main", ("branch", "main", "main", "main", 1)),
        ("refs/heads/both", ("branch", "both", "both", "both", 1)),
        ("both", ("branch", "both", "both", "both", 1)),
        ("v1", ("tag", "v1", "v1", None, 1)),
        ("refs/tags/v1", ("tag", "v1", "v1", None, 1)),
        ("refs/tags/both", ("tag", "both", "v1", None, 4)),
    ],
)
async def test_each_kind_of_ref_leaves_its_kind_of_head(
    lab: Lab, shas: dict[str, str], ref: str, expected: tuple[str, str, str, str | None, int]
) -> None:
    kind, name, commit, head, processes = expected
    done = await cloned(lab, ref=ref)
    state = observe(done.temp)
    assert (done.remote.kind, done.remote.name, done.remote.sha) == (kind, name, shas[commit])
    assert (state.head_branch, state.head_sha) == (head, shas[commit])
    assert state.record == done.record
    assert (done.record.ref, done.record.branch) == (ref, head)
    assert state.note is None
    assert len(lab.commands) <= processes
    assert git(done.temp, "status", "--porcelain") == ""
    assert edited_paths(state) == Edits(decided=True)


@pytest.mark.parametrize("depth", [None, 1])
async def test_a_commit_by_id_is_checked_out_detached(lab: Lab, shas: dict[str, str], depth: int | None) -> None:
    done = await cloned(lab, ref=shas["v1"], depth=depth)
    state = observe(done.temp)
    assert (state.head, state.head_sha, done.remote) == ("detached", shas["v1"], RemoteRef("sha", None, shas["v1"]))
    assert (done.temp / "f").read_text() == "1"


async def test_a_commit_that_no_branch_has_is_fetched(lab: Lab, shas: dict[str, str]) -> None:
    lab.server.commit("x", {"f": "rewritten"}, amend=True, branch="both")
    done = await cloned(lab, ref=shas["both"])
    assert observe(done.temp).head_sha == shas["both"]
    assert observe(done.temp).note is None


async def test_a_commit_that_nobody_has_is_named(lab: Lab, shas: dict[str, str]) -> None:
    with pytest.raises(FetchError, match=r"f{40}"):
        await cloned(lab, ref="f" * 40)


async def test_a_locked_commit_of_a_branch_is_on_that_branch(lab: Lab, shas: dict[str, str]) -> None:
    done = await cloned(lab, ref="main", commit=shas["v1"])
    state = observe(done.temp)
    assert (state.head_branch, state.head_sha) == ("main", shas["v1"])
    assert git(done.temp, "rev-parse", "--abbrev-ref", "main@{upstream}") == "origin/main"
    assert git(done.temp, "status", "--porcelain") == ""


async def test_a_locked_commit_of_a_tag_is_detached(lab: Lab, shas: dict[str, str]) -> None:
    done = await cloned(lab, ref="v1", commit=shas["v1"])
    assert (done.remote.kind, observe(done.temp).head) == ("tag", "detached")


async def test_depth_and_filter_reach_git(lab: Lab, shas: dict[str, str]) -> None:
    git(lab.server.path("x"), "config", "uploadpack.allowFilter", "true")
    done = await cloned(lab, depth=1, filter_spec="blob:none")
    assert git(done.temp, "rev-list", "--count", "HEAD") == "1"
    assert git(done.temp, "config", "remote.origin.partialCloneFilter") == "blob:none"


@pytest.mark.parametrize("ref", ["nope", "refs/heads/v1", "refs/tags/main"])
async def test_a_ref_that_is_not_there_is_named(lab: Lab, shas: dict[str, str], ref: str) -> None:
    with pytest.raises(RefNotFoundError, match=r"has no (branch|tag|branch or tag) '"):
        await cloned(lab, ref=ref)


async def test_an_empty_repository_is_refused(lab: Lab) -> None:
    lab.server.create("x")
    with pytest.raises(RefNotFoundError, match="has no commit on its default branch"):
        await cloned(lab)


@pytest.mark.parametrize("name", [".grex-lock", ".GREX-Lock", ".lib.grex-backend.lock", ".grex-tmp-x/file"])
async def test_a_repository_that_tracks_a_name_of_ours_is_refused(lab: Lab, name: str) -> None:
    lab.server.create("x", {name: "", "dir/.grex-lock": "", "f": ""})
    with pytest.raises(FetchError, match="which is a name that grex uses for itself") as raised:
        await cloned(lab)
    assert name.partition("/")[0] in raised.value.message
    assert "dir" not in raised.value.message


@pytest.mark.parametrize(
    "options",
    [
        {"ref": "--upload-pack=touch ran"}, {"ref": "-b"}, {"url": "--upload-pack=touch ran"},
        {"url": "ext::touch ran"},
        {"filter_spec": "blob:none --upload-pack=touch ran"}, {"url": "-u touch"},
    ],
)  # fmt: skip
async def test_nothing_can_be_smuggled_in_as_an_option(lab: Lab, shas: dict[str, str], options: dict[str, Any]) -> None:
    with pytest.raises(FetchError):
        await cloned(lab, **options)
    assert not list(lab.path.rglob("ran"))


async def test_the_template_and_hooks_of_the_machine_are_not_used(lab: Lab, shas: dict[str, str]) -> None:
    hook = lab.path / "template/hooks/post-checkout"
    hook.parent.mkdir(parents=True)
    hook.write_text(f"#!/bin/sh\ntouch {lab.path}/ran\n")
    hook.chmod(0o755)
    git(lab.path, "config", "--file", "gitconfig", "init.templateDir", str(hook.parent.parent))
    runner = GitRunner({**os.environ, "GIT_CONFIG_GLOBAL": str(lab.path / "gitconfig")})
    await cloned(lab, runner=runner)
    assert not (lab.path / "ran").exists()


async def test_progress_is_told(lab: Lab, shas: dict[str, str]) -> None:
    heard: list[GitProgress] = []
    await cloned(lab, on_progress=heard.append)
    assert heard[-1].percent == 100
    assert "receiving" in {progress.stage for progress in heard}


async def test_credentials_in_the_url_stay_out_of_the_error_and_the_record(lab: Lab) -> None:
    with pytest.raises(FetchError) as raised:
        await cloned(lab, url="http://user:geheim@127.0.0.1:1/x.git")
    assert "geheim" not in str(raised.value.to_json())


async def test_without_the_lock_nothing_is_cloned(lab: Lab) -> None:
    lab.backend.die()
    with pytest.raises(RuntimeError, match="BACKEND"):
        await cloned(lab)
    assert not (lab.path / ".grex-tmp-1").exists()


async def test_cancelling_a_slow_clone_leaves_no_process_and_frees_the_lock(lab: Lab, shas: dict[str, str]) -> None:
    """The server is one that never answers: an ssh that hangs."""
    ssh = lab.path / "ssh"
    ssh.write_text(
        f"#!/bin/sh\ntrap '' TERM\necho $$ > {lab.path}/pid.new\nmv {lab.path}/pid.new {lab.path}/pid\n"
        "while :; do sleep 600; done\n"
    )
    ssh.chmod(0o755)
    runner = GitRunner({**os.environ, "GIT_SSH_COMMAND": str(ssh)})
    async with anyio.create_task_group() as tasks:

        async def slow() -> None:
            await cloned(lab, runner=runner, url="ssh://host.invalid/x.git")

        tasks.start_soon(slow)
        await wait_for_file(lab.path / "pid")
        tasks.cancel_scope.cancel()
    assert not alive(int((lab.path / "pid").read_text()))
    lab.backend.die()
    assert is_free(lab.backend.path)
