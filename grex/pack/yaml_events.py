"""YAML, as much of it as a declaration needs: text in, a tree of marked nodes out.

The parser is libyaml's, and the tree is built here from its stream of events instead of by PyYAML's loaders. That is
what makes the limits real: a file of twenty thousand `[` is refused at the 33rd, where a loader would build it first,
and the pure Python parser works on it for the better part of a minute. It is also the only place where duplicate keys
and the positions of keys can be seen at all.

What is left out is what makes YAML surprising. Anchors, aliases, tags, directives and further documents are refused.
Scalars follow the core schema of YAML 1.2, so `no`, `on`, `1:30` and `2024-01-01` are text; and a number with a
leading zero, which that schema would read as decimal, stays text as well: `012` is a file mode or an identifier, and
everybody who means twelve writes 12.

Problems are collected and reading goes on where it can: whatever could not be understood becomes `UNREADABLE`, which
later checks pass over in silence, because it has been complained about already. Only what leaves nothing to go on
with (not UTF-8, not YAML, too big, too deep) ends the reading.

Any YAML file of grex is read here, `.grex/local.yaml` as well.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final, TypeAlias

from msgspec import Struct

from grex.errors import GrexError
from grex.names import clean
from grex.pack.problems import Mark, Problems, quoted

if TYPE_CHECKING:
    from yaml.events import CollectionStartEvent, Event, ScalarEvent

__all__ = ["MAX_BYTES", "MAX_DEPTH", "UNREADABLE", "Entry", "Node", "PlainData", "read_yaml"]

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 32
_MAX_DIGITS = 40  # beyond any size, count or id; Python's own limit is a DoS guard with an exception of its own

PlainData: TypeAlias = bool | int | float | str | list["PlainData"] | dict[str, "PlainData"] | None


class _Unreadable:
    """The value of something that was reported while it was read."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "UNREADABLE"


UNREADABLE: Final = _Unreadable()

Value: TypeAlias = bool | int | float | str | tuple["Node", ...] | Mapping[str, "Entry"] | _Unreadable | None


class Node(Struct, frozen=True):
    """A value and where it stands: a scalar, a list (a tuple of nodes) or a mapping (of keys to entries)."""

    value: Value
    mark: Mark

    @property
    def line(self) -> int:
        """Counted from 1."""
        return self.mark.line

    @property
    def column(self) -> int:
        """Counted from 1, in characters."""
        return self.mark.column

    @property
    def kind(self) -> str:
        """What this is, in words for a message."""
        value = self.value
        if value is None:
            return "nothing"
        if isinstance(value, bool):
            return "true or false"
        if isinstance(value, int | float):
            return "a number"
        if isinstance(value, str):
            return "text"
        if isinstance(value, tuple):
            return "a list"
        return "a mapping" if isinstance(value, Mapping) else "unreadable"

    def get(self, key: str) -> Node | None:
        """The value under a key; None where there is none, or where this is no mapping."""
        if not isinstance(self.value, Mapping):
            return None
        entry = self.value.get(key)
        return None if entry is None else entry.node

    @property
    def is_unreadable(self) -> bool:
        """Whether anything in this tree was reported when it was read."""
        if isinstance(self.value, tuple):
            return any(node.is_unreadable for node in self.value)
        if isinstance(self.value, Mapping):
            return any(entry.node.is_unreadable for entry in self.value.values())
        return isinstance(self.value, _Unreadable)

    def plain(self) -> PlainData:
        """The value without marks, as JSON knows it; what was unreadable is None."""
        value = self.value
        if isinstance(value, tuple):
            return [node.plain() for node in value]
        if isinstance(value, Mapping):
            return {key: entry.node.plain() for key, entry in value.items()}
        return None if isinstance(value, _Unreadable) else value


class Entry(Struct, frozen=True):
    """One line of a mapping: a key, where it stands, and its value."""

    key: str
    mark: Mark
    node: Node


