"""A tool and a command are one: from the same state, the result of a call is the document that the command prints.

A story is told twice, in the same directory, from the same beginning: once with commands, once with calls to one
server. Nothing is left out of a comparison but what `VARYING` names: what is different each time a command is run.
`test_tools_and_commands` shows that both ask the verbs the same, and with that, that there is nothing else to compare.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from difflib import unified_diff
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from msgspec import Struct, field
from msgspec.structs import replace

from grex import errors
from grex.cli.app import run
from grex.cli.call import Call
from grex.cli.commands.serving import served_place
from grex.errors import GrexError
from grex.locks import Tier
from grex.locks.environment import HELD_VARIABLE, forget_environment
from grex.locks.held import HeldEntry, render_held
from grex.locks.processes import own_start_time
from grex.mcp.tools import TOOLS
from tests.mcp.test_tools_and_commands import CASES
from tests.support.broken_disk import BrokenDisk
from tests.support.git_server import GitServer, git
from tests.support.lock_holder import Kind, LockHolder
from tests.support.mcp_client import Conversation, converse
from tests.support.workspace import pack_yaml

VARYING = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+00:00)"), "TIME"),
    (re.compile(r"\b\d{8}T\d{6}(?:\.\d+)?Z(?:-\d+)?"), "STAMP"),  # in names of what lies in the trash
    (re.compile(r"\bpid \d+"), "pid N"),
    (re.compile(r"\b\d+(?:\.\d+)? s\b"), "N s"),
)
VARYING_KEYS = {"elapsed_s", "duration_s", "held_s", "waited_s", "pid", "age_s", "size_bytes", "last_used", "since"}
NEW_COMMITS = {"GIT_AUTHOR_DATE": "2026-01-01T00:00:00Z", "GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z"}


class World:
    """A workspace `ws` with its home and its upstreams below one directory, which can be as it was at the beginning."""

    def __init__(self, base: Path) -> None:
        self.base = base / "world"
        self.root = self.base / "ws"
        self._kept = base / "kept"

    @property
    def children(self) -> list[dict[str, str]]:
        """What its pack.yaml declares at the beginning."""
        return [{"url": "../up/a.git"}, {"url": (self.base / "up/b.git").as_uri(), "ref": "main"}]

    def keep(self) -> None:
        """Let it be the beginning as it is now."""
        shutil.copytree(self.base, self._kept, symlinks=True)

    def begin_again(self) -> None:
        """Let it be as it was."""
        shutil.rmtree(self.base)
        shutil.copytree(self._kept, self.base, symlinks=True)
        os.chdir(self.root)  # the directory that was here before is gone

    def declare(self, *children: Mapping[str, Any], **keys: Any) -> None:
        """Write the root's pack.yaml."""
        (self.root / ".grex").mkdir(exist_ok=True)
        (self.root / ".grex/pack.yaml").write_text(pack_yaml("root", children=list(children), **keys))


class Step(Struct, frozen=True, kw_only=True):
    """A call, as a tool and as a command, and the exit code that it has.

    `before` changes the world, or is a context in which the call is made.
    """

    tool: str
    said: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)
    code: int | None = 0
    before: Callable[[World], Any] | None = None

    def argv(self, root: Path) -> list[str]:
        """What is typed."""
        own, dashes, behind = self.said.format(root=root).partition("-- ")
        wanted = () if self.tool == "schema" else ("--json",)  # which prints nothing else
        return [CASES[self.tool][0], *own.split(), *wanted, *dashes.split(), *behind.split()]

    @contextmanager
    def at(self, world: World) -> Iterator[None]:
        """The state in which the call is made."""
        with ExitStack() as stack:
            made = None if self.before is None else self.before(world)
            if isinstance(made, AbstractContextManager):
                stack.enter_context(made)
            yield


class Came(Struct, frozen=True):
    """What came of a call."""

    document: Any
    is_error: bool


