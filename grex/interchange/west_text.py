"""A `west.yml` as it is written; `west` reads one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from grex.interchange.tree import Exported, ResolvedPack, scalar

__all__ = ["render_west"]


def render_west(packs: Sequence[ResolvedPack], *, groups_off: Sequence[str] = ()) -> Exported:
    """A west.yml of these packs, and what it leaves out.

    A name is the last segment of the path where that is unique, else the whole path with `.` for each slash. What no
    ref is declared for gets the branch that the remote's HEAD was when it was resolved, or `HEAD`: west's own default
    would be `master`.
    """
    names = _names(packs)
    lines = ["manifest:"]
    notes: list[str] = []
    if groups_off:
        lines.append(f"  group-filter: [{', '.join(scalar(f'-{group}') for group in sorted(groups_off))}]")
    lines.append("  projects:" if packs else "  projects: []")
    for pack in packs:
        name = names[pack.path]
        revision = pack.ref or pack.branch or "HEAD"
        lines += [
            f"    - name: {scalar(name)}",
            f"      url: {scalar(pack.url)}",
            f"      revision: {scalar(revision)}",
        ]
        if pack.path != name:
            lines.append(f"      path: {scalar(pack.path)}")
        if pack.groups:
            lines.append(f"      groups: [{', '.join(map(scalar, pack.groups))}]")
        if pack.depth is not None:
            lines.append(f"      clone-depth: {pack.depth}")
        if pack.submodules:
            lines.append("      submodules: true")
        if pack.ref is None:
            told = f"the branch {pack.branch}" if pack.branch else "HEAD"
            notes.append(f"{pack.path}: no ref is declared, and west would take master; {told} is written instead")
        lost = [key for key in ("filter", "sparse", "remotes") if getattr(pack, key)]
        if lost:
            notes.append(f"{pack.path}: {', '.join(lost)} cannot be said in a west.yml")
    return Exported("\n".join(lines) + "\n", tuple(notes))


def _names(packs: Sequence[ResolvedPack]) -> dict[str, str]:
    last = Counter(pack.path.rpartition("/")[2] for pack in packs)
    taken: set[str] = {"manifest"}
    names: dict[str, str] = {}
    for pack in packs:
        short = pack.path.rpartition("/")[2]
        name = short if last[short] == 1 and short not in taken else pack.path.replace("/", ".")
        while name in taken:
            name += "_"
        taken.add(name)
        names[pack.path] = name
    return names