def read_yaml(data: bytes, *, file: str, problems: Problems) -> Node | None:
    """Return the tree of the one document in `data`, or None where nothing of it can be used.

    Args:
        data: the bytes of the file; one more than `MAX_BYTES` is enough to see that it is too big.
        file: the name that marks carry.
        problems: collects everything that is wrong.
    """
    problems.begin(file)
    text = _decode(data, file, problems)
    if text is None:
        return None
    return _Builder(file, problems).build(_events(text))


# What YAML does not call printable, and the line breaks that only YAML 1.1 knew: with those, line numbers would not be
# the editor's, and a comment could end where nobody sees it. A byte order mark inside is invisible as well. (Written
# as the few that are forbidden: a class of all the others takes 6 ms to compile, at every start.)
_FORBIDDEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_LINE_BREAK = re.compile(r"\r\n|\r|\n")


def _decode(data: bytes, file: str, problems: Problems) -> str | None:
    if len(data) > MAX_BYTES:
        problems.add(Mark(file, 1, 1), "the file is larger than 1 MiB", "declare the children in several packs")
        return None
    if data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        problems.add(Mark(file, 1, 1), "the file starts with a byte order mark", "save it as UTF-8 without BOM")
        return None
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        mark = _position(file, data[: error.start].decode())
        problems.add(mark, f"the byte 0x{data[error.start]:02x} is not UTF-8", "save the file as UTF-8")
        return None
    forbidden = _FORBIDDEN.search(text)
    if forbidden is not None:
        mark = _position(file, text[: forbidden.start()])
        message = f"the character U+{ord(forbidden.group()):04X} is not allowed here"
        problems.add(mark, message, "take it away, or write it as an escape in double quotes")
        return None
    return text


def _position(file: str, before: str) -> Mark:
    """The mark of what follows some text."""
    lines = _LINE_BREAK.split(before)
    return Mark(file, len(lines), len(lines[-1]) + 1)


def _events(text: str) -> Iterator[Event]:
    # Imported here: `grex --version` and the like read no YAML, and PyYAML costs more than Python's own start.
    import yaml  # noqa: PLC0415 - see above

    if not yaml.__with_libyaml__:
        raise GrexError(
            "PyYAML was built without libyaml, and its own parser takes minutes for hostile files.",
            hint="Install PyYAML from its wheel: pip install --force-reinstall --only-binary :all: PyYAML.",
        )
    return yaml.parse(text, Loader=yaml.CBaseLoader)


class _StopError(Exception):
    """Nothing that follows can be used; the problem has been recorded."""


class _Open(Struct):
    """A collection whose end has not been seen yet."""

    mark: Mark
    items: list[Node] | None
    entries: dict[str, Entry] | None
    key: Node | None = None


