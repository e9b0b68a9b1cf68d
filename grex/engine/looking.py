"""What lies at a pack's path against what is declared for it, and the outcomes that change nothing.

Shared by what brings a pack (`checkout`) and what only says what would be done (`forecast`), so that the two cannot
come to different answers. Starts git only where the files cannot say; takes no lock and writes nothing.
"""

from __future__ import annotations

import os
from pathlib import Path

from msgspec.structs import replace

from grex.engine import planner
from grex.engine.graph import Node
from grex.engine.hiding import Hiding
from grex.engine.outcome import CheckoutOptions, CheckoutOutcome, lock_url, unlocked, unlocked_error
from grex.engine.places import look_at, misplaced
from grex.engine.session import Session
from grex.engine.situation import edits_note, local_work, ref_of, tracking_of
from grex.errors import FetchError, GrexError, PackError
from grex.fs import canonical
from grex.git import CheckoutState, Edits, RemoteRef, ask_head
from grex.pack import PackSpec, read_pack_spec

__all__ = ["Looking", "is_settled"]


class Looking:
    """Looks at the checkouts of one run."""

    def __init__(self, session: Session, options: CheckoutOptions, hiding: Hiding) -> None:
        self._session = session
        self._options = options
        self._hiding = hiding
        self._workspace = canonical(session.layout.root)
        self._plain: set[Path] = set()

    async def observe(self, node: Node, root: Path) -> CheckoutState:
        """What is at the pack's path; git is asked only where HEAD cannot be read from the files."""
        state = look_at(root, is_plain=self._is_plainly_there(root))
        if state.head == "unreadable":
            return await ask_head(self._session.git_for(node.path), state)
        return state

    def wanted(self, node: Node, state: CheckoutState) -> planner.Wanted:
        """What is declared for the path, as the planner wants to know it."""
        line = self._session.lines.get(node.path)
        if line is not None and (line.url != lock_url(node) or line.ref != node.ref):
            line = None
        branch = state.record.branch if state.record is not None else None
        return planner.Wanted(
            path=node.path,
            identity=self._session.address(node.url).identity,
            ref=node.ref,
            line=line,
            locked=self._options.locked,
            offline=self._options.offline,
            anew=self._options.anew and not self._options.offline,
            force=self._options.force,
            tracking=ref_of(state, f"refs/remotes/origin/{branch}") if branch is not None else None,
        )

    def refusal(self, node: Node, root: Path) -> GrexError | None:
        """Why the pack must not be touched at all: `--locked` without a line for it, or a place where none may be."""
        return self._check_locked(node) or self._check_place(node, root)

    def _check_locked(self, node: Node) -> GrexError | None:
        if not self._options.locked:
            return None
        problem = unlocked(node, self._session.lines.get(node.path))
        return unlocked_error([problem]) if problem is not None else None

    def forget(self) -> None:
        """Look anew at links on the way to packs: a checkout has appeared or moved."""
        self._plain.clear()
        self._hiding.forget()

    def _is_plainly_there(self, root: Path) -> bool:
        """Whether the way to a pack is made of real directories, and the pack is no link: then nothing can be wrong."""
        parent = root.parent
        if parent not in self._plain:
            if canonical(parent) != parent:
                return False
            if not parent.is_dir():
                return False
            self._plain.add(parent)
        return not os.path.islink(root)  # noqa: PTH114 - asked for every pack of every run

    def _check_place(self, node: Node, root: Path) -> PackError | None:
        if self._is_plainly_there(root):
            return self._hiding.refuse_tracked(node.path)
        reason = misplaced(self._workspace, node.path)
        if reason is not None:
            return PackError(
                f"{node.path} {reason} (declared at {node.first.place})",
                hint="Remove the symbolic link on the way, or give the child another path.",
            )
        around = next((above for above in root.parents if os.path.lexists(above)), self._workspace)
        if not around.is_dir():
            name = around.relative_to(self._session.layout.root)
            return PackError(
                f"{node.path} cannot be put there: {name} is in the way, which is not a directory",
                hint=f"Move {name} elsewhere, or give the child another path.",
            )
        return self._hiding.refuse_tracked(node.path)

    def settled(self, node: Node, root: Path, state: CheckoutState, target: RemoteRef, edits: Edits) -> CheckoutOutcome:
        """A pack that is where it belongs, its edits being known already."""
        return self.with_spec(
            node,
            root,
            CheckoutOutcome(
                node.path,
                "unchanged",
                old_sha=state.head_sha,
                new_sha=state.head_sha,
                target=target,
                is_present=True,
                notes=edits_note(edits.edited, len(edits.edited)),
            ),
        )

    async def unchanged(
        self, node: Node, root: Path, state: CheckoutState, target: RemoteRef, notes: tuple[str, ...] = ()
    ) -> CheckoutOutcome:
        """A pack that is where it belongs, with a note about local work."""
        outcome = CheckoutOutcome(
            node.path,
            "unchanged",
            old_sha=state.head_sha,
            new_sha=state.head_sha,
            target=target,
            is_present=True,
            notes=(*notes, *await local_work(self._session.git_for(node.path), state)),
        )
        return self.with_spec(node, root, outcome)

    def left(
        self,
        node: Node,
        root: Path,
        state: CheckoutState,
        leave: planner.Leave,
        target: RemoteRef | None = None,
    ) -> CheckoutOutcome:
        """A pack that is left alone; its children are looked after all the same, as its files declare them now."""
        spec = None
        if state.kind == "checkout" and leave.code != "different-repository":
            spec, _ = self.try_spec(node, root)  # what is left alone is reported for one reason, the first
        return CheckoutOutcome.left_alone(node.path, state, leave, target=target, spec=spec)

    def offline(self, node: Node, state: CheckoutState) -> CheckoutOutcome:
        """A pack that would need the network, which was forbidden."""
        what = "is not cloned yet" if state.kind != "checkout" else "needs a commit that is not here"
        error = FetchError(
            f"{node.path} {what}, and --offline forbids asking {node.url.redacted}", hint="Sync without --offline."
        )
        return CheckoutOutcome.refused(node.path, error)

    def with_spec(self, node: Node, root: Path, outcome: CheckoutOutcome) -> CheckoutOutcome:
        """The outcome with the pack's pack.yaml read, or failed with what is wrong with that."""
        spec, problem = self.try_spec(node, root)
        outcome = replace(outcome, spec=spec, notes=(*outcome.notes, *_declaration_notes(node)))
        return outcome.failed_with(problem) if problem is not None else outcome

    def try_spec(self, node: Node, root: Path) -> tuple[PackSpec | None, GrexError | None]:
        """The pack.yaml that lies there, or why it is refused."""
        try:
            platform = self._session.settings.platform
            return read_pack_spec(
                root, is_root=False, platform=platform, display=node.path, check_type=self._session.check_type
            ), None
        except GrexError as error:
            return None, error


def _declaration_notes(node: Node) -> list[str]:
    """What is worth saying about a declaration itself."""
    return [node.url.warning] if node.url.warning else []


def is_settled(wanted: planner.Wanted, state: CheckoutState, target: RemoteRef) -> bool:
    """Whether a checkout whose remote was asked has nothing to fetch, to move or to record."""
    record = state.record
    return (
        record is not None
        and (record.url, record.ref, record.sha) == (wanted.identity, wanted.ref, target.sha)
        and state.head_sha == target.sha
        and state.operation is None
        and state.head_branch == (target.name if target.kind == "branch" else None)
        and (target.kind != "branch" or tracking_of(state, target) == target.sha)
    )
