"""Arguments of a client that means harm, or was talked into it: options and helpers of git, credentials, links."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from grex.cli.app import VERBS, app_with
from grex.errors import UsageError
from grex.mcp.calling import ask, call_tool
from grex.mcp.place import Place as ServedPlace
from grex.mcp.tools import TOOLS
from tests.support.git_server import GitServer, git
from tests.support.mcp_client import place_of
from tests.support.place import Place

pytestmark = pytest.mark.anyio

SECRET = "s3cret"
HELPERS = [
    "ext::sh -c touch% {pwned}",
    "EXT::sh -c touch% {pwned}",
    "fd::17",
    "--upload-pack=touch {pwned}",
    "-u",
    "-oProxyCommand=touch {pwned}:x",
    "ssh://-oProxyCommand=touch%20{pwned}/x",
]
OPTION = "--output={pwned}"
HOSTILE: list[tuple[str, dict[str, Any], str]] = [
    *(("add", {"url": url}, "usage.invalid") for url in HELPERS),
    *(("set", {"pack": "a", "url": url}, "usage.invalid") for url in HELPERS[:4]),
    *(("override", {"pack": "a", "url": url}, "usage.invalid") for url in HELPERS[:4]),
    ("add", {"url": "https://host.example/x", "ref": OPTION}, "usage.invalid"),
    *(("add", {"url": "https://host.example/x", "path": path}, "usage.invalid") for path in ("--x", "../x", ".git/x")),
    ("set", {"pack": "a", "ref": OPTION}, "usage.invalid"),
    ("set", {"pack": "a", "path": "../b"}, "usage.invalid"),
    ("override", {"pack": "a", "ref": OPTION}, "usage.invalid"),
    *(("switch", {"branch": name}, "usage.invalid") for name in ("--force", "-", "@{-1}", "a..b")),
    ("switch", {"branch": "--orphan=x", "create": True}, "usage.invalid"),
    ("fork", {"directory": "../f", "branch": "--force"}, "usage.invalid"),
    ("diff", {"between": OPTION}, "usage.invalid"),
    ("diff", {"between": OPTION + "..HEAD"}, "usage.invalid"),
    ("run", {"name": "../../x"}, "usage.invalid"),
    ("run", {"name": "--help"}, "usage.invalid"),
    ("exec", {"command": ["true"], "packs": ["--help"]}, "usage.invalid"),
    ("import", {"file": "--help"}, "usage.invalid"),
]


@pytest.fixture
def anyio_backend() -> str:
    """Nothing here is about the event loop."""
    return "asyncio"


@pytest.fixture
def in_git(packs: Place, tmp_path: Path) -> ServedPlace:
    """The workspace in a repository, as a server knows it."""
    git(packs.root, "init", "--quiet")
    git(packs.root, "add", ".grex")
    git(packs.root, "commit", "--quiet", "--message", "one")
    return place_of(packs.root, packs.defaults)


async def test_no_argument_is_an_option_or_a_helper_for_git(in_git: ServedPlace, tmp_path: Path) -> None:
    """Each is refused before anything is run, and pack.yaml stays as it was."""
    pwned, spec = tmp_path / "pwned", in_git.root / ".grex/pack.yaml"
    before = spec.read_text()
    unlike = {}
    for tool, arguments, code in HOSTILE:
        meant = json.loads(json.dumps(arguments).replace("{pwned}", str(pwned)))
        result = await call_tool(in_git, TOOLS[tool], meant)
        found = result.structured_content.get("error", {}).get("code")
        if (found, pwned.exists(), spec.read_text()) != (code, False, before):
            unlike[f"{tool} {arguments}"] = (found, pwned.exists(), str(result.structured_content)[:300])
    assert unlike == {}


async def test_what_is_behind_a_dash_in_a_command_is_the_programs(served: ServedPlace) -> None:
    """The first word is a program, whatever it begins with; the others are never grex's."""
    result = await call_tool(served, TOOLS["exec"], {"command": ["echo", "--no-lock", "--", "-x"], "packs": ["a"]})
    assert result.structured_content["packs"][0]["stdout"] == "--no-lock -- -x\n"
    result = await call_tool(served, TOOLS["exec"], {"command": ["--help"], "packs": ["a"]})
    assert "could not be run" in result.structured_content["packs"][0]["error"]["message"]


