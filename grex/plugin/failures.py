"""Whose fault it was, and where: every failure of a plugin's code becomes one error that says so.

A plugin may raise anything. Inside of `blamed`, a `PackError` or `PluginError` is told its place (the pack, and file,
line and column of the action in the pack.yaml, in the sentence and in the details), and anything else becomes a
`PluginError` that names the plugin, with the place in its source where it was raised. What is no failure of the plugin
(a lock that is busy, a cancellation) passes as it is; `sys.exit` in a plugin is one, for it is not the plugin's to
end grex. The innermost place wins: an action inside a `when` is named,
and not the `when`.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager

from grex.errors import GrexError, PackError, PluginError
from grex.names import clean, redact
from grex.pack import Mark
from grex.plugin.values import PackSkippedError

__all__ = ["blamed", "described", "is_failure", "tell_what_is_left", "with_last_line"]

_SAID_CHARACTERS = 400
_TOLD_CHARACTERS = 8000
_REPORT = "Report it to the authors of the plugin."


@contextmanager
def blamed(
    what: str, *, pack: str | None = None, mark: Mark | None = None, passes: type[Exception] = PackSkippedError
) -> Generator[None]:
    """Give whatever is raised inside its culprit and its place.

    Args:
        what: the plugin, as in "the action 'copy'".
        pack: the pack that it worked for.
        mark: where the pack.yaml asks for it.
        passes: what is no failure.

    Raises:
        PackError: what the plugin raised as such.
        PluginError: what the plugin raised as such, or whatever else it raised.
    """
    try:
        yield
    except (PackError, PluginError) as error:
        _place(error, pack, mark)
        raise
    except (GrexError, PackSkippedError, passes):
        raise
    except BaseException as error:
        if not is_failure(error):
            raise
        told = " ".join((_REPORT, *getattr(error, "__notes__", ())))
        failure = PluginError(f"{what} raised {described(error)}", hint=told)
        _place(failure, pack, mark)
        raise failure from error


def is_failure(error: BaseException) -> bool:
    """Whether it is a failure of the code that raised it, and no cancellation and no interrupt."""
    if isinstance(error, BaseExceptionGroup):
        return all(is_failure(one) for one in error.exceptions)
    return isinstance(error, Exception | SystemExit)


def described(error: BaseException) -> str:
    """An exception that nobody foresaw, on one line, with the place where it was raised."""
    said = clean(redact(f"{type(error).__name__}: {error}"), _SAID_CHARACTERS)
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return said
    return f"{said} ({trace.tb_frame.f_code.co_filename.rsplit('/', 1)[-1]}:{trace.tb_lineno})"


def tell_what_is_left(failure: BaseException, left: Sequence[str]) -> None:
    """Add to the hint of a failure what had been done before it and could not be taken back, if there is anything."""
    if not left:
        return
    told = "What it had done before and could not take back: " + "; ".join(left) + "."
    if isinstance(failure, GrexError):
        failure.hint = f"{failure.hint} {told}" if failure.hint else told
    else:
        failure.add_note(told)  # becomes the hint of the error that `blamed` makes of it


def with_last_line(error: GrexError) -> str:
    """A failure in one line for where its details do not go along: of a command, with the last line that it said."""
    output = error.details.get("output")
    lines = [line.strip() for line in output.splitlines() if line.strip()] if isinstance(output, str) else []
    return f"{error.message}: {lines[-1]}" if lines else error.message


def _place(error: PackError | PluginError, pack: str | None, mark: Mark | None) -> None:
    details = error.details
    # What a plugin raised as its own error is text that nobody has looked at yet.
    error.message = clean(error.message, _TOLD_CHARACTERS)
    error.hint = None if error.hint is None else clean(error.hint, _TOLD_CHARACTERS)
    error.args = (error.message,)
    if pack is not None:
        details.setdefault("pack", pack)
    where = pack if mark is None else str(mark)
    if where is None or "problems" in details or "line" in details or "file" in details:
        return  # there is no place to tell, or it is told already
    if mark is not None:
        details.update(file=mark.file, line=mark.line, column=mark.column)
    said = error.message if pack is None else error.message.removeprefix(f"{pack}: ")
    error.message = f"{where}: {said}"
    error.args = (error.message,)
