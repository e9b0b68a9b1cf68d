"""A workspace that is not there: what pack types and actions are given, without locks, log and engine.

`RecordingContext` keeps in memory what grex keeps on disk. Actions, predicates and fetchers are real (found by the
registry, or given as `plugins`), the files they touch are real, and their processes are started by the real room;
recording, permits and locks are not. What is decided around an action is decided as the engine does it: what is
planned and what is done, what a failure takes back and how it is told, what a dry run and a look for drift say, and
how long anything may take.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

from grex.fs import TEMP_PREFIX
from grex.pack import ActionEntry, Mark, PackSpec, PredicateNode, parse_pack_spec
from grex.plugin import (
    ActionArguments,
    ActionType,
    Claim,
    Fetcher,
    Pack,
    PackSkippedError,
    PackType,
    PredicateType,
    Registry,
)
from grex.plugin.arguments import mark_of
from grex.plugin.decoding import decode_actions
from grex.plugin.failures import is_failure
from grex.plugin.testing.acting import RecordingActionContext
from grex.plugin.testing.holding import Recorded, RecordingHold

__all__ = ["RecordingContext", "entry", "predicate"]

_NOWHERE = Mark("pack.yaml", 1, 1)


def entry(arguments: ActionArguments) -> ActionEntry:
    """An action of a pack.yaml whose arguments are decoded already; decoding has tests of its own."""
    return ActionEntry(arguments.action, cast("Any", arguments), _NOWHERE)


def predicate(kind: str, value: Any = None, *operands: PredicateNode) -> PredicateNode:
    """A condition, as the parser would have made it."""
    return PredicateNode(kind, _NOWHERE, value, operands)


class RecordingContext:
    """A `Context`. `log` has what is done and not undone, by pack; `events` what happened, in order.

    Args:
        directory: an empty one; `home` and `workspace` are made in it.
        platform: on which platform the actions believe to be.
        environ: variables besides `PATH` and `HOME`.
        dry_run: only plan.
        force: as `update --force`.
        keep_partial: as `sync --keep-partial`.
        looks_for_drift: only look what is not any more as it was left.
        offline: as `sync --offline`.
        plugins: those under test; they need no entry points.
    """

    def __init__(
        self,
        directory: Path,
        *,
        platform: str = "linux",
        environ: Mapping[str, str] | None = None,
        dry_run: bool = False,
        force: bool = False,
        keep_partial: bool = False,
        looks_for_drift: bool = False,
        offline: bool = False,
        plugins: Sequence[PackType | ActionType[Any] | PredicateType | Fetcher] = (),
    ) -> None:
        self.home = directory / "home"
        self.workspace = directory / "workspace"
        self.platform = platform
        self.environ: Mapping[str, str] = {"PATH": os.defpath, "HOME": str(self.home), **(environ or {})}
        self.dry_run = dry_run or looks_for_drift
        self.force = force
        self.keep_partial = keep_partial
        self.looks_for_drift = looks_for_drift
        self.offline = offline
        self.events: list[str] = []
        self.log: dict[str, list[Recorded]] = {}
        self.registry = Registry()
        self.registry.provide(*plugins)
        for made in (self.home, self.workspace):
            made.mkdir(exist_ok=True)

    def make_pack(
        self,
        path: str = "tools",
        *,
        type: str = "declarative",  # noqa: A002 - the word of the pack.yaml
        actions: Sequence[ActionArguments] = (),
        teardown: Sequence[ActionArguments] | None = None,
        pack_yaml: str | None = None,
    ) -> Pack:
        """A pack whose checkout is an empty directory with a `.git`; called again, the same one, declared anew.

        Args:
            path: from the workspace.
            type: the pack type.
            actions: the declared actions, as values.
            teardown: those of `teardown`.
            pack_yaml: the text of a pack.yaml instead of all these; it is read and checked as grex does.

        Raises:
            PackSpecError: the text is no good pack.yaml.
        """
        root = self.workspace / path
        (root / ".git").mkdir(parents=True, exist_ok=True)
        if pack_yaml is not None:
            spec = parse_pack_spec(
                pack_yaml.encode(), file=f"{path}/.grex/pack.yaml", is_root=False, source=root / ".grex/pack.yaml"
            )
        else:
            spec = PackSpec(
                schema_version="1",
                name=root.name,
                type=type,
                source=root / ".grex/pack.yaml",
                actions=tuple(map(entry, actions)),
                teardown=None if teardown is None else tuple(map(entry, teardown)),
            )
        return Pack(path=path, root=root, name=spec.name, type=spec.type, spec=spec, commit="0" * 40)

    def actions(self, pack: Pack) -> tuple[ActionArguments, ...]:
        """The declared actions."""
        return () if pack.spec is None else self.decoded(pack.spec.actions)

    def teardown_actions(self, pack: Pack) -> tuple[ActionArguments, ...] | None:
        """The actions of `teardown`, or None."""
        return None if pack.spec is None or pack.spec.teardown is None else self.decoded(pack.spec.teardown)

    def needs_trust(self, pack: Pack, arguments: ActionArguments) -> tuple[str, ...]:
        """What that action would run, or touch outside the pack."""
        return self.of(pack).needs_trust(arguments)

    def every_action(self, pack: Pack) -> tuple[ActionArguments, ...]:
        """The declared actions and those inside of them."""
        found: list[ActionArguments] = []
        waiting = list(reversed(self.actions(pack)))
        while waiting:
            found.append(waiting.pop())
            waiting.extend(reversed(self.of(pack).nested(found[-1])))
        return tuple(found)

    def undo_needs_trust(self, pack: Pack) -> tuple[str, ...]:
        """What taking back what was done for this pack would run, or touch outside of it."""
        lines = [
            line
            for one in reversed(self.log.get(pack.path, []))
            if one.done.undo is not None
            for line in one.implementation.undo_needs_trust(one.done.undo, self.of(pack, one.implementation.name))
        ]
        return tuple(dict.fromkeys(lines))

    def claims(self, pack: Pack, arguments: ActionArguments) -> tuple[str, ...]:
        """What that action claims for itself."""
        return self.of(pack).claims(arguments)

    def declared_claims(self, pack: Pack) -> tuple[Claim, ...]:
        """What the declared actions claim, each with its place in the pack.yaml."""
        return tuple(
            Claim(what, str(mark_of(arguments) or pack.path))
            for arguments in self.actions(pack)
            for what in self.claims(pack, arguments)
        )

    def decoded(self, entries: Sequence[ActionEntry]) -> tuple[ActionArguments, ...]:
        """The arguments of declared actions: those that were given as values are left as they are."""
        decoded: list[ActionArguments] = []
        for one in entries:
            given = cast("object", one.args)
            decoded += [given] if isinstance(given, ActionArguments) else decode_actions(self.registry, [one])
        return tuple(decoded)

    def of(self, pack: Pack, kind: str = "") -> RecordingActionContext:
        """What an action of that pack is given in a run of its own; of that kind, if what is recorded is asked for."""
        return RecordingActionContext(self, RecordingHold(self, pack), kind)

    def leftovers(self) -> list[Path]:
        """What grex or a plugin began under a temporary name and did not tidy up; what a test wants to be empty."""
        roots = (self.home, self.workspace)
        return sorted(path for root in roots for path in root.rglob(f"{TEMP_PREFIX}*"))

    @asynccontextmanager
    async def hold(self, pack: Pack) -> AsyncGenerator[RecordingHold]:
        """Hold the pack; a failure takes back what was run under this hold, a cancellation does not."""
        self.events.append(f"hold {pack.path}")
        hold = RecordingHold(self, pack)
        try:
            yield hold
        except PackSkippedError:
            raise
        except BaseException as failure:
            if is_failure(failure):
                await hold.take_back(failure)
            raise
        finally:
            hold.is_over = True
            self.events.append(f"release {pack.path}")
