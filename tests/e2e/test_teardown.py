"""`grex teardown` takes back exactly what grex did, in the right order, and says what it could not."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

from tests.support.git_server import GitServer, git
from tests.support.running import Gate, Running, eventually
from tests.support.workspace import Run, Workspace, pack_yaml


def say(ran: Path, word: str) -> list[str]:
    return ["/bin/sh", "-c", f"echo {word} >> {ran}"]


def teardown(workspace: Workspace, *arguments: str, expect: int = 0, **environ: Any) -> Run:
    return workspace.grex("teardown", "--json", *arguments, expect=expect, **environ)


def statuses(run: Run) -> dict[str, str]:
    return {path: pack["status"] for path, pack in run.packs.items()}


def brackets(workspace: Workspace, pack: str) -> list[tuple[str, str, str]]:
    lines = [json.loads(line) for line in workspace.log.read_text().splitlines()]
    return [
        (line["op"].removeprefix("action_"), line["action"], line["phase"])
        for line in lines
        if line["id"] == pack and line["op"].startswith("action_")
    ]


def declare(server: GitServer, workspace: Workspace, **packs: dict[str, Any]) -> None:
    """A workspace with these declarative packs, by name over the further keys of their pack.yaml."""
    for name, keys in packs.items():
        server.create(name, {".grex/pack.yaml": pack_yaml(name, "declarative", **keys), "rc": f"{name}\n"})
    workspace.declare(*({"url": server.url(name)} for name in packs))


def dotfile(name: str) -> dict[str, Any]:
    return {"symlink": {"src": "rc", "dst": f"~/{name}", "backup": True}}


def test_the_home_is_as_it_was_and_the_next_sync_installs_again(server: GitServer, workspace: Workspace) -> None:
    """Install and teardown, then the same once more.

    - a file of the user's was in the way and was kept as a backup;
    - a directory was made;
    - after it nothing is installed any more, which `status` and another teardown say.
    """
    (workspace.home / ".rc").write_text("the user's")
    declare(server, workspace, dots={"actions": [{"mkdir": {"path": "~/made/deep"}}, dotfile(".rc")]})
    before = workspace.snapshot(times=True, roots=[workspace.home])
    for _ in range(2):
        workspace.sync()
        assert (workspace.home / ".rc").readlink() == workspace / "dots/rc"
        found = teardown(workspace)
        assert statuses(found) == {"dots": "torn-down"}
        assert found.packs["dots"]["changes"] == [
            f"undid symlink {workspace.home}/.rc",
            f"undid mkdir {workspace.home}/made/deep",
        ]
        after = workspace.snapshot(times=True, roots=[workspace.home])
        name = f"{workspace.home.name}/.rc"
        assert {path for path in after if path.startswith(f"{workspace.home.name}/")} == {
            path for path in before if path.startswith(f"{workspace.home.name}/")
        }
        assert after[name] == before[name]
        assert statuses(teardown(workspace)) == {}
        assert "not installed yet" in workspace.grex("status").stdout
    assert workspace.grex("teardown").stdout == "Nothing of these packs is installed.\n"


def test_what_was_done_twice_is_told_once(server: GitServer, workspace: Workspace) -> None:
    """As by an `update --force` after a change by hand: two entries of the log, each with a version of the user's."""
    link = workspace.home / ".rc"
    link.write_text("the user's")
    declare(server, workspace, dots={"actions": [dotfile(".rc")]})
    workspace.sync()
    link.unlink()
    link.write_text("by hand")
    workspace.grex("update", "--force", "--trust", server.root.as_uri())
    assert teardown(workspace, "--dry-run").packs["dots"]["changes"] == [f"undo symlink {link}"]
    assert teardown(workspace).packs["dots"]["changes"] == [f"undid symlink {link}"]
    assert link.read_text() == "the user's"
    assert [path.read_text() for path in workspace.home.glob(".rc.*")] == ["by hand"]


