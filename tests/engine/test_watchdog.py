"""A plugin that blocks the event loop is named with the place where it stands, while it stands there."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar

import anyio
import pytest

from grex.engine import InstallOutcome, Present, RunContext, Session, prepare, run
from grex.engine.exclusive import exclusive
from grex.engine.watchdog import Watchdog
from grex.pack import parse_pack_spec
from grex.plugin import ActionContext, Context, Done, Outcome, Pack, Planned
from grex.progress import Event, PluginBlocks
from tests.support.loops import trio_among_the_slow  # noqa: F401 - a fixture
from tests.support.place import Place
from tests.support.plugins import Calls, Declared, Mark, MarkArguments, Watched
from tests.support.workspace import pack_yaml

pytestmark = pytest.mark.anyio

SOON_S = 0.2


class Listening:
    """A sink that lets a blocked plugin go as soon as it is told of."""

    def __init__(self) -> None:
        self.told: list[PluginBlocks] = []
        self.heard = threading.Event()

    def __call__(self, event: Event, /) -> None:
        """Keep what is told of plugins."""
        if isinstance(event, PluginBlocks):
            self.told.append(event)
            self.heard.set()


def block(heard: threading.Event) -> None:
    assert heard.wait(60), "nobody said that this blocks"


BLOCKS_AT = f"{__file__}:{inspect.getsourcelines(block)[1] + 1}"


class BlockingType(Watched):
    """A type that blocks inside of its hold."""

    name: ClassVar[str] = "watched"

    def __init__(self, inside: Callable[[], None]) -> None:
        super().__init__(Calls())
        self.inside = inside

    async def install(self, ctx: Context, pack: Pack) -> Outcome:
        """Block."""
        async with ctx.hold(pack) as hold:
            self.inside()
            return hold.outcome()


class BlockingAction(Mark):
    """An action that blocks in `do`."""

    name: ClassVar[str] = "mark"

    def __init__(self, inside: Callable[[], None]) -> None:
        super().__init__(Calls())
        self.inside = inside

    async def do(self, arguments: MarkArguments, planned: Planned, ctx: ActionContext) -> Done:
        """Block."""
        self.inside()
        return await super().do(arguments, planned, ctx)


def present(place: Place, path: str, type_: str, *actions: Mapping[str, object]) -> Present:
    (place / path).mkdir(parents=True)
    text = pack_yaml(path, type_, **({"actions": list(actions)} if actions else {}))
    spec = parse_pack_spec(text.encode(), file=f"{path}/.grex/pack.yaml", is_root=False)
    return Present(path, spec, "c", f"https://host.example/{path}")


async def installed(session: Session, *packs: Present) -> Mapping[str, InstallOutcome]:
    context = RunContext(session)
    async with exclusive(session):
        return await run(session, context, prepare(session, context, packs), fail_fast=False)


async def test_a_pack_type_that_blocks_is_named_with_its_pack_and_place(tmp_path: Path) -> None:
    listening = Listening()
    place = Place(tmp_path, sink=listening)
    session = place.session(BlockingType(lambda: block(listening.heard)))
    session.watchdog.after_s = SOON_S
    outcomes = await installed(session, present(place, "a", "watched"))
    assert outcomes["a"].status == "installed"
    told = listening.told[0]
    assert (told.pack, told.plugin, told.place) == ("a", "tests.engine.test_watchdog.BlockingType", BLOCKS_AT)
    assert told.blocked_s >= SOON_S


async def test_an_action_that_blocks_is_named_and_not_the_type_that_runs_it(tmp_path: Path) -> None:
    listening = Listening()
    place = Place(tmp_path, sink=listening)
    session = place.session(Declared(), BlockingAction(lambda: block(listening.heard)))
    session.watchdog.after_s = SOON_S
    await installed(session, present(place, "a", "declared", {"mark": {"name": "x"}}))
    told = listening.told[0]
    assert (told.pack, told.plugin, told.place) == ("a", "tests.engine.test_watchdog.BlockingAction", BLOCKS_AT)


@pytest.mark.parametrize("method", ["has_install", "claims", "needs_trust"])
async def test_a_method_that_blocks_while_the_run_is_planned_is_named_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    listening = Listening()
    place = Place(tmp_path, sink=listening)
    session = place.session(BlockingType(lambda: None))
    session.watchdog.after_s = SOON_S
    real = getattr(Watched, method)

    def blocking(self: BlockingType, *arguments: object) -> object:
        block(listening.heard)
        return real(self, *arguments)

    monkeypatch.setattr(BlockingType, method, blocking, raising=False)
    outcomes = await installed(session, present(place, "a", "watched"))
    assert outcomes["a"].status == "installed"
    told = listening.told[0]
    assert (told.pack, told.plugin, told.place) == ("a", "tests.engine.test_watchdog.BlockingType", BLOCKS_AT)


def test_asking_goes_on_after_another_asking_inside_of_it() -> None:
    listening = Listening()
    watchdog = Watchdog(listening, after_s=SOON_S)
    watchdog.expect_third_parties()
    with watchdog.asking("outer"):
        with watchdog.asking("inner"):
            block(listening.heard)
        listening.heard.clear()
        block(listening.heard)
    assert [told.pack for told in listening.told] == ["inner", "outer"]
    assert not any(thread.name == "grex watchdog" for thread in threading.enumerate())


async def test_one_block_is_told_once(tmp_path: Path) -> None:
    listening = Listening()
    place = Place(tmp_path, sink=listening)
    looked: list[int] = []
    go_on = threading.Event()

    def inside() -> None:
        block(listening.heard)
        go_on.wait(10 * SOON_S)  # as long as it would take to tell it several times more
        looked.append(len(listening.told))

    session = place.session(BlockingType(inside))
    session.watchdog.after_s = SOON_S
    await installed(session, present(place, "a", "watched"))
    assert looked == [1]


async def test_a_plugin_that_waits_as_it_should_is_not_told_of(tmp_path: Path) -> None:
    listening = Listening()
    place = Place(tmp_path, sink=listening)

    class Patient(Watched):
        name: ClassVar[str] = "watched"

        async def install(self, ctx: Context, pack: Pack) -> Outcome:
            async with ctx.hold(pack) as hold:
                await anyio.sleep(2.5)
                return hold.outcome()

    session = place.session(Patient(Calls()))
    session.watchdog.after_s = 1.5
    await installed(session, present(place, "a", "watched"))
    assert listening.told == []


async def test_there_is_a_thread_only_while_third_parties_may_run(tmp_path: Path) -> None:
    seen: list[bool] = []

    def names() -> bool:
        return any(thread.name == "grex watchdog" for thread in threading.enumerate())

    place = Place(tmp_path)
    session = place.session(BlockingType(lambda: seen.append(names())))
    await installed(session, present(place, "a", "watched"), present(place, "b", "watched"))
    assert seen == [True, True]
    assert not names()
    began: list[bool] = []
    own = Place(tmp_path / "own", sink=lambda event: began.append(names()))
    made = await installed(own.session(), present(own, "c", "declarative", {"mkdir": {"path": "made"}}))
    assert made["c"].status == "installed"
    assert began
    assert not any(began)