class _Builder:
    """Builds the tree from events, with a stack of its own: depth is data here, not recursion."""

    def __init__(self, file: str, problems: Problems) -> None:
        from yaml import events  # noqa: PLC0415 - as in _events

        self._kinds = events
        self._file = file
        self._problems = problems
        self._stack: list[_Open] = []
        self._root: Node | None = None
        self._documents = 0

    def build(self, events: Iterator[Event]) -> Node | None:
        from yaml import MarkedYAMLError, YAMLError  # noqa: PLC0415 - as in _events, and loaded by now

        try:
            for event in events:
                self._take(event)
        except _StopError:
            return None
        except MarkedYAMLError as error:
            place = error.problem_mark or error.context_mark
            mark = Mark(self._file, place.line + 1, place.column + 1) if place else Mark(self._file, 1, 1)
            self._problems.add(
                mark, f"this is not YAML: {clean(str(error.problem or error.context))}", _syntax_hint(error)
            )
            return None
        except YAMLError as error:  # the reader's; what it refuses was refused above, so this is a second lock
            self._problems.add(Mark(self._file, 1, 1), f"this is not YAML: {clean(str(error))}", _syntax_hint(error))
            return None
        if self._root is None and not self._documents:
            self._problems.add(Mark(self._file, 1, 1), "the file is empty", "see docs/reference/pack-yaml.md")
        return self._root

    def _take(self, event: Event) -> None:
        kinds = self._kinds
        place = event.start_mark
        mark = Mark(self._file, place.line + 1, place.column + 1) if place else Mark(self._file, 1, 1)
        if isinstance(event, kinds.ScalarEvent):
            self._check_decoration(event, mark)
            self._add(Node(self._scalar(event.value, mark, plain=event.style == ""), mark))
        elif isinstance(event, kinds.CollectionStartEvent):
            self._check_decoration(event, mark)
            if len(self._stack) == MAX_DEPTH:
                self._stop(mark, f"values are nested more than {MAX_DEPTH} deep", "declare less in one place")
            is_list = isinstance(event, kinds.SequenceStartEvent)
            self._stack.append(_Open(mark, [] if is_list else None, None if is_list else {}))
        elif isinstance(event, kinds.CollectionEndEvent):
            done = self._stack.pop()
            value: Value = tuple(done.items) if done.items is not None else done.entries
            self._add(Node(value, done.mark))
        elif isinstance(event, kinds.AliasEvent):
            self._problems.add(mark, f"the alias {quoted(f'*{event.anchor}')} is not allowed", "write the value out")
            self._add(Node(UNREADABLE, mark))
        elif isinstance(event, kinds.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                self._stop(mark, "a second document starts here", "keep one document in a file")
            if event.version or event.tags:
                self._stop(Mark(self._file, 1, 1), "directives (%YAML, %TAG) are not allowed", "take the line away")

    def _check_decoration(self, event: ScalarEvent | CollectionStartEvent, mark: Mark) -> None:
        anchor, tag = event.anchor, event.tag
        if anchor is not None:
            self._problems.add(mark, f"the anchor {quoted(f'&{anchor}')} is not allowed", "write the value out")
        if tag is not None:
            self._problems.add(
                mark, f"the tag {quoted(tag)} is not allowed", "leave it out; quotes make text of a number"
            )

    def _scalar(self, text: str, mark: Mark, *, plain: bool) -> Value:
        if "\0" in text:
            self._problems.add(mark, "the text holds a NUL character", "no file name or argument can hold one")
            return UNREADABLE
        if not plain:
            return text
        value = _resolve(text)
        if value is UNREADABLE:
            self._problems.add(mark, f"the number {quoted(text, 20)} is too large", "quote it if it is meant as text")
        return value

    def _add(self, node: Node) -> None:
        if not self._stack:
            self._root = node
            return
        top = self._stack[-1]
        if top.items is not None:
            top.items.append(node)
        elif top.key is None:
            top.key = node
        elif top.entries is not None:
            self._add_entry(top.entries, top.key, node)
            top.key = None

    def _add_entry(self, entries: dict[str, Entry], key: Node, node: Node) -> None:
        name = key.value
        if not isinstance(name, str):
            if not isinstance(name, _Unreadable):
                self._problems.add(key, f"a key is text, and this is {key.kind}", "write it in quotes")
        elif name in entries:
            first = entries[name].mark.line
            self._problems.add(
                key, f"the key {quoted(name)} stands here a second time", f"the first is in line {first}"
            )
        else:
            entries[name] = Entry(name, key.mark, node)

    def _stop(self, mark: Mark, message: str, hint: str) -> None:
        self._problems.add(mark, message, hint)
        raise _StopError


_WORDS: Final[dict[str, bool | float | None]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
}
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_OCTAL = re.compile(r"0o[0-7]+")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")


def _resolve(text: str) -> Value:
    """The value of a plain scalar by the core schema, but that a leading zero makes text."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789" or _FLOAT.fullmatch(text) is None:
        for pattern in (_OCTAL, _HEXADECIMAL):
            if pattern.fullmatch(text):
                return int(text, 0) if len(text) <= _MAX_DIGITS else UNREADABLE
        return text
    if len(text) > _MAX_DIGITS:
        return UNREADABLE
    if _INTEGER.fullmatch(text):
        return int(text)
    number = float(text)
    return number if math.isfinite(number) else UNREADABLE


def _syntax_hint(error: Exception) -> str:
    text = str(error)
    if "cannot start any token" in text:
        return "indent with spaces; quote a value that starts with @, ` or %"
    if "mapping values are not allowed" in text:
        return "quote a value that holds ': '"
    return "check the indentation, brackets and quotes above"
