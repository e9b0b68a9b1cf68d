"""A tool and a command are one: equal arguments make equal requests, for every verb and every argument."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import fields, replace
from typer.main import get_command

from grex.cli.app import VERBS, app_with, run
from grex.engine import Settings
from grex.errors import GrexError
from grex.mcp.calling import ask
from grex.mcp.tools import TOOLS
from grex.mcp.tools.tool import CONFIRM
from tests.support.mcp_client import place_of
from tests.support.place import Place

WAITING = (["--no-wait"], {"no_wait": True}), (["--lock-timeout", "2.5"], {"lock_timeout_s": 2.5})
LOCKING = (*WAITING, (["--jobs", "3"], {"jobs": 3}))
PACKS = (["a", "b"], {"packs": ["a", "b"]})
FILTERS = (["--filter", "group:x", "--filter", "changed"], {"filters": ["group:x", "changed"]})
DRY_RUN = (["--dry-run"], {"dry_run": True})
FAIL_FAST = (["--fail-fast"], {"fail_fast": True})
OF_A_SYNC = (
    PACKS,
    FILTERS,
    DRY_RUN,
    FAIL_FAST,
    (["--group", "x", "-g", "!y"], {"groups": ["x", "!y"]}),
    (["--offline"], {"offline": True}),
    (["--no-install"], {"no_install": True}),
    (["--install"], {"install": True}),
    (["--keep-partial"], {"keep_partial": True}),
    (["--force", "--dry-run"], {"force": True, "dry_run": True}),
    (["--force"], {"force": True, "confirm": True}),
    *LOCKING,
)

# What is typed behind the verb, and what a client says; and, before them, what every call of the verb needs.
CASES: dict[str, tuple[str, str, list[str], dict[str, Any], tuple[tuple[list[str], dict[str, Any]], ...]]] = {
    "status": (
        "status",
        "status:status",
        [],
        {},
        (
            PACKS,
            FILTERS,
            (["--fail-on-drift"], {"fail_on_drift": True}),
            (["--fetch"], {"fetch": True}),
            *LOCKING,
        ),
    ),
    "sync": (
        "sync",
        "sync:sync",
        [],
        {},
        (
            *OF_A_SYNC,
            (["--locked"], {"locked": True}),
            (["--pull"], {"pull": True}),
            (["--prune"], {"prune": True}),
        ),
    ),
    "update": ("update", "update:update", [], {}, OF_A_SYNC),
    "add": (
        "add",
        "add:add",
        ["https://host.example/x"],
        {"url": "https://host.example/x"},
        (
            (["libs/x"], {"path": "libs/x"}),
            (["--ref", "v1"], {"ref": "v1"}),
            (["-g", "x"], {"groups": ["x"]}),
            (["--no-install"], {"no_install": True}),
            *LOCKING,
        ),
    ),
    "rm": (
        "rm",
        "rm:rm",
        ["a", "b"],
        {"packs": ["a", "b"]},
        (
            (["--keep-files"], {"keep_files": True}),
            (["--skip-teardown"], {"skip_teardown": True}),
            (["--force"], {"force": True, "confirm": True}),
            DRY_RUN,
            *LOCKING,
        ),
    ),
    "set": (
        "set",
        "set_pack:set_pack",
        ["a"],
        {"pack": "a"},
        (
            (["--ref", "v1"], {"ref": "v1"}),
            (["--no-ref"], {"no_ref": True}),
            (["--url", "./x"], {"url": "./x"}),
            (["--path", "libs/a"], {"path": "libs/a"}),
            (["-g", "x"], {"groups": ["x"]}),
            (["--no-groups"], {"no_groups": True}),
            (["--depth", "3"], {"depth": 3}),
            (["--no-sync"], {"no_sync": True}),
            DRY_RUN,
            *LOCKING,
        ),
    ),
    "override": (
        "override",
        "override:override",
        [],
        {},
        (
            (["a", "--ref", "v1"], {"pack": "a", "ref": "v1"}),
            (["a", "--url", "https://host.example/x"], {"pack": "a", "url": "https://host.example/x"}),
            (["a", "--remove"], {"pack": "a", "remove": True}),
            (["a", "--local"], {"pack": "a", "is_local": True}),
            (["a", "--no-sync"], {"pack": "a", "no_sync": True}),
            (["a", "--dry-run"], {"pack": "a", "dry_run": True}),
            *LOCKING,
        ),
    ),
    "ls": ("ls", "ls:ls", [], {}, (PACKS, FILTERS, *WAITING)),
    "graph": ("graph", "graph:graph", [], {}, (PACKS, FILTERS, *WAITING)),
    "diff": ("diff", "diff:diff", [], {}, ((["v1..", "a"], {"between": "v1..", "packs": ["a"]}), *LOCKING)),
    "path": ("path", "path:path", [], {}, ((["a"], {"pack": "a"}), *WAITING)),
    "exec": (
        "exec",
        "exec:exec_",
        [],
        {"command": ["git", "log"]},
        (
            PACKS,
            FILTERS,
            (["--no-lock"], {"no_lock": True}),
            DRY_RUN,
            FAIL_FAST,
            *LOCKING,
        ),
    ),
    "run": ("run", "run:run", ["setup"], {"name": "setup"}, (PACKS, FILTERS, DRY_RUN, FAIL_FAST, *LOCKING)),
    "switch": (
        "switch",
        "over:switch",
        ["topic"],
        {"branch": "topic"},
        (PACKS, FILTERS, (["--create"], {"create": True}), DRY_RUN, *LOCKING),
    ),
    "fetch": ("fetch", "over:fetch", [], {}, (PACKS, FILTERS, *LOCKING)),
    "fork": (
        "fork",
        "fork:fork",
        ["../f"],
        {"directory": "../f"},
        (
            PACKS,
            (["--branch", "x"], {"branch": "x"}),
            (["--provider", "worktree"], {"provider": "worktree"}),
            *LOCKING,
        ),
    ),
    "fork_ls": ("fork", "fork_ls:fork_ls", ["ls"], {}, ()),
    "fork_rm": (
        "fork",
        "fork_rm:fork_rm",
        ["rm", "../f"],
        {"directory": "../f"},
        ((["--force"], {"force": True, "confirm": True}), *LOCKING),
    ),
    "teardown": ("teardown", "teardown:teardown", [], {}, (PACKS, FILTERS, DRY_RUN, FAIL_FAST, *LOCKING)),
    "import": (
        "import",
        "import_packs:import_packs",
        [],
        {},
        (
            (["west.yml"], {"file": "west.yml"}),
            (["--scan", "a"], {"scan": True, "file": "a"}),
            (["--format", "west"], {"format_name": "west"}),
            (["--manifest-url", "https://host.example/m"], {"manifest_url": "https://host.example/m"}),
            (["--branches"], {"branches": True}),
            (["-g", "x"], {"groups": ["x"]}),
            DRY_RUN,
            (["--no-sync"], {"no_sync": True}),
            *LOCKING,
        ),
    ),
    "export": (
        "export",
        "export:export",
        ["--format", "west"],
        {"format_name": "west"},
        ((["-o", "out.yml"], {"output": "out.yml"}), (["--frozen"], {"frozen": True}), *WAITING),
    ),
    "freeze": (
        "freeze",
        "freeze:freeze",
        [],
        {},
        ((["-o", "out.yml"], {"output": "out.yml"}), (["--write"], {"write": True}), *WAITING),
    ),
    "doctor": (
        "doctor",
        "doctor:doctor",
        [],
        {},
        (
            PACKS,
            (["--fix"], {"fix": True}),
            (["--compact"], {"compact": True}),
            (["--fix", "--dry-run"], {"fix": True, "dry_run": True}),
            (["--objects"], {"objects": True}),
            (["--restore", "x", "--restore", "y"], {"restore": ["x", "y"]}),
            (["--trash"], {"trash": True}),
            (["--keep-days", "3"], {"keep_days": 3, "confirm": True}),
            *LOCKING,
        ),
    ),
    "locks": ("locks", "locks:locks", [], {}, ()),
    "trust": ("trust", "trust:trust", [], {}, ()),
    "config": ("config", "config:config", [], {}, ()),
    "plugins": ("plugins", "plugins:plugins", [], {}, ()),
    "schema": ("schema", "schema:schema", ["sync"], {"verb": "sync"}, ()),
    "cache_ls": ("cache", "cache:cache_ls", ["ls"], {}, ()),
    "cache_gc": ("cache", "cache:cache_gc", ["gc"], {}, ((["--keep-days", "3"], {"keep_days": 3}), DRY_RUN)),
}

UNREACHABLE = {
    "root": "the workspace is fixed at launch",
    "ask_trust": "a client is not asked for trust, only the user gives it",
    "exec.shell": "no shell reads what a client says",
    "exec.tell": "the result has what commands said",
    "exec.as_events": "on for every call: progress is made of events",
    "add.trust_url": "that a client names a URL is not the user's word",
    "trust.prefix": "only the user gives trust",
    "trust.revoke": "only the user takes it",
    "diff.here": "the workspace: a client is nowhere else",
    "import.name": "follows from the file",
    "rm.filters": "no command has it either",
    "rm.fail_fast": "no command has it either",
    "sync.anew": "that is what update is for",
    "sync.reinstall": "that is what update is for",
    "update.sync.anew": "the verb sets it",
    "update.sync.reinstall": "the verb sets it, by its force",
    "update.sync.locked": "no command has it either",
    "update.sync.pull": "no command has it either",
    "update.sync.prune": "no command has it either",
    "update.sync.force": "no command has it either",
    "config.root": "settings are those of this process",
    "config.user_config_dir": "settings are those of this process",
    "config.workspace_origin": "settings are those of this process",
    "config.said": "settings are those of this process",
}

NO_TOOLS = {
    "serve": "it is the server",
    "demo": "for people",
    "clone": "makes another workspace",
    "init": "makes another workspace",
    "push": "sends work to others, which is for the user to do",
    "completion": "about the command line",
    "help": "about the command line",
    "mcp": "about the command line",
    "merge-driver": "for git",
}

ALL = [(name, position) for name, case in CASES.items() for position in range(-1, len(case[4]))]


class CapturedError(GrexError):
    """Stands for the work of the verb."""


def captured(name: str, argv: list[str], monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Settings | None]:
    """The request, and the settings, with which a command calls its verb."""
    _, verb, before, needed, _ = CASES[name]
    module_name, _, function = verb.partition(":")
    module = importlib.import_module(f"grex.verbs.{module_name}")
    found: list[Any] = []

    def plain(request: Any) -> None:
        found.extend((request, None))
        raise CapturedError("captured")

    async def with_settings(request: Any, settings: Settings) -> None:
        found.extend((request, settings))
        raise CapturedError("captured")

    monkeypatch.setattr(module, function, plain if name in ("config", "plugins", "schema") else with_settings)
    command = ["--", *needed["command"]] if name == "exec" else []
    assert run([CASES[name][0], *before, *argv, *command]) == 1
    assert found, "the verb was not called"
    return found[0], found[1]


def plain_request(request: Any) -> Any:
    """The request without what only a front end for people sets."""
    set_by_people = {"ask_trust": None, "tell": None}
    if "sync" in request.__struct_fields__ and isinstance(request.sync, msgspec.Struct):
        request = replace(request, sync=plain_request(request.sync))
    return replace(request, **{key: value for key, value in set_by_people.items() if key in request.__struct_fields__})


@pytest.mark.parametrize(("name", "position"), ALL, ids=str)
def test_a_tool_and_a_command_with_equal_arguments_ask_the_same(
    declared: Place, monkeypatch: pytest.MonkeyPatch, name: str, position: int
) -> None:
    monkeypatch.chdir(declared.root)
    argv, arguments = ([], {}) if position < 0 else CASES[name][4][position]
    typed, typed_settings = captured(name, argv, monkeypatch)
    place = place_of(declared.root, declared.defaults)
    asking, asked = ask(place, TOOLS[name], {**CASES[name][3], **arguments})
    if name == "config":
        assert type(asking.request) is type(typed)  # the server's own, made by the front end
        return
    expected = plain_request(typed)
    if name == "add":
        assert (typed.trust_url, asking.request.trust_url) == (True, False)
        expected = replace(expected, trust_url=False)
    if name == "exec":
        assert (typed.as_events, asking.request.as_events) == (False, True)
        expected = replace(expected, as_events=True)
    assert asking.request == expected
    if typed_settings is not None:
        how = (typed_settings.verb, typed_settings.no_wait, typed_settings.lock_timeout_s)
        assert (asked.verb, asked.no_wait, asked.lock_timeout_s) == how
        if asked.jobs is not None:
            assert asked.jobs == typed_settings.jobs


@pytest.mark.parametrize("name", sorted(TOOLS))
def test_every_argument_of_a_tool_is_compared(name: str) -> None:
    compared = {key for _, arguments in CASES[name][4] for key in arguments} | CASES[name][3].keys()
    assert compared | {CONFIRM.name} == {argument.name for argument in TOOLS[name].all_arguments} | {CONFIRM.name}


@pytest.mark.parametrize("name", sorted(TOOLS))
def test_every_field_of_a_request_is_reached_or_has_its_reason(declared: Place, name: str) -> None:
    place = place_of(declared.root, declared.defaults)
    needed = CASES[name][3]
    reached: set[str] = set()
    by_default = seen(ask(place, TOOLS[name], needed)[0].request)
    for _, arguments in CASES[name][4]:
        found = seen(ask(place, TOOLS[name], {**needed, **arguments})[0].request)
        reached |= {field for field, value in found.items() if value != by_default[field]}
    request = ask(place, TOOLS[name], needed)[0].request
    reached |= {field.name for field in fields(request) if field.required and field.name in needed}
    missing = {
        field
        for field in by_default
        if field not in reached
        and field not in needed
        and not {field, field.rpartition(".")[2], f"{name}.{field}"} & reasons(name)
    }
    assert missing == set()


def reasons(name: str) -> set[str]:
    return {key for key in UNREACHABLE if "." not in key or key.startswith(f"{name}.")}


def seen(request: msgspec.Struct, prefix: str = "") -> Mapping[str, Any]:
    """The fields of a request by name, those of a request within it too."""
    found: dict[str, Any] = {}
    for field in fields(request):
        value = getattr(request, field.name)
        if isinstance(value, msgspec.Struct):
            found |= seen(value, f"{prefix}{field.name}.")
        else:
            found[f"{prefix}{field.name}"] = value
    return found


def test_every_verb_is_a_tool_or_has_its_reason() -> None:
    verbs = set()
    for name, command in get_command(app_with(VERBS)).commands.items():  # type: ignore[attr-defined]  # the app is a group
        below = getattr(command, "commands", None)
        verbs |= {f"{name}_{one}" for one in below} if below and name != "mcp" else {name}
    assert verbs - NO_TOOLS.keys() == {name for name in TOOLS if name not in ("fork_ls", "fork_rm")}
    assert NO_TOOLS.keys() - verbs == set()


def test_what_a_tool_says_is_a_sentence_and_short() -> None:
    for tool in TOOLS.values():
        for text in (tool.says, *(argument.says for argument in tool.all_arguments)):
            assert text.endswith("."), text
            assert len(text) < 220, text
        names = [argument.name for argument in tool.all_arguments]
        assert len(set(names)) == len(names)


def test_hints_agree_with_each_other() -> None:
    for tool in TOOLS.values():
        assert not (tool.is_read_only and (tool.is_destructive or tool.discards)), tool.name
        assert tool.discards is None or tool.is_destructive, tool.name


def test_what_a_path_leads_to_is_the_same_file_for_both(declared: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the person stands elsewhere: a client is always at the root."""
    (declared.root / "out").mkdir()
    monkeypatch.chdir(declared.root / "out")
    typed, _ = captured("freeze", ["-o", "x.yml"], monkeypatch)
    asking, _ = ask(place_of(declared.root, declared.defaults), TOOLS["freeze"], {"output": "out/x.yml"})
    assert Path(typed.output) == Path(asking.request.output)