@pytest.mark.parametrize("how", ["url", "path"])
async def test_a_repository_of_this_machine_is_cloned_as_by_the_command_and_runs_nothing(
    served: ServedPlace, tmp_path: Path, how: str
) -> None:
    remote = GitServer(tmp_path / "remote")
    spec = 'schema_version: "1"\nname: x\ntype: scripted\n'
    remote.create("x", {".grex/pack.yaml": spec, ".grex/hooks/setup.sh": f"#!/bin/sh\ntouch {tmp_path}/pwned\n"})
    url = remote.url("x") if how == "url" else str(remote.path("x"))
    result = await call_tool(served, TOOLS["add"], {"url": url, "path": "x"})
    assert (served.root / "x/.grex/pack.yaml").exists()
    assert "trust" in json.dumps(result.structured_content)
    assert not (tmp_path / "pwned").exists()


async def test_no_result_has_the_credentials_of_a_declared_url(packs: Place) -> None:
    """Also not in errors: nobody answers at that address."""
    url = f"https://user:{SECRET}@127.0.0.1:9/a"
    packs.declare({"url": url}, {"url": "https://host.example/b"})
    git(packs / "a", "remote", "add", "origin", url)
    place = place_of(packs.root, packs.defaults)
    calls: list[tuple[str, dict[str, Any]]] = [
        *((tool.name, {}) for tool in TOOLS.values() if tool.is_read_only),
        *((name, {}) for name in ("sync", "update", "fetch", "doctor", "freeze")),
        ("status", {"fetch": True}),
        ("export", {"format_name": "west"}),
        ("export", {"format_name": "vcs"}),
        ("add", {"url": url.replace("/a", "/new")}),
        ("path", {"pack": url}),
        ("set", {"pack": "b", "url": url}),
        ("override", {"pack": "b", "url": url}),
        ("exec", {"command": ["git", "clone", url, "there"], "packs": ["a"]}),
    ]
    told = []
    for tool, arguments in calls:
        result = await call_tool(place, TOOLS[tool], arguments)
        if SECRET in result.model_dump_json():
            told.append((tool, arguments))
    assert told == []


async def test_a_link_that_is_put_in_the_place_of_an_output_after_the_check_is_not_followed(
    packs: Place, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.write_text("mine\n")
    place = place_of(packs.root, packs.defaults)
    asking, asked = ask(place, TOOLS["export"], {"format_name": "vcs", "output": "out.yml"})
    (packs / "out.yml").symlink_to(outside)
    with pytest.raises(UsageError, match="symbolic link, which is not written through"):
        await asking.run(place.settings(asked))
    assert outside.read_text() == "mine\n"


NO_WORK_IS_DISCARDED = {
    "set": "edits pack.yaml, which is the user's to commit; the pack is moved as by sync, and stays where it has work",
    "override": "as set, of what the workspace says over others",
    "exec": "runs what the client says, as the user; nothing about a program can be known before",
    "run": "runs what the user has trusted",
    "teardown": "takes back what packs installed; what was changed by hand since stays",
    "cache_gc": "removes copies of what the remotes have",
}
CONFIRMED = {"sync", "update", "rm", "fork_rm", "doctor", "export", "freeze"}


def test_each_tool_that_can_take_something_away_needs_a_confirmation_or_takes_no_work() -> None:
    destructive = {tool.name for tool in TOOLS.values() if tool.is_destructive}
    assert {tool.name for tool in TOOLS.values() if tool.discards is not None} == CONFIRMED
    assert destructive == CONFIRMED | NO_WORK_IS_DISCARDED.keys()


def test_what_a_command_wants_force_for_a_tool_wants_confirmed() -> None:
    with_force = set()
    for name, command in get_command(app_with(VERBS)).commands.items():  # type: ignore[attr-defined]  # it is a group
        inner = getattr(command, "commands", {"": command})
        options = {option for one in inner.values() for param in one.params for option in param.opts}
        if "--force" in options and name != "push":
            with_force.add("fork_rm" if name == "fork" else name)
    by_tool = {tool.name for tool in TOOLS.values() if "force" in {one.name for one in tool.arguments}}
    assert with_force & (TOOLS.keys()) == by_tool
    assert by_tool <= CONFIRMED