def normal(value: Any, key: str = "") -> Any:
    """A document without what is different each time."""
    if isinstance(value, Mapping):
        return {name: normal(one, name) for name, one in value.items()}
    if isinstance(value, list):
        return [normal(one) for one in value]
    if key in VARYING_KEYS and value is not None:
        return key.upper()
    if isinstance(value, str):
        for pattern, name in VARYING:
            value = pattern.sub(name, value)
    return value


def typed(world: World, story: list[Step], capsys: pytest.CaptureFixture[str]) -> list[Came]:
    """The story with commands."""
    told = []
    for step in story:
        with step.at(world):
            capsys.readouterr()
            code = run(step.argv(world.root))
            out, err = capsys.readouterr()
        assert step.code in (code, None), (step.tool, step.said, code, out, err)
        told.append(Came(json.loads(out), code not in (0, 7)))
    return told


def called(world: World, story: list[Step]) -> list[Came]:
    """The story with calls to one server."""
    told: list[Came] = []

    async def tell(client: Conversation) -> None:
        for step in story:
            with step.at(world):
                found = await client.result(await client.call(step.tool, step.arguments))
            told.append(Came(found["structuredContent"], found["isError"]))

    async def talk() -> None:
        async with converse(served_place(Call().joined(Call(verb="serve")), world.root)) as client:
            await tell(client)

    anyio.run(talk)
    return told


def both(
    world: World, story: list[Step], capsys: pytest.CaptureFixture[str], during: Callable[[World], Any] | None = None
) -> tuple[list[Came], list[Came]]:
    """What comes of a story: with commands, and with calls. `during` is a context for all of it."""
    told = []
    for tell in (partial(typed, world, story, capsys), partial(called, world, story)):
        world.begin_again()
        with nullcontext() if during is None else during(world):
            told.append(tell())
    return told[0], told[1]


def unlike(story: list[Step], by_command: list[Came], by_tool: list[Came]) -> dict[str, list[str]]:
    """What is not the same, by step."""
    found = {}
    for at, (step, command, tool) in enumerate(zip(story, by_command, by_tool, strict=True)):
        if (normal(command.document), command.is_error) != (normal(tool.document), tool.is_error):
            left, right = (json.dumps(normal(one.document), indent=1).splitlines() for one in (command, tool))
            found[f"{at} {step.tool} {step.said}"] = [*unified_diff(left, right, "command", "tool", n=1)]
    return found


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> World:
    """A synced workspace of `a`, `a/in` (which `a` declares) and `b`, in a repository; `new` is not declared."""
    made = World(tmp_path)
    server = GitServer(made.base / "up")
    server.create("in", {"file": "in\n"})
    server.create("a", {"file": "a\n", ".grex/pack.yaml": pack_yaml("a", children=[{"url": "../up/in.git"}])})
    server.create("b", {"file": "b\n"})
    server.create("new", {"file": "new\n"})
    home = made.base / "home"
    home.mkdir()
    for name, value in {
        "HOME": home,
        "XDG_STATE_HOME": home / "state",
        "XDG_CONFIG_HOME": home / "config",
        "XDG_CACHE_HOME": home / "cache",
        "GREX_CACHE_DIR": home / "mirrors",
        **NEW_COMMITS,
    }.items():
        monkeypatch.setenv(name, str(value))
    made.root.mkdir()
    monkeypatch.chdir(made.root)
    made.declare(*made.children)
    git(made.root, "init", "--quiet", "--initial-branch=main")
    assert run(["sync", "--json"]) == 0
    git(made.root, "add", ".grex/pack.yaml", "grex.lock.jsonl")
    git(made.root, "commit", "--quiet", "-m", "workspace")
    assert run(["trust", server.url("b")]) == 0
    (home / "state/grex/trust").rename(home / "trust")  # given when the story comes to it
    capsys.readouterr()
    made.keep()
    return made


def edit(world: World) -> None:
    (world.root / "b/file").write_text("mine\n")


def take_back(world: World) -> None:
    git(world.root / "b", "checkout", "--quiet", "file")


def move_upstream(world: World) -> None:
    GitServer(world.base / "up").commit("b", {"file": "b2\n"})


