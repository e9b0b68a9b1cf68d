"""What typer is shown of a command, and what the command is given."""

from __future__ import annotations

import inspect
from typing import Annotated, Any, TypedDict, Unpack

import pytest
import typer

from grex.cli.call import Call
from grex.cli.signature import COMMON, _given, takes


class _Flags(TypedDict):
    loud: Annotated[bool, typer.Option("--loud")]
    slow: Annotated[bool, typer.Option("--slow")]


def app_with(*commands: Any) -> typer.Typer:
    app = typer.Typer()

    @app.callback()
    @takes(*COMMON)
    def before(call: Call) -> None:
        del call

    for command in commands:
        app.command()(command)
    return app


def test_typer_is_shown_the_own_options_in_their_order_and_then_the_shared_ones() -> None:
    @takes("trust", "json", "jobs")
    def sing(call: Call, song: str, again: bool = False, **how: Unpack[_Flags]) -> int:
        return 0

    shown = list(inspect.signature(sing).parameters)
    assert shown == ["context", "song", "again", "loud", "slow", "trust", "json", "jobs"]
    assert sing.__annotations__["context"] is typer.Context
    assert (sing.__name__, "call" in sing.__annotations__) == ("sing", False)


def test_a_command_is_given_its_call_and_what_is_its_own() -> None:
    given: list[tuple[Call, str, bool, Any]] = []

    @takes("trust", *COMMON)
    def sing(call: Call, song: str, again: bool = False, **how: Unpack[_Flags]) -> int:
        given.append((call, song, again, how))
        return 7

    arguments = ["--jobs", "2", "--json", "sing", "psalm", "--slow", "--jobs", "3", "--trust", "a", "--trust", "b"]
    assert app_with(sing)(arguments, standalone_mode=False) == 7
    ((call, song, again, how),) = given
    assert (song, again, how) == ("psalm", False, {"loud": False, "slow": True})
    assert (call.verb, call.as_json, call.quiet, call.jobs, call.trust[:2]) == ("sing", True, False, 3, ("a", "b"))


def test_an_option_that_a_command_does_not_take_is_refused() -> None:
    @takes("json")
    def sing(call: Call) -> int:
        return 0

    with pytest.raises(typer.TyperException, match="No such option: --quiet"):
        app_with(sing)(["sing", "--quiet"], standalone_mode=False)


def test_a_name_that_is_no_shared_option_is_a_mistake_of_the_import() -> None:
    with pytest.raises(KeyError, match="jsno"):

        @takes("jsno")
        def sing(call: Call) -> int:
            return 0


def test_what_may_stand_before_the_verb_is_every_shared_option_but_trust_in_the_same_order() -> None:
    assert list(inspect.signature(_given).parameters) == ["verb", "trust", *COMMON, "no_pager"]
