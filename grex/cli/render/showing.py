"""What `diff` and `graph` say: as text, and in the languages of other tools, with every label escaped for them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from grex.cli.lines import fitted, pack_line
from grex.cli.render.layout import counted, note_lines

if TYPE_CHECKING:
    from grex.manifest import LockLine
    from grex.verbs.diff import DiffReport, PackDiff

__all__ = ["diff", "diff_markdown"]

_SHORT = 10
_KINDS = ("changed", "moved", "added", "removed")


def diff(report: DiffReport, *, width: int | None = None) -> str:
    """What diff says: each pack with old..new, the subjects below it as `git submodule summary` has them."""
    lines: list[str] = []
    for pack in report.packs:
        lines.append(pack_line(pack.change.kind, _path(pack), _what(pack)))
        if pack.history is not None:
            lines.extend(f"{'':<12} {'<' if one.is_gone else '>'} {one.subject}" for one in pack.history.commits)
            if pack.history.more:
                lines.append(f"{'':<12} and {pack.history.more} more")
        lines.extend(f"{'':<12} {line}" for line in _declared(pack, "->"))
    between = f"{report.old.text}..{'' if report.new.kind == 'disk' else report.new.text}"
    lines.extend(note_lines(report.notes))
    lines.append(f"Diff {between}: {_counts(report)}.")
    return "\n".join(fitted(lines, width))


def _counts(report: DiffReport) -> str:
    kinds = [pack.change.kind for pack in report.packs]
    told = [f"{kinds.count(kind)} {kind}" for kind in _KINDS if kind in kinds]
    return f"{counted(len(kinds), 'pack')}: {', '.join(told)}" if told else "no pack is different"


def _path(pack: PackDiff) -> str:
    old, path = pack.change.old, pack.change.path
    return f"{old.path} -> {path}" if pack.change.kind == "moved" and old is not None else path


def _at(line: LockLine) -> str:
    return f"{line.branch or line.ref or 'HEAD'} at {line.sha[:_SHORT]}"


def _what(pack: PackDiff) -> str:
    old, new = pack.change.old, pack.change.new
    if new is None:
        return f"was {_at(old)}" if old is not None else ""
    if old is None:
        return f"{_at(new)} from {new.url}"
    if old.sha == new.sha:
        return _at(new)
    count = pack.history.count() if pack.history is not None else pack.unknown
    return f"{new.branch or new.ref or 'HEAD'} {old.sha[:_SHORT]}..{new.sha[:_SHORT]} ({count})"


def _declared(pack: PackDiff, arrow: str) -> list[str]:
    """What else was declared or resolved otherwise than before."""
    old, new = pack.change.old, pack.change.new
    if old is None or new is None:
        return []
    found = [
        ("url", old.url, new.url),
        ("ref", old.ref or "HEAD", new.ref or "HEAD"),
        ("branch", old.branch or "none", new.branch or "none"),
    ]
    return [f"{what}: {before} {arrow} {after}" for what, before, after in found if before != after]


# -- Markdown ---------------------------------------------------------------------------------------------------------

_PUNCTUATION = re.compile(r"([\\`*_{}\[\]<>()#+\-.!|&~^$:=\"'/])")
_MENTION = re.compile(r"(?<=[@#])(?=\w)")


def _md(text: str) -> str:
    """Text that is shown as it is: no markup of its own, nobody mentioned, no issue of another repository linked."""
    # A zero-width space behind `@` and `#`: forges look for these after the markup was read, escaped or not.
    return _PUNCTUATION.sub(r"\\\1", _MENTION.sub("\u200b", text))


def diff_markdown(report: DiffReport) -> str:
    """What diff says, as text for a pull request: headings, lists, links to the pages of the forges."""
    old = report.old.text if report.old.sha is None else f"{report.old.text} ({report.old.sha[:_SHORT]})"
    new = report.new.text if report.new.sha is None else f"{report.new.text} ({report.new.sha[:_SHORT]})"
    lines = [f"## Packs: {_md(_counts(report))}", "", f"From {_md(old)} to {_md(new)}\\.", ""]
    for kind in _KINDS:
        packs = [pack for pack in report.packs if pack.change.kind == kind]
        if packs:
            lines += [f"### {kind.capitalize()}", ""]
            for pack in packs:
                lines += _md_pack(pack)
            lines.append("")
    lines += [f"> {_md(note)}\\." for note in report.notes]
    return "\n".join(lines).rstrip()


def _md_pack(pack: PackDiff) -> list[str]:
    what = _md(_what(pack))
    lines = [f"- **{_md(_path(pack))}**: {f'[{what}]({pack.link})' if pack.link else what}"]
    if pack.history is not None:
        lines += [
            f"  - {'removed: ' if one.is_gone else ''}{_md(one.subject) or '*no subject*'}"
            for one in pack.history.commits
        ]
        if pack.history.more:
            lines.append(f"  - *and {pack.history.more} more*")
    return [*lines, *(f"  - {_md(line)}" for line in _declared(pack, "to"))]