def test_what_depends_on_a_pack_goes_before_it(server: GitServer, workspace: Workspace, ran: Path) -> None:
    """`top` needs `middle`, which has nothing to install and needs `base`."""
    acts = [{"exec": {"cmd": ["true"], "undo": say(ran, "base")}}]
    server.create("base", {".grex/pack.yaml": pack_yaml("base", "declarative", actions=acts)})
    server.create("middle", {".grex/pack.yaml": pack_yaml("middle", "meta", depends_on=["base"])})
    acts = [{"exec": {"cmd": ["true"], "undo": say(ran, "top")}}]
    server.create("top", {".grex/pack.yaml": pack_yaml("top", "declarative", depends_on=["middle"], actions=acts)})
    workspace.declare(*({"url": server.url(name)} for name in ("base", "middle", "top")))
    workspace.sync()
    assert statuses(teardown(workspace)) == {"base": "torn-down", "top": "torn-down"}
    assert ran.read_text().split() == ["top", "base"]


def test_a_pack_that_could_not_be_taken_back_keeps_what_it_needs_and_stops_nobody_else(
    server: GitServer, workspace: Workspace, ran: Path, tmp_path: Path
) -> None:
    """`top` needs `base`; its undo fails until a file is there.

    - the undo that fails is named, what was done before it is undone all the same;
    - `base` stays installed, with the reason; `alone` goes;
    - once it can be done, another teardown does the rest, and nothing twice.
    """
    undo = ["/bin/sh", "-c", f"echo top >> {ran}; test -e {tmp_path}/mended"]
    declare(
        server,
        workspace,
        base={"actions": [{"mkdir": {"path": "~/base"}}]},
        top={
            "depends_on": ["base"],
            "actions": [{"mkdir": {"path": "~/top"}}, {"exec": {"cmd": ["true"], "undo": undo}}],
        },
        alone={"actions": [{"mkdir": {"path": "~/alone"}}]},
    )
    workspace.sync()
    found = teardown(workspace, expect=4)
    assert statuses(found) == {"alone": "torn-down", "base": "not-reached", "top": "failed"}
    assert found.packs["base"]["notes"] == ["top depends on it and was not torn down"]
    error = found.packs["top"]["error"]
    assert "top/.grex/pack.yaml:8:6: not everything could be undone: exec /bin/sh -c" in error["message"]
    assert len(error["details"]["left"]) == 1
    assert not (workspace.home / "top").exists()
    assert (workspace.home / "base").is_dir()
    workspace.sync()
    assert (workspace.home / "top").is_dir(), "a sync mends what was taken back in part"
    (tmp_path / "mended").touch()
    assert set(statuses(teardown(workspace)).values()) == {"torn-down"}
    assert ran.read_text().split() == ["top", "top"]
    assert not (workspace.home / "base").exists()


def test_a_pack_that_an_installed_one_needs_is_not_taken_from_under_it(server: GitServer, workspace: Workspace) -> None:
    declare(
        server,
        workspace,
        base={"actions": [{"mkdir": {"path": "~/base"}}]},
        top={"depends_on": ["base"], "actions": [{"mkdir": {"path": "~/top"}}]},
    )
    workspace.sync()
    found = teardown(workspace, "base", expect=4)
    assert found.packs["base"]["error"]["message"] == (
        "base is needed by top, which is installed and was not asked for"
    )
    assert found.packs["base"]["error"]["hint"] == "`grex teardown top base` takes them back together."
    assert (workspace.home / "base").is_dir()
    assert statuses(teardown(workspace, "top")) == {"top": "torn-down"}
    assert statuses(teardown(workspace, "base")) == {"base": "torn-down"}


def test_packs_that_need_each_other_in_a_circle_can_be_taken_back(server: GitServer, workspace: Workspace) -> None:
    declare(
        server,
        workspace,
        a={"actions": [{"mkdir": {"path": "~/a"}}]},
        b={"actions": [{"mkdir": {"path": "~/b"}}]},
    )
    workspace.sync()
    for name, other in (("a", "b"), ("b", "a")):
        acts = [{"mkdir": {"path": f"~/{name}"}}]
        text = pack_yaml(name, "declarative", depends_on=[other], actions=acts)
        server.commit(name, {".grex/pack.yaml": text})
    workspace.sync("--no-install")
    assert workspace.sync(expect=4).packs["a"]["install"]["error"]["code"] == "pack.cycle"
    assert statuses(teardown(workspace)) == {"a": "torn-down", "b": "torn-down"}


