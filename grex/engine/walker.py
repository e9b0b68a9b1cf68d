"""Finds packs while it brings them: a pack's children are known as soon as its own checkout is there.

Every pack is a task of its own, so work goes on in parallel at every depth and no level waits for another. A task
holds nothing while it waits for its permit, starts its children's tasks and ends. It waits for another pack only if it
lies inside that one's checkout, which has to be there first: holding nothing, and always from a longer path to a
shorter one, so never in a circle. What is reported is computed from the complete graph afterwards, so that it does not
depend on who was faster.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import anyio
from anyio.abc import TaskGroup

from grex.engine.checkout import Checkouts
from grex.engine.graph import ROOT, Graph, Node
from grex.engine.outcome import CheckoutOutcome
from grex.engine.session import Session
from grex.errors import GrexError, PackError
from grex.names import clean
from grex.pack import PackSpec
from grex.progress import PackFinished, PackStarted

__all__ = ["Walk", "Walked"]

_STOPPED = "an earlier failure ended the run (--fail-fast)"


@dataclass(slots=True)
class Walked:
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
        fail_fast: start no further pack after a failure.
    """

    def __init__(
        self,
        session: Session,
        checkouts: Checkouts,
        graph: Graph,
        *,
        selected: Collection[str] | None,
        fail_fast: bool,
    ) -> None:
        self._session = session
        self._checkouts = checkouts
        self._selected = selected
        self._fail_fast = fail_fast
        self._chosen: set[str] = set()
        self._visits: dict[str, anyio.Event] = {}
        self.walked = Walked(graph)

    async def run(self, root_spec: PackSpec) -> Walked:
        """Walk from the root's declarations.

        Tiers: each pack takes PERMIT, PACK and below by itself. Cancellation: running git is ended, nothing new starts.

        Raises:
            PackSpecError: a URL of the root's pack.yaml cannot be resolved; nothing was cloned.
        """
        graph = self.walked.graph
        fresh = graph.declare(ROOT, root_spec)
        self._checkouts.hide(ROOT, graph)
        async with anyio.create_task_group() as tasks:
            self._start(fresh, tasks)
        self._settle()
        return self.walked

    def _start(self, nodes: Sequence[Node], tasks: TaskGroup) -> None:
        # All are known before the first of them looks whose checkout it lies in.
        self._visits.update((node.path, anyio.Event()) for node in nodes)
        for node in nodes:
            tasks.start_soon(self._visit, node, tasks, self._visits[node.path])

    async def _visit(self, node: Node, tasks: TaskGroup, done: anyio.Event) -> None:
        try:
            await self._after_those_around(node)
            await self._bring(node, tasks)
        finally:
            done.set()

    async def _after_those_around(self, node: Node) -> None:
        """Wait for the packs in whose checkouts this one lies, as far as they are declared by now."""
        segments = node.path.split("/")
        for end in range(1, len(segments)):
            around = self._visits.get("/".join(segments[:end]))
            if around is not None:
                await around.wait()

    async def _bring(self, node: Node, tasks: TaskGroup) -> None:
        verdict = self.walked.graph.verdict(node)
        if verdict is not None:
            return  # _settle reports it, from the complete graph
        if self._checkouts.is_stopped:
            self.walked.not_reached[node.path] = _STOPPED
            return
        wanted = self._is_selected(node)
        sink = self._session.settings.sink
        if wanted:
            sink(PackStarted(node.path, "checkout"))
        outcome = await (self._checkouts.bring(node) if wanted else self._checkouts.pass_through(node))
        if outcome is None:
            self.walked.not_reached[node.path] = _STOPPED
            return
        if wanted:
            sink(PackFinished(node.path, outcome.status, outcome.line()))
        self.walked.outcomes[node.path] = outcome
        if outcome.is_failure and self._fail_fast:
            self._checkouts.is_stopped = True
        if outcome.spec is None:
            return
        try:
            fresh = self.walked.graph.declare(node.path, outcome.spec)
            self._checkouts.hide(node.path, self.walked.graph)
        except PackError as error:
            self._fail(node, outcome, error)
            return
        self._start([*fresh, *self._passed_by(node)], tasks)

    def _passed_by(self, parent: Node) -> list[Node]:
        """Children of a chosen pack that another parent had declared before, and that were only passed through then."""
        if parent.path not in self._chosen:
            return []
        outcomes = self.walked.outcomes
        return [
            node
            for node in self.walked.graph.nodes.values()
            if parent.path in node.parents and node.path in outcomes and outcomes[node.path].status == "passed"
        ]

    def _is_selected(self, node: Node) -> bool:
        if self._selected is None or node.path in self._selected:
            self._chosen.add(node.path)
            return True
        if any(parent in self._chosen for parent in node.parents):
            self._chosen.add(node.path)
            return True
        return False

    def _fail(self, node: Node, outcome: CheckoutOutcome, error: GrexError) -> None:
        self.walked.outcomes[node.path] = outcome.failed_with(error)

    def _settle(self) -> None:
        """Judge the complete graph: conflicts and cycles fail their node, and everything below is not reached."""
        graph = self.walked.graph
        refused: set[str] = set()
        for node in graph.ordered():
            verdict = graph.verdict(node)
            if verdict is not None:
                refused.add(node.path)
                before = self.walked.outcomes.get(node.path)
                self.walked.outcomes[node.path] = (
                    before.failed_with(verdict) if before is not None else CheckoutOutcome.refused(node.path, verdict)
                )
        # A path walked before its conflict was known may have brought children: they are reported as not reached,
        # as they would be had the conflict been known first.
        for path in graph.descendants(refused) - refused:
            if all(parent in refused or parent in self.walked.not_reached for parent in graph.nodes[path].parents):
                self.walked.outcomes.pop(path, None)
                self.walked.not_reached.setdefault(path, "the pack that declares it has a conflict")
        for node in graph.ordered():
            if node.path not in self.walked.outcomes and node.path not in self.walked.not_reached:
                self.walked.not_reached[node.path] = "the pack that declares it failed"
        self._name_lost_descendants()

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