def hook(world: World) -> None:
    hooks = world.root / "b/.grex/hooks"
    hooks.mkdir(parents=True)
    (hooks / "check.sh").write_text("echo checked\n")
    (world.root / "b/.grex/pack.yaml").write_text(pack_yaml("b", "scripted"))


def trust(world: World) -> None:
    shutil.rmtree(world.base / "home/state/grex/trust", ignore_errors=True)
    (world.base / "home/trust").rename(world.base / "home/state/grex/trust")


def west(world: World) -> None:
    new = (world.base / "up").as_uri()
    (world.root / "west.yml").write_text(
        f"manifest:\n  remotes:\n  - name: up\n    url-base: {new}\n"
        "  projects:\n  - name: new.git\n    remote: up\n    path: w\n    revision: main\n"
    )


DAY = [
    Step(tool="status"),
    Step(tool="status", said="--fail-on-drift b", arguments={"fail_on_drift": True, "packs": ["b"]}),
    Step(tool="status", said="--fail-on-drift", arguments={"fail_on_drift": True}, code=7, before=edit),
    Step(tool="ls"),
    Step(tool="graph"),
    Step(tool="path", said="a", arguments={"pack": "a"}),
    Step(tool="fetch", before=move_upstream),
    Step(tool="sync", code=4),
    Step(tool="status", said="--fetch", arguments={"fetch": True}, before=take_back),
    Step(tool="sync", said="--dry-run", arguments={"dry_run": True}),
    Step(tool="sync"),
    Step(tool="update"),
    Step(tool="diff"),
    Step(tool="add", said="../up/new.git n", arguments={"url": "../up/new.git", "path": "n"}),
    Step(tool="set", said="n -g x", arguments={"pack": "n", "groups": ["x"]}),
    Step(tool="override", said="a --ref main", arguments={"pack": "a", "ref": "main"}),
    Step(tool="override"),
    Step(tool="exec", said="-- git log -1", arguments={"command": ["git", "log", "-1"]}),
    Step(tool="switch", said="topic --create b", arguments={"branch": "topic", "create": True, "packs": ["b"]}),
    Step(tool="fork", said="../f a", arguments={"directory": "../f", "packs": ["a"]}),
    Step(tool="fork_ls", said="ls"),
    Step(tool="fork_rm", said="rm ../f", arguments={"directory": "../f"}),
    Step(tool="export", said="--format west", arguments={"format_name": "west"}),
    Step(tool="freeze"),
    Step(tool="import", said="west.yml", arguments={"file": "west.yml"}, before=west),
    Step(tool="rm", said="n", arguments={"packs": ["n"]}),
    Step(tool="doctor", said="--trash", arguments={"trash": True}),
    Step(tool="doctor"),
    Step(tool="run", said="check b", arguments={"name": "check", "packs": ["b"]}, code=4, before=hook),
    Step(tool="run", said="check b", arguments={"name": "check", "packs": ["b"]}, before=trust),
    Step(tool="teardown"),
    Step(tool="locks"),
    Step(tool="trust"),
    Step(tool="config"),
    Step(tool="plugins"),
    Step(tool="schema", said="sync", arguments={"verb": "sync"}),
    Step(tool="cache_ls", said="ls"),
    Step(tool="cache_gc", said="gc", arguments={}),
]


