"""Two packs that want one place: both are refused before anything of either is run, and the others get done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.distribution import python_path, write_distribution
from tests.support.git_server import GitServer
from tests.support.workspace import Run, Workspace, pack_yaml

DOTFILES = Path(__file__).parents[2] / "examples/grex-dotfiles/grex_dotfiles.py"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


def link(dst: str) -> dict[str, Any]:
    return {"symlink": {"src": "f", "dst": dst, "backup": True}}


def create(server: GitServer, name: str, *actions: dict[str, Any]) -> None:
    """A pack that would leave a directory behind if anything of it were run."""
    first = {"mkdir": {"path": f"~/ran-{name}"}}
    text = pack_yaml(name, "declarative", actions=[first, *actions])
    server.create(name, {"f": f"{name}\n", ".grex/pack.yaml": text})


def place_of(server: GitServer, name: str, number: int) -> str:
    """Where the action of that number stands, as an error says it."""
    lines = (server.work(name) / ".grex/pack.yaml").read_text().splitlines()
    line = lines.index("actions:") + 1 + number
    return f"{name}/.grex/pack.yaml:{line + 1}:"


def statuses(run: Run) -> dict[str, str]:
    return {path: pack["install"]["status"] for path, pack in run.packs.items() if pack["install"]}


def test_two_packs_that_want_one_place_fail_and_name_both_and_the_third_is_done(
    server: GitServer, workspace: Workspace
) -> None:
    """By every verb that looks at installs: a plan, a sync, a status, and a sync of one of the two.

    - one declares the place through `~`, the other through a link to the home;
    - nothing of either was run, and what the user had is where it was;
    - with a `when` that does not hold, the other one is installed.
    """
    create(server, "a", link("~/.rc"))
    create(server, "b", link(f"{workspace.root.parent}/alias/.rc"))
    create(server, "c", link("~/.other"))
    (workspace.root.parent / "alias").symlink_to(workspace.home)
    (workspace.home / ".rc").write_text("mine\n")
    workspace.declare(*({"url": server.url(name)} for name in "abc"))
    workspace.grex("trust", server.root.as_uri())
    workspace.sync("--no-install")
    before = workspace.snapshot(roots=[workspace.home])
    planned = workspace.sync("--dry-run", expect=4)
    assert statuses(planned) == {"a": "failed", "b": "failed", "c": "planned"}
    assert workspace.snapshot(roots=[workspace.home]) == before
    run = workspace.sync(expect=4)
    assert statuses(run) == {"a": "failed", "b": "failed", "c": "installed"}
    for name in "ab":
        error = run.packs[name]["install"]["error"]
        assert error["code"] == "pack.claim"
        assert place_of(server, "a", 1) in error["message"]
        assert place_of(server, "b", 1) in error["message"]
        assert "`when`" in error["hint"]
        assert not (workspace.home / f"ran-{name}").exists()
    assert (workspace.home / ".rc").read_text() == "mine\n"
    assert (workspace.home / ".other").is_symlink()
    status = workspace.grex("status", "--json", expect=4).packs
    assert [status[name]["states"] for name in "abc"] == [["error"], ["error"], []]
    assert status["a"]["error"]["code"] == "pack.claim"
    assert statuses(workspace.sync("b", expect=4)) == {"b": "failed"}
    server.commit(
        "b",
        {
            ".grex/pack.yaml": pack_yaml(
                "b", "declarative", actions=[{"when": {"os": "windows", "actions": [link("~/.rc")]}}]
            )
        },
    )
    assert statuses(workspace.sync()) == {"a": "installed", "b": "installed"}
    assert (workspace.home / ".rc").resolve() == workspace / "a/f"


def test_a_newcomer_does_not_take_the_place_of_a_pack_that_is_installed(
    server: GitServer, workspace: Workspace
) -> None:
    """Below a link that is in place already, which a path that is merely resolved would lead through."""
    server.create(
        "a",
        {
            "d/x": "1\n",
            ".grex/pack.yaml": pack_yaml(
                "a", "declarative", actions=[{"symlink": {"src": "d", "dst": "~/.config/tool"}}]
            ),
        },
    )
    create(server, "b", link("~/.config/tool/y"))
    create(server, "c", {"mkdir": {"path": "~/.config/tool/cache"}})
    create(server, "d", {"mkdir": {"path": "~/.config"}})
    workspace.declare({"url": server.url("a")})
    workspace.grex("trust", server.root.as_uri())
    workspace.sync()
    workspace.declare(*({"url": server.url(name)} for name in "abcd"))
    run = workspace.sync(expect=4)
    assert statuses(run) == {"a": "failed", "b": "failed", "c": "failed", "d": "installed"}
    assert len(run.packs["a"]["install"]["error"]["details"]["problems"]) == 2
    assert sorted(path.name for path in (workspace / "a/d").iterdir()) == ["x"]


def test_a_pack_that_wants_one_place_twice_is_refused_and_a_when_tells_which_action(
    server: GitServer, workspace: Workspace
) -> None:
    nested = {"when": {"os": "linux", "actions": [link("~/.x"), link("~/.rc")]}}
    create(server, "a", link("~/.rc"), nested)
    workspace.declare({"url": server.url("a")})
    workspace.grex("trust", server.root.as_uri())
    error = workspace.sync(expect=4).packs["a"]["install"]["error"]
    place = place_of(server, "a", 2)
    line = (server.work("a") / ".grex/pack.yaml").read_text().splitlines()[int(place.split(":")[1]) - 1]
    assert error["message"].startswith(f"a wants {workspace.home}/.rc twice: at {place_of(server, 'a', 1)}")
    columns = [place + str(column + 1) for column in range(len(line)) if line.startswith('"symlink"', column)]
    assert error["message"].endswith(columns[1])
    assert not (workspace.home / "ran-a").exists()


def test_a_pack_that_nobody_trusts_keeps_no_other_from_its_place(server: GitServer, workspace: Workspace) -> None:
    create(server, "mine", link("~/.rc"))
    create(server, "strange", link("~/.rc"))
    workspace.declare({"url": server.url("mine")}, {"url": server.url("strange")})
    run = workspace.sync("--trust", server.url("mine"), expect=4)
    assert statuses(run) == {"mine": "installed", "strange": "failed"}
    assert run.packs["strange"]["install"]["error"]["code"] == "pack.claim"


def test_a_type_of_a_plugin_says_itself_what_it_wants(server: GitServer, workspace: Workspace, tmp_path: Path) -> None:
    site = write_distribution(
        tmp_path / "site", "dots", DOTFILES.read_text(), {"grex.pack_types": {"dotfiles": "Dotfiles"}}
    )
    for name in ("a", "b"):
        server.create(name, {"files/.vimrc": "1\n", ".grex/pack.yaml": pack_yaml(name, "dotfiles")})
    workspace.declare({"url": server.url("a")}, {"url": server.url("b")})
    run = workspace.sync("--trust", server.root.as_uri(), expect=4, PYTHONPATH=python_path(site))
    assert statuses(run) == {"a": "failed", "b": "failed"}
    message = run.packs["a"]["install"]["error"]["message"]
    assert f"two packs want {workspace.home}/.vimrc: a at {workspace.root}/a/files/.vimrc" in message
    assert not (workspace.home / ".vimrc").exists()
