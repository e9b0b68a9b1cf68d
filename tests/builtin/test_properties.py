"""What holds for every declarative pack and every home: run twice is run once, and a teardown leaves nothing behind.

Packs of all actions, over homes in which anything may stand where they want to write, run by the real engine with its
log. What may happen is either that the pack is installed, and then

* a second run reports no change and makes none,
* a teardown restores the home: bytes, modes and times of files, texts of links, modes of directories;

or that an action fails, and then the home is as it was before the run.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from grex.builtin.actions.copy import Copy
from grex.builtin.actions.env import Env
from grex.builtin.actions.mkdir import Mkdir
from grex.builtin.actions.rmdir import Rmdir
from grex.builtin.actions.symlink import Symlink
from grex.builtin.pack_types.declarative import Declarative
from grex.engine import RunContext
from grex.engine.exclusive import exclusive
from grex.errors import ActionError, GrexError
from grex.pack import parse_pack_spec
from grex.plugin import Outcome, Pack, Registry
from tests.support.place import Place
from tests.support.sandbox import FailingCalls, Snapshot, snapshot

T0 = 1_500_000_000_987_654_321
ACTIONS = (Copy, Env, Mkdir, Rmdir, Symlink)

REGISTRY = Registry()  # finding the built-in ones takes longer than running them

Action = dict[str, dict[str, Any]]


def pack_of(actions: list[Action]) -> str:
    """The pack.yaml of a root pack with these actions. JSON is YAML, but for how it escapes."""
    plain = {"schema_version": "1", "name": "root", "type": "declarative", "actions": actions}
    return re.sub(r"[^ -~]", lambda found: f"\\U{ord(found[0]):08X}", json.dumps(plain, ensure_ascii=False))


class Ground:
    """A workspace whose root pack is installed and taken away again, and the home it does that to."""

    def __init__(self, base: Path) -> None:
        self.place = Place(base)
        self.home, self.root = self.place.home, self.place.root
        self.place.defaults = self.place.settings(
            environ={"PATH": os.environ["PATH"], "HOME": str(self.home), "SHELL": "/bin/bash"}
        )
        files = self.root / "files"
        files.mkdir()
        for name, mode in (("one", 0o644), ("two", 0o755)):
            (files / name).write_bytes(name.encode())
            (files / name).chmod(mode)

    def pack(self, actions: list[Action]) -> Pack:
        """The root pack with these actions."""
        spec = parse_pack_spec(pack_of(actions).encode(), file=".grex/pack.yaml", is_root=True)
        return Pack(".", self.root, "root", "declarative", spec, "")

    def install(self, actions: list[Action], **how: Any) -> Outcome:
        """One run, as a sync does it."""
        return self._run(lambda context: Declarative().install(context, self.pack(actions)), **how)

    def teardown(self) -> Outcome:
        """One teardown."""
        return self._run(lambda context: Declarative().teardown(context, self.pack([])))

    def _run(self, call: Callable[[RunContext], Any], **how: Any) -> Outcome:
        async def run() -> Outcome:
            session = self.place.session()
            session.registry = REGISTRY
            async with exclusive(session):
                outcome = await call(RunContext(session, **how))
            assert isinstance(outcome, Outcome)
            return outcome

        return anyio.run(run)


# --- random packs and homes

NAMES = ("a", "b", "c", "d", "e")
KINDS = ("symlink", "copy", "rmdir", "mkdir", "env", "env", "require", "exec", "when")
MODES = st.sampled_from([0o600, 0o644, 0o755, 0o700])
CONTENT = st.sampled_from([b"", b"one", b"two", b"mine\n", b"no newline", b"\xff\0\r\n"])


def texts() -> st.SearchStrategy[str]:
    """Values of variables, escaped so that they stand for themselves."""
    characters = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
    hard = st.sampled_from(["'", '"', "$", "%", "\n", "\\", "`", "\r\n", " ", "é"])
    return (
        st.lists(characters | hard, max_size=6)
        .map("".join)
        .map(lambda text: text.replace("$", "$$").replace("%", "%%"))
    )


@dataclass
class Thing:
    """Something of the user's."""

    kind: str
    content: bytes = b""
    mode: int = 0o644
    inner: list[str] = field(default_factory=list)

    def put(self, path: Path) -> None:
        """Make it."""
        match self.kind:
            case "file":
                path.write_bytes(self.content)
            case "directory":
                path.mkdir()
                for name in self.inner:
                    (path / name).write_text("inside")
                    os.utime(path / name, ns=(T0, T0))
            case "link":
                path.symlink_to("target")
            case "dangling":
                path.symlink_to("nowhere")
            case "into the pack":
                path.symlink_to(path.parents[1] / "ws/files/two")
        if self.kind in ("file", "directory"):
            path.chmod(self.mode)
            os.utime(path, ns=(T0, T0))