def test_a_pack_with_its_children_is_meant_by_its_name(server: GitServer, workspace: Workspace) -> None:
    acts = [{"mkdir": {"path": "~/child"}}]
    server.create("child", {".grex/pack.yaml": pack_yaml("child", "declarative", actions=acts)})
    server.create(
        "owner",
        {
            ".grex/pack.yaml": pack_yaml(
                "owner", "declarative", children=[{"url": server.url("child")}], actions=[{"mkdir": {"path": "~/o"}}]
            )
        },
    )
    server.create("other", {".grex/pack.yaml": pack_yaml("other", "declarative", actions=[{"mkdir": {"path": "~/x"}}])})
    workspace.declare({"url": server.url("owner")}, {"url": server.url("other")})
    workspace.sync()
    assert statuses(teardown(workspace, "owner")) == {"owner": "torn-down", "owner/child": "torn-down"}
    assert statuses(teardown(workspace, ".")) == {"other": "torn-down"}
    assert teardown(workspace, "nobody", expect=2).error["message"] == "there is no pack 'nobody' in this workspace"


def test_a_pack_that_nobody_declares_any_more_is_taken_back_too(
    server: GitServer, workspace: Workspace, ran: Path
) -> None:
    """By its own pack.yaml as long as its checkout is there, afterwards by what the log has."""
    declare(
        server, workspace, a={"actions": [{"mkdir": {"path": "~/a"}}], "teardown": [{"exec": {"cmd": say(ran, "a")}}]}
    )
    server.create("b", {".grex/pack.yaml": pack_yaml("b", "declarative", actions=[{"mkdir": {"path": "~/b"}}])})
    workspace.declare({"url": server.url("a")}, {"url": server.url("b")})
    workspace.sync()
    workspace.declare()
    (workspace / "b").rename(workspace.home / "taken-away")
    assert statuses(teardown(workspace, "a")) == {"a": "torn-down"}
    assert ran.read_text().split() == ["a"]
    found = teardown(workspace)
    assert statuses(found) == {"b": "torn-down"}
    assert found.packs["b"]["notes"] == ["its checkout is gone, so no hook and no `teardown:` of it could be run"]
    assert not (workspace.home / "b").exists()
    assert not (workspace / "b").exists(), "nor is there a directory that only has a lock file in it"


def test_an_empty_teardown_undoes_nothing_and_an_absent_one_everything(server: GitServer, workspace: Workspace) -> None:
    declare(
        server,
        workspace,
        absent={"actions": [{"mkdir": {"path": "~/absent"}}]},
        empty={"actions": [{"mkdir": {"path": "~/empty"}}], "teardown": []},
    )
    workspace.sync()
    found = teardown(workspace)
    assert statuses(found) == {"absent": "torn-down", "empty": "torn-down"}
    assert found.packs["empty"]["changes"] == []
    assert (workspace.home / "empty").is_dir()
    assert not (workspace.home / "absent").exists()
    assert statuses(teardown(workspace)) == {}


def test_a_declared_teardown_runs_in_its_order_with_names_of_its_own_in_the_log(
    server: GitServer, workspace: Workspace, ran: Path, tmp_path: Path
) -> None:
    """The second of its three actions fails at first: what the first did stays, and is found done the next time."""
    acts = [
        {"mkdir": {"path": "~/kept"}},
        {"exec": {"cmd": ["/bin/sh", "-c", f"echo second >> {ran}; test -e {tmp_path}/mended"]}},
        {"exec": {"cmd": say(ran, "third")}},
    ]
    declare(server, workspace, a={"actions": [{"exec": {"cmd": ["true"], "undo": say(ran, "undo")}}], "teardown": acts})
    workspace.sync()
    found = teardown(workspace, expect=4)
    assert found.packs["a"]["status"] == "failed"
    assert (workspace.home / "kept").is_dir()
    (tmp_path / "mended").touch()
    assert statuses(teardown(workspace)) == {"a": "torn-down"}
    assert ran.read_text().split() == ["second", "second", "third"]
    assert brackets(workspace, "a") == [
        ("started", "0", "do"),
        ("completed", "0", "do"),
        ("started", "teardown.0", "do"),
        ("completed", "teardown.0", "do"),
        ("started", "teardown.1", "do"),
        ("halted", "teardown.1", "do"),
        ("started", "teardown.1", "do"),
        ("completed", "teardown.1", "do"),
        ("started", "teardown.2", "do"),
        ("completed", "teardown.2", "do"),
    ]