def test_a_day_of_calls_is_a_day_of_commands(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert unlike(DAY, *both(world, DAY, capsys)) == {}


def test_the_day_has_every_tool() -> None:
    assert {step.tool for step in DAY} == TOOLS.keys()


# What goes wrong. Each state is as it was again after its steps.


def write(path: str, text: str) -> Callable[[World], Any]:
    """A state in which a file of the workspace has this text."""

    @contextmanager
    def state(world: World) -> Iterator[None]:
        file = world.root / path
        before = file.read_bytes() if file.exists() else None
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        try:
            yield
        finally:
            file.unlink()
            if before is not None:
                file.write_bytes(before)

    return state


def declared(**keys: Any) -> Callable[[World], Any]:
    """A state in which more is declared."""

    def state(world: World) -> Any:
        text = pack_yaml(
            "root",
            keys.get("type", "meta"),
            children=world.children,
            **{key: value for key, value in keys.items() if key != "type"},
        )
        return write(".grex/pack.yaml", text)(world)

    return state


ONE_OF_EACH = {step.tool: step for step in DAY}
"""For each tool a call that makes sense, if it is made in time."""


@contextmanager
def trusted(world: World) -> Iterator[None]:
    given, kept = world.base / "home/state/grex/trust", world.base / "home/trust"
    shutil.rmtree(given, ignore_errors=True)
    shutil.copytree(kept, given)
    try:
        yield
    finally:
        shutil.rmtree(given)


@contextmanager
def no_workspace(world: World) -> Iterator[None]:
    (world.root / ".grex/pack.yaml").rename(world.base / "away")
    try:
        yield
    finally:
        (world.base / "away").rename(world.root / ".grex/pack.yaml")


@contextmanager
def held(world: World, kind: Kind = "workspace") -> Iterator[None]:
    """Another process has the workspace, or another lock of it."""
    with LockHolder(kind, world.root) as holder:
        assert holder.ask("take") == "held"
        yield


@contextmanager
def above(world: World) -> Iterator[None]:
    """What a command finds that a hook of a sync starts."""
    pid = os.getpid()
    entry = HeldEntry(str(world.root), int(Tier.WORKSPACE), "", str(world.root), pid, own_start_time(), "sync")
    os.environ[HELD_VARIABLE] = render_held((entry,))
    forget_environment()
    try:
        yield
    finally:
        del os.environ[HELD_VARIABLE]
        forget_environment()


@contextmanager
def no_lock_file(world: World) -> Iterator[None]:
    """What the lock file is to be is a directory."""
    file = world.root / ".grex.sync.lock"
    file.unlink()
    file.mkdir()
    try:
        yield
    finally:
        file.rmdir()


@contextmanager
def read_only(world: World) -> Iterator[None]:
    """Nothing can be put in its place any more, as on a disk that was mounted anew after a fault."""
    del world
    with pytest.MonkeyPatch.context() as patch:
        disk = BrokenDisk(patch)
        for nth in range(1, 50):
            disk.fail("replace", nth, code=errno.EROFS)
            disk.fail("rename", nth, code=errno.EROFS)
        yield


def gone_upstream(world: World) -> None:
    GitServer(world.base / "up").rename("new", "elsewhere")


def together(*states: Callable[[World], Any]) -> Callable[[World], Any]:
    """All of these states at once."""

    @contextmanager
    def state(world: World) -> Iterator[None]:
        with ExitStack() as stack:
            for one in states:
                stack.enter_context(one(world))
            yield

    return state


SPEC, OF_A, OF_B = (f"{at}.grex/pack.yaml" for at in ("", "a/", "b/"))
BAD_HOOK = together(write(OF_B, pack_yaml("b", "scripted")), write("b/.grex/hooks/bad.sh", "exit 3\n"), trusted)
CIRCLE = together(
    write(OF_A, pack_yaml("a", children=[{"url": "../up/in.git"}], depends_on=["b"])),
    write(OF_B, pack_yaml("b", depends_on=["a"])),
)
NO_TRUST = together(write(OF_B, pack_yaml("b", "scripted")), write("b/.grex/hooks/setup.sh", "true\n"))
COPY = {"copy": {"src": "pack.yaml", "dst": "$HOME/one"}}

WRONG: list[tuple[type[GrexError], Step]] = [
    (errors.UsageError, Step(tool="status", said="nobody", arguments={"packs": ["nobody"]})),
    (errors.NotAWorkspaceError, Step(tool="ls", said="--workspace {root}", before=no_workspace)),
    (errors.ConfigError, Step(tool="sync", before=write(".grex/config.toml", "[nothing"))),
    (errors.ManifestError, Step(tool="sync", before=write(SPEC, "nothing: [\n"))),
    (errors.CorruptLogError, Step(tool="sync", before=write("grex.jsonl", "{}\n{}\n{}\n"))),
    (errors.SchemaVersionError, Step(tool="sync", before=write("grex.jsonl", '{"schema_version":"9"}\n'))),
    (errors.LockfileError, Step(tool="sync", before=write("grex.lock.jsonl", "no json\n"))),
    (errors.LockBusyError, Step(tool="sync", said="--no-wait", arguments={"no_wait": True}, before=held)),
    (
        errors.LockTimeoutError,
        Step(tool="sync", said="--lock-timeout 0.02", arguments={"lock_timeout_s": 0.02}, before=held),
    ),
    (errors.LockDeadlockError, Step(tool="sync", before=above)),
    (errors.LockUnavailableError, Step(tool="sync", before=no_lock_file)),
    (errors.PackSpecError, Step(tool="sync", before=write(OF_B, "type: 3\n"))),
    (errors.FetchError, Step(tool="add", said="../up/none.git", arguments={"url": "../up/none.git"})),
    (errors.CommandError, Step(tool="exec", said="-- false", arguments={"command": ["false"]})),
    (errors.ActionError, Step(tool="run", said="bad b", arguments={"name": "bad", "packs": ["b"]}, before=BAD_HOOK)),
    (errors.ClaimError, Step(tool="sync", before=declared(actions=[COPY, COPY], type="declarative"))),
    (errors.CycleError, Step(tool="sync", before=CIRCLE)),
    (errors.UntrustedError, Step(tool="sync", before=NO_TRUST)),
    (errors.UnknownPackTypeError, Step(tool="sync", before=declared(type="nosuch"))),
    (errors.UnknownActionError, Step(tool="sync", before=declared(type="declarative", actions=[{"nosuch": {}}]))),
    (
        errors.ManifestError,
        Step(tool="set", said="b --no-ref", arguments={"pack": "b", "no_ref": True}, before=read_only),
    ),
]


NOT_FROM_A_WORKSPACE = {
    errors.GrexError: "stands for those below it",
    errors.PluginError: "stands for those below it",
    errors.PackError: "stands for those below it",
    errors.LockError: "stands for those below it",
    errors.PluginLoadError: "a distribution has to be installed that is broken",
    errors.UnknownFetcherError: "a distribution has to be installed for its scheme",
    errors.UnknownPredicateError: "told as a refused pack.yaml",
    errors.LockUnsupportedError: "the kernel has to lack a lock",
    errors.PackGoneError: "a directory has to go in the middle of a wait",
    errors.TierOrderError: "a bug in grex",
    errors.LockInheritedError: "a bug in grex",
}
"""Classes that no state of a workspace shows by itself; that both tell of them alike is shown by raising them."""

ONLY_ONE_HAS_THEM = {
    errors.UnconfirmedError: "a command asks for no confirmation",
    errors.ServerError: "it ends the server",
    errors.LockCancelledError: "a call that is cancelled has no answer",
}

CLASSES = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, GrexError)]


