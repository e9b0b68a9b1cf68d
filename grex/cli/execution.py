"""Running a call: the event loop, signals, errors, and the way out.

SIGINT, SIGTERM and SIGHUP cancel the verb: its children are ended, its locks come free, and the exit code says which
signal it was.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
import warnings
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

import anyio
from msgspec.structs import replace

from grex.cli.call import Call
from grex.cli.colours import ColourChoice, colours, has_colours, in_role
from grex.cli.interrupts import cancel_on_signal
from grex.cli.lines import fitted
from grex.cli.progress import LinePrinter
from grex.cli.streams import say, terminal_height, terminal_width
from grex.errors import GrexError, LockDeadlockError, LockFallbackWarning, UsageError
from grex.loop import begin

if TYPE_CHECKING:
    from grex.cli.event_lines import EventLines
    from grex.cli.live import LiveView
    from grex.engine import Settings
    from grex.progress import ChromeTrace
    from grex.verbs.report import Report

__all__ = ["execute", "explain", "open_trace", "output_kept_for_the_report", "print_document", "tell"]

R = TypeVar("R", bound="Report")


def execute(
    call: Call,
    root: Path,
    verb: Callable[[Settings], Coroutine[Any, Any, R]],
    render: Callable[[R], str],
    *,
    only_looks: bool = False,
    pages: bool = False,
) -> int:
    """Run a verb to its end, print its report, and give the exit code.

    It gets an event loop of its own, with `only_looks` when it asks for one: what only looks mostly waits for nothing.

    With `pages`, a report that a terminal has no room for goes to a pager.
    """
    printer = LinePrinter(
        None,
        quiet=call.quiet or call.as_json,
        is_shared=call.has_one_place,
        width=terminal_width(sys.stderr, call.environ.get("COLUMNS")),
        has_view=call.has_view,
        has_colours=has_colours(sys.stderr, call.colour, call.environ),
    )
    trace = open_trace(call)
    lines: EventLines | None = None
    if call.as_lines:
        from grex.cli.event_lines import EventLines  # noqa: PLC0415 - only where it is asked for

        lines = EventLines()
    view = _view_of(call)
    caught: list[signal.Signals] = []
    try:
        settings = call.settings(root, _together(lines or printer, view, trace))
        with view or nullcontext(), _warnings_for_people(quiet=call.quiet), output_kept_for_the_report():
            report = _run(verb, settings, caught, call, only_looks=only_looks)
    except GrexError as error:
        return explain(error, as_json=call.as_json, lines=lines, colour=call.colour)
    except BaseExceptionGroup as group:
        from grex.verbs.report import first_error  # noqa: PLC0415 - only for failures

        printer.tell_kept_back()
        first = first_error(group)
        if caught and first is not None:
            return _stopped(call, caught, lines)  # what fails while everything is being ended has no other cause
        if first is None:
            raise
        return explain(_with_choice_of_workspace(call, first), as_json=call.as_json, lines=lines, colour=call.colour)
    finally:
        if trace is not None:
            trace.close()
    if report is None:
        printer.tell_kept_back()
        return _stopped(call, caught, lines)
    if lines is not None:
        return lines.report(report.to_json(), report.exit_code)
    if call.as_json:
        return print_document(report)
    with colours(has_colours(sys.stdout, call.colour, call.environ)):
        text = render(report)
    if text:
        tell(call, text, pages=pages)
    return report.exit_code


def _view_of(call: Call) -> LiveView | None:
    if not call.has_view:
        return None
    from grex.cli.live import watch  # noqa: PLC0415 - only where somebody watches

    return watch(call)


def _together(*sinks: Callable[[Any], None] | None) -> Callable[[Any], None]:
    """Those of the sinks that are there, as one."""
    from grex.progress import Tee  # noqa: PLC0415 - verbs only

    there = [sink for sink in sinks if sink is not None]
    return there[0] if len(there) == 1 else Tee(*there)


def tell(call: Call, text: str, *, pages: bool) -> None:
    """Print a report; where it `pages`, and the terminal has no room for it, through a pager."""
    height = terminal_height(sys.stdout) if pages and not call.no_pager else None
    if height is not None and text.count("\n") + 1 >= height:
        from grex.cli.pager import page  # noqa: PLC0415 - only for what is long

        if page(text, call.environ):
            return
    say(text)


def open_trace(call: Call) -> ChromeTrace | None:
    """The trace that the call asks for, to be closed at its end; None where it asks for none.

    Raises:
        UsageError: its file cannot be written.
    """
    if call.trace is None:
        return None
    from grex.progress import ChromeTrace  # noqa: PLC0415 - only where it is asked for

    try:
        return ChromeTrace(call.trace, f"grex {call.verb}")
    except OSError as error:
        raise UsageError(
            f"the trace file {call.trace} cannot be written: {error.strerror}", hint="Give another path."
        ) from error


@contextmanager
def output_kept_for_the_report() -> Iterator[None]:
    """Let what a plugin prints, or a program that it starts, go to standard error: `--json` promises one document."""
    sys.stdout.flush()
    output = os.dup(1)
    os.dup2(2, 1)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        try:
            sys.stdout.flush()
        finally:
            os.dup2(output, 1)
            os.close(output)


@contextmanager
def _warnings_for_people(*, quiet: bool) -> Iterator[None]:
    """Show what the locks warn of as one line on standard error; other warnings are for programmers, as ever."""

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if not issubclass(category, LockFallbackWarning):
            otherwise(message, category, filename, lineno, file, line)
        elif not quiet:
            print(f"grex: warning: {message}", file=sys.stderr)

    otherwise = warnings.showwarning
    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


def print_document(report: Report) -> int:
    """Print a report's JSON document, and give the exit code."""
    _print_json(report.to_json())
    return report.exit_code