def test_a_scripted_pack_runs_its_teardown_hook(server: GitServer, workspace: Workspace, ran: Path) -> None:
    hooks = {f".grex/hooks/{name}.sh": f"echo {name} $PWD >> {ran}\n" for name in ("setup", "teardown")}
    server.create("a", {".grex/pack.yaml": pack_yaml("a", "scripted"), **hooks})
    workspace.declare({"url": server.url("a")})
    workspace.sync()
    assert teardown(workspace).packs["a"]["changes"] == ["hook .grex/hooks/teardown.sh"]
    assert ran.read_text() == f"setup {workspace / 'a'}\nteardown {workspace / 'a'}\n"
    assert statuses(teardown(workspace)) == {}


def test_what_no_undo_and_no_hook_can_take_back_is_said(server: GitServer, workspace: Workspace) -> None:
    server.create(
        "a",
        {
            ".grex/pack.yaml": pack_yaml(
                "a", "declarative", actions=[{"exec": {"cmd": ["true"]}}, {"mkdir": {"path": "~/m"}}]
            )
        },
    )
    server.create("b", {".grex/pack.yaml": pack_yaml("b", "scripted"), ".grex/hooks/setup.sh": "true\n"})
    workspace.declare({"url": server.url("a")}, {"url": server.url("b")})
    workspace.sync()
    said = {"a": ["exec: what its command did stays, for it has no `undo`"]}
    said["b"] = ["what its hooks did stays, for it has no `teardown` hook"]
    for found in (teardown(workspace, "--dry-run"), teardown(workspace)):
        assert {path: pack["notes"] for path, pack in found.packs.items()} == said


def test_nothing_that_the_log_would_run_is_run_for_a_pack_that_is_not_trusted(
    server: GitServer, workspace: Workspace, ran: Path
) -> None:
    """The undo command is in the log only: the pack.yaml has no `exec` any more, and the trust is gone."""
    declare(
        server,
        workspace,
        a={"actions": [{"exec": {"cmd": ["true"], "undo": say(ran, "undone")}}]},
        b={"actions": [{"mkdir": {"path": "inside"}}]},
    )
    workspace.sync()
    server.commit("a", {".grex/pack.yaml": pack_yaml("a", "meta")})
    workspace.sync()
    del workspace.environ["GREX_TRUST"]
    found = teardown(workspace, expect=4)
    assert statuses(found) == {"a": "untrusted", "b": "torn-down"}
    assert "is not trusted to run: undo exec /bin/sh -c" in found.packs["a"]["error"]["message"]
    assert statuses(teardown(workspace, expect=4)) == {"a": "untrusted"}
    assert not ran.exists()
    assert statuses(teardown(workspace, "--trust", server.root.as_uri())) == {"a": "torn-down"}
    assert ran.read_text() == "undone\n"


def test_trust_goes_by_where_the_checkout_came_from_and_not_by_what_is_declared_by_now(
    server: GitServer, workspace: Workspace, ran: Path
) -> None:
    declare(server, workspace, evil={"actions": [{"exec": {"cmd": ["true"], "undo": say(ran, "evil")}}]})
    server.create("good", {"x": "1\n"})
    workspace.sync()
    workspace.declare({"url": server.url("good"), "path": "evil"})
    found = teardown(workspace, expect=4, GREX_TRUST=server.path("good").as_uri())
    assert found.packs["evil"]["status"] == "untrusted"
    assert not ran.exists()


