"""The packs of a call that are there: what the verbs work on that bring nothing (`exec`, `switch`, `fetch`, `push`).

Such a verb takes no WORKSPACE: a sync may go on beside it. So a pack is looked at again once it is held.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import anyio
from msgspec import Struct, field

from grex.engine.choosing import Chosen, choose
from grex.engine.dependencies import find_needs
from grex.engine.graph import ROOT, Node
from grex.engine.installable import Present
from grex.engine.places import look_at
from grex.engine.session import Session
from grex.engine.survey import Survey, survey
from grex.errors import GrexError, PackError
from grex.git import CheckoutState, ask_head
from grex.names import PackUrl, shown_argument

__all__ = ["Member", "Members", "check_still_there", "in_parallel", "look_again", "members_of", "order_of"]


class Member(Struct, frozen=True):
    """A pack whose checkout is there; `node` is None for the root, and for one that nobody declares any more."""

    path: str
    name: str
    root: Path
    node: Node | None = None

    @property
    def url(self) -> PackUrl | None:
        """Where it is declared to come from."""
        return None if self.node is None else self.node.url


class Members(Struct):
    """The packs of a call.

    Attributes:
        here: those that are there, sorted by path.
        refused: why one that was named cannot be worked on.
        notes: what else is to be said about the choice.
        chosen: how it came about.
        found: everything that is declared.
    """

    here: list[Member] = field(default_factory=list)
    refused: dict[str, GrexError] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    chosen: Chosen = field(default_factory=Chosen)
    found: Survey | None = None


async def members_of(
    session: Session, packs: Sequence[str], filters: Sequence[str], *, may_be_root: bool = False
) -> Members:
    """Choose packs, and see which of them are there. Tier: MANIFEST, shared and briefly.

    Raises:
        ManifestError: the root's pack.yaml, the log or the lockfile cannot be used.
        UsageError: an argument or a filter means no pack.
    """

    def look() -> Survey:
        session.reread()
        # Only a filter asks for more of a checkout than that it is one; who works with it looks again when it is held.
        return survey(session.layout, session.settings.platform, is_brief=not filters)

    found = await session.read_manifest(look)
    chosen = await choose(session, found, packs, filters, known=(ROOT,) if may_be_root else ())
    members = Members(notes=(*session.notes, *chosen.notes), chosen=chosen, found=found)
    if may_be_root and chosen.has_root:
        members.here.append(Member(ROOT, found.root_spec.name, session.layout.root))
    absent: list[str] = []
    for path in sorted(chosen.paths):
        node, root = found.graph.nodes.get(path), session.layout.pack_dir(path)
        state = found.states.get(path) or look_at(root, is_brief=True)
        if state.kind == "checkout":
            members.here.append(Member(path, node.name if node is not None else path.rpartition("/")[2], root, node))
        elif path in chosen.named:
            members.refused[path] = PackError(
                f"{path} is not cloned yet", hint=f"`grex sync {shown_argument(path)}` brings it."
            )
        else:
            absent.append(path)
    if absent:
        what = f"{absent[0]} is" if len(absent) == 1 else f"{len(absent)} packs are"
        members.notes = (*members.notes, f"{what} not cloned yet and left out")
    return members


def order_of(session: Session, members: Members) -> Mapping[str, tuple[str, ...]]:
    """The packs that each one comes after, by `depends_on`; what is not there, and circles, order nothing."""
    if members.found is None:
        return {}
    graph = members.found.graph
    present = [Present(node.path, node.spec, "", node.url.identity) for node in graph.active() if node.spec is not None]
    if not any(one.spec is not None and one.spec.depends_on for one in present):
        return {}
    present += [Present(node.path, None, "", node.url.identity) for node in graph.active() if node.spec is None]
    needs = find_needs(session, present).without_circles()
    having = {member.path for member in members.here}
    return {path: tuple(need for need in needs.before(path, having) if need in having) for path in having}


async def in_parallel(
    members: Sequence[Member],
    work: Callable[[Member], Awaitable[None]],
    after: Mapping[str, tuple[str, ...]],
) -> None:
    """Do something with each pack, as many at once as there are permits, and after those that come before it.

    Cancellation: nothing new begins; what `work` does when it is cancelled is its own affair.

    Args:
        members: the packs, in the order in which they are to ask for their permits.
        work: is to raise nothing: whatever becomes of one pack is its own outcome.
        after: what each one comes after.
    """
    ended = {member.path: anyio.Event() for member in members}

    async def one(member: Member) -> None:
        try:
            for before in after.get(member.path, ()):
                await ended[before].wait()
            await work(member)
        finally:
            ended[member.path].set()

    async with anyio.create_task_group() as tasks:
        for member in members:
            tasks.start_soon(one, member)


def check_still_there(member: Member) -> None:
    """See that a checkout was not taken away while its lock was waited for; that it was one, is known.

    Of the root it is asked only that it is there: a workspace need not be a repository.

    Raises:
        PackError: there is none any more.
    """
    if not os.path.lexists(member.root if member.path == ROOT else f"{member.root}/.git"):
        raise _gone(member)


def _gone(member: Member) -> PackError:
    return PackError(
        f"{member.path} is not there any more", hint="Somebody took it away meanwhile; `grex sync` brings it again."
    )


async def look_again(session: Session, member: Member) -> CheckoutState:
    """What is at a pack now that it is held.

    Raises:
        PackError: there is no checkout any more.
    """
    state = look_at(member.root)
    if state.kind != "checkout":
        raise _gone(member)
    return await ask_head(session.git_for(member.path), state) if state.head == "unreadable" else state