def _print_json(document: Mapping[str, Any]) -> None:
    text = json.dumps(document, ensure_ascii=False, indent=2)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:  # an ASCII locale, or a name that is not UTF-8
        text = json.dumps(document, ensure_ascii=True, indent=2)
    say(text)


_GO_ON = {
    "clone": "run it again to go on from here",
    "fork": "run it again to go on from here",
    "add": "run it again if the pack is not declared yet, else the next sync goes on from here",
    "exec": "the commands that still ran were ended",
    "fetch": "run it again to go on from here",
    "import": "run it again if the packs are not declared yet, else the next sync goes on from here",
    "push": "run it again to go on from here",
    "run": "run it again to go on from here",
    "switch": "run it again to go on from here",
    "teardown": "run it again to go on from here",
}


def _stopped(call: Call, caught: Sequence[signal.Signals], lines: EventLines | None = None) -> int:
    """Say that a signal ended the run, and give its exit code."""
    name = caught[0].name if caught else "a signal"
    if not call.quiet:
        print(f"grex: {name}: stopped; {_GO_ON.get(call.verb, 'the next sync goes on from here')}.", file=sys.stderr)
    code = 128 + int(caught[0] if caught else signal.SIGINT)
    return code if lines is None else lines.stopped(name, code)


def _run(
    verb: Callable[[Settings], Coroutine[Any, Any, R]],
    settings: Settings,
    caught: list[signal.Signals],
    call: Call,
    *,
    only_looks: bool,
) -> R | None:
    """The report of the verb; None if a signal ended it. A signal that finds no event loop ends the whole process."""

    def in_loop(rest: Awaitable[R]) -> R | None:
        return anyio.run(_guarded, lambda _: rest, settings, caught, call)

    if only_looks and not call.as_lines:  # a stream of lines has an end of its own for a signal
        return begin(verb(settings), in_loop)
    return anyio.run(_guarded, verb, settings, caught, call)


async def _guarded(
    verb: Callable[[Settings], Awaitable[R]], settings: Settings, caught: list[signal.Signals], call: Call
) -> R | None:
    """The verb, cancelled by the first SIGINT, SIGTERM or SIGHUP; None if it was."""
    report: R | None = None
    async with anyio.create_task_group() as watching:
        with anyio.CancelScope() as scope:
            await watching.start(cancel_on_signal, scope, caught)
            if not call.as_json and sys.stdin is not None and sys.stdin.isatty():
                from grex.cli.logins import terminal_logins  # noqa: PLC0415 - only where somebody may be asked

                logins = terminal_logins(call.verb)
                if logins is not None:
                    await watching.start(logins.serve)
                    settings = replace(settings, logins=logins)
            report = await verb(settings)
        watching.cancel_scope.cancel()
    return report


def _with_choice_of_workspace(call: Call, error: GrexError) -> GrexError:
    """The error; of a nested command that meant another workspace, with a hint that says so.

    grex sets GREX_WORKSPACE for its hooks, so `cd elsewhere && grex sync` in one acts on the workspace of the hook.
    """
    here = call.overridden_workspace() if isinstance(error, LockDeadlockError) else None
    if here is not None:
        error.hint = (
            f"GREX_WORKSPACE chose the workspace, which is not the one here; to act on this one, unset it or give "
            f"--workspace {shlex.quote(str(here))}"
        )
    return error


def explain(
    error: GrexError,
    *,
    as_json: bool,
    as_lines: bool = False,
    lines: EventLines | None = None,
    colour: ColourChoice | None = None,
) -> int:
    """Say what went wrong, and give its exit code; `lines` is the stream that it ends, where one has begun."""
    from grex.verbs.report import explained, failure_json  # noqa: PLC0415 - only for failures

    if lines is not None:
        return lines.error(failure_json(error), error.exit_code)
    if as_lines:
        from grex.cli.event_lines import print_error_line  # noqa: PLC0415 - only where it is asked for

        return print_error_line(failure_json(error), error.exit_code)
    if as_json:
        _print_json({"error": failure_json(error)})
    else:
        with colours(has_colours(sys.stderr, colour, os.environ)):
            told = [f"{in_role('error', 'grex:')} {error.message}", *(f"  {line}" for line in explained(error))]
        for line in fitted(told, terminal_width(sys.stderr, os.environ.get("COLUMNS"))):
            print(line, file=sys.stderr)
    return error.exit_code
