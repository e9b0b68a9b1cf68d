"""Where things stand in the text of a YAML file, and how a value is written into it.

A library that loads and dumps would lose what people wrote: comments, order, quoting, line ends. So the text is
parsed for *places* only, with the event stream of PyYAML's C parser, into nodes that know their first and last
character. What the values mean is none of this module's business; the checked reader of pack.yaml decides that.

Where a block collection ends is asked of its last leaf: the parser reports the end of a block only at the next
token, behind comments that belong to what follows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct, field

if TYPE_CHECKING:
    import yaml

__all__ = [
    "Document",
    "Node",
    "Plain",
    "Value",
    "YamlTextError",
    "compose",
    "line_break",
    "line_end",
    "render_flow",
    "render_value",
]

Value: TypeAlias = "str | int | Sequence[Value] | Mapping[str, Value]"
"""What an entry's key can be set to; `bool` is an `int`."""

Plain: TypeAlias = "str | Sequence[Plain]"
"""A node without its places, for comparing: a list for a sequence, a list of tuples for a mapping."""

_MAX_DEPTH = 32  # as in every pack.yaml; it also bounds the recursion of `Node.plain`

# What YAML 1.1 readers, and 1.2's core schema, take for something else than text.
_WORDS = frozenset({"true", "false", "yes", "no", "on", "off", "y", "n", "null"})
_PLAIN_TEXT = re.compile(r"[A-Za-z_/][A-Za-z0-9_./:@+~-]*", re.ASCII)
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


class YamlTextError(ValueError):
    """The text is not YAML, or not of a shape that can be edited."""


class Node(Struct):
    """A value and its place; indexes count characters.

    Attributes:
        start: its first character.
        end: behind its last one; for a block collection, behind its last leaf.
        column: of `start`, from 0.
        flow: whether it is written between brackets (or is a scalar).
        text: what a scalar says.
        items: of a sequence.
        pairs: of a mapping.
        kind: `scalar`, `sequence` or `mapping`.
    """

    kind: str
    start: int
    end: int
    column: int
    flow: bool
    text: str = ""
    items: list[Node] = field(default_factory=list)
    pairs: list[tuple[Node, Node]] = field(default_factory=list)

    @property
    def is_null(self) -> bool:
        """Whether it is written as nothing; a quoted scalar is longer than its text."""
        return self.kind == "scalar" and self.end - self.start == len(self.text) and self.text in _NULLS

    def find(self, key: str) -> tuple[Node, Node] | None:
        """The key and value of a mapping."""
        return next((pair for pair in self.pairs if pair[0].text == key and pair[0].kind == "scalar"), None)

    def plain(self) -> Plain:
        """The value without its places."""
        if self.kind == "sequence":
            return [item.plain() for item in self.items]
        if self.kind == "mapping":
            return [(key.plain(), value.plain()) for key, value in self.pairs]
        return self.text


_NULLS = ("", "~", "null", "Null", "NULL")


class Document(Struct, frozen=True):
    """The one document of a file: its root, and where more can be appended to it."""

    root: Node
    end: int


def compose(text: str) -> Document:
    """The places of everything in a YAML file of one document.

    Raises:
        YamlTextError: it is not YAML, holds another number of documents, aliases, or too deep a nesting.
    """
    import yaml  # noqa: PLC0415 - costs 20 ms, and only the verbs that edit need it

    root: Node | None = None
    end: int | None = None
    stack: list[Node] = []
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            if isinstance(event, yaml.CollectionEndEvent):
                node = stack.pop()
                _close(node, _place(event.end_mark)[0])
            elif isinstance(event, yaml.NodeEvent):
                node = _open(event)
                if stack:
                    stack[-1].items.append(node)
                elif root is None:
                    root = node
                else:
                    raise YamlTextError("it holds more than one document")
                if isinstance(event, yaml.CollectionStartEvent):
                    stack.append(node)
                    if len(stack) > _MAX_DEPTH:
                        raise YamlTextError(f"it is nested deeper than {_MAX_DEPTH}")
            elif isinstance(event, yaml.DocumentEndEvent) and event.explicit:
                end = _place(event.start_mark)[0]
    except yaml.YAMLError as error:
        raise YamlTextError(" ".join(str(error).split())) from error
    if root is None:
        raise YamlTextError("it is empty")
    return Document(root, len(text) if end is None else end)


def _open(event: yaml.NodeEvent) -> Node:
    import yaml  # noqa: PLC0415 - as above

    start, column = _place(event.start_mark)
    if isinstance(event, yaml.ScalarEvent):
        return Node("scalar", start, _place(event.end_mark)[0], column, flow=True, text=event.value)
    if isinstance(event, yaml.CollectionStartEvent):
        kind = "mapping" if isinstance(event, yaml.MappingStartEvent) else "sequence"
        return Node(kind, start, start, column, flow=bool(event.flow_style))
    raise YamlTextError("it holds an alias")


def _place(mark: yaml.error.Mark | yaml._yaml.Mark | None) -> tuple[int, int]:
    """Index and column; the parser gives every event its marks, which the type of an event leaves open."""
    return (mark.index, mark.column) if mark is not None else (0, 0)


def _close(node: Node, end: int) -> None:
    """Finish a collection whose children, of a mapping keys and values in turn, are all in `items`."""
    if node.flow:
        node.end = end
    elif node.items:
        node.end = node.items[-1].end
    if node.kind == "mapping":
        node.pairs = list(zip(node.items[::2], node.items[1::2], strict=True))
        node.items = []


def line_break(text: str) -> str:
    """How the file ends its lines, as its first one does."""
    first = text.find("\n")
    return "\r\n" if first > 0 and text[first - 1] == "\r" else "\n"


def line_end(text: str, index: int) -> int:
    """Behind the line break that ends what stands before `index`; the end of the text if there is none.

    A block scalar ends behind its line break already.
    """
    if index > 0 and text[index - 1] == "\n":
        return index
    found = text.find("\n", index)
    return len(text) if found < 0 else found + 1


def render_value(value: Value, *, in_flow: bool = False) -> str:
    """A value as YAML that every reader, of 1.1 or 1.2, takes for the same; lists and mappings between brackets."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Mapping):
        return render_flow(value)
    if not isinstance(value, str):
        return "[" + ", ".join(render_value(item, in_flow=True) for item in value) + "]"
    is_plain = (
        _PLAIN_TEXT.fullmatch(value) is not None
        and not value.endswith(":")
        and value.lower() not in _WORDS
        and not (in_flow and ":" in value)  # some readers end a plain scalar there between brackets
    )
    if is_plain:
        return value
    # JSON's escapes are YAML's; what YAML calls unprintable and JSON does not is escaped on top.
    return _UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", json.dumps(value, ensure_ascii=False))


def render_flow(entry: Mapping[str, Value]) -> str:
    """A mapping between braces."""
    rendered = (
        f"{render_value(key, in_flow=True)}: {render_value(value, in_flow=True)}" for key, value in entry.items()
    )
    return "{" + ", ".join(rendered) + "}"