def codes(document: Any) -> set[str]:
    """Every error code anywhere in a document."""
    if isinstance(document, list):
        return {code for one in document for code in codes(one)}
    if not isinstance(document, Mapping):
        return set()
    own = {str(document["code"])} if "exit_code" in document and "code" in document else set()
    return own | {code for one in document.values() for code in codes(one)}


def test_what_goes_wrong_goes_wrong_alike(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    story = [replace(step, code=None) for _, step in WRONG]
    by_command, by_tool = both(world, story, capsys)
    assert unlike(story, by_command, by_tool) == {}
    shown = zip(WRONG, by_command, strict=True)
    assert [(error, step.tool) for (error, step), came in shown if error.code not in codes(came.document)] == []
    assert all(one.is_error for one in by_tool)


def test_every_class_of_errors_is_shown_or_has_its_reason() -> None:
    shown = {error for error, _ in WRONG}
    assert not shown & NOT_FROM_A_WORKSPACE.keys()
    assert shown | NOT_FROM_A_WORKSPACE.keys() | ONLY_ONE_HAS_THEM.keys() == set(CLASSES)


def made(error: type[GrexError]) -> GrexError:
    """One of this class, with all that it can have."""
    how: dict[str, Any] = {"hint": "Do this."}
    if error is errors.LockDeadlockError:
        how["chain"] = ["pid 1 holds", "pid 2 waits"]
    elif error is errors.LockUnavailableError:
        how |= {"path": "/there", "errno": 5}
    else:
        how["details"] = {"problems": [{"file": "f", "line": 1, "column": 2, "message": "m", "hint": None}] * 2}
    return error("it went wrong", **how)


def test_every_class_of_errors_is_told_alike(
    world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Raised by the verb, and in a task of it."""
    failing: list[GrexError | BaseExceptionGroup[GrexError]] = []

    async def ls(request: Any, settings: Any) -> None:
        raise failing.pop(0)

    monkeypatch.setattr("grex.verbs.ls.ls", ls)
    alone = [made(one) for one in CLASSES]
    failing = [*alone, *(BaseExceptionGroup("tasks", [one]) for one in alone)] * 2
    story = [Step(tool="ls", code=one.exit_code) for one in alone] * 2
    by_command, by_tool = both(world, story, capsys)
    assert [one.document["error"]["code"] for one in by_command] == [one.code for one in CLASSES] * 2
    assert unlike(story, by_command, by_tool) == {}
    assert failing == []


# Of a fork that is not there, and a file that is not, they tell before.
TAKE_THE_MANIFEST = {tool.name for tool in TOOLS.values() if tool.waiting} - {"fork_rm", "import"}
TAKE_THE_WORKSPACE = {"add", "fork", "rm", "set", "sync", "teardown", "update"}
NO_MANIFEST_NEEDED = {
    *("config", "plugins", "schema", "cache_ls", "cache_gc", "locks", "trust"),
    *("fork_ls", "fork_rm"),  # look at the records of forks
    "doctor",  # has it as a finding
    "import",  # the file that it is to read is missing
}


def test_every_tool_says_of_a_manifest_that_cannot_be_read_what_its_command_says(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    story = [replace(step, code=None, before=write(SPEC, "nothing: [\n")) for step in ONE_OF_EACH.values()]
    by_command, by_tool = both(world, story, capsys)
    told = {
        step.tool for step, came in zip(story, by_command, strict=True) if "manifest.invalid" in codes(came.document)
    }
    assert unlike(story, by_command, by_tool) == {}
    assert told >= TOOLS.keys() - NO_MANIFEST_NEEDED


@pytest.mark.parametrize("lock", ["workspace", pytest.param("writer", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("option", "arguments"),
    [
        ("--no-wait", {"no_wait": True}),
        pytest.param("--lock-timeout=0.01", {"lock_timeout_s": 0.01}, marks=pytest.mark.slow),
    ],
    ids=["no-wait", "timeout"],
)
def test_every_tool_that_waits_says_alike_that_it_does_not(
    world: World, capsys: pytest.CaptureFixture[str], lock: Kind, option: str, arguments: dict[str, Any]
) -> None:
    """For whatever lock another process has: the workspace, or the manifest as a writer that does not go on."""
    waiting = [step for step in ONE_OF_EACH.values() if TOOLS[step.tool].waiting]
    story = [
        replace(step, said=f"{option} {step.said}" if step.tool == "exec" else f"{step.said} {option}", code=None)
        for step in waiting
    ]
    story = [replace(step, arguments={**step.arguments, **arguments}, before=None) for step in story]
    by_command, by_tool = both(world, story, capsys, partial(held, kind=lock))
    told = {
        step.tool
        for step, came in zip(story, by_command, strict=True)
        if {"lock.busy", "lock.timeout"} & set(codes(came.document))
    }
    assert told == (TAKE_THE_WORKSPACE if lock == "workspace" else TAKE_THE_MANIFEST)
    if option == "--no-wait":  # the other sentence has the seconds that were waited
        assert unlike(story, by_command, by_tool) == {}
