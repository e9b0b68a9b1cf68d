"""Whose a place is by now, as the log says: of the pack that has done something there last.

A pack that gave a place up, and whose work there is gone, keeps its record until its teardown. Another pack may have
taken the place since, with the very bytes or the very link that the first one had there. An action cannot tell the two
apart; the log can. So what a teardown would take back is held against what the records of other packs name, for all
actions alike, and what another pack has done later is left to that one's own teardown.

Records are compared by their time, because a compaction keeps that and not the order among packs. They are read once:
a teardown holds WORKSPACE, so nothing is installed meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from grex.engine.session import Session
from grex.engine.whereabouts import DIRECTORY, Places, is_directory, path_of
from grex.manifest import CompletedAction
from grex.plugin.failures import is_failure

__all__ = ["Owners"]


class Owners:
    """Who has done something last at which place.

    Args:
        session: the open workspace.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._places = Places()
        self._times: dict[str, dict[str, str]] | None = None
        """By place (`directory` before one that is only made), and by pack, when it was last at work there."""
        self._over: set[str] = set()

    def release(self, pack: str) -> None:
        """Say that everything of a pack is taken back: it has no place any more."""
        self._over.add(pack)

    def successor(self, pack: str, kind: str, undo: Mapping[str, object]) -> tuple[str, str] | None:
        """A place that this undo data is about and that another pack has by now, and that pack.

        Directories that are only made do not count: they are shared, and asked for one by one with `made_since`.
        """
        for what in _named(self._session, kind, undo):
            if not is_directory(what):
                other = self._later(pack, what)
                if other is not None:
                    return what, other
        return None

    def made_since(self, pack: str, directory: Path) -> bool:
        """Whether another pack has made this directory, or put something into its place, after `pack` did."""
        return self._later(pack, f"{DIRECTORY}{directory}") is not None

    def _later(self, pack: str, what: str) -> str | None:
        """The pack that came last to a place, if that is not this one."""
        times = self._known()
        own, *above = self._places.on_the_way(path_of(what))
        kinds = (own, DIRECTORY + own) if is_directory(what) else (own,)
        latest = max((times.get(kind, {}).get(pack, "") for kind in kinds), default="")
        found: dict[str, str] = {}
        for place in (*kinds, *above):  # what stands above is a link of another pack: the place is inside of its files
            found.update((other, time) for other, time in times.get(place, {}).items() if time > latest)
        others = sorted(other for other in found if other != pack and other not in self._over)
        return max(others, key=found.__getitem__, default=None)

    def _known(self) -> Mapping[str, Mapping[str, str]]:
        if self._times is None:
            self._times = {}
            for path, record in self._session.folded.packs.items():
                for place, done in self._places_of(record.completed):
                    times = self._times.setdefault(place, {})
                    times[path] = max(times.get(path, ""), done.ts)
        return self._times

    def _places_of(self, completed: tuple[CompletedAction, ...]) -> Iterator[tuple[str, CompletedAction]]:
        for done in completed:
            if isinstance(done.undo, Mapping):
                for what in _named(self._session, done.kind, done.undo):
                    yield (DIRECTORY if is_directory(what) else "") + self._places.own(path_of(what)), done


def _named(session: Session, kind: str, undo: Mapping[str, object]) -> tuple[str, ...]:
    try:
        return tuple(str(what) for what in session.registry.action(kind).undo_claims(undo))
    except BaseException as error:
        if not is_failure(error):
            raise
        return ()  # data that was edited, a plugin that is gone or broken: the undo says so