THINGS = st.one_of(
    st.builds(Thing, st.just("file"), CONTENT, MODES),
    st.builds(Thing, st.just("directory"), mode=st.sampled_from([0o700, 0o755]), inner=st.sampled_from([[], ["x"]])),
    st.builds(Thing, st.sampled_from(["link", "dangling", "into the pack"])),
)


@dataclass
class Scene:
    """A home and two versions of a pack for it."""

    home: dict[str, Thing]
    rc: bytes | None
    first: list[Action]
    second: list[Action]


@st.composite
def packs(draw: st.DrawFn) -> list[Action]:  # noqa: C901 - one short branch for each kind of action
    """Actions that do not contradict each other: no two want the same place, no directory is both made and removed."""
    free = list(draw(st.permutations(NAMES)))
    variables = ["ONE", "TWO", "THREE"]
    made = [f"~/{name}" for name in ("deep", "deep/er", "m")]

    def at_a_place_of_its_own(kind: str) -> Action | None:
        if not free:
            return None
        name = free.pop()
        backup = draw(st.booleans())
        if kind == "rmdir":
            return {"rmdir": {"path": f"~/{name}", "backup": backup}}
        dst = f"~/deep/er/{name}" if draw(st.integers(0, 3)) == 0 else f"~/{name}"
        more = {"mode": draw(st.sampled_from(["0600", "755"]))} if kind == "copy" and draw(st.booleans()) else {}
        return {kind: {"src": draw(st.sampled_from(["files/one", "files/two"])), "dst": dst, "backup": backup, **more}}

    def variable() -> Action | None:
        scope = draw(st.sampled_from(["user", "user", "session"]))
        return {"env": {"name": variables.pop(), "value": draw(texts()), "scope": scope}} if variables else None

    def command() -> Action:
        path = f"~/ran-{len(free)}-{len(variables)}"
        shown = path.replace("~", "$HOME")
        return {"exec": {"cmd": ["touch", shown], "creates": path, "undo": ["rm", "-f", shown]}}

    def condition() -> Action:
        asked = {"path_exists": draw(st.sampled_from(["~/a", "~/nowhere", "files/one", "files/one"]))}
        return {"require": {"all_of": [asked], "on_fail": draw(st.sampled_from(["warn", "skip", "error"]))}}

    def inside() -> Action | None:
        inner = [found for _ in range(draw(st.integers(1, 2))) if (found := action(KINDS[:-1])) is not None]
        return (
            {"when": {"os": draw(st.sampled_from(["linux", "linux", "windows"])), "actions": inner}} if inner else None
        )

    def action(kinds: Sequence[str]) -> Action | None:
        match kind := draw(st.sampled_from(kinds)):
            case "mkdir":
                mode = draw(st.sampled_from(["0755", "700"]))
                return {"mkdir": {"path": draw(st.sampled_from(made)), "mode": mode}}
            case "env":
                return variable()
            case "require":
                return condition()
            case "exec":
                return command()
            case "when":
                return inside()
            case _:
                return at_a_place_of_its_own(kind)

    return [found for _ in range(draw(st.integers(1, 5))) if (found := action(KINDS)) is not None]


Property = Callable[[Scene, Path], None]

SCENES = st.builds(
    Scene,
    st.dictionaries(st.sampled_from([*NAMES, "deep", "m"]), THINGS, max_size=5),
    st.none() | CONTENT,
    packs(),
    packs(),
)


def build(scene: Scene, base: Path) -> Ground:
    ground = Ground(base)
    for name, thing in scene.home.items():
        thing.put(ground.home / name)
    if scene.rc is not None:
        Thing("file", scene.rc, 0o640).put(ground.home / ".bashrc")
    return ground


