"""Arguments that are wrong: one sentence that says which, why, and what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from grex.errors import UnconfirmedError, UsageError
from grex.mcp.arguments import schema_of
from grex.mcp.calling import ask, call_tool
from grex.mcp.tools import TOOLS
from tests.support.mcp_client import place_of
from tests.support.place import Place


@pytest.mark.parametrize(
    ("tool", "arguments", "message", "hint"),
    [
        ("status", {"pakcs": ["a"]}, "there is no argument `pakcs`", "Did you mean 'packs'?"),
        ("locks", {"packs": ["a"]}, "there is no argument `packs`", "The tool takes none."),
        ("status", {"packs": "a"}, "`packs` is 'a', not a list of strings", None),
        ("status", {"packs": [1]}, "`packs` is [1], not a list of strings", None),
        ("status", {"fetch": "yes"}, "`fetch` is 'yes', not true or false", None),
        ("status", {"fetch": 1}, "`fetch` is 1, not true or false", None),
        ("sync", {"jobs": 0}, "`jobs` is 0, not a whole number, 1 or more", None),
        ("sync", {"jobs": True}, "`jobs` is true, not a whole number, 1 or more", None),
        ("sync", {"jobs": 1.5}, "`jobs` is 1.5, not a whole number, 1 or more", None),
        ("sync", {"jobs": 10**30}, f"`jobs` is {10**30}, not a whole number, 1 or more", None),
        ("sync", {"lock_timeout_s": -1}, "`lock_timeout_s` is -1, not a number of seconds, 0 or more", None),
        ("sync", {"no_wait": True, "lock_timeout_s": 1}, "`no_wait` and `lock_timeout_s` exclude each other", "Give"),
        ("path", {"pack": {"a": 1}}, "`pack` is an object, not a string", None),
        ("path", {"pack": "a\0b"}, "`pack` is 'ab', not a string", None),
        ("exec", {}, '`command` is missing: the program and its arguments, each a string: ["git", "log", "-1"].', None),
        ("exec", {"command": []}, "`command` is missing", None),
        ("exec", {"command": ["true"], "shell": True}, "there is no argument `shell`", None),
        ("export", {"format_name": "svn"}, "`format_name` is 'svn', not one of west, vcs", None),
        ("status", {"x" * 500: 1}, "there is no argument `xxx", None),
        ("trust", {"prefix": "https://host.example"}, "there is no argument `prefix`", None),
        ("add", {"url": "x", "trust_url": True}, "there is no argument `trust_url`", None),
    ],
)
def test_a_wrong_argument_is_one_short_sentence(
    declared: Place, tool: str, arguments: dict[str, Any], message: str, hint: str | None
) -> None:
    with pytest.raises(UsageError) as caught:
        ask(place_of(declared.root, declared.defaults), TOOLS[tool], arguments)
    assert caught.value.message.startswith(message)
    assert len(caught.value.message) < 160
    if hint is not None:
        assert (caught.value.hint or "").startswith(hint)


def test_null_is_as_good_as_not_saying_it(declared: Place) -> None:
    place = place_of(declared.root, declared.defaults)
    said = {"packs": None, "fetch": None, "jobs": None}
    assert ask(place, TOOLS["status"], said)[0].request == ask(place, TOOLS["status"], None)[0].request


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("sync", {"force": True}),
        ("update", {"force": True}),
        ("rm", {"packs": ["a"], "force": True}),
        ("fork_rm", {"directory": "../f", "force": True}),
        ("doctor", {"keep_days": 0}),
        ("export", {"format_name": "west", "output": "there.yml"}),
        ("freeze", {"output": "there.yml"}),
    ],
)
def test_what_would_take_work_away_has_to_be_confirmed(declared: Place, tool: str, arguments: dict[str, Any]) -> None:
    (declared / "there.yml").touch()
    place = place_of(declared.root, declared.defaults)
    with pytest.raises(UnconfirmedError) as caught:
        ask(place, TOOLS[tool], arguments)
    assert "`confirm`: true" in (caught.value.hint or "")
    with pytest.raises(UnconfirmedError):
        ask(place, TOOLS[tool], {**arguments, "confirm": False})
    ask(place, TOOLS[tool], {**arguments, "confirm": True})
    harmless = {"dry_run": True} if "dry_run" in {one.name for one in TOOLS[tool].arguments} else None
    if harmless:
        ask(place, TOOLS[tool], {**arguments, **harmless})


OUTSIDE = ["../x", "/etc/passwd", "out/../../x", "link/x", "", ".git/hooks/x", ".grex/pack.yaml", "a/.GIT/config", "."]


@pytest.mark.parametrize("path", OUTSIDE)
@pytest.mark.parametrize("tool", ["export", "freeze"])
def test_nothing_is_written_outside_of_the_workspace_or_among_what_is_grexs_own(
    declared: Place, tmp_path: Path, tool: str, path: str
) -> None:
    (declared / "link").symlink_to(tmp_path)
    arguments = {"output": path, "confirm": True} | ({"format_name": "west"} if tool == "export" else {})
    with pytest.raises(UsageError, match="output"):
        ask(place_of(declared.root, declared.defaults), TOOLS[tool], arguments)


@pytest.mark.parametrize("path", ["../west.yml", "/etc/passwd", "link/x", ""])
def test_nothing_is_imported_from_outside(declared: Place, tmp_path: Path, path: str) -> None:
    (declared / "link").symlink_to(tmp_path)
    with pytest.raises(UsageError, match="file"):
        ask(place_of(declared.root, declared.defaults), TOOLS["import"], {"file": path})


@pytest.mark.parametrize(
    "between", ["/etc/passwd..HEAD", "HEAD..../outside", "../outside", "link..HEAD", "a/../../x.."]
)
def test_no_lockfile_outside_is_compared(declared: Place, tmp_path: Path, between: str) -> None:
    (tmp_path / "outside").touch()
    (declared / "link").symlink_to(tmp_path / "outside")
    with pytest.raises(UsageError, match="leads out of the workspace"):
        ask(place_of(declared.root, declared.defaults), TOOLS["diff"], {"between": between})


@pytest.mark.parametrize("between", ["v1..v2", "v1..", "..v2", "HEAD~3", "old.jsonl..new.jsonl", "HEAD...x"])
def test_ranges_of_revisions_pass(declared: Place, between: str) -> None:
    ask(place_of(declared.root, declared.defaults), TOOLS["diff"], {"between": between})


@pytest.mark.parametrize("path", ["/", "/etc/f", "../../f", "..", "../link/f", ""])
@pytest.mark.parametrize("tool", ["fork", "fork_rm"])
def test_a_fork_lies_beside_its_workspace(
    declared: Place, tmp_path_factory: pytest.TempPathFactory, tool: str, path: str
) -> None:
    (declared.root.parent / "link").symlink_to(tmp_path_factory.mktemp("elsewhere"))
    place = place_of(declared.root, declared.defaults)
    with pytest.raises(UsageError, match="directory"):
        ask(place, TOOLS[tool], {"directory": path})
    assert ask(place, TOOLS[tool], {"directory": "../f"})[0].request.directory == declared.root / "../f"


def test_the_schema_says_what_is_read() -> None:
    schema = schema_of(TOOLS["exec"].all_arguments)
    assert schema["required"] == ["command"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["command"]["minItems"] == 1
    assert schema["properties"]["jobs"]["minimum"] == 1
    assert "confirm" not in schema["properties"]
    assert "confirm" in schema_of(TOOLS["rm"].all_arguments)["properties"]
    assert all(
        one["description"] for tool in TOOLS.values() for one in schema_of(tool.all_arguments)["properties"].values()
    )


@pytest.mark.anyio
async def test_an_error_is_a_result_with_the_object_of_json(declared: Place) -> None:
    result = await call_tool(place_of(declared.root, declared.defaults), TOOLS["path"], {"pack": "nobody"})
    assert result.is_error
    error = result.structured_content["error"]
    assert (error["code"], error["exit_code"]) == ("usage.invalid", 2)
    assert error["message"] in result.content[0].text  # type: ignore[union-attr]  # it is a text
