"""What `diff` and `graph` say: as text, and in the languages of other tools, with every label escaped for them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from grex.cli.lines import fitted, pack_line
from grex.cli.render.layout import counted, note_lines

if TYPE_CHECKING:
    from grex.manifest import LockLine
    from grex.verbs.diff import DiffReport, PackDiff
    from grex.verbs.graph import GraphPack, GraphReport

__all__ = ["diff", "diff_markdown", "graph", "graph_dot", "graph_mermaid"]

ROOT = "."

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

_PUNCTUATION = re.compile(r"([\\`*_\[\]<>|&~$])")  # what means something inside of a line
_BLOCK = re.compile(r"^(\s*|\s*\d+)([#+>-]|(?<=\d)[.)])")  # and what does at its beginning
_MENTION = re.compile(r"(?<=[@#])(?=\w)")


def _md(text: str) -> str:
    """Text that is shown as it is: no markup of its own, nobody mentioned, no issue of another repository linked."""
    # A zero-width space behind `@` and `#`: forges look for these after the markup was read, escaped or not.
    return _BLOCK.sub(r"\1\\\2", _PUNCTUATION.sub(r"\\\1", _MENTION.sub("\u200b", text)))


def diff_markdown(report: DiffReport) -> str:
    """What diff says, as text for a pull request: headings, lists, links to the pages of the forges."""
    old = report.old.text if report.old.sha is None else f"{report.old.text} ({report.old.sha[:_SHORT]})"
    new = report.new.text if report.new.sha is None else f"{report.new.text} ({report.new.sha[:_SHORT]})"
    lines = [f"## Packs: {_counts(report)}", "", f"From {_md(old)} to {_md(new)}.", ""]
    for kind in _KINDS:
        packs = [pack for pack in report.packs if pack.change.kind == kind]
        if packs:
            lines += [f"### {kind.capitalize()}", ""]
            for pack in packs:
                lines += _md_pack(pack)
            lines.append("")
    lines += [f"> {_md(note)}." for note in report.notes]
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


# -- graphs -----------------------------------------------------------------------------------------------------------


def graph(report: GraphReport, *, width: int | None = None) -> str:
    """What graph says: the tree of who declares whom; a pack with several parents is shown once and referred to."""
    notes = note_lines(report.notes)
    if not report.packs and not report.is_narrowed:
        return "\n".join(fitted(["No packs are declared; `grex add URL` adds one.", *notes], width))
    lines = [] if report.is_narrowed else [_tree_label(f"{report.name} ({report.type})", _needs(report, ROOT))]
    seen: set[str] = set()

    def draw(children: Sequence[GraphPack], indent: str) -> None:
        for position, pack in enumerate(children):
            is_last = position == len(children) - 1
            branch = "" if report.is_narrowed and not indent else "└── " if is_last else "├── "
            if pack.path in seen:
                lines.append(f"{indent}{branch}{pack.path} (see above)")
                continue
            seen.add(pack.path)
            lines.append(f"{indent}{branch}{_tree_label(f'{pack.path}  {_facts(pack)}', _needs(report, pack.path))}")
            draw(report.children_of(pack.path), indent + ("    " if is_last else "│   ") if branch else "  ")

    draw(report.tops(), "")
    return "\n".join([*lines, *notes])


def _tree_label(what: str, needs: Sequence[str]) -> str:
    return f"{what}  needs {', '.join(needs)}" if needs else what


def _facts(pack: GraphPack) -> str:
    groups = f" [{', '.join(pack.groups)}]" if pack.groups else ""
    state = "" if pack.state == "present" else f", {pack.state}"
    return f"{pack.type}{state}{groups}"


def _needs(report: GraphReport, path: str) -> list[str]:
    return [one.to or f"{one.needs} (not in this workspace)" for one in report.dependencies if one.source == path]


class _Drawing(Struct):
    """A graph for another tool: `nodes` by their key, in order, with label and state; `edges` by keys."""

    nodes: dict[str, tuple[tuple[str, ...], str]]
    edges: list[tuple[str, str]]
    dashed: list[tuple[str, str]]


def _drawing(report: GraphReport) -> _Drawing:
    """Names are never keys of the other tool: these are n0, n1, ... in the order of paths."""
    keys = {} if report.is_narrowed else {ROOT: "n0"}
    for pack in report.packs:
        keys[pack.path] = f"n{len(keys)}"
    nodes: dict[str, tuple[tuple[str, ...], str]] = {}
    if not report.is_narrowed:
        nodes[keys[ROOT]] = ((report.name, report.type), "present")
    for pack in report.packs:
        nodes[keys[pack.path]] = ((pack.path, _facts(pack)), pack.state)
    edges = [(keys[parent], keys[pack.path]) for pack in report.packs for parent in pack.parents if parent in keys]
    dashed: list[tuple[str, str]] = []
    for one in report.dependencies:
        target = keys.get(one.to if one.to is not None else f"\0{one.needs}")
        if target is None:  # a pack that is not shown, or is not there at all
            target = keys[one.to if one.to is not None else f"\0{one.needs}"] = f"n{len(keys)}"
            where = "not shown" if one.to is not None else "not in this workspace"
            nodes[target] = ((one.to or one.needs, where), "missing" if one.to is None else "present")
        dashed.append((keys[one.source], target))
    return _Drawing(nodes, edges, dashed)


_MERMAID_PLAIN = re.compile(r"[^\w /,.-]", re.ASCII)


def _mermaid(text: str) -> str:
    """A label for mermaid, in quotes: everything that is markup there or in HTML, by its number."""
    return _MERMAID_PLAIN.sub(lambda one: one.group() if ord(one.group()) > 126 else f"#{ord(one.group())};", text)  # noqa: PLR2004 - beyond ASCII nothing is markup


def graph_mermaid(report: GraphReport) -> str:
    """The graph as a mermaid flowchart; what depends on another pack has a dotted line to it."""
    drawing = _drawing(report)
    lines = ["flowchart LR"]
    for key, (label, _) in drawing.nodes.items():
        shown = "<br/>".join(map(_mermaid, label))
        lines.append(f'  {key}["{shown}"]')
    lines += [f"  {source} --> {target}" for source, target in drawing.edges]
    lines += [f"  {source} -.-> {target}" for source, target in drawing.dashed]
    for state, style in (("missing", "stroke-dasharray:4 3"), ("inactive", "opacity:0.5"), ("error", "stroke:red")):
        keys = [key for key, (_, found) in drawing.nodes.items() if found == state]
        if keys:
            lines += [f"  classDef {state} {style}", f"  class {','.join(keys)} {state}"]
    return "\n".join(lines)


def _dot(text: str) -> str:
    """Text inside of the quotes of a dot label: a backslash begins escapes there, and `&` the entities of HTML."""
    return text.replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"')


_DOT_STYLES = {"missing": ", style=dashed", "inactive": ", color=gray, fontcolor=gray", "error": ", color=red"}


def graph_dot(report: GraphReport) -> str:
    """The graph in the language of Graphviz; what depends on another pack has a dashed line to it."""
    drawing = _drawing(report)
    lines = [f'digraph "{_dot(report.name)}" {{', "  rankdir=LR;", "  node [shape=box];"]
    for key, (label, state) in drawing.nodes.items():
        shown = r"\n".join(map(_dot, label))
        lines.append(f'  {key} [label="{shown}"{_DOT_STYLES.get(state, "")}];')
    lines += [f"  {source} -> {target};" for source, target in drawing.edges]
    lines += [f"  {source} -> {target} [style=dashed];" for source, target in drawing.dashed]
    return "\n".join([*lines, "}"])
