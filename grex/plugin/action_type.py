"""What an action implements (`ActionType`), and what it is given (`ActionContext`).

The life of an action is `plan`, `do`, `undo`; who calls them is always grex:

    plan ── looks, and says what would change: None, and nothing more happens; or a `Planned`
    (the undo data of the plan is written to the log)
    do ──── makes it so; raises, and grex takes back with `undo` what it had begun
    (the undo data of what was done is written to the log)
    undo ── takes back, in a failed run, or in a teardown years later

So "do it again" is `plan` saying None, and there is no moment in which something is changed that nobody could take
back. Everything that is awaited can be cancelled; whoever catches the cancellation raises it again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from grex.pack import PredicateNode
from grex.plugin.arguments import ActionArguments
from grex.plugin.predicate_type import PredicateContext
from grex.plugin.values import API_VERSION, Change, Done, Planned
from grex.process import Finished

__all__ = ["ActionContext", "ActionType"]

A = TypeVar("A", bound=ActionArguments)
T = TypeVar("T")

DEFAULT_LIMIT_S = 600.0
FETCH_LIMIT_BYTES = 1 << 30


class ActionContext(PredicateContext, Protocol):
    """What an action may use, besides what a predicate may. Everything happens inside the pack's hold."""

    @property
    def dry_run(self) -> bool:
        """Whether this is only looked at: what `plan` answers is shown, and nothing is done."""

    @property
    def force(self) -> bool:
        """Whether what somebody changed by hand may be replaced (`update --force`); it is kept beside, never lost."""

    @property
    def is_teardown(self) -> bool:
        """Whether everything that is recorded for the pack is being taken back, and not only what this run did."""

    def recorded(self) -> tuple[Mapping[str, Any], ...]:
        """The undo data of what the log says this kind of action has done for this pack, oldest first.

        An action knows by this what is its own work. The log can be edited: look at it before relying on it.
        """

    def is_anothers(self, directory: Path) -> bool:
        """Whether another pack has made this directory later than this one, by the log; asked in a teardown.

        An undo leaves such a directory to that pack, also if it is empty.
        """

    def evaluate(self, predicate: PredicateNode) -> bool | None:
        """Whether the condition holds; None where this platform cannot tell."""

    def note(self, text: str) -> None:
        """Add a line to the outcome's notes."""

    def export(self, name: str, value: str, declared: str | None = None) -> None:
        """Set a variable for what runs later in this pack: its actions, their commands, its hooks.

        Args:
            name: the variable.
            value: what it is set to.
            declared: the text of the pack.yaml that gives this value when it is expanded; undo data may hold it.
        """

    @property
    def exported(self) -> tuple[tuple[str, str], ...]:
        """Names and declared texts of what was exported up to now, for an undo that needs them in a later run."""

    def nested(self, arguments: ActionArguments, argument: str | None = None) -> tuple[ActionArguments, ...]:
        """The actions inside this one, decoded and checked: those of its arguments of type `tuple[ActionEntry, ...]`.

        Args:
            arguments: of the action.
            argument: the name of one of them, for an action that has several.
        """

    def needs_trust(self, arguments: ActionArguments) -> tuple[str, ...]:
        """What another action would run, or touch outside the pack."""

    def claims(self, arguments: ActionArguments) -> tuple[str, ...]:
        """What another action claims for itself; nothing where that is not known yet."""

    async def plan(self, arguments: ActionArguments) -> Planned | None:
        """What another action would change, or None; raises what its `plan` raises."""

    async def drift(self, arguments: ActionArguments) -> str | None:
        """What is not as another action left it, or None."""

    async def run(self, arguments: ActionArguments) -> Change:
        """Run another action as a part of this one, with its own bracket in the log."""

    async def exclusively(self, path: Path, change: Callable[[], T]) -> T:
        """Call `change` while no other run of this user, in whatever workspace, is in here with the same file.

        For a file that several packs write to. `change` is a plain function: nothing can be waited for in it, so nobody
        can wait for somebody who waits. It reads the file anew, since what `plan` saw may be history.

        Raises:
            LockError: the file could not be had under this run's wait policy.
        """

    async def fetch(
        self,
        url: str,
        *,
        sha256: str,
        label: str,
        limit_bytes: int = FETCH_LIMIT_BYTES,
        timeout_s: float = DEFAULT_LIMIT_S,
    ) -> Path:
        """A file with the bytes of that hash, brought by the fetcher of the URL's scheme if it is not there already.

        The file is kept for the next time; it is read, copied or unpacked, and never changed or moved.

        Args:
            url: where it is; credentials in it are shown nowhere.
            sha256: of its bytes; anything else that comes is thrown away.
            label: one word or two for the progress.
            limit_bytes: how large it may be.
            timeout_s: how long it may take, in seconds.

        Raises:
            FetchError: it could not be brought, or is something else.
            PluginError: no plugin fetches such URLs, or its fetcher failed.
        """

    async def run_process(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        timeout_s: float,
        label: str,
    ) -> Finished:
        """Run a command in a session of its own, and show what it says while it runs, under the pack's name.

        On a cancel and when the time is up it is ended with everything that it started, daemons included. Of its
        standard output the last MiB is kept, of its standard error the last 64 KiB.

        Raises:
            ActionError: it could not be started, or it took longer than `timeout_s` seconds.
        """


