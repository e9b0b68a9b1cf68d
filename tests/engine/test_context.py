"""What plugins are given: brackets in the log, undo in reverse, dry runs that write nothing, a scrubbed environment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest
from msgspec.structs import replace

from grex.engine import RunContext, Session
from grex.engine.acting import HoldState
from grex.engine.action_context import ActionRun
from grex.engine.exclusive import exclusive
from grex.engine.surroundings import child_environ
from grex.errors import ActionError, GrexError, PackSpecError, PluginError
from grex.manifest import MAX_LINE_BYTES, action_started_event, fold, render_line
from grex.pack import parse_pack_spec
from grex.plugin import Done, Outcome, Pack, PackSkippedError, Planned
from grex.progress import Slice
from tests.support.place import Place
from tests.support.plugins import Calls, Declared, Mark, MarkArguments
from tests.support.workspace import pack_yaml

pytestmark = pytest.mark.anyio


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def calls() -> Calls:
    return Calls()


def make_pack(place: Place, *actions: Any, path: str = "tools") -> Pack:
    root = place.root / path
    root.mkdir(exist_ok=True)
    text = pack_yaml(path, "declared", actions=list(actions))
    spec = parse_pack_spec(text.encode(), file=f"{path}/.grex/pack.yaml", is_root=False)
    return Pack(path, root, path, "declared", spec, "c1")


def mark(name: str, **keys: Any) -> dict[str, Any]:
    return {"mark": {"name": name, **keys}}


def opened(place: Place, calls: Calls) -> Session:
    return place.session(Declared(), Mark(calls))


async def install(session: Session, pack: Pack, **how: Any) -> Outcome:
    with anyio.fail_after(20):
        if how.get("dry_run"):
            return await Declared().install(RunContext(session, **how), pack)
        async with session.holds.workspace():
            return await Declared().install(RunContext(session, **how), pack)


async def fail(session: Session, pack: Pack, **how: Any) -> GrexError:
    with pytest.raises(GrexError) as caught:
        await install(session, pack, **how)
    return caught.value


def brackets(place: Place) -> list[tuple[str, str, str, str | None]]:
    """The log, shortly: op, action, phase, and the reason of one that was halted."""
    found = []
    for event in place.log():
        reason = event.data.get("reason")
        row = (event.op.removeprefix("action_"), str(event.data["action"]), str(event.data["phase"]))
        found.append((*row, None if reason is None else str(reason)))
    return found


def no_locks(place: Place, pack: Pack) -> bool:
    return not (pack.root / ".grex-lock").exists() and not (place / ".grex.jsonl.lock").exists()


# -- brackets ----------------------------------------------------------------------------------------------------------


async def test_every_action_stands_in_a_bracket_with_what_its_undo_needs(place: Place, calls: Calls) -> None:
    session = opened(place, calls)
    outcome = await install(session, make_pack(place, mark("one"), mark("two", undo=False)))
    assert outcome == Outcome("changed", ("mark one", "mark two"))
    assert brackets(place) == [
        ("started", "0", "do", None),
        ("completed", "0", "do", None),
        ("started", "1", "do", None),
        ("completed", "1", "do", None),
    ]
    completed = [event.data for event in place.log() if event.op == "action_completed"]
    assert [data["undo"] for data in completed] == [{"name": "one"}, None]
    assert {data["run"] for data in completed} == {session.run_id}
    assert session.folded.packs == {}
    session.reread()
    assert session.folded.packs["tools"].open_brackets == ()


async def test_an_action_that_finds_everything_in_place_changes_nothing(place: Place, calls: Calls) -> None:
    calls.gives["do one"] = Done(changed=False, text="is so")
    assert await install(opened(place, calls), make_pack(place, mark("one"))) == Outcome("unchanged")


async def test_each_action_is_a_slice_of_its_packs_track(place: Place, calls: Calls) -> None:
    await install(opened(place, calls), make_pack(place, mark("one")))
    slices = [event for event in place.seen.events if isinstance(event, Slice) and event.category == "action"]
    assert [(found.name, found.track, dict(found.args)) for found in slices] == [
        ("action mark", "tools", {"action": "0"})
    ]


# -- failure -----------------------------------------------------------------------------------------------------------


async def test_a_failure_takes_back_what_was_done_last_first_and_closes_the_bracket(place: Place, calls: Calls) -> None:
    calls.raises["do three"] = ActionError("no")
    session = opened(place, calls)
    await fail(session, make_pack(place, mark("one"), mark("two"), mark("three"), mark("four")))
    assert calls.made == ["do one", "do two", "do three", "undo three", "undo two", "undo one"]
    assert brackets(place)[4:] == [
        ("started", "2", "do", None),
        ("halted", "2", "do", "failed"),
        ("started", "1", "undo", None),
        ("completed", "1", "undo", None),
        ("started", "0", "undo", None),
        ("completed", "0", "undo", None),
    ]
    session.reread()
    record = session.folded.packs["tools"]
    assert (record.completed, record.open_brackets) == ((), ())


async def test_keep_partial_leaves_what_was_done_and_what_was_begun(place: Place, calls: Calls) -> None:
    calls.raises["do two"] = ActionError("no")
    session = opened(place, calls)
    await fail(session, make_pack(place, mark("one"), mark("two")), keep_partial=True)
    assert calls.made == ["do one", "do two"]
    session.reread()
    assert [done.undo for done in session.folded.packs["tools"].completed] == [{"name": "one"}, {"name": "two"}]


async def test_what_cannot_be_taken_back_is_told_in_the_hint(place: Place, calls: Calls) -> None:
    calls.raises["do last"] = ActionError("no", hint="Mend it.")
    pack = make_pack(place, mark("gone", undo=False, irreversible=True), mark("stuck"), mark("fine"), mark("last"))
    error = await fail(opened(place, calls), pack)
    assert calls.made[-2:] == ["undo fine", "undo stuck"]
    assert error.hint == (
        "Mend it. What it had done before and could not take back: mark gone; "
        "tools/.grex/pack.yaml:6:6: mark stuck (it is stuck)."
    )


async def test_an_undo_that_raises_anything_does_not_keep_the_earlier_ones_from_theirs(
    place: Place, calls: Calls
) -> None:
    calls.raises |= {"do three": ActionError("no"), "undo two": RuntimeError("boom")}
    session = opened(place, calls)
    error = await fail(session, make_pack(place, mark("one"), mark("two"), mark("three")))
    assert error.message == "tools/.grex/pack.yaml:7:6: no"
    assert calls.made[-2:] == ["undo two", "undo one"]
    assert "tools/.grex/pack.yaml:6:6: mark two (RuntimeError: boom (plugins.py:" in (error.hint or "")
    session.reread()
    assert [done.action for done in session.folded.packs["tools"].completed] == ["1"]


async def test_a_failure_that_is_no_error_of_ours_carries_what_could_not_be_taken_back(
    place: Place, calls: Calls
) -> None:
    calls.raises["do two"] = RuntimeError("boom")
    error = await fail(opened(place, calls), make_pack(place, mark("stuck"), mark("two")))
    assert error.message.startswith(
        "tools/.grex/pack.yaml:6:6: the action 'mark' raised RuntimeError: boom (plugins.py:"
    )
    assert error.hint == (
        "Report it to the authors of the plugin. What it had done before and could not take back: "
        "tools/.grex/pack.yaml:5:6: mark stuck (it is stuck)."
    )
    assert error.details == {"pack": "tools", "file": "tools/.grex/pack.yaml", "line": 6, "column": 6}


async def test_a_requirement_that_skips_leaves_what_was_done_before_it(place: Place, calls: Calls) -> None:
    calls.raises["do two"] = PackSkippedError("not here")
    session = opened(place, calls)
    with pytest.raises(PackSkippedError):
        await install(session, make_pack(place, mark("one"), mark("two")))
    assert calls.made == ["do one", "do two"]
    assert brackets(place)[-1] == ("halted", "1", "do", "skipped")


@pytest.mark.parametrize("garbage", [None, "done", {"changed": True}])
async def test_an_action_that_gives_garbage_fails_with_its_bracket_closed(
    place: Place, calls: Calls, garbage: Any
) -> None:
    calls.gives["do two"] = garbage
    error = await fail(opened(place, calls), make_pack(place, mark("one"), mark("two")))
    assert isinstance(error, PluginError)
    assert "tools/.grex/pack.yaml:6:6: the action 'mark' gave" in error.message
    assert calls.made[-1] == "undo one"
    assert ("halted", "1", "do", "failed") in brackets(place)


@pytest.mark.parametrize("undo", [{"name": object()}, {"name": "x" * 70_000}])
async def test_undo_data_that_cannot_be_written_down_is_used_at_once_and_the_action_fails(
    place: Place, calls: Calls, undo: Any
) -> None:
    calls.gives["do two"] = Done(changed=True, text="two", undo=undo)
    error = await fail(opened(place, calls), make_pack(place, mark("one"), mark("two")))
    assert "tools/.grex/pack.yaml:6:6: the undo data of the action 'mark' cannot be recorded" in error.message
    assert calls.made[-2:] == [f"undo {undo['name']}", "undo one"]
    assert ("halted", "1", "do", "failed") in brackets(place)


async def test_what_can_be_begun_can_also_be_written_down_as_taken_back(place: Place, calls: Calls) -> None:
    """The line that says so is a little longer than the one before the action: both have to fit."""
    started = action_started_event("tools", action="1", kind="mark", run="0" * 12, undo={"name": ""})
    fits = MAX_LINE_BYTES - len(render_line(started))
    longer = len("action_completed") - len("action_started") + len("undo") - len("do")
    calls.gives["plan two"] = Planned("two", undo={"name": "x" * (fits - longer + 1)})
    error = await fail(opened(place, calls), make_pack(place, mark("one"), mark("two")))
    assert "the undo data of the action 'mark' cannot be recorded" in error.message
    assert calls.made[-2:] == ["plan two", "undo one"]
    calls.gives["plan two"] = Planned("two", undo={"name": "x" * (fits - longer)})
    calls.raises["do three"] = ActionError("no")
    await fail(opened(place, calls), make_pack(place, mark("one"), mark("two"), mark("three")))
    assert [len(call) for call in calls.made[-2:]] == [len("undo ") + fits - longer, len("undo one")]
    assert fold(place.log()).packs["tools"].completed == ()


async def test_a_path_that_the_log_cannot_keep_is_named_as_the_reason(place: Place, calls: Calls) -> None:
    calls.gives["plan two"] = Planned("two", undo={"path": "/home/\udcff"})
    error = await fail(opened(place, calls), make_pack(place, mark("one"), mark("two")))
    assert isinstance(error, ActionError)
    assert (
        "tools/.grex/pack.yaml:6:6: what taking back the action 'mark' needs holds bytes that are not UTF-8"
        in error.message
    )
    assert calls.made[-1] == "undo one"


async def test_a_cancelled_action_has_its_bracket_closed_as_cancelled_and_nothing_is_undone(
    place: Place, calls: Calls
) -> None:
    calls.gates["do two"] = anyio.Event()
    session = opened(place, calls)
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(install, session, make_pack(place, mark("one"), mark("two")))
            with anyio.fail_after(20):
                await calls.seen("do two").wait()
            scope.cancel()
    assert scope.cancelled_caught
    assert calls.made == ["do one", "do two"]
    assert brackets(place)[-1] == ("halted", "1", "do", "cancelled")
    async with session.holds.workspace(), session.holds.pack("tools", place / "tools", "disk"):
        pass  # everything is free


# -- nested ------------------------------------------------------------------------------------------------------------


async def test_nested_actions_have_brackets_of_their_own_and_are_undone_in_reverse(place: Place, calls: Calls) -> None:
    calls.raises["do late"] = ActionError("no")
    inner = {"when": {"os": "linux", "actions": [mark("b"), {"when": {"os": "linux", "actions": [mark("c")]}}]}}
    await fail(opened(place, calls), make_pack(place, mark("a"), inner, mark("late")))
    assert calls.made == ["do a", "do b", "do c", "do late", "undo late", "undo c", "undo b", "undo a"]
    started = [action for op, action, phase, _ in brackets(place) if (op, phase) == ("started", "do")]
    assert started == ["0", "1", "1.0", "1.1", "1.1.0", "2"]


async def test_a_failure_inside_a_nested_action_closes_every_bracket(place: Place, calls: Calls) -> None:
    calls.raises["do b"] = ActionError("no")
    session = opened(place, calls)
    await fail(session, make_pack(place, mark("a"), {"when": {"os": "linux", "actions": [mark("b")]}}))
    assert [row[:2] for row in brackets(place) if row[0] == "halted"] == [("halted", "1.0"), ("halted", "1")]
    session.reread()
    assert session.folded.packs["tools"].open_brackets == ()


async def test_a_when_for_another_platform_runs_nothing(place: Place, calls: Calls) -> None:
    pack = make_pack(place, {"when": {"os": "windows", "actions": [mark("a")]}})
    assert await install(opened(place, calls), pack) == Outcome("unchanged")
    assert calls.made == []


async def test_every_mistake_in_the_arguments_is_reported_at_once_nested_ones_too(place: Place, calls: Calls) -> None:
    pack = make_pack(
        place, {"mark": {}}, {"when": {"os": "linux", "actions": [{"mark": {"nam": 1}}]}}, {"when": {"actions": []}}
    )
    with pytest.raises(PackSpecError) as caught:
        RunContext(opened(place, calls)).actions(pack)
    assert len(caught.value.details["problems"]) >= 3


# -- dry run -----------------------------------------------------------------------------------------------------------


async def test_a_dry_run_plans_in_order_and_writes_nothing(place: Place, calls: Calls) -> None:
    before = sorted(str(path) for path in place.root.rglob("*"))
    pack = make_pack(place, mark("one"), {"when": {"os": "linux", "actions": [mark("two")]}})
    outcome = await install(opened(place, calls), pack, dry_run=True)
    assert outcome.changes == ("mark one", "mark two")
    assert calls.made == ["plan one", "plan two"]
    assert no_locks(place, pack)
    assert sorted(str(path) for path in place.root.rglob("*")) == [*before, str(pack.root)]


async def test_a_dry_undo_says_what_it_would_take_back_and_does_not(place: Place, calls: Calls) -> None:
    session = opened(place, calls)
    pack = make_pack(place, mark("one"), mark("two"))
    await install(session, pack)
    session.reread()
    lines = len(place.log())
    outcome = await Declared().teardown(RunContext(session, dry_run=True), pack)
    assert outcome.changes == ("undo mark", "undo mark")
    assert calls.made == ["do one", "do two"]
    assert len(place.log()) == lines


async def test_a_teardown_says_in_the_actions_own_words_what_it_takes_back(place: Place, calls: Calls) -> None:
    (place.home / "old").mkdir()
    pack = make_pack(
        place,
        {"mkdir": {"path": "~/a/b"}},
        {"symlink": {"src": ".", "dst": "~/link"}},
        {"exec": {"cmd": ["true"], "undo": ["true", "a b"]}},
        {"rmdir": {"path": "~/old"}},
        {"env": {"name": "EDITOR", "value": "vim"}},
        mark("one"),
    )
    environ = dict(place.defaults.environ) | {"SHELL": "/bin/bash"}
    await install(place.session(Declared(), Mark(calls), environ=environ), pack)
    session = opened(place, calls)
    session.reread()
    said = [
        "mark",
        f"env EDITOR in {place.home}/.bashrc",
        f"rmdir {place.home}/old",
        "exec true 'a b'",
        f"symlink {place.home}/link",
        f"mkdir {place.home}/a/b",
    ]
    dry = await Declared().teardown(RunContext(session, dry_run=True), pack)
    assert list(dry.changes) == [f"undo {text}" for text in said]
    async with session.holds.workspace():
        outcome = await Declared().teardown(RunContext(session), pack)
    assert list(outcome.changes) == [f"undid {text}" for text in said]


@pytest.mark.parametrize("answer", [RuntimeError("boom"), "", "two\nlines \x1b[31m"])
async def test_an_action_that_cannot_say_what_it_takes_back_is_called_by_its_name(
    place: Place, calls: Calls, monkeypatch: pytest.MonkeyPatch, answer: Any
) -> None:
    def describe(self: Mark, undo: Any) -> str:
        if isinstance(answer, Exception):
            raise answer
        return str(answer)

    monkeypatch.setattr(Mark, "describe_undo", describe)
    session = opened(place, calls)
    pack = make_pack(place, mark("one"), mark("stuck"))
    await install(session, pack)
    session.reread()
    word = "two lines" if isinstance(answer, str) and answer else "mark"
    with pytest.raises(ActionError, match=rf"not everything could be undone: {word} \(it is stuck\)"):
        async with session.holds.workspace():
            await Declared().teardown(RunContext(session), pack)


async def test_a_teardown_takes_back_what_the_log_says_last_first(place: Place, calls: Calls) -> None:
    await install(opened(place, calls), make_pack(place, mark("one"), mark("two"), mark("three", undo=False)))
    later = opened(place, calls)
    async with exclusive(later):
        outcome = await Declared().teardown(RunContext(later), make_pack(place))
    assert outcome.status == "changed"
    assert calls.made[3:] == ["undo two", "undo one"]
    later.reread()
    assert [done.action for done in later.folded.packs["tools"].completed] == ["2"]


# -- environment -------------------------------------------------------------------------------------------------------


def test_children_do_not_see_gits_own_variables_of_the_caller(place: Place) -> None:
    pack = make_pack(place)
    kept = {
        "GIT_SSH_COMMAND": "ssh -v",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_AUTHOR_NAME": "A",
        "GIT_ASKPASS": "ask",
        "HTTPS_PROXY": "p",
        "PATH": "/bin",
    }
    dropped = {
        "GIT_DIR": "/x",
        "GREX_TRUST": "https://host/all",
        "GIT_WORK_TREE": "/y",
        "GIT_INDEX_FILE": "/z",
        "GIT_CONFIG_COUNT": "1",
        "GIT_EXEC_PATH": "e",
    }
    environ = child_environ({**kept, **dropped, "GREX_PACK_NAME": "liar"}, pack, place.root, "linux", dry_run=False)
    assert kept.items() <= environ.items()
    assert dropped.keys().isdisjoint(environ)
    assert environ["GIT_TERMINAL_PROMPT"] == "0"
    assert {name: environ[name] for name in environ if name.startswith("GREX_") and name != "GREX_HELD"} == {
        "GREX_PACK_NAME": "tools",
        "GREX_PACK_PATH": str(pack.root),
        "GREX_PACK_OS": "linux",
        "GREX_WORKSPACE": str(place.root),
        "GREX_DRY_RUN": "0",
    }


async def test_a_command_sees_the_packs_variables_and_that_its_locks_are_held(place: Place, calls: Calls) -> None:
    script = (
        'printf "%s %s %s\\n" "$GREX_PACK_NAME" "$GREX_DRY_RUN" "${GIT_DIR-unset}" > out; printenv GREX_HELD >> out'
    )
    pack = make_pack(place, {"exec": {"shell": True, "cmd_shell": script, "env": {"EXTRA": "$GREX_PACK_OS"}}})
    session = place.session(Declared(), Mark(calls), environ=dict(place.defaults.environ) | {"GIT_DIR": "/nowhere"})
    await install(session, pack)
    first, held = (pack.root / "out").read_text().splitlines()
    assert first == "tools 0 unset"
    assert str(place.root) in held
    hooks = [event.name for event in place.seen.events if isinstance(event, Slice) and event.name.startswith("exec")]
    assert len(hooks) == 1


async def test_a_command_that_cannot_start_or_takes_too_long_names_its_pack(place: Place, calls: Calls) -> None:
    error = await fail(opened(place, calls), make_pack(place, {"exec": {"cmd": ["no-such-command"]}}))
    assert error.message.startswith("tools/.grex/pack.yaml:5:6: exec ")
    assert "could not be started: No such file or directory" in error.message
    error = await fail(opened(place, calls), make_pack(place, {"exec": {"cmd": ["sleep", "60"], "timeout_s": 0.05}}))
    assert "tools/.grex/pack.yaml:5:6: exec sleep 60 took longer than 0.05 s and was ended" in error.message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("~/x", "{home}/x"),
        ("~", "{home}"),
        ("sub/x", "{pack}/sub/x"),
        ("$HOME/x", "{home}/x"),
        ("/abs//x/.", "/abs/x"),
        ("//abs/x", "/abs/x"),
        ("~other/x", "{pack}/~other/x"),
    ],
)
def test_paths_are_expanded_and_start_at_the_pack(place: Place, text: str, expected: str) -> None:
    pack = make_pack(place)
    run = ActionRun(HoldState(RunContext(place.session()), pack))
    assert run.path(text) == Path(expected.format(home=place.home, pack=pack.root))


async def test_a_variable_that_is_not_set_names_the_pack_and_its_place(place: Place, calls: Calls) -> None:
    error = await fail(opened(place, calls), make_pack(place, {"mkdir": {"path": "a/$NOT_SET_HERE"}}))
    assert "NOT_SET_HERE" in error.message
    assert "$$" in (error.hint or "")


@pytest.mark.parametrize("touches", [True, False])
async def test_what_touches_something_of_the_users_is_flushed_before_it_begins(
    place: Place, calls: Calls, monkeypatch: pytest.MonkeyPatch, touches: bool
) -> None:
    calls.gives["plan one"] = Planned("one", undo={"name": "one"}, touches_users=touches)
    flushed: list[list[str]] = []
    session = opened(place, calls)
    append = session.log.append

    def noted(events: Any, *, hold: Any, durable: bool = True) -> Any:
        if durable:
            flushed.append([event.op for event in events])
        return append(events, hold=hold, durable=durable)

    monkeypatch.setattr(session.log, "append", noted)
    await install(session, make_pack(place, mark("one")))
    assert flushed == ([["action_started"]] if touches else [])


async def test_a_run_without_the_workspace_knows_what_was_recorded_while_it_waited(place: Place, calls: Calls) -> None:
    """Another run has done something to the pack since the log was read."""
    pack = replace(make_pack(place), commit="")  # there is no repository whose HEAD could be compared
    session, other = place.session(Mark(calls)), place.session(Mark(calls))
    session.reread()
    async with exclusive(other), RunContext(other).hold(pack) as hold:
        await hold.run(MarkArguments(name="x"))
    async with RunContext(session, rereads=True).hold(pack) as hold:
        assert hold._state.recorded("mark") == ({"name": "x"},)
