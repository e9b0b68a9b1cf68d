"""Finds packs while it brings them: a pack's children are known as soon as its own checkout is there.

Every pack is a task of its own, so work goes on in parallel at every depth and no level waits for another. A task
holds nothing while it waits for its permit, and never waits for what it owns: it starts its children's tasks and ends.
One pack waits for another only where it lies in the other's directory, which has to be cloned first; it waits before
it takes anything, and always for a shorter path, so that nobody waits in a circle. What is reported is computed from
the complete graph afterwards, so that it does not depend on who was faster.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import anyio
from anyio.abc import TaskGroup
from msgspec import Struct, field
from msgspec.structs import replace

from grex.engine.checkout import Checkouts
from grex.engine.graph import ROOT, Graph, Node
from grex.engine.outcome import CheckoutOutcome, what_happened
from grex.engine.session import Session
from grex.errors import PackSpecError
from grex.git import observe
from grex.names import clean
from grex.pack import PackSpec
from grex.progress import PackFinished, PacksFound, PackStarted

__all__ = ["Walk", "Walked"]

_STOPPED = "an earlier failure ended the run (--fail-fast)"


class Walked(Struct):
    """Everything a walk found and did, by path."""

    graph: Graph
    outcomes: dict[str, CheckoutOutcome] = field(default_factory=dict)
    not_reached: dict[str, str] = field(default_factory=dict)


class Walk:
    """One walk over a workspace.

    Args:
        session: the open workspace, with WORKSPACE held unless `checkouts` only looks.
        checkouts: what brings one pack.
        selected: the paths to bring, None for all; packs above them are only passed through when they are there.
        judge: of the selected ones, which may be brought (a filter); the others are passed through as well. Asked when
            a pack is come to; None for all.
        fail_fast: start no further pack after a failure.
        brought: what became earlier in this run of packs that are to be told with it, by path.
    """

    def __init__(
        self,
        session: Session,
        checkouts: Checkouts,
        graph: Graph,
        *,
        selected: Collection[str] | None,
        fail_fast: bool,
        judge: Callable[[Node], bool] | None = None,
        brought: Mapping[str, CheckoutOutcome] | None = None,
    ) -> None:
        self._session = session
        self._checkouts = checkouts
        self._selected = selected
        self._fail_fast = fail_fast
        self._judge = judge
        self._brought = brought or {}
        self._chosen: set[str] = set()
        self._begun: set[str] = set()
        self._ended: dict[str, anyio.Event] = {}
        self.walked = Walked(graph)

    async def run(self, root_spec: PackSpec) -> Walked:
        """Walk from the root's declarations.

        Tiers: each pack takes PERMIT, PACK and below by itself. Cancellation: running git is ended, nothing new starts.

        Raises:
            PackSpecError: a URL of the root's pack.yaml cannot be resolved; nothing was cloned.
        """
        graph = self.walked.graph
        fresh = graph.declare(ROOT, root_spec)
        await self._checkouts.hide(ROOT, graph)
        async with anyio.create_task_group() as tasks:
            for node in fresh:
                tasks.start_soon(self._visit, node, tasks)
        self._settle()
        return self.walked

    async def _visit(self, node: Node, tasks: TaskGroup) -> None:
        """Visit a pack once the one is there in whose directory it lies. The wait holds nothing, and only goes up."""
        ended = self._ended.setdefault(node.path, anyio.Event())
        try:
            around = self.walked.graph.enclosing(node.path)
            if around is not None:
                await self._ended.setdefault(around, anyio.Event()).wait()
            await self._visit_now(node, tasks, around)
        finally:
            ended.set()

    async def _visit_now(self, node: Node, tasks: TaskGroup, around: str | None) -> None:
        if not self._is_known(node) or self.walked.graph.verdict(node) is not None:
            return  # _settle reports the verdict, from the complete graph
        is_wanted = self._is_selected(node)
        if around is not None and not self._is_there(around):
            if is_wanted:
                self.walked.not_reached[node.path] = f"{around}, in whose directory it lies, is not there"
            return
        if is_wanted:
            if node.path in self._begun:
                return  # each of two parents made it a selected one
            outcome = await self._bring(node)
        else:
            outcome = await self._checkouts.pass_through(node)
        if outcome is None:
            self.walked.not_reached[node.path] = _STOPPED
            return
        if not self._is_known(node):
            return
        self.walked.outcomes[node.path] = outcome
        if outcome.spec is None:
            return
        try:
            fresh = self.walked.graph.declare(node.path, outcome.spec)
        except PackSpecError as error:
            if is_wanted:
                self.walked.outcomes[node.path] = outcome.failed_with(error)
            return
        await self._checkouts.hide(node.path, self.walked.graph)
        for child in self._to_visit(node, fresh):
            tasks.start_soon(self._visit, child, tasks)

    async def _bring(self, node: Node) -> CheckoutOutcome | None:
        """Bring a selected pack; None where the run was stopped before it began."""
        if self._checkouts.is_stopped:
            return None
        self._begun.add(node.path)
        sink = self._session.settings.sink
        # Packs that are known begin at once, to wait for a permit: this is the total before the first is finished.
        sink(PacksFound(len(self._begun)))
        sink(PackStarted(node.path, "checkout"))
        outcome = await self._checkouts.bring(node)
        if outcome is not None:
            outcome = _with_what_came_before(outcome, self._brought.get(node.path))
            where = outcome.branch or node.ref
            said = what_happened(outcome.status, outcome.text, where, outcome.old_sha, outcome.new_sha, outcome.history)
            sink(PackFinished(node.path, outcome.status, said))
            if outcome.is_failure and self._fail_fast:
                self._checkouts.is_stopped = True
        return outcome

    def _is_there(self, path: str) -> bool:
        """Whether a pack that was visited has a checkout, or in a dry run would have one."""
        outcome = self.walked.outcomes.get(path)
        if outcome is not None and (outcome.is_present or outcome.status == "planned"):
            return True
        if outcome is not None and outcome.code == "different-repository":
            return False
        # One that failed in this run may be there all the same, and what lies in it is none of that failure's.
        return observe(self._session.layout.pack_dir(path)).kind == "checkout"

    def _is_known(self, node: Node) -> bool:
        """Whether somebody still declares it: its parent may have moved to a commit that does not."""
        return self.walked.graph.nodes.get(node.path) is node and node.is_active

    def _to_visit(self, node: Node, fresh: list[Node]) -> list[Node]:
        """The children whose turn has come: new ones, and below a selected pack those that were only passed through."""
        if node.path not in self._chosen or (self._selected is None and self._judge is None):
            return fresh
        return [child for child in self.walked.graph.children(node.path) if child.path not in self._begun]

    def _is_selected(self, node: Node) -> bool:
        """Whether it is to be brought: it was asked for, or lies below such a one, and no filter is against it."""
        if (
            self._selected is None
            or node.path in self._selected
            or any(parent in self._chosen for parent in node.parents)
        ):
            self._chosen.add(node.path)
        if self._judge is None or node.path in self._begun:
            return node.path in self._chosen
        return node.path in self._chosen and self._judge(node)

    def _settle(self) -> None:
        """Judge the complete graph: conflicts and cycles fail their node, and nothing below it is reached."""
        graph = self.walked.graph
        self._drop_outcomes_of_nobody()
        refused: set[str] = set()
        for node in graph.active():
            verdict = graph.verdict(node) if self._is_selected(node) else None
            if verdict is not None:
                refused.add(node.path)
                # What was done before the verdict was known is not told: it depended on who was faster.
                self.walked.outcomes[node.path] = CheckoutOutcome.refused(node.path, verdict)
        # A pack walked before its conflict was known may have declared others. They are let go, as if the conflict had
        # been known first; those that the lockfile knows are named below.
        for path in sorted(refused):
            graph.forget_children(path)
        self._drop_outcomes_of_nobody()
        for node in graph.active():
            is_told = node.path in self.walked.outcomes or node.path in self.walked.not_reached
            if not is_told and self._is_selected(node):
                self.walked.not_reached[node.path] = "the pack that declares it failed"
        self._name_lost_descendants()

    def _drop_outcomes_of_nobody(self) -> None:
        wanted = {node.path for node in self.walked.graph.active()}
        for told in (self.walked.outcomes, self.walked.not_reached):
            for path in [path for path in told if path not in wanted]:
                del told[path]

    def _name_lost_descendants(self) -> None:
        """Packs that the lockfile knows below a failed one, and that nobody could declare this time."""
        lines = self._session.lines
        unknown = {
            path for path, outcome in self.walked.outcomes.items() if outcome.is_failure and outcome.spec is None
        }
        unknown.update(self.walked.not_reached)
        grown = True
        while grown:
            grown = False
            for path, line in lines.items():
                if path in self.walked.outcomes or path in self.walked.not_reached:
                    continue
                if line.parents and all(parent in unknown for parent in line.parents):
                    culprit = clean(", ".join(line.parents))
                    self.walked.not_reached[path] = f"{culprit}, which declares it, failed"
                    unknown.add(path)
                    grown = True


def _with_what_came_before(outcome: CheckoutOutcome, before: CheckoutOutcome | None) -> CheckoutOutcome:
    """What became of a checkout in all of this run, where its last look found nothing more to do."""
    if before is None or outcome.status != "unchanged":
        return outcome
    notes = tuple(dict.fromkeys((*before.notes, *outcome.notes)))
    return replace(outcome, status=before.status, old_sha=before.old_sha, notes=notes)
