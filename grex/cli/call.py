"""One call: what the options and the environment say, the event loop, signals, errors, and the way out.

This is the only place of the command line that reads environment variables and the home directory; below it they are
values. SIGINT, SIGTERM and SIGHUP cancel the verb: its children are ended, its locks come free, and the exit code says
which signal it was.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import sys
import warnings
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

import anyio
from msgspec import Struct, field
from msgspec.structs import replace

from grex.cli.colours import ColourChoice, colours, has_colours, in_role
from grex.cli.interrupts import cancel_on_signal
from grex.cli.lines import fitted
from grex.cli.progress import LinePrinter
from grex.cli.streams import is_one_place, say, terminal_height, terminal_width
from grex.errors import ConfigError, GrexError, LockDeadlockError, LockFallbackWarning, UsageError
from grex.loop import begin
from grex.names import clean

if TYPE_CHECKING:
    from grex.cli.event_lines import EventLines
    from grex.cli.live import LiveView
    from grex.engine import Settings
    from grex.progress import ChromeTrace
    from grex.verbs.report import Report

__all__ = ["Call", "execute", "explain", "open_trace", "output_kept_for_the_report", "print_document", "tell"]

_SHOWN_CHARACTERS = 40
_LONG = frozenset(
    {"add", "clone", "fetch", "fork", "import", "override", "push", "rm", "run", "set", "switch", "sync", "teardown"}
    | {"update"}
)
"""The verbs that may run long; what `exec` shows is what its commands say."""

R = TypeVar("R", bound="Report")


class Call(Struct, frozen=True):
    """The options that commands share, and the environment; `joined` adds those after the verb to those before it.

    `as_json` is that the output is for programs, `as_lines` that it comes line by line.
    """

    verb: str = ""
    as_json: bool = False
    as_lines: bool = False
    quiet: bool = False
    workspace: Path | None = None
    jobs: int | None = None
    no_wait: bool = False
    lock_timeout_s: float | None = None
    trace: Path | None = None
    trust: tuple[str, ...] = ()
    behind_dashes: tuple[str, ...] | None = None
    colour: ColourChoice | None = None
    no_pager: bool = False
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    is_lenient: bool = False
    """Whether the verb goes on with the defaults where a file of settings is refused, and tells of it itself."""

    def joined(self, after: Call) -> Call:
        """The call of a verb, when these options stood before the verb; what stands after it wins.

        Raises:
            UsageError: the options, or the environment, contradict themselves.
        """
        no_wait = after.no_wait or self.no_wait
        lock_timeout_s = after.lock_timeout_s if after.lock_timeout_s is not None else self.lock_timeout_s
        jobs = after.jobs if after.jobs is not None else self.jobs
        if no_wait and lock_timeout_s is not None:
            raise UsageError("--no-wait and --lock-timeout exclude each other", hint="Give one of them.")
        as_lines = self.as_lines or after.as_lines
        if as_lines and (self.as_json or after.as_json):
            raise UsageError("--json and --json-lines exclude each other", hint="Give one of them.")
        return replace(
            self,
            verb=after.verb,
            behind_dashes=after.behind_dashes,
            as_json=self.as_json or after.as_json or as_lines,
            as_lines=as_lines,
            quiet=self.quiet or after.quiet,
            workspace=after.workspace if after.workspace is not None else self.workspace,
            jobs=jobs if jobs is not None else _jobs_from(self.environ),
            no_wait=no_wait,
            lock_timeout_s=lock_timeout_s,
            trace=after.trace if after.trace is not None else self.trace,
            trust=(*after.trust, *self.environ.get("GREX_TRUST", "").split()),
            colour=after.colour or self.colour,
            no_pager=self.no_pager or after.no_pager,
        )

    @property
    def has_one_place(self) -> bool:
        """Whether progress and report come out in one place: a terminal, or the same file or pipe."""
        return not self.quiet and not self.as_json and is_one_place(sys.stdout, sys.stderr)

    @property
    def width(self) -> int | None:
        """How wide the terminal is that the report goes to; None where it goes elsewhere."""
        return terminal_width(sys.stdout, self.environ.get("COLUMNS"))

    @property
    def has_view(self) -> bool:
        """Whether somebody watches at a terminal that can show how a long run goes on."""
        return (
            self.verb in _LONG
            and not self.quiet
            and not self.as_json
            and self.environ.get("TERM", "dumb") != "dumb"
            and terminal_width(sys.stderr, self.environ.get("COLUMNS")) is not None
        )

    def root(self) -> Path:
        """The workspace of this call.

        Raises:
            NotAWorkspaceError: there is none.
            UsageError: the current directory is not there any more.
        """
        from grex.verbs.locate import locate  # noqa: PLC0415 - `--help` needs no workspace

        return locate(_current_directory(), self.workspace or self._from_variable())

    def _from_variable(self) -> Path | None:
        named = self.environ.get("GREX_WORKSPACE")
        return Path(named) if named else None

    def overridden_workspace(self) -> Path | None:
        """The workspace that this call was started in, if GREX_WORKSPACE chose another one; None otherwise."""
        from grex.verbs.locate import locate  # noqa: PLC0415 - as above

        if self.workspace is not None or self._from_variable() is None:
            return None
        try:
            here = locate(_current_directory(), None)
        except GrexError:
            return None
        return None if here == self.root() else here

    def place(self, path: Path) -> Path:
        """A path as the verb has to read it: a relative one starts where the person is.

        Raises:
            UsageError: the current directory is not there any more.
        """
        return path if path.is_absolute() else _current_directory() / path

    def from_here(self, url: str) -> str:
        """A URL as the workspace has to read it: a person's relative path starts where the person is."""
        if not url.startswith(("./", "../")):
            return url
        from grex.manifest import read_fork_mark  # noqa: PLC0415 - as above
        from grex.workspace import Layout  # noqa: PLC0415 - as above

        root = self.root()
        mark = read_fork_mark(Layout(root).state_dir)
        path = os.path.relpath(url, root if mark is None else mark.base)
        return path if path.startswith("../") else f"./{path}"

    def settings(self, root: Path, sink: Callable[[Any], None]) -> Settings:
        """What the verb is told about this user and this machine."""
        from platformdirs import user_config_path, user_state_path  # noqa: PLC0415 - verbs only

        from grex.engine import Settings  # noqa: PLC0415 - verbs only
        from grex.workspace import read_config  # noqa: PLC0415 - verbs only

        home = _home()  # first: without one, the paths of the next lines would lie in a directory called ~
        refused: list[ConfigError] = []
        config = read_config(root, user_config_path(appauthor=False), refused=refused if self.is_lenient else None)
        platform = {"darwin": "macos", "win32": "windows"}.get(sys.platform, "linux")
        return Settings(
            home=home,
            environ=self.environ,
            platform=platform,
            state_dir=user_state_path("grex", appauthor=False),
            verb=self.verb,
            jobs=self.jobs if self.jobs is not None else config.jobs,
            network_permits=config.network_permits,
            per_host=config.per_host,
            no_wait=self.no_wait,
            lock_timeout_s=self.lock_timeout_s,
            trust=(*self.trust, *config.trust_prefixes),
            keep_days=config.keep_days,
            sink=sink,
            cache_dir=self.cache_dir() or config.cache_dir,
            rewrites=config.rewrites,
            refused=tuple(refused),
        )

    def cache_dir(self) -> Path | None:
        """The directory of GREX_CACHE_DIR; a relative one starts where the person is."""
        from grex.workspace import cache_directory  # noqa: PLC0415 - verbs only

        named = self.environ.get("GREX_CACHE_DIR", "")
        return cache_directory(named, relative_to=_current_directory()) if named else None