class ActionType(ABC, Generic[A]):
    """The implementation of an action; one instance serves all packs, so it keeps no state."""

    name: ClassVar[str]
    # A subclass of ActionArguments. Typed openly, because each implementation names a narrower class, and mypy counts
    # that as an unsafe override of a class variable, which may not mention `A` either.
    arguments: ClassVar[type[Any]]
    api_version: ClassVar[int] = API_VERSION
    stays: ClassVar[str | None] = None
    """What a teardown says of what was done without undo data, if that has left something: "what it ran stays"."""

    def check(self, arguments: A) -> str | None:
        """Why these arguments cannot be meant, in one sentence, or None. Types and missing ones are checked before.

        It is asked before anything of the pack is done, so it looks at nothing but the arguments.
        """
        del arguments
        return None

    def needs_trust(self, arguments: A, ctx: ActionContext) -> tuple[str, ...]:
        """What this would run, or touch outside the pack, one line each; empty when it needs no trust.

        The default asks for trust: an action says itself when it is harmless.
        """
        del arguments, ctx
        return (f"action {self.name}",)

    def undo_needs_trust(self, undo: Mapping[str, Any], ctx: ActionContext) -> tuple[str, ...]:
        """What `undo` would run, or touch outside the pack, one line each; empty when it needs no trust.

        The default asks for trust.
        """
        del ctx
        return (f"undo {self.describe_undo(undo)}",)

    def applicable(self, arguments: A, ctx: ActionContext) -> tuple[ActionArguments, ...]:
        """The actions inside this one that would run now; for `grex run`, which looks for one kind of action."""
        del arguments, ctx
        return ()

    def claims(self, arguments: A, ctx: ActionContext) -> tuple[str, ...]:
        """What this action wants for itself: absolute paths, or other names such as `variable EDITOR`.

        Two actions with one claim, or with one path below the other, are refused before anything is done.
        `directory` before a path is a directory that is only made: others may want it too, and put things into it.

        Raises:
            ActionError: it cannot be known yet; then nothing is claimed.
        """
        del arguments, ctx
        return ()

    def limit_s(self, arguments: A) -> float | None:
        """How long `plan` or `do` may take, in seconds, before it counts as hanging; None for ever.

        What it waits for in `ctx.run`, `ctx.plan` and `ctx.run_process` has limits of its own and does not count; the
        clock begins anew afterwards.
        """
        del arguments
        return DEFAULT_LIMIT_S

    def undo_limit_s(self, undo: Mapping[str, Any]) -> float | None:
        """The same for `undo`."""
        del undo
        return DEFAULT_LIMIT_S

    @abstractmethod
    async def plan(self, arguments: A, ctx: ActionContext) -> Planned | None:
        """What `do` would change now, or None when all is as it should be. Changes nothing.

        In a dry run (`ctx.dry_run`) earlier actions of the pack have not been done, so what they could still put right
        is said in the line and not raised.

        Raises:
            ActionError: `do` would fail.
            PackSkippedError: the rest of the pack is to be left out.
        """

    @abstractmethod
    async def do(self, arguments: A, planned: Planned, ctx: ActionContext) -> Done:
        """Make it so. Called right after `plan`, and only if that gave something.

        Raises:
            ActionError: it cannot be done. What was begun is taken back by `undo`, with the data of the plan.
            PackSkippedError: the rest of the pack is to be left out.
        """

    async def undo(self, undo: Mapping[str, Any], ctx: ActionContext) -> None:
        """Take back what is recorded, as far as it was done; called again, it changes nothing.

        It removes only what it finds to be what `do` made. What has to stay is said by `ctx.note`.
        """
        del undo, ctx

    def describe_undo(self, undo: Mapping[str, Any]) -> str:
        """What `undo` would take back, in a few words: the action and what it made. The default: the action."""
        del undo
        return self.name

    def still_claims(self, undo: Mapping[str, Any]) -> tuple[str, ...]:
        """What was done before and still has for itself, in the words of `claims`, whatever the pack.yaml says by now.

        That is where `undo` would take something away or bring something back: another pack that took such a place
        over would have it taken away again by that undo. The default: nothing.

        Args:
            undo: what was recorded. Look at the disk, but quickly: every pack is asked before anything is run.
        """
        del undo
        return ()

    def undo_claims(self, undo: Mapping[str, Any]) -> tuple[str, ...]:
        """The places that `undo` is about, in the words of `claims`, whatever is there by now.

        What another pack has done later at such a place is that pack's: a teardown then leaves this action's `undo`
        out and says so. For a `directory PATH` it does not: `undo` asks `ctx.is_anothers` before it takes one away.
        The default: what `still_claims` says.

        Args:
            undo: what was recorded. The disk is not looked at.
        """
        return self.still_claims(undo)

    async def drift(self, arguments: A, ctx: ActionContext) -> str | None:
        """What is not any more as `do` left it, a line for each thing, or None. The default: what `plan` would change.

        Asked by `grex status`, of packs that are installed: it only looks, and soon has an answer. `ctx.run_process`
        is refused.

        Raises:
            ActionError: something is in the way by now; its message is what is said.
        """
        planned = await self.plan(arguments, ctx)
        return None if planned is None else planned.text