def attempt(ground: Ground, actions: list[Action]) -> None:
    """Install, twice if it goes through. What fails leaves the home as it was, or says what it left."""
    before = snapshot(ground.home)
    failure: GrexError | None = None
    outcome = None
    try:
        outcome = ground.install(actions)
    except GrexError as error:
        failure = error
    after = snapshot(ground.home)
    if outcome is None:
        assert failure is not None
        event("failed")
        assert after == before or "could not take back" in (failure.hint or ""), failure
        return
    again = ground.install(actions)
    assert again.changes == ()
    assert again.status in ("unchanged", "skipped")
    assert snapshot(ground.home) == after
    event(f"{outcome.status}, {min(len(outcome.changes), 3)} changes or more")


def in_a_new_place(check: Callable[[Path], None]) -> None:
    base = Path(tempfile.mkdtemp(prefix="grex-properties-"))
    try:
        check(base)
    finally:
        shutil.rmtree(base)


def restores_the_home(scene: Scene, base: Path) -> None:
    ground = build(scene, base)
    before = snapshot(ground.home)
    attempt(ground, scene.first)
    ground.teardown()
    assert snapshot(ground.home) == before
    assert ground.teardown().status == "unchanged"


def restores_the_home_after_an_update(scene: Scene, base: Path) -> None:
    ground = build(scene, base)
    before = snapshot(ground.home)
    attempt(ground, scene.first)
    (ground.root / "files/one").write_bytes(b"one, newer")
    attempt(ground, scene.second)
    ground.teardown()
    assert snapshot(ground.home) == before