def _current_directory() -> Path:
    try:
        return Path.cwd()
    except OSError as error:
        raise UsageError(
            f"the current directory cannot be found: {error.strerror}",
            hint="It was removed, or may not be read: `cd` to another one.",
        ) from error


def _home() -> Path:
    try:
        home = Path.home()
    except RuntimeError as error:
        raise ConfigError(
            "this user has no home directory, neither by HOME nor in the user database",
            hint="Set HOME to a directory in which grex may keep its configuration and its trust.",
        ) from error
    if not home.is_absolute() or os.environ.get("HOME") == "":
        # A link in `~` would be somewhere else in each directory; and an empty HOME is `/` to Python.
        raise ConfigError(
            f"HOME is {clean(os.environ.get('HOME', str(home)), _SHOWN_CHARACTERS)!r}, no absolute path",
            hint="Set HOME to your home directory, or unset it.",
        )
    return home


def _jobs_from(environ: Mapping[str, str]) -> int | None:
    text = environ.get("GREX_JOBS", "").strip()
    if not text:
        return None
    if re.fullmatch(r"0*[1-9][0-9]{0,5}", text, re.ASCII) is None:
        raise UsageError(
            f"GREX_JOBS is {clean(text, _SHOWN_CHARACTERS)!r}, not a number of 1 or more",
            hint="Unset it, or set it to a number.",
        )
    return int(text)


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
