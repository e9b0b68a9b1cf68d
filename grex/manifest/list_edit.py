"""One edit of one list (or key) of the top level of a YAML file, proven before it is given away.

Which shape the list has decides where an entry goes; `manifest.yaml_surgery` puts it there. Text surgery can go wrong
in more ways than anybody can list, so the new text is parsed again, and must say what the old one said with exactly
this one change; if it does not, the edit is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from grex.errors import ManifestError
from grex.manifest.yaml_surgery import (
    Entry,
    behind_colon,
    block_end,
    block_lines,
    cut_from_flow,
    indented,
    insert_into_flow,
    insert_lines,
    line_start,
    rendered_in_flow,
    with_pairs,
    with_value,
    without_pair,
)
from grex.manifest.yaml_text import (
    Document,
    Node,
    Plain,
    Value,
    YamlTextError,
    compose,
    line_break,
    line_end,
    render_value,
)

__all__ = ["HINT_BY_HAND", "ListEdit"]

HINT_BY_HAND = "Edit the file by hand; nothing was written."


class ListEdit:
    """One edit of one text, which is parsed for it.

    Every edit raises `ManifestError` where the text has no shape for it, or lacks the entry.

    Args:
        text: of the file.
        file: its name, for messages.
        section: the key of the top level that is edited: of a list, or, for `replace_value`, of a text.
    """

    def __init__(self, text: str, file: str, section: str) -> None:
        self._text = text
        self._file = file
        self._section = section
        self._eol = line_break(text)
        self._document = self._compose(text)
        found = self._document.root.find(section)
        self._key = found[0] if found else None
        self._list = found[1] if found else None
        if self._document.root.kind != "mapping":
            raise self._refused("it is not a mapping")

    # --- the edits -----------------------------------------------------------------------------------------------

    def insert(self, added: Sequence[Entry]) -> str:
        """The text with these entries more at the end of the list."""
        self._require_list()
        new = self._inserted(added)
        plain: list[Plain] = [entry if isinstance(entry, str) else _plain(entry) for entry in added]
        return self._proven(new, [*self._entries(), *plain])

    def replace_value(self, value: str) -> str:
        """The text with another value of the key, which is no list then."""
        if self._key is None or self._list is None or self._list.kind != "scalar":
            raise self._refused(f"it has no {self._section!r} that is a text")
        at = next(at for at, pair in enumerate(self._document.root.pairs) if pair[0] is self._key)
        return self._proven(self._with_value(self._text, self._document.root, at, value), value)

    def replace(self, index: int, item: str) -> str:
        """The text with another word at this index."""
        self._require_list()
        entries, node = self._entries(), self._entry(index)
        if node.kind != "scalar" or node.end == node.start or self._text[node.end - 1] == "\n":
            raise self._refused(f"entry {index + 1} of {self._section!r} is no single word")
        new = self._text[: node.start] + render_value(item, in_flow=True) + self._text[node.end :]
        return self._proven(new, [*entries[:index], item, *entries[index + 1 :]])

    def insert_copy(self, source: ListEdit, index: int) -> str:
        """The text with one entry more, as it is written in another text."""
        self._require_list()
        node = source._entry(index)
        entry = node.plain()
        if source._sequence().flow or (self._list is not None and self._list.flow and not self._list_is_bare):
            new = self._inserted([{key.text: source.value_of(index, key.text) or "" for key, _ in node.pairs}])
        else:
            new = self._inserted_lines(source._lines_of(node))
        return self._proven(new, [*self._entries(), entry])

    def value_of(self, index: int, key: str) -> Value | None:
        """What an entry says under a key, None if nothing.

        Raises:
            ManifestError: it is neither a scalar nor a list of them.
        """
        found = self._entry(index).find(key)
        if found is None:
            return None
        value = found[1]
        if value.kind == "scalar":
            return self._scalar(value)
        if value.kind == "sequence" and all(item.kind == "scalar" for item in value.items):
            return [item.text for item in value.items]
        raise self._refused(f"{key!r} of entry {index + 1} of {self._section!r} is not text, a number or a list")

    def remove(self, index: int) -> str:
        """The text without one entry."""
        self._require_list()
        entries = self._entries()
        node = self._entry(index)
        items = self._sequence().items
        if self._sequence().flow:
            new = cut_from_flow(self._text, [(item.start, item.end) for item in items], index)
        else:
            start = line_start(self._text, node.start)
            new = self._text[:start] + self._text[block_end(self._text, node, self._sequence().column) :]
            if len(items) == 1:
                new = self._emptied(new)
        return self._proven(new, entries[:index] + entries[index + 1 :])

    def change(self, changes: Mapping[int, Mapping[str, Value | None]]) -> str:
        """The text with keys of these entries set or taken away.

        From the last entry to the first: what is changed behind an entry leaves its places as they are.
        """
        self._require_list()
        entries = self._entries()
        text = self._text
        for index in sorted(changes, reverse=True):
            text, entries[index] = self._changed(text, index, changes[index])
        return self._proven(text, entries)

    def _changed(self, text: str, index: int, changes: Mapping[str, Value | None]) -> tuple[str, Plain]:
        """The text with one entry changed, and what the entry says then; behind it the text may be another already."""
        node = self._entry(index)
        if node.kind != "mapping":
            raise self._refused(f"entry {index + 1} of {self._section!r} is not a mapping")
        keys = [pair[0].text for pair in node.pairs]
        pairs: dict[str, Plain] = {name.text: old.plain() for name, old in node.pairs}
        added = {key: value for key, value in changes.items() if key not in keys and value is not None}
        if added:
            text = with_pairs(text, node, added, self._eol)
        taken = 0
        for at, key in reversed(list(enumerate(keys))):
            if key not in changes:
                continue
            value = changes[key]
            if value is not None:
                text = self._with_value(text, node, at, value)
                pairs[key] = _plain(value)
                continue
            taken += 1
            if taken == len(keys):
                raise self._refused(f"{key!r} is all that the entry says")
            text = without_pair(text, node, at)
            del pairs[key]
        pairs |= {key: _plain(value) for key, value in added.items()}
        return text, list(pairs.items())

    # --- inserting an entry --------------------------------------------------------------------------------------

    def _inserted(self, added: Sequence[Entry]) -> str:
        root, text = self._document.root, self._text
        in_flow = ", ".join(map(rendered_in_flow, added))
        if self._key is None or self._list is None:
            if root.flow:
                values = [pair[1] for pair in root.pairs]
                return insert_into_flow(text, root, values, f"{self._section}: [{in_flow}]", self._eol)
            block = self._eol.join([f"{self._section}:", *block_lines(added, 2)])
            return insert_lines(text, self._document.end, block, self._eol)
        if self._list.is_null or self._list_is_bare:
            colon = self._colon()
            if root.flow:
                return f"{text[:colon]} [{in_flow}]{text[self._list.end :]}"
            emptied = text[:colon] + text[self._list.end :]
            return ListEdit(emptied, self._file, self._section)._below_key(block_lines(added, 2))  # noqa: SLF001 - another of this class
        if self._list.flow:
            return insert_into_flow(text, self._list, self._list.items, in_flow, self._eol)
        end = block_end(text, self._list.items[-1], self._list.column)
        return insert_lines(text, end, self._eol.join(block_lines(added, self._list.column)), self._eol)

    def _below_key(self, lines: list[str]) -> str:
        return insert_lines(self._text, line_end(self._text, self._colon()), self._eol.join(lines), self._eol)

    def _inserted_lines(self, lines: list[str]) -> str:
        """Whole lines of an entry, from the column of its dash on, put at the end of the list."""
        if self._key is None or self._list is None:
            if self._document.root.flow:
                raise self._refused("it is written between braces")
            block = self._eol.join([f"{self._section}:", *indented(lines, 2)])
            return insert_lines(self._text, self._document.end, block, self._eol)
        if self._list.is_null or self._list_is_bare:
            colon = self._colon()
            emptied = self._text[:colon] + self._text[self._list.end :]
            return ListEdit(emptied, self._file, self._section)._below_key(indented(lines, 2))  # noqa: SLF001 - as above
        end = block_end(self._text, self._list.items[-1], self._list.column)
        return insert_lines(self._text, end, self._eol.join(indented(lines, self._list.column)), self._eol)

    def _lines_of(self, node: Node) -> list[str]:
        """The lines of an entry of a block list with the comments that belong to it, from its dash on."""
        column = self._sequence().column
        text = self._text[line_start(self._text, node.start) : block_end(self._text, node, column)]
        return [line[column:] if not line[:column].strip() else line for line in text.splitlines()]

    def _scalar(self, node: Node) -> Value:
        """A scalar as what it is: written without quotes, digits are a number and `true` is none of text."""
        if node.end - node.start != len(node.text):
            return node.text
        if node.text in ("true", "false"):
            return node.text == "true"
        return int(node.text) if re.fullmatch(r"0|[1-9][0-9]*", node.text, re.ASCII) else node.text

    # --- taking away ---------------------------------------------------------------------------------------------

    def _emptied(self, text: str) -> str:
        """The list has lost its last entry: say that it is empty, rather than null."""
        colon = self._colon()
        return f"{text[:colon]} []{text[colon:]}"

    @property
    def _list_is_bare(self) -> bool:
        """Whether the list is `[]`, with nothing in it that would be lost, in a file that is written in blocks."""
        found = self._list
        if found is None or not found.flow or found.items or self._document.root.flow:
            return False
        return not self._text[found.start + 1 : found.end - 1].strip()

    # --- places and proof ----------------------------------------------------------------------------------------

    def _require_list(self) -> None:
        if self._list is not None and self._list.kind != "sequence" and not self._list.is_null:
            raise self._refused(f"{self._section!r} is not a list")

    def _sequence(self) -> Node:
        if self._list is None:
            raise self._refused(f"it has no {self._section!r}")
        return self._list

    def _entry(self, index: int) -> Node:
        items = self._sequence().items
        if not 0 <= index < len(items):
            raise self._refused(f"{self._section!r} has {len(items)} entries, and number {index + 1} was asked for")
        return items[index]

    def _entries(self) -> list[Plain]:
        return [] if self._list is None else [item.plain() for item in self._list.items]

    def _with_value(self, text: str, node: Node, at: int, value: Value) -> str:
        try:
            return with_value(text, node, at, value, self._eol)
        except YamlTextError as error:
            raise self._refused(str(error)) from error

    def _colon(self) -> int:
        """Behind the colon of the key of the list."""
        if self._key is None:
            raise self._refused(f"it has no {self._section!r}")
        try:
            return behind_colon(self._text, self._key)
        except YamlTextError as error:
            raise self._refused(str(error)) from error

    def _compose(self, text: str) -> Document:
        try:
            return compose(text)
        except YamlTextError as error:
            raise self._refused(str(error)) from error

    def _proven(self, new: str, entries: Plain) -> str:
        """The new text, if it says what the old one said but for the key, which has this value now."""
        reason = f"the change of {self._section!r} would change something else too"
        try:
            root = compose(new).root
        except YamlTextError as error:
            raise self._refused(reason) from error
        before = [(key.plain(), value.plain()) for key, value in self._document.root.pairs if key is not self._key]
        after = [(key.plain(), value.plain()) for key, value in root.pairs if key.text != self._section]
        found = root.find(self._section)
        if before != after or found is None or found[1].plain() != entries:
            raise self._refused(reason)
        return new

    def _refused(self, reason: str) -> ManifestError:
        return ManifestError(
            f"{self._file}: the file cannot be edited: {reason}", hint=HINT_BY_HAND, details={"file": self._file}
        )


def _plain(value: Value) -> Plain:
    """What a rendered value is read back as."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return [(key, _plain(item)) for key, item in value.items()]
    return [_plain(item) for item in value]
