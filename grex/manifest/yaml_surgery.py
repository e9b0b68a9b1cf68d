"""Cuts and insertions in the text of a YAML file: one at a time, at a place that is known, everything else as it was.

Each function takes the text with a node of it (`manifest.yaml_text`) and gives the text. Where several changes are made
to one text, they go from its end to its beginning: the places in front of a change stay true, those behind it do not.
`eol` is how the file ends its lines. Nothing here asks whether the result still means what it should;
`manifest.list_edit` proves that of each edit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from grex.manifest.yaml_text import Node, Value, YamlTextError, line_end, render_flow, render_value

__all__ = [
    "Entry",
    "behind_colon",
    "block_end",
    "block_lines",
    "cut_from_flow",
    "indented",
    "insert_into_flow",
    "insert_lines",
    "line_start",
    "rendered_in_flow",
    "with_pairs",
    "with_value",
    "without_pair",
]

Entry: TypeAlias = "Mapping[str, Value] | str"
"""What a list of the top level can be given: a mapping, or a word."""

_BLANK_OR_REMARK = re.compile(r"[ \t]*(#.*)?\r?\n")


def block_end(text: str, node: Node, column: int) -> int:
    """The beginning of the line behind a block node and the comments below it that stand deeper than `column`."""
    index = line_end(text, node.end)
    while index < len(text):
        end = line_end(text, index + 1)
        line = text[index:end]
        if not line.lstrip(" ").startswith("#") or len(line) - len(line.lstrip(" ")) <= column:
            break
        index = end
    return index


def line_start(text: str, index: int) -> int:
    """The beginning of the line in which a character stands."""
    return text.rfind("\n", 0, index) + 1


def behind_colon(text: str, key: Node) -> int:
    """Behind the colon of a key.

    Raises:
        YamlTextError: it has none.
    """
    found = text.find(":", key.end)
    if found < 0:
        raise YamlTextError("a key has no colon")
    return found + 1


def insert_lines(text: str, index: int, block: str, eol: str) -> str:
    """Put whole lines at the beginning of a line, or behind a last line that has no break."""
    if index > 0 and text[index - 1] != "\n":
        return f"{text[:index]}{eol}{block}{eol if index < len(text) else ''}{text[index:]}"
    return f"{text[:index]}{block}{eol}{text[index:]}"


def insert_into_flow(text: str, collection: Node, items: list[Node], rendered: str, eol: str) -> str:
    """Put an element behind the last one between brackets."""
    if not items:
        return f"{text[: collection.start + 1]}{rendered}{text[collection.start + 1 :]}"
    last = items[-1]
    rest = text[last.end : collection.end - 1]
    has_comma = rest.lstrip().startswith(",")
    if "\n" not in rest:
        return f"{text[: last.end]}, {rendered}{text[last.end :]}"
    # One element a line: the new one gets a line too, and a comment stays with the old one.
    comma_end = text.index(",", last.end) + 1 if has_comma else last.end
    behind = line_end(text, comma_end)
    indentation = text[line_start(text, last.start) : last.start]
    if indentation.strip():
        indentation = " " * (len(indentation) - len(indentation.lstrip()))
    before = text[:comma_end] + ("" if has_comma else ",") + text[comma_end:behind]
    return f"{before}{indentation}{rendered}{',' if has_comma else ''}{eol}{text[behind:]}"


def cut_from_flow(text: str, spans: list[tuple[int, int]], index: int) -> str:
    """Take away an element between brackets, with one comma, or with its line if it has one for itself."""
    start, end = spans[index]
    comma = end + len(text[end:]) - len(text[end:].lstrip())
    behind = comma + 1 if text[comma : comma + 1] == "," else end
    this_line, next_line = line_start(text, start), line_end(text, behind)
    if not text[this_line:start].strip() and _BLANK_OR_REMARK.fullmatch(text[behind:next_line]):
        return text[:this_line] + text[next_line:]
    if index + 1 < len(spans):
        rest = text[behind:].lstrip(" ")
        return f"{text[:start]}{' ' if rest.startswith('#') else ''}{rest}"
    if index > 0 and "#" not in text[spans[index - 1][1] : start]:
        return text[: spans[index - 1][1]] + text[end:]
    return text[:start] + text[behind:]


def with_pairs(text: str, node: Node, added: Mapping[str, Value], eol: str) -> str:
    """Add keys to a mapping, behind all that it has."""
    if node.flow:
        rendered = ", ".join(f"{key}: {render_value(value, in_flow=True)}" for key, value in added.items())
        return insert_into_flow(text, node, [old for _, old in node.pairs], rendered, eol)
    end = block_end(text, node, node.column - 1)
    lines = (f"{' ' * node.column}{key}: {render_value(value)}" for key, value in added.items())
    return insert_lines(text, end, eol.join(lines), eol)


def with_value(text: str, node: Node, at: int, value: Value, eol: str) -> str:
    """Replace the value of one pair of a mapping.

    Raises:
        YamlTextError: its key has no colon.
    """
    key, old = node.pairs[at]
    rendered = render_value(value, in_flow=node.flow)
    is_inline = old.flow and old.end > old.start and text[old.end - 1] != "\n"
    if is_inline:
        return text[: old.start] + rendered + text[old.end :]
    colon = behind_colon(text, key)
    end = max(old.end, colon)
    if text[end - 1] == "\n":  # a block scalar ends behind its line
        end -= len(eol)
    return f"{text[:colon]} {rendered}{text[end:]}"


def without_pair(text: str, node: Node, at: int) -> str:
    """Take away one pair of a mapping that has another one too."""
    key, value = node.pairs[at]
    if node.flow:
        return cut_from_flow(text, [(name.start, old.end) for name, old in node.pairs], at)
    if at == 0:  # it stands behind the dash, and the next one takes its place
        return text[: key.start] + text[node.pairs[1][0].start :]
    return text[: line_start(text, key.start)] + text[block_end(text, value, key.column) :]


def block_lines(added: Sequence[Entry], indentation: int) -> list[str]:
    """The lines of entries of a block list whose dashes stand in this column."""
    found: list[str] = []
    for entry in added:
        if isinstance(entry, str):
            found.append(f"{' ' * indentation}- {render_value(entry)}")
            continue
        lines = (f"{key}: {render_value(value)}" for key, value in entry.items())
        found += [" " * indentation + ("  " if number else "- ") + line for number, line in enumerate(lines)]
    return found


def indented(lines: list[str], column: int) -> list[str]:
    """The lines of an entry, moved to the right."""
    return [f"{' ' * column}{line}" if line else line for line in lines]


def rendered_in_flow(entry: Entry) -> str:
    """An entry as it stands between brackets."""
    return render_value(entry, in_flow=True) if isinstance(entry, str) else render_flow(entry)