def test_a_log_that_came_with_the_workspace_runs_nothing_in_the_name_of_a_trusted_pack(
    server: GitServer, workspace: Workspace, ran: Path
) -> None:
    declare(server, workspace, a={"actions": [{"exec": {"cmd": ["true"], "undo": say(ran, "evil")}}]})
    workspace.sync()
    git(workspace.root, "init", "--quiet")
    git(workspace.root, "add", "--force", "grex.jsonl")
    error = teardown(workspace, expect=3).error
    assert error["message"].startswith("grex.jsonl is committed")
    assert not ran.exists()
    git(workspace.root, "rm", "--quiet", "--cached", "grex.jsonl")
    assert statuses(teardown(workspace)) == {"a": "torn-down"}


def test_a_dry_run_says_what_would_be_taken_back_and_writes_nothing(server: GitServer, workspace: Workspace) -> None:
    declare(server, workspace, a={"actions": [{"mkdir": {"path": "~/a"}}, dotfile(".rc")]})
    workspace.sync()
    before = workspace.snapshot(git=True, times=True, roots=[workspace.home])
    found = teardown(workspace, "--dry-run")
    assert found.packs["a"]["status"] == "planned"
    assert found.packs["a"]["changes"] == [
        f"undo symlink {workspace.home}/.rc",
        f"undo mkdir {workspace.home}/a",
    ]
    assert workspace.snapshot(git=True, times=True, roots=[workspace.home]) == before


def test_after_a_failure_fail_fast_begins_nothing_new(server: GitServer, workspace: Workspace) -> None:
    declare(
        server,
        workspace,
        a={"actions": [{"exec": {"cmd": ["true"], "undo": ["false"]}}]},
        b={"actions": [{"mkdir": {"path": "~/b"}}]},
    )
    workspace.sync()
    found = teardown(workspace, "--fail-fast", "--jobs", "1", expect=4)
    assert statuses(found) == {"a": "failed", "b": "not-reached"}
    assert (workspace.home / "b").is_dir()


def test_an_interrupted_move_is_mended_before_a_hook_of_it_is_run(
    server: GitServer, workspace: Workspace, ran: Path
) -> None:
    server.create(
        "a",
        {
            ".grex/pack.yaml": pack_yaml("a", "scripted"),
            ".grex/hooks/setup.sh": "true\n",
            ".grex/hooks/teardown.sh": f"echo >> {ran}\n",
        },
    )
    workspace.declare({"url": server.url("a")})
    workspace.sync()
    note = workspace / "a/.git/grex/note.json"
    note.write_text(
        json.dumps({"version": 1, "op": "checkout", "pack": "a", "from_sha": git(workspace / "a", "rev-parse", "HEAD")})
    )
    found = teardown(workspace, expect=4)
    assert "left its checkout between two commits" in found.packs["a"]["error"]["message"]
    assert not ran.exists()


def test_a_teardown_waits_for_nobody_when_it_is_told_so(
    server: GitServer, workspace: Workspace, tmp_path: Path
) -> None:
    gate = Gate(tmp_path / "gate")
    server.create("a", {".grex/pack.yaml": pack_yaml("a", "scripted"), ".grex/hooks/setup.sh": gate.script()})
    workspace.declare({"url": server.url("a")})
    with Running(workspace, "sync") as running:
        gate.wait_entered()
        assert teardown(workspace, "--no-wait", expect=5).error["code"] == "lock.busy"
        gate.open()
        assert running.finish().code == 0


def test_an_interrupted_teardown_is_finished_by_another_one(
    server: GitServer, workspace: Workspace, tmp_path: Path
) -> None:
    gate = Gate(tmp_path / "gate")
    server.create(
        "a",
        {
            ".grex/pack.yaml": pack_yaml("a", "scripted"),
            ".grex/hooks/setup.sh": "true\n",
            ".grex/hooks/teardown.sh": gate.script(),
        },
    )
    workspace.declare({"url": server.url("a")})
    workspace.sync()
    with Running(workspace, "teardown") as running:
        gate.wait_entered()
        os.kill(running.pid, signal.SIGINT)
        ended = running.finish(expect=130)
    assert "run it again to go on from here" in ended.stderr
    assert brackets(workspace, "a")[-1] == ("halted", "teardown.0", "do")
    gate.entered.unlink()
    with Running(workspace, "teardown") as running:
        gate.wait_entered()
        gate.open()
        assert running.finish().code == 0
    eventually("nothing is installed", lambda: statuses(teardown(workspace)) == {})
