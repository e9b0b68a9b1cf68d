"""Which packs a call is about: PACK arguments, filters and groups made into one set, the same for every verb.

PACK arguments mean the packs that they name, with everything below; without any, all are meant. Filters narrow that.
Inactive packs are left out, except by verbs that tell of them or take them back; to name one to a verb that would work
on it is a mistake, with the way to turn its group on.

A filter that no pack can be of is a mistake as well: it is misspelt, and doing nothing would look like success. Whether
anything is `changed` at the moment is another matter. That the answer is none is a fine answer then, and a note.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import anyio
from msgspec import Struct, field
from msgspec.structs import replace

from grex.engine.graph import ROOT, Node
from grex.engine.places import look_at
from grex.engine.selection import Facts, Filter, matches, parse_filters
from grex.engine.session import Session
from grex.engine.survey import Survey, absent_above, named
from grex.errors import GrexError, UsageError
from grex.git import CheckoutState, ask_head, edited_paths, porcelain
from grex.loop import event_loop
from grex.names import clean, suggest
from grex.workspace import Layout

__all__ = ["Chosen", "choose"]

_SHOWN = 10


class Chosen(Struct):
    """The packs of a call.

    Attributes:
        paths: those that are known before anything is brought.
        is_all: whether neither an argument but `.` nor a filter was given, so that it is the whole workspace.
        named: those that an argument names, not only one of those above them.
        has_root: whether the root is meant, which only the argument `.` does.
        scope: what the arguments mean, whatever the filters say; None for everything.
        needed: absent packs that have to be brought to reach chosen ones.
        filters: what a pack that is found later is judged by.
        notes: what is to be said about the choice.
    """

    paths: set[str] = field(default_factory=set)
    is_all: bool = False
    named: set[str] = field(default_factory=set)
    has_root: bool = False
    scope: set[str] | None = None
    needed: set[str] = field(default_factory=set)
    filters: tuple[Filter, ...] = ()
    notes: tuple[str, ...] = ()
    _layout: Layout | None = None
    _known: set[str] = field(default_factory=set)
    _types: Mapping[str, str] = field(default_factory=dict)
    _shas: Mapping[str, str] = field(default_factory=dict)

    def wants(self, node: Node) -> bool:
        """Whether the filters let a pack be brought that a walk has come to. Known ones were judged before the walk."""
        if not self.filters or node.path in self.needed:
            return True
        if node.path in self._known:
            return node.path in self.paths
        state = None if self._layout is None else look_at(self._layout.pack_dir(node.path))
        changed = False
        if state is not None and state.kind == "checkout":  # nobody declared it before, but it is there
            edits = edited_paths(state)
            is_locked = self._shas.get(node.path) == state.head_sha
            changed = not is_locked or not edits.decided or bool(edits.edited)
        return matches(self.filters, Facts(node.path, self._types.get(node.path), node.groups, changed)) is True


async def choose(
    session: Session,
    found: Survey,
    packs: Sequence[str],
    filters: Sequence[str],
    *,
    known: Collection[str] = (),
    keeps_inactive: bool = False,
    may_be_none: bool = False,
) -> Chosen:
    """Choose the packs of a call.

    Args:
        session: the open workspace, its records read.
        found: what is declared, and what is there.
        packs: PACK arguments.
        filters: expressions.
        known: packs that count besides the declared ones: those of the log or the lockfile, or the root. What the
            lockfile knows can be named in any case.
        keeps_inactive: whether the verb tells of inactive packs, or takes them back.
        may_be_none: whether filters that no pack is of are a note, as of a verb that only shows.

    Raises:
        UsageError: an argument means no pack or an inactive one, an expression cannot be read, or no pack is of it.
    """
    parsed = parse_filters(filters)
    everything = {*found.graph.nodes, *known} - {ROOT}
    inactive = set() if keeps_inactive else _dormant(session, found)
    scope: set[str] | None = None
    said: set[str] = set()
    has_root = False
    if packs:
        said = named(found, {*session.lines, *known}, packs)
        if not keeps_inactive:
            _refuse_inactive(said, inactive, found)
        has_root = ROOT in said and not parsed
        if ROOT in said:  # with everything below it
            packs = ()
        else:
            above = absent_above(said, found, session.lines)
            scope = found.graph.descendants(said | above)
    candidates = sorted((everything if scope is None else scope) - inactive - {ROOT})
    notes: tuple[str, ...] = ()
    if parsed:
        facts = [_facts(session, found, path) for path in candidates]
        judged = await _judged(session, found, parsed, facts)
        paths = {one.path for one in judged if matches(parsed, one)}
        unknown = [one.path for one in judged if matches(parsed, one) is None]
        if unknown:
            which = unknown[0] if len(unknown) == 1 else f"{len(unknown)} packs"
            notes = (f"a filter does not choose {which}: no type is known of what was never cloned",)
        if not paths:
            if not may_be_none and not any(_may_be(parsed, one) for one in facts):
                raise _nothing(parsed, facts, notes, is_narrowed=scope is not None)
            notes = (*notes, f"no pack is of {_told(parsed)}{_meant(parsed, facts)}")
    else:
        paths = set(candidates)
    return Chosen(
        paths,
        is_all=not packs and not parsed,
        named=said,
        has_root=has_root,
        scope=scope,
        needed=absent_above(paths, found, session.lines) - inactive if packs or parsed else set(),
        filters=parsed,
        notes=notes,
        _layout=session.layout,
        _known=everything,
        _types={path: line.type for path, line in session.lines.items()},
        _shas={path: line.sha for path, line in session.lines.items()},
    )


def _dormant(session: Session, found: Survey) -> set[str]:
    return found.graph.dormant({path: line.parents for path, line in session.lines.items()})


def _refuse_inactive(said: set[str], inactive: Collection[str], found: Survey) -> None:
    for path in sorted(said & set(inactive)):
        node = found.graph.nodes.get(path)
        if node is None:
            raise UsageError(
                f"{path} belongs to a pack that is inactive here", hint="`grex ls` shows which; `-g` turns a group on."
            )
        groups = node.groups
        one = "its group" if len(groups) == 1 else "its groups"
        raise UsageError(
            f"{path} is inactive here: {one} {', '.join(groups)} {'is' if len(groups) == 1 else 'are'} off",
            hint=f"`grex sync -g {groups[0]}` turns it on and brings it.",
            details={"path": path, "groups": list(groups)},
        )


def _facts(session: Session, found: Survey, path: str) -> Facts:
    node, state, line = found.graph.nodes.get(path), found.states.get(path), session.lines.get(path)
    is_there = state is not None and state.kind == "checkout"
    kind = None if line is None else line.type
    if node is not None and node.is_active and is_there:
        kind = None if path in found.errors and node.spec is None else node.type
    return Facts(path, kind, () if node is None else node.groups)


async def _judged(session: Session, found: Survey, filters: Sequence[Filter], facts: Sequence[Facts]) -> list[Facts]:
    """The same facts, with whether each is changed where the filters depend on it."""
    await event_loop()
    judged = {one.path: one for one in facts}
    limit = anyio.CapacityLimiter(max(session.settings.jobs or 4, 1))

    async def look(one: Facts) -> None:
        async with limit:
            try:
                changed = await _is_changed(session, one.path, found.states.get(one.path))
            except (GrexError, OSError):
                changed = True  # a damaged checkout is not as it was; the verb says what is wrong with it
            judged[one.path] = replace(one, changed=changed)

    async with anyio.create_task_group() as tasks:
        for one in facts:
            with_it, without = replace(one, changed=True), replace(one, changed=False)
            if matches(filters, with_it) != matches(filters, without):
                tasks.start_soon(look, one)
            else:
                judged[one.path] = without
    return list(judged.values())


async def _is_changed(session: Session, path: str, state: CheckoutState | None) -> bool:
    if state is None or state.kind != "checkout":
        return False
    git = session.git_for(path)
    if state.head == "unreadable":
        state = await ask_head(git, state)
    line = session.lines.get(path)
    if line is None or line.sha != state.head_sha:
        return True
    edits = edited_paths(state)
    if edits.decided or edits.edited:
        return bool(edits.edited)
    status = await porcelain(git, state)
    return bool(status.edited_count or status.conflicted_count)


def _may_be(filters: Sequence[Filter], facts: Facts) -> bool:
    """Whether it is only for what is edited at the moment that a pack is not of these filters."""
    return any(matches(filters, replace(facts, changed=changed)) for changed in (True, False))


def _told(filters: Sequence[Filter]) -> str:
    return " or ".join(f"--filter {clean(one.text, 100)!r}" for one in filters)


def _nothing(
    filters: Sequence[Filter], facts: Sequence[Facts], notes: Sequence[str], *, is_narrowed: bool
) -> UsageError:
    kinds = {term.kind for one in filters for term in one.terms}
    told: list[str] = []
    if "group" in kinds:
        told.append(_listed("groups", {group for one in facts for group in one.groups}))
    if "type" in kinds:
        told.append(_listed("types", {one.type for one in facts if one.type is not None}))
    if "path" in kinds or not told:
        told.append(_listed("packs", {one.path for one in facts}))
    which = "none of these packs" if is_narrowed else "no pack"
    return UsageError(
        f"{which} is of {_told(filters)}",
        hint=" ".join([f"There are the {'; the '.join(told)}.", *(f"{note[:1].upper()}{note[1:]}." for note in notes)]),
        details={"filters": [one.text for one in filters]},
    )


def _meant(filters: Sequence[Filter], facts: Sequence[Facts]) -> str:
    """The group that was probably meant by one that no pack has."""
    known = {group for one in facts for group in one.groups}
    for term in (term for one in filters for term in one.terms):
        if term.kind == "group" and term.glob is not None and known and not any(map(term.glob.matches, known)):
            return f" ({suggest(term.glob.text, known)})"
    return ""


def _listed(what: str, names: Collection[str]) -> str:
    if not names:
        return f"{what} (none)"
    shown = ", ".join(sorted(names)[:_SHOWN])
    return f"{what} {shown}" + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