PROPERTIES = (restores_the_home, restores_the_home_after_an_update)
BOUNDS = settings(deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@pytest.fixture
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """No flush: what a power cut would leave is not asked here."""
    monkeypatch.setattr(os, "fsync", lambda fd: None)


@pytest.mark.usefixtures("quick_disk")
@pytest.mark.parametrize("holds", PROPERTIES, ids=[holds.__name__ for holds in PROPERTIES])
@settings(BOUNDS, max_examples=30)
@given(scene=SCENES)
def test_run_twice_is_run_once_and_a_teardown_restores_the_home(holds: Property, scene: Scene) -> None:
    in_a_new_place(lambda base: holds(scene, base))


@pytest.mark.exhaustive
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("quick_disk")
@pytest.mark.parametrize("holds", PROPERTIES, ids=[holds.__name__ for holds in PROPERTIES])
@settings(BOUNDS, max_examples=400)
@given(scene=SCENES)
def test_it_does_so_over_many_packs_and_homes(holds: Property, scene: Scene) -> None:
    in_a_new_place(lambda base: holds(scene, base))


# --- a disk call that fails


@dataclass
class Case:
    """One thing that one action can do: what is there, what was installed before, and the action."""

    action: Action
    prepare: Callable[[Path], None] = lambda home: None
    earlier: Action | None = None
    meanwhile: Callable[[Ground], None] = lambda ground: None
    force: bool = False
    may_leave: str | None = None


def rc(data: bytes) -> Callable[[Path], None]:
    return lambda home: Thing("file", data, 0o640).put(home / ".bashrc")


def user_file(home: Path) -> None:
    Thing("file", b"mine", 0o600).put(home / "a")


def edit_block(ground: Ground) -> None:
    file = ground.home / ".bashrc"
    file.write_bytes(file.read_bytes().replace(b"'x'", b"'edited'"))
    os.utime(file, ns=(T0, T0))


def newer_source(ground: Ground) -> None:
    (ground.root / "files/one").write_bytes(b"newer")


CASES: Mapping[str, Case] = {
    "symlink": Case({"symlink": {"src": "files/one", "dst": "~/n/m/a"}}),
    "symlink with a backup": Case({"symlink": {"src": "files/one", "dst": "~/a", "backup": True}}, user_file),
    "symlink replaced": Case(
        {"symlink": {"src": "files/two", "dst": "~/a"}}, earlier={"symlink": {"src": "files/one", "dst": "~/a"}}
    ),
    "copy": Case({"copy": {"src": "files/one", "dst": "~/n/m/a", "mode": "0600"}}),
    "copy with a backup": Case({"copy": {"src": "files/one", "dst": "~/a", "backup": True}}, user_file),
    "copy replaced": Case(
        {"copy": {"src": "files/one", "dst": "~/a"}},
        earlier={"copy": {"src": "files/one", "dst": "~/a"}},
        meanwhile=newer_source,
        may_leave="the one before it was not kept",
    ),
    "mkdir": Case({"mkdir": {"path": "~/n/m/o", "mode": "0700"}}),
    "rmdir": Case({"rmdir": {"path": "~/a"}}, lambda home: Thing("directory", mode=0o751).put(home / "a")),
    "rmdir with a backup": Case(
        {"rmdir": {"path": "~/a", "backup": True}}, lambda home: Thing("directory", inner=["x"]).put(home / "a")
    ),
    "rmdir with force": Case(
        {"rmdir": {"path": "~/a", "force": True}},
        lambda home: Thing("directory", inner=["x", "y"]).put(home / "a"),
        may_leave="cannot be taken back",
    ),
    "env": Case({"env": {"name": "ONE", "value": "x"}}, rc(b"mine, no newline")),
    "env in a new file": Case({"env": {"name": "ONE", "value": "x"}}),
    "env with a new value": Case(
        {"env": {"name": "ONE", "value": "y"}}, rc(b"mine\n"), {"env": {"name": "ONE", "value": "x"}}
    ),
    "env by force": Case(
        {"env": {"name": "ONE", "value": "y"}},
        rc(b"mine\n"),
        {"env": {"name": "ONE", "value": "x"}},
        edit_block,
        force=True,
    ),
}


def stage(case: Case, base: Path) -> tuple[Ground, Snapshot]:
    base.mkdir()
    ground = Ground(base)
    case.prepare(ground.home)
    if case.earlier is not None:
        ground.install([case.earlier])
    case.meanwhile(ground)
    return ground, snapshot(ground.home)


def prove(case: Case, ground: Ground, start: Snapshot, failure: GrexError, *, may_tell: bool) -> None:
    """The home is as it was, or the error says what could not be taken back."""
    hint = failure.hint or ""
    if snapshot(ground.home) == start:
        return
    told = "could not take back" in hint if may_tell else False
    assert told or (case.may_leave is not None and case.may_leave in hint), (failure.message, hint)


@pytest.mark.parametrize("name", CASES)
def test_a_failure_before_or_after_any_call_of_do_leaves_the_starting_state(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run after it gets through, and its teardown restores what was there before everything."""
    case = CASES[name]
    calls = FailingCalls(monkeypatch, during="do")
    calls.watch(monkeypatch, *ACTIONS)
    ground, start = stage(case, tmp_path / "counted")
    calls.repair()
    ground.install([case.action], force=case.force)
    done = snapshot(ground.home)
    assert done != start
    count = len(calls.calls)
    assert count >= 1
    calls.repair()
    for nth in range(1, count + 1):
        for when in ("before", "after"):
            calls.repair()
            ground, start = stage(case, tmp_path / f"{nth}-{when}")
            calls.fail(nth, when)
            try:
                ground.install([case.action], force=case.force)
            except GrexError as failure:
                prove(case, ground, start, failure, may_tell=False)
            calls.repair()
            ground.install([case.action], force=case.force)
            assert kinds(ground) == {key: value[0] for key, value in done.items() if "grex-bak" not in key}
            assert not [path for path in ground.home.rglob(".grex-tmp-*") if path.name.startswith(".grex-tmp-")]


def kinds(ground: Ground) -> dict[str, object]:
    return {key: value[0] for key, value in snapshot(ground.home).items() if "grex-bak" not in key}


@pytest.mark.parametrize("name", CASES)
def test_a_failure_while_a_failed_run_is_taken_back_is_said(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = CASES[name]
    last: Action = {"exec": {"cmd": ["false"]}}
    calls = FailingCalls(monkeypatch, during="undo")
    calls.watch(monkeypatch, *ACTIONS)
    ground, start = stage(case, tmp_path / "counted")
    calls.repair()
    with pytest.raises(ActionError, match="exec false") as caught:
        ground.install([case.action, last], force=case.force)
    if name == "copy replaced":
        assert "could not take back: copy" in (caught.value.hint or "")
    elif name == "rmdir with force":
        assert "could not take back: rmdir" in (caught.value.hint or "")
    else:
        assert snapshot(ground.home) == start
    count = len(calls.calls)
    for nth in range(1, count + 1):
        for when in ("before", "after"):
            calls.repair()
            ground, start = stage(case, tmp_path / f"{nth}-{when}")
            calls.fail(nth, when)
            with pytest.raises(ActionError, match="exec false") as caught:
                ground.install([case.action, last], force=case.force)
            prove(case, ground, start, caught.value, may_tell=True)
