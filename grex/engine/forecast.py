"""What a run would do to a checkout, found out without a lock file, a note or a fetch.

The same looks and the same planner as in a run, so a dry run prints the very plan that a run would execute, of all that
is known: a pack that is not cloned yet ends its branch, and whether edits are in the way only git knows, when it moves.
"""

from __future__ import annotations

from pathlib import Path

from grex.engine import planner
from grex.engine.graph import Node
from grex.engine.looking import Looking, is_settled
from grex.engine.outcome import CheckoutOptions, CheckoutOutcome, short
from grex.engine.session import Session
from grex.engine.situation import situation, stranger
from grex.git import CheckoutState, RemoteRef, has_commit, resolve_remote

__all__ = ["Forecast"]

_ASK_TIMEOUT_S = 300.0


class Forecast:
    """Says what would be done. Tier: PERMIT, to ask a remote, and nothing else."""

    def __init__(self, session: Session, options: CheckoutOptions, looking: Looking) -> None:
        self._session = session
        self._options = options
        self._looking = looking

    async def plan(self, node: Node, root: Path) -> CheckoutOutcome:
        """What `bring` would do, found out without a lock file, a note or a fetch."""
        state = await self._looking.observe(node, root)
        wanted = self._looking.wanted(node, state)
        match planner.first_look(wanted, state):
            case planner.Leave() as leave:
                return self._looking.left(node, root, state, leave)
            case planner.PutAway(why):
                return self._planned(node, state, "put-away", f"{why.text}: move it to the trash, then clone")
            case planner.Clone() if not self._options.offline:
                at = node.ref or "its HEAD"
                return self._planned(node, state, "clone", f"clone {node.url.redacted} at {at}; children not known yet")
            case planner.Mend():
                return self._planned(node, state, "recover", "recover from an interrupted run, then look again")
            case planner.Finished(target):
                return await self._looking.unchanged(node, root, state, target)
            case planner.Reach(target):
                return await self._plan_move(node, root, state, wanted, target)
            case _ if self._options.offline:
                return self._looking.offline(node, state)
            case _:
                async with self._session.holds.network_permit(node.path, self._session.host_of(node.url)):
                    git = self._session.git_for(node.path, node.url)
                    address, real = self._session.address(node.url), self._session.real(node.url)
                    target = await resolve_remote(git, address.plain, node.ref, _ASK_TIMEOUT_S, real=real.plain)
                return await self._plan_move(node, root, state, wanted, target)

    async def _plan_move(
        self, node: Node, root: Path, state: CheckoutState, wanted: planner.Wanted, target: RemoteRef
    ) -> CheckoutOutcome:
        if is_settled(wanted, state, target):
            return await self._looking.unchanged(node, root, state, target)
        git = self._session.git_for(node.path)
        foreign = await stranger(git, self._session.address(node.url), state)
        if foreign is not None:
            strange = planner.strange(foreign, force=self._options.force)
            if isinstance(strange, planner.Leave):
                return self._looking.left(node, root, state, strange)
            return self._planned(node, state, "put-away", f"{foreign.text}: move it to the trash, then clone")
        span = f"{short(state.head_sha)}..{short(target.sha)}"
        if not await has_commit(git, state, target.sha):
            return self._looking.with_spec(
                node, root, self._planned(node, state, "fetch", f"fetch, then move {span}", target)
            )
        found = await situation(
            git,
            state,
            target,
            tracking_before=None,
            locked=self._options.locked,
            force=self._options.force,
            fork_branch=self._session.fork_branch(node.path),
        )
        match planner.movement(found):
            case planner.Leave() as leave:
                return self._looking.left(node, root, state, leave, target)
            case planner.NothingToMove(note):
                return await self._looking.unchanged(node, root, state, target, (note,) if note else ())
            case planner.Move(kind=kind):
                return self._looking.with_spec(node, root, self._planned(node, state, kind, f"{kind} {span}", target))

    def _planned(
        self, node: Node, state: CheckoutState, code: str, text: str, target: RemoteRef | None = None
    ) -> CheckoutOutcome:
        return CheckoutOutcome(
            node.path,
            "planned",
            old_sha=state.head_sha,
            new_sha=target.sha if target is not None else None,
            target=target,
            is_present=state.kind == "checkout",
            code=code,
            text=text,
        )
