"""Which packs a pack depends on: `depends_on` resolved among the packs that are there.

A dependency is looked for by its name or by its URL and never cloned. The order of installs follows from it, and the
reverse of it is the order of teardowns. Packs that depend on each other in a circle have no order: whoever installs
refuses them, whoever tears down takes the circle apart.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from msgspec import Struct, field

from grex.engine.graph import Node
from grex.engine.installable import Present
from grex.engine.session import Session
from grex.errors import CycleError, GrexError, PackError
from grex.names import InvalidUrlError, PackUrl, parse_url
from grex.pack import Dependency, PackSpec

__all__ = ["Needs", "find_needs"]


class Needs(Struct, frozen=True):
    """What each pack depends on, by path.

    Attributes:
        of: the packs that are there, of each pack whose dependencies could all be found.
        missing: why those of a pack could not be found.
        circles: why those on a circle have no order; the same chain for all of them.
    """

    of: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    missing: Mapping[str, GrexError] = field(default_factory=dict)
    circles: Mapping[str, GrexError] = field(default_factory=dict)

    def before(self, path: str, having: Collection[str]) -> tuple[str, ...]:
        """What comes before a pack; through a dependency that has no step itself, also what that one depends on.

        Args:
            path: the pack.
            having: the packs that have a step.
        """
        found: set[str] = set()
        waiting = list(self.of.get(path, ()))
        while waiting:
            need = waiting.pop()
            if need in found or need == path:
                continue
            found.add(need)
            if need not in having:
                waiting.extend(self.of.get(need, ()))
        return tuple(sorted(found))

    def without_circles(self) -> Needs:
        """The same without the links between packs on circles, so that there is an order in any case."""
        kept = {
            path: tuple(need for need in needs if not (path in self.circles and need in self.circles))
            for path, needs in self.of.items()
        }
        return Needs(kept, self.missing)


def find_needs(
    session: Session, present: Sequence[Present], others: Sequence[Present] = (), *, off: Sequence[Node] = ()
) -> Needs:
    """Resolve `depends_on` of the packs of a run.

    Args:
        session: the open workspace.
        present: the packs whose dependencies are asked for.
        others: packs that are there besides and may be depended on.
        off: the packs that are inactive here, which nothing can depend on until somebody turns them on.
    """
    by_name: dict[str, list[str]] = {}
    for found in (*present, *others):
        name = found.spec.name if found.spec is not None else found.path.rsplit("/", 1)[-1]
        by_name.setdefault(name, []).append(found.path)
    by_identity = {found.identity: found.path for found in (*present, *others) if found.identity is not None}
    needs: dict[str, tuple[str, ...]] = {}
    missing: dict[str, GrexError] = {}
    for found in sorted(present, key=lambda one: one.path):
        if found.spec is None:
            continue
        try:
            needs[found.path] = _dependencies(session, found, by_name, by_identity, off)
        except PackError as error:
            missing[found.path] = error
    return Needs(needs, missing, _dependency_cycles(needs))


def _dependencies(
    session: Session,
    found: Present,
    by_name: Mapping[str, list[str]],
    by_identity: Mapping[str, str],
    off: Sequence[Node],
) -> tuple[str, ...]:
    spec = found.spec
    needed: list[str] = []
    for dependency in spec.depends_on if spec is not None else ():
        if dependency.name is not None:
            said, wanted = dependency.name, None
            paths = by_name.get(dependency.name, [])
        else:
            url = _dependency_url(session, spec, dependency)
            said, wanted = url.redacted, url.identity
            paths = [by_identity[url.identity]] if url.identity in by_identity else []
        if len(paths) > 1:
            raise PackError(
                f"{dependency.mark}: {found.path} depends on {said!r}, and several packs have that name: "
                f"{', '.join(sorted(paths))}",
                hint="Name the one that is meant by its URL.",
            )
        if not paths:
            asleep = next((node for node in off if _is_meant(node, said, wanted)), None)
            if asleep is not None:
                raise _is_off(f"{dependency.mark}: {found.path} depends on {said!r}", asleep)
            raise PackError(
                f"{dependency.mark}: {found.path} depends on {said!r}, which is not in this workspace",
                hint="Add it as a child of some pack (`grex add URL`); a dependency is never cloned by itself.",
            )
        needed.append(paths[0])
    return tuple(sorted(set(needed)))


def _is_meant(node: Node, said: str, identity: str | None) -> bool:
    """Whether a dependency means an inactive pack; nobody reads its pack.yaml, so its name is that of its directory."""
    return node.path.rsplit("/", 1)[-1] == said if identity is None else node.url.identity == identity


def _is_off(lead: str, node: Node) -> PackError:
    first, *more = node.groups
    which = f"the group {first}, which is" if not more else f"the groups {', '.join(node.groups)}, which are all"
    return PackError(
        f"{lead}, which is off here: {node.path} is in {which} off",
        hint=f"`grex sync -g {first}` turns {'it' if not more else 'one of them'} on.",
        details={"pack": node.path, "groups": list(node.groups)},
    )


def _dependency_url(session: Session, spec: PackSpec | None, dependency: Dependency) -> PackUrl:
    try:
        base = spec.defaults.base if spec is not None else None
        return parse_url(dependency.url or "", base=base, relative_to=session.base)
    except InvalidUrlError as error:
        raise PackError(f"{dependency.mark}: {error}", hint=error.hint or "Correct the URL.") from error


def _dependency_cycles(needs: Mapping[str, tuple[str, ...]]) -> dict[str, GrexError]:
    """An error for every pack on a circle of `depends_on`, each printing the same chain."""
    found: dict[str, GrexError] = {}
    done: set[str] = set()
    for start in sorted(needs):
        trail: list[str] = []
        stack: list[tuple[str, int]] = [(start, 0)]
        while stack:
            path, position = stack.pop()
            if position == 0:
                if path in trail:
                    circle = trail[trail.index(path) :]
                    smallest = circle.index(min(circle))
                    chain = [*circle[smallest:], *circle[:smallest], circle[smallest]]
                    error = CycleError(
                        f"packs depend on each other in a circle: {' -> '.join(chain)}",
                        hint="Remove one of these depends_on entries.",
                        details={"chain": chain},
                    )
                    found.update(dict.fromkeys(circle, error))
                    continue
                if path in done:
                    continue
                trail.append(path)
            below = needs.get(path, ())
            if position < len(below):
                stack.append((path, position + 1))
                stack.append((below[position], 0))
            else:
                trail.remove(path)
                done.add(path)
    return found
