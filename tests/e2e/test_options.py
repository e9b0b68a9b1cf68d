"""What options, environment variables and configuration do, each seen in what a run does.

The hazard: an option that is taken and has no effect. `--jobs` and what stands in for it are in `test_jobs.py`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.git_server import GitServer
from tests.support.running import Gate, Running, error_of
from tests.support.workspace import Workspace, pack_yaml


@pytest.fixture
def workspace(server: GitServer, tmp_path: Path) -> Workspace:
    """A workspace with one pack whose hook leaves a mark."""
    hook = {".grex/hooks/setup.sh": "touch ran\n", ".gitignore": "ran\n"}
    server.create("pack", {".grex/pack.yaml": pack_yaml("pack", "scripted"), **hook})
    made = Workspace(tmp_path)
    made.declare({"url": server.url("pack")})
    return made


def test_grex_trust_trusts_every_prefix_in_it_for_one_run(workspace: Workspace, server: GitServer) -> None:
    workspace.sync(expect=4)
    workspace.sync(expect=4, GREX_TRUST="https://elsewhere.invalid/team")
    assert not (workspace / "pack/ran").exists()
    workspace.sync(GREX_TRUST=f"https://elsewhere.invalid/team {server.root.as_uri()}")
    assert (workspace / "pack/ran").exists()
    assert "Nothing is trusted" in workspace.grex("trust").stdout


def test_a_prefix_of_trust_ends_at_a_path_boundary(workspace: Workspace, server: GitServer) -> None:
    workspace.sync("--trust", server.root.as_uri()[:-1], expect=4)
    workspace.sync("--trust", server.root.as_uri())


def test_a_workspace_cannot_trust_packs_by_its_own_configuration(workspace: Workspace, server: GitServer) -> None:
    (workspace / ".grex/config.toml").write_text(f'[trust]\nprefixes = ["{server.root.as_uri()}"]\n')
    assert error_of(workspace.sync(expect=2))["code"].startswith("usage.")
    assert not (workspace / "pack").exists()


def test_the_users_own_configuration_trusts(workspace: Workspace, server: GitServer) -> None:
    config = Path(workspace.environ["XDG_CONFIG_HOME"]) / "grex/config.toml"
    config.parent.mkdir(parents=True)
    config.write_text(f'[trust]\nprefixes = ["{server.root.as_uri()}"]\n')
    workspace.sync()
    assert (workspace / "pack/ran").exists()


def test_the_workspace_is_the_option_before_the_variable_before_the_directory(
    workspace: Workspace, tmp_path: Path
) -> None:
    others = {name: Workspace(tmp_path, name) for name in ("by-option", "by-variable")}
    for other in others.values():
        other.declare()
    option, variable = others["by-option"].root, others["by-variable"].root

    def seen(*arguments: str | Path, **environ: str) -> str:
        workspace.environ.pop("GREX_WORKSPACE", None)
        workspace.environ |= environ
        run = workspace.grex(*arguments, cwd=workspace / ".grex")
        return Path(run.document["workspace"]).name

    assert seen("ls", "--json") == "ws"
    assert seen("ls", "--json", GREX_WORKSPACE=str(variable)) == "by-variable"
    assert seen("ls", "--json", "--workspace", option, GREX_WORKSPACE=str(variable)) == "by-option"
    assert seen("--workspace", option, "ls", "--json") == "by-option"
    assert seen("--json", "ls", "--workspace", "../../by-option") == "by-option"


def test_a_workspace_that_is_none_is_a_usage_error(workspace: Workspace, tmp_path: Path) -> None:
    for run in (
        workspace.grex("ls", "--json", "--workspace", tmp_path, expect=2),
        workspace.grex("ls", "--json", expect=2, GREX_WORKSPACE=str(tmp_path / "missing")),
    ):
        assert error_of(run)["hint"]
        assert str(tmp_path) in error_of(run)["message"]


@pytest.mark.slow  # `tests/cli/test_call.py` has the same without processes
def test_options_mean_the_same_before_and_after_the_verb(
    workspace: Workspace, server: GitServer, tmp_path: Path
) -> None:
    """Every option that the verbs share; each call says by what it does that it has understood."""
    gate = Gate(tmp_path / "gate")
    server.commit("pack", {".grex/hooks/setup.sh": gate.script()})
    trace = tmp_path / "run.trace"
    with Running(workspace, "sync", "--trust", server.root.as_uri()) as first:
        gate.wait_entered()
        for option in (["--no-wait"], ["--lock-timeout", "0.1"]):
            for arguments in ([*option, "sync"], ["sync", *option]):
                workspace.grex(*arguments, expect=5)
        gate.open()
        first.finish()
    for arguments in (["--trace", str(trace), "sync"], ["sync", "--trace", str(trace)]):
        workspace.grex(*arguments)
        assert trace.read_text().startswith("[")
        trace.unlink()
    for arguments in (["--quiet", "sync"], ["sync", "--quiet"], ["sync", "-q"]):
        assert workspace.grex(*arguments).stderr == ""
    assert workspace.grex("sync").stderr != ""
    for arguments in (["--json", "sync"], ["sync", "--json"]):
        assert workspace.grex(*arguments).document["schema"] == "grex.sync/1"
    for arguments in (["--jobs", "0", "sync"], ["sync", "--jobs", "0"], ["sync", "-j", "x"]):
        assert "jobs" in workspace.grex(*arguments, expect=2).stderr
    for arguments in (["--no-wait", "sync", "--lock-timeout", "1"], ["sync", "--no-wait", "--lock-timeout", "1"]):
        assert "exclude each other" in workspace.grex(*arguments, expect=2).stderr


@pytest.mark.parametrize("jobs", ["0", "-1", "four", "1.5", "٣"])
def test_grex_jobs_that_is_no_number_is_a_usage_error(workspace: Workspace, jobs: str) -> None:
    error = error_of(workspace.grex("ls", "--json", expect=2, GREX_JOBS=jobs))
    assert "GREX_JOBS" in error["message"]
    assert not (workspace / "pack").exists()
