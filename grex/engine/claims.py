"""Who wants what for itself, and which packs want the same: found out before anything of any pack is run.

A claim is an absolute path, `directory` before an absolute path, or any other name (`variable EDITOR`):

| claim | refused beside |
|---|---|
| a path (a link, a file) | the same path, and everything below it: that would go through the link |
| `directory PATH` | the claim of `PATH` itself, or of something above it, as a path; directories share |
| any other name | the same name |

Paths are compared by where they are, not by how they are written: every directory on the way is resolved, the last
segment is not, and neither is a directory on the way that is itself claimed - or a link that is in place already would
hide what lies below it. So `places` gives, for each directory on the way, where it is itself.

All packs that are there and have something to install take part, whether this run is about them or not. A pack that
would run something and that nobody trusts keeps no other from its place: it alone is refused.

What a pack has installed and its pack.yaml no longer names stays until its teardown, and until then the place is taken:
a newcomer would move away what is there as if it were the user's, and the two teardowns would each take the other's
for something foreign. So the newcomer is refused, and told which teardown makes room.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from grex.engine.context import RunContext
from grex.engine.graph import ROOT
from grex.engine.session import Session
from grex.engine.whereabouts import Kept, Places, is_directory, path_of
from grex.errors import ClaimError, GrexError, PluginError
from grex.manifest import CompletedAction
from grex.names import clean, shown_argument
from grex.plugin import Claim, Pack, PackType
from grex.plugin.failures import is_failure

__all__ = ["Claimant", "claims_of", "conflicts", "taken", "what_is_left"]

_SHOWN_CHARACTERS = 400
_ELSEWHERE = "Give it another place (`dst`, `path`, `name`)."
_APART = (
    "Give one of the two another place (`dst`, `path`, `name`), or put it into a `when` that does not hold together "
    "with the other."
)


class Claimant(Struct, frozen=True):
    """A pack with its claims."""

    path: str
    claims: tuple[Claim, ...]


def claims_of(context: RunContext, pack_type: PackType, pack: Pack) -> tuple[Claim, ...]:
    """What a pack claims now.

    Raises:
        GrexError: its actions cannot be understood, or its type does not say what it claims.
        Exception: whatever a plugin raises.
    """
    return _checked(pack_type.claims(context, pack), pack)


def _checked(claims: object, pack: Pack) -> tuple[Claim, ...]:
    if isinstance(claims, tuple | list) and all(_is_claim(claim) for claim in claims):
        return tuple(claims)
    raise PluginError(
        f"{pack.path}: the pack type {pack.type!r} does not say what it claims",
        hint="Report it to the authors of the plugin.",
    )


def _is_claim(claim: object) -> bool:
    """Whether it is one that can be compared with others: a path that no system takes would end all of the run."""
    if not isinstance(claim, Claim) or not all(isinstance(text, str) for text in (claim.what, claim.place)):
        return False
    try:
        return b"\0" not in os.fsencode(claim.what)
    except UnicodeEncodeError:
        return False


def conflicts(
    claimants: Iterable[Claimant],
    is_welcome: Callable[[str], bool],
    records: Iterable[Path] = (),
    *,
    only: Mapping[str, Collection[Claim]] | None = None,
) -> Mapping[str, GrexError]:
    """An error for every pack that claims what another one, it itself, or grex claims as well.

    Args:
        claimants: all packs.
        is_welcome: whether a pack may do what it wants to; one that may not gives way to one that may.
        records: what grex keeps for itself. A run that takes its own log away cannot even take that back.
        only: by pack, the claims that are asked about; others are told only where they do not go together with one of
            these. None stands for all.
    """

    def is_asked(one: _Wanted) -> bool:
        return only is None or one.claim in only.get(one.claimant.path, ())

    claims = [(claimant, claim) for claimant in claimants for claim in claimant.claims]
    claims.sort(key=lambda one: (one[0].path, one[1].place, one[1].what))
    wanted = [_Wanted(number, claimant, claim) for number, (claimant, claim) in enumerate(claims)]
    places = Places()
    owners: dict[str, list[_Wanted]] = {}
    for one in wanted:
        if not one.is_directory:
            owners.setdefault(places.own(one.what), []).append(one)
    found: dict[str, dict[str, str]] = {}
    kept = Kept(records, places)
    for one in wanted:
        way = tuple(places.on_the_way(one.what))
        if is_asked(one) and kept.is_on(way, shared=one.is_directory):
            found.setdefault(one.claimant.path, {})[_sentence_about_records(one)] = _ELSEWHERE
        for place in way:
            for other in owners.get(place, ()):
                if (is_asked(one) or is_asked(other)) and _is_worth_telling(other, one, places):
                    for path in _losers(one.claimant.path, other.claimant.path, is_welcome):
                        found.setdefault(path, {})[_sentence(other, one)] = _APART
    return {path: _error(told) for path, told in found.items()}


def what_is_left(session: Session, claimants: Iterable[Claimant]) -> list[Claimant]:
    """What packs have installed, as the log says, and do not claim any more.

    Args:
        session: the open workspace.
        claimants: all packs with what they claim now.
    """
    now = {claimant.path: {claim.what for claim in claimant.claims} for claimant in claimants}
    left: list[Claimant] = []
    for path, record in sorted(session.folded.packs.items()):
        wants = {want: None for done in record.completed for want in _still_wanted(session, done)}
        claims = tuple(Claim(want, path) for want in wants if want not in now.get(path, ()))
        if claims:
            left.append(Claimant(path, claims))
    return left


def _still_wanted(session: Session, done: CompletedAction) -> tuple[str, ...]:
    if not isinstance(done.undo, Mapping):
        return ()
    try:
        return tuple(str(want) for want in session.registry.action(done.kind).still_claims(done.undo))
    except BaseException as error:
        if not is_failure(error):
            raise
        return ()  # data that was edited, a plugin that is gone or broken: its teardown says so


def taken(claimants: Iterable[Claimant], left: Iterable[Claimant]) -> Mapping[str, GrexError]:
    """An error for every pack that claims what another one has left there.

    Args:
        claimants: the packs that are about to be installed.
        left: what `what_is_left` gave.
    """
    places = Places()
    new = [_Wanted(0, claimant, claim) for claimant in claimants for claim in claimant.claims]
    old = [_Wanted(1, claimant, claim) for claimant in left for claim in claimant.claims]
    owners: dict[str, list[_Wanted]] = {}
    for one in (*new, *old):
        if not one.is_directory:
            owners.setdefault(places.own(one.what), []).append(one)
    found: dict[str, dict[str, set[str]]] = {}
    of_the_root: dict[str, None] = {}
    for inner in (*new, *old):
        for place in places.on_the_way(inner.what):
            for outer in owners.get(place, ()):
                if outer.number != inner.number and outer.claimant.path != inner.claimant.path:
                    newcomer, owner = (inner, outer) if outer.number else (outer, inner)
                    told = found.setdefault(newcomer.claimant.path, {})
                    told.setdefault(_taken_sentence(newcomer, owner), set()).add(owner.claimant.path)
                    if owner.claimant.path == ROOT:
                        of_the_root[clean(owner.what, _SHOWN_CHARACTERS)] = None
    return {path: _taken_error(path, found, sorted(of_the_root)) for path in found}


def _taken_sentence(newcomer: _Wanted, owner: _Wanted) -> str:
    what, left = clean(newcomer.what, _SHOWN_CHARACTERS), clean(owner.what, _SHOWN_CHARACTERS)
    there = "it" if what == left else left
    wants = f"{newcomer.claimant.path} wants {what} at {newcomer.claim.place}"
    told = f"{owner.claimant.path}, which has installed {there} and does not want it any more, has not taken it back"
    return f"{wants}, and {told}"


def _taken_error(path: str, found: Mapping[str, Mapping[str, set[str]]], of_the_root: Sequence[str]) -> GrexError:
    owners: set[str] = set()
    waiting = [path]
    while waiting:  # the pack that has to go may itself wait for a place, maybe for one of this pack
        fresh = set().union(*found.get(waiting.pop(), {}).values()) - owners
        owners |= fresh
        waiting += fresh
    sentences = sorted(found[path])
    todo = []
    if ROOT in owners:  # a teardown of the root is one of all packs
        todo.append(
            f"take {', '.join(of_the_root)} away by hand, and give what is kept beside as `.grex-bak.` its name back"
        )
    if owners - {ROOT}:
        todo.append(f"`grex teardown {' '.join(shown_argument(owner) for owner in sorted(owners - {ROOT}))}`")
    first = f"{todo[0][0].upper()}{todo[0][1:]}"
    steps = "; ".join([first, *todo[1:]])
    return ClaimError(
        sentences[0],
        hint=f"{steps}, then `grex sync`, which installs what they name now.",
        details={"problems": sentences},
    )


class _Wanted(Struct, frozen=True):
    """One claim of one pack; `number` is its place in the order of what is said."""

    number: int
    claimant: Claimant
    claim: Claim

    @property
    def is_directory(self) -> bool:
        return is_directory(self.claim.what)

    @property
    def what(self) -> str:
        return path_of(self.claim.what)


def _is_worth_telling(outer: _Wanted, inner: _Wanted, places: Places) -> bool:
    """Whether this pair is not told yet: two claims of one place meet twice, an outer and an inner one once."""
    if inner.is_directory or places.own(outer.what) != places.own(inner.what):
        return True
    return outer.number < inner.number


def _losers(one: str, other: str, is_welcome: Callable[[str], bool]) -> set[str]:
    losers = {path for path in (one, other) if not is_welcome(path)}
    return losers if len(losers) == 1 else {one, other}


def _sentence(outer: _Wanted, inner: _Wanted) -> str:
    first, second = outer.claim, inner.claim
    what = clean(inner.what if inner.what == outer.what else f"{inner.what} (below {outer.what})", _SHOWN_CHARACTERS)
    if outer.claimant.path == inner.claimant.path:
        return f"{outer.claimant.path} wants {what} twice: at {first.place} and at {second.place}"
    return f"two packs want {what}: {outer.claimant.path} at {first.place}, and {inner.claimant.path} at {second.place}"


def _sentence_about_records(one: _Wanted) -> str:
    what = clean(one.what, _SHOWN_CHARACTERS)
    return f"{one.claimant.path} wants {what} at {one.claim.place}, and grex keeps its own files there"


def _error(told: Mapping[str, str]) -> ClaimError:
    """The error of these sentences, each with its hint."""
    sentences = list(told)
    return ClaimError(sentences[0], hint=told[sentences[0]], details={"problems": sentences})
