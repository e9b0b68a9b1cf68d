"""What pack types are given: `Context` and `Hold` of the plugin API, made real.

A hold is entered (PERMIT and PACK are ours), actions run one after the other (`acting`), and it is left. Left by a
failure, what this hold ran is taken back in reverse (unless the run keeps partial work); left by a cancellation,
nothing is: the next sync goes on from there.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from grex.engine.acting import HoldState
from grex.engine.action_context import ActionRun
from grex.engine.owners import Owners
from grex.engine.places import missing_directories
from grex.engine.said import Said
from grex.engine.session import Session
from grex.engine.undoable import Failed, described_undo, not_everything, origin_of, to_take_back, undoable, what_stays
from grex.errors import ActionError, GrexError, PackError, PluginError
from grex.git import observe
from grex.manifest import NOT_WHOLE, installed_event
from grex.names import PACK_LOCK_NAME
from grex.plugin import ActionArguments, ActionType, Change, Claim, Outcome, Pack, PackSkippedError
from grex.plugin.decoding import decode_actions
from grex.plugin.failures import is_failure
from grex.plugin.limits import current_limit, not_counted

__all__ = ["EngineHold", "RunContext", "RunStoppedError"]


class RunStoppedError(Exception):
    """The run was stopped (`--fail-fast`) while this pack waited for its permit."""


class RunContext:
    """The `Context` of a run: one for all packs, it keeps no state of any of them."""

    def __init__(
        self,
        session: Session,
        *,
        dry_run: bool = False,
        keep_partial: bool = False,
        force: bool = False,
        looks_for_drift: bool = False,
        tears_down: bool = False,
        rereads: bool = False,
        said: Said | None = None,
        offline: bool = False,
    ) -> None:
        self.session = session
        self.home = session.settings.home
        self.workspace = session.layout.root
        self.platform = session.settings.platform
        self.environ = session.settings.environ
        self.dry_run = dry_run or looks_for_drift
        self.keep_partial = keep_partial
        self.force = force
        self.offline = offline
        self.looks_for_drift = looks_for_drift
        self.tears_down = tears_down
        """Whether actions run for a teardown: then what was done before one that fails stays, and is not done again."""
        self.said = said
        """Where the end of what commands said is kept; None where nobody asks for it."""
        self.rereads = rereads
        """Whether each pack is looked at again once it is held, because WORKSPACE is not."""
        self.owners = Owners(session)
        """Which places other packs have by now, for what is taken back."""
        self.is_stopped = False
        """Set to let no further pack begin; those that are held already are finished."""

    def actions(self, pack: Pack) -> tuple[ActionArguments, ...]:
        """The declared actions, decoded and checked.

        Raises:
            PackSpecError: arguments that do not fit; every problem is in its details.
            UnknownActionError: an action that nobody registers.
        """
        if pack.spec is None:
            return ()
        return decode_actions(self.session.registry, pack.spec.actions)

    def teardown_actions(self, pack: Pack) -> tuple[ActionArguments, ...] | None:
        """The actions of `teardown`, decoded and checked; None where the pack.yaml has none."""
        if pack.spec is None or pack.spec.teardown is None:
            return None
        return decode_actions(self.session.registry, pack.spec.teardown)

    def every_action(self, pack: Pack) -> tuple[ActionArguments, ...]:
        """The declared actions and, after each, those inside of it, whether they apply here or not."""
        found: list[ActionArguments] = []
        waiting = list(reversed(self.actions(pack)))
        run = ActionRun(HoldState(self, pack))
        while waiting:
            found.append(waiting.pop())
            waiting.extend(reversed(run.nested(found[-1])))
        return tuple(found)

    def undo_needs_trust(self, pack: Pack) -> tuple[str, ...]:
        """What taking back what the log has of this pack would run, or touch outside of it."""
        state = HoldState(self, pack)
        lines: list[str] = []
        for done in reversed(undoable(state)):
            try:
                implementation = self.session.registry.action(done.kind)
            except PluginError:
                continue  # nothing of it can be run either; the teardown says so
            try:
                lines += implementation.undo_needs_trust(done.undo, ActionRun(state, done.action, done.kind))
            except ActionError:  # data that cannot be read: the undo refuses it as well
                lines.append(f"undo {done.kind}")
        return tuple(dict.fromkeys(lines))

    def needs_trust(self, pack: Pack, arguments: ActionArguments) -> tuple[str, ...]:
        """What that action would run, or touch outside the pack."""
        return ActionRun(HoldState(self, pack)).needs_trust(arguments)

    def claims(self, pack: Pack, arguments: ActionArguments) -> tuple[str, ...]:
        """What that action claims for itself."""
        return ActionRun(HoldState(self, pack)).claims(arguments)

    def declared_claims(self, pack: Pack) -> tuple[Claim, ...]:
        """What the declared actions claim, each with its place in the pack.yaml."""
        if pack.spec is None:
            return ()
        found: list[Claim] = []
        for arguments in self.actions(pack):
            state = HoldState(self, pack)
            wanted = ActionRun(state).claims(arguments)
            found += [claim for claim in state.claimed if claim.what in wanted]
        return tuple(found)

    def claims_of_kind(self, pack: Pack, kind: str) -> tuple[Claim, ...]:
        """What the declared actions of one kind claim, also those inside of others that apply now."""
        found: list[Claim] = []
        waiting = list(reversed(self.actions(pack)))
        while waiting:
            arguments = waiting.pop()
            state = HoldState(self, pack)
            if arguments.action == kind:
                wanted = ActionRun(state).claims(arguments)
                found += [claim for claim in state.claimed if claim.what in wanted]
                continue
            implementation = self.session.registry.action(arguments.action)
            with contextlib.suppress(ActionError):  # not known yet: a variable that an earlier action may set
                waiting.extend(reversed(implementation.applicable(arguments, ActionRun(state, "", arguments.action))))
        return tuple(found)

    @asynccontextmanager
    async def hold(self, pack: Pack) -> AsyncGenerator[EngineHold]:
        """Hold the pack for disk work. Tiers: PERMIT, PACK. In a dry run nothing is taken."""
        state = HoldState(self, pack)
        hold = EngineHold(state)
        if self.dry_run:
            yield hold
            state.is_over = True
            return
        async with AsyncExitStack() as held:
            made = missing_directories(pack.root) if self.tears_down else []
            with not_counted():
                await held.enter_async_context(self.session.holds.pack(pack.path, pack.root, "disk"))
            held.callback(_remove_made, pack.root, made)
            held.callback(setattr, state, "is_over", True)
            if self.is_stopped:
                raise RunStoppedError
            if self.tears_down:
                await self._begin_teardown(pack.path)
            if self.rereads:
                await self.session.read_records()
                _check_commit(pack)
            try:
                yield hold
            except PackSkippedError:
                raise
            except BaseException as failure:
                limit = current_limit()
                if self.tears_down:
                    pass
                elif is_failure(failure):
                    with not_counted():
                        await state.take_back(failure)
                elif limit is not None:
                    limit.take_back.append(state.take_back)
                raise

    async def _begin_teardown(self, path: str) -> None:
        """Record that what is installed is not whole any more: a sync after a teardown that was killed mends it."""
        record = self.session.folded.packs.get(path)
        if record is not None and record.installed is not None:
            await self.session.record(path, [installed_event(path, actions_hash=NOT_WHOLE)])


def _remove_made(root: Path, made: Sequence[Path]) -> None:
    """Take away the directories that only the lock of a pack without a checkout was made in, and it. PACK is held."""
    if root not in made or any(entry.name != PACK_LOCK_NAME for entry in root.iterdir()):
        return
    (root / PACK_LOCK_NAME).unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # something else appeared in it meanwhile
        for directory in made:
            directory.rmdir()


def _check_commit(pack: Pack) -> None:
    """Insist that the checkout is still at the commit for which this run was planned.

    Raises:
        PackError: it has moved since.
    """
    if pack.commit and observe(pack.root).head_sha != pack.commit:
        raise PackError(f"{pack.path} was moved while this run waited for it", hint="Run it again.")


class EngineHold:
    """The `Hold` of the plugin API."""

    def __init__(self, state: HoldState) -> None:
        self._state = state

    @property
    def pack(self) -> Pack:
        """The pack that is held."""
        return self._state.pack

    @property
    def actions(self) -> tuple[ActionArguments, ...]:
        """The declared actions, decoded and checked."""
        return self._state.context.actions(self._state.pack)

    async def run(self, arguments: ActionArguments, *, using: ActionType[Any] | None = None) -> Change:
        """Run an action in a bracket of the log; in a dry run it is only planned."""
        state = self._state
        state.check_held()
        # A teardown's actions are no part of the install: what they do has names of its own in the log.
        name = f"{'teardown.' if state.context.tears_down else ''}{state.counter}"
        state.counter += 1
        with not_counted():
            return await state.run(name, arguments, using)

    async def run_kind(self, kind: str) -> None:
        """Run the declared actions of one kind, also those inside of others that apply now."""
        self._state.check_held()
        await self._run_kind(kind, "", self.actions)

    async def _run_kind(self, kind: str, within: str, actions: Sequence[ActionArguments]) -> None:
        state = self._state
        for number, arguments in enumerate(actions):
            name = f"{within}{number}"
            if arguments.action == kind:
                await state.run(name, arguments)
                continue
            implementation = state.context.session.registry.action(arguments.action)
            run = ActionRun(state, name, arguments.action)
            await self._run_kind(kind, f"{name}.", implementation.applicable(arguments, run))

    async def undo(self, *, using: Sequence[ActionType[Any]] = ()) -> None:
        """Take back what the log says was done for this pack, last first."""
        state = self._state
        state.check_held()
        given = {implementation.name: implementation for implementation in using}
        state.notes += what_stays(state, given)
        stack = to_take_back(state)
        if state.context.dry_run:
            told = [(done.action, done.kind, described_undo(state, given, done)) for done in stack]
            # One action may have been done twice, as by an `update --force`, and is taken back twice: told once.
            state.changes += [f"undo {what}" for _, _, what in dict.fromkeys(told)]
            return
        failed: list[Failed] = []
        undone: set[tuple[str, str, str]] = set()
        for done in stack:
            try:
                implementation = given.get(done.kind) or state.context.session.registry.action(done.kind)
            except GrexError as error:
                failed.append(Failed(f"{done.kind} ({error.message})", origin_of(state, done, None)))
                continue
            run = ActionRun(state, done.action, done.kind, is_teardown=True)
            with not_counted():
                why = await state.undo(done.action, done.kind, implementation, done.undo, run)
            what = described_undo(state, given, done)
            if why is None and (done.action, done.kind, what) not in undone:
                undone.add((done.action, done.kind, what))
                state.changes.append(f"undid {what}")
            elif why is not None:
                failed.append(Failed(f"{what} ({why})", origin_of(state, done, implementation)))
        if failed:
            raise not_everything(state.pack.path, failed)

    def outcome(self) -> Outcome:
        """What has been done under this hold."""
        state = self._state
        notes = tuple(dict.fromkeys(state.notes))
        return Outcome("changed" if state.changes else "unchanged", tuple(state.changes), notes)
