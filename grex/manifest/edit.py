"""Editing the root pack.yaml as a person would: a few characters in the right place, everything else as it was.

The functions here take the text and give the text; `edit_root` does the disk. An entry goes into a list of the top
level (`children`, `overrides`, and the words of `groups` in `.grex/local.yaml`), in the style that the list has: block
lists of any indentation, lists between brackets, lists that are not there yet. Comments, order, quoting and line ends
stay.

Text surgery on YAML can go wrong in more ways than anybody can list, so each edit is proven: the new text is parsed
again, and must say what the old one said with exactly this one change. If it does not - tabs, complex keys, a
comment in a place that nobody thought of - the edit is refused with what to do by hand, and nothing is written.

A comment in the line of an entry and comments below it that are indented deeper than its dash belong to it: they
stay in front of what is inserted, and go when it is removed. All other comments stay.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from grex.errors import ManifestError
from grex.fs import read_regular, replace_file
from grex.manifest.log import ManifestWriteHold, require_hold
from grex.manifest.yaml_text import (
    Document,
    Node,
    Plain,
    Value,
    YamlTextError,
    compose,
    line_break,
    line_end,
    render_flow,
    render_value,
)

__all__ = [
    "change_child",
    "change_children",
    "change_key",
    "copy_entry",
    "copy_value",
    "edit_root",
    "insert_child",
    "insert_children",
    "insert_item",
    "remove_child",
    "replace_item",
]

_BLANK_OR_REMARK = re.compile(r"[ \t]*(#.*)?\r?\n")
_Entry: TypeAlias = "Mapping[str, Value] | str"
"""What a list of the top level can be given: a mapping, or a word."""

_HINT_BY_HAND = "Edit the file by hand; nothing was written."


def edit_root(
    path: Path, edit: Callable[[str], str], *, hold: ManifestWriteHold, check: Callable[[bytes], None]
) -> bool:
    """Edit a file: read it, change its text, check the result, replace it.

    Args:
        path: the file.
        edit: gives the new text; its errors pass through.
        hold: MANIFEST, held exclusively. People's editors take no lock, so the file is compared once more before it
            is replaced.
        check: is given the new bytes, and raises if they must not be written.

    Returns:
        Whether the file was replaced; an edit that changes nothing is not written.

    Raises:
        ManifestError: the file cannot be read or replaced, is not UTF-8, or was changed by somebody else meanwhile;
            it is as it was.
    """
    require_hold(hold)
    try:
        old = read_regular(path)
        new = edit(old.decode("utf-8")).encode("utf-8")
        if new == old:
            return False
        check(new)
        if read_regular(path) != old:
            raise ManifestError(
                f"{path}: the file was changed by somebody else while it was being edited",
                hint="Run the command again; nothing was written.",
                details={"file": str(path)},
            )
        replace_file(path, new)
    except UnicodeDecodeError as error:
        raise ManifestError(
            f"{path}: the file is not UTF-8", hint=_HINT_BY_HAND, details={"file": str(path)}
        ) from error
    except OSError as error:
        reason = "it is a symbolic link" if error.errno == errno.ELOOP else error.strerror or str(error)
        raise ManifestError(
            f"{path}: the file cannot be edited: {reason}",
            hint="Check the file, its directory and the disk, then run the command again.",
            details={"file": str(path), "errno": error.errno},
        ) from error
    return True


def insert_child(text: str, child: Mapping[str, Value], *, file: str, section: str = "children") -> str:
    """The text with one entry more at the end of a list of the top level.

    Args:
        text: of the file.
        child: the entry's keys and values, in the order in which they shall stand.
        file: its name, for messages.
        section: the list.

    Raises:
        ManifestError: the text has no shape that can be edited.
    """
    return _Edit(text, file, section).insert([child])


def insert_children(text: str, children: Sequence[Mapping[str, Value]], *, file: str, section: str = "children") -> str:
    """The text with several entries more, in their order; as `insert_child`, and proven once for all of them.

    Raises:
        ManifestError: the text has no shape that can be edited.
    """
    return _Edit(text, file, section).insert(children) if children else text


def change_children(
    text: str, changes: Mapping[int, Mapping[str, Value | None]], *, file: str, section: str = "children"
) -> str:
    """The text with keys of several entries set or taken away; as `change_child`, and proven once for all of them.

    Args:
        text: of the file.
        changes: by the index of the entry, from 0.
        file: its name, for messages.
        section: the list.

    Raises:
        ManifestError: the text has no shape that can be edited, or no such entry.
    """
    return _Edit(text, file, section).change(changes)


def change_key(text: str, key: str, value: str, *, file: str) -> str:
    """The text with the value of a key of the top level replaced; the key has to be there.

    Raises:
        ManifestError: the text has no shape that can be edited, or no such key.
    """
    return _Edit(text, file, key).replace_value(value)


def remove_child(text: str, index: int, *, file: str, section: str = "children") -> str:
    """The text without the entry that stands at this index, from 0, of a list of the top level.

    Raises:
        ManifestError: the text has no shape that can be edited, or no such entry.
    """
    return _Edit(text, file, section).remove(index)


def change_child(
    text: str, index: int, changes: Mapping[str, Value | None], *, file: str, section: str = "children"
) -> str:
    """The text with some keys of one entry set, or taken away where the new value is None.

    Raises:
        ManifestError: the text has no shape that can be edited, or no such entry.
    """
    return change_children(text, {index: changes}, file=file, section=section)


def copy_entry(source: str, index: int, text: str, *, file: str, section: str = "children") -> str:
    """The text with one entry more at the end of a list: that of another text, as it is written there.

    Comments that belong to it come along, where both lists are written in blocks.

    Raises:
        ManifestError: one of the texts has no shape that can be edited, or there is no such entry.
    """
    return _Edit(text, file, section).insert_copy(_Edit(source, file, section), index)


def copy_value(
    source: str, source_index: int, text: str, index: int, key: str, *, file: str, section: str = "children"
) -> str:
    """The text with one key of an entry as an entry of another text has it: set, or taken away.

    Raises:
        ManifestError: one of the texts has no shape that can be edited, or there is no such entry.
    """
    value = _Edit(source, file, section).value_of(source_index, key)
    return _Edit(text, file, section).change({index: {key: value}})


def insert_item(text: str, item: str, *, file: str, section: str) -> str:
    """The text with one word more at the end of a list of words.

    Raises:
        ManifestError: the text has no shape that can be edited.
    """
    return _Edit(text, file, section).insert([item])


def replace_item(text: str, index: int, item: str, *, file: str, section: str) -> str:
    """The text with another word at this index, from 0, of a list of words.

    Raises:
        ManifestError: the text has no shape that can be edited, or no such word.
    """
    return _Edit(text, file, section).replace(index, item)


class _Edit:
    """One edit of one text, which is parsed for it."""

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

    def insert(self, added: Sequence[_Entry]) -> str:
        self._require_list()
        new = self._inserted(added)
        plain: list[Plain] = [entry if isinstance(entry, str) else _plain(entry) for entry in added]
        return self._proven(new, [*self._entries(), *plain])

    def replace_value(self, value: str) -> str:
        if self._key is None or self._list is None or self._list.kind != "scalar":
            raise self._refused(f"it has no {self._section!r} that is a text")
        at = next(at for at, pair in enumerate(self._document.root.pairs) if pair[0] is self._key)
        return self._proven(self._with_value(self._text, self._document.root, at, value), value)

    def replace(self, index: int, item: str) -> str:
        self._require_list()
        entries, node = self._entries(), self._entry(index)
        if node.kind != "scalar" or node.end == node.start or self._text[node.end - 1] == "\n":
            raise self._refused(f"entry {index + 1} of {self._section!r} is no single word")
        new = self._text[: node.start] + render_value(item, in_flow=True) + self._text[node.end :]
        return self._proven(new, [*entries[:index], item, *entries[index + 1 :]])

    def insert_copy(self, source: _Edit, index: int) -> str:
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
        self._require_list()
        entries = self._entries()
        node = self._entry(index)
        items = self._sequence().items
        if self._sequence().flow:
            new = self._cut_from_flow(self._text, [(item.start, item.end) for item in items], index)
        else:
            start = self._line_start(node.start)
            new = self._text[:start] + self._text[self._behind(self._text, node, self._sequence().column) :]
            if len(items) == 1:
                new = self._emptied(new)
        return self._proven(new, entries[:index] + entries[index + 1 :])

    def change(self, changes: Mapping[int, Mapping[str, Value | None]]) -> str:
        """From the last entry to the first: what is changed behind an entry leaves its places as they are."""
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
            text = self._with_pairs(text, node, added)
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
            text = self._without_pair(text, node, at)
            del pairs[key]
        pairs |= {key: _plain(value) for key, value in added.items()}
        return text, list(pairs.items())

    # --- inserting an entry --------------------------------------------------------------------------------------

    def _inserted(self, added: Sequence[_Entry]) -> str:
        root, text = self._document.root, self._text
        in_flow = ", ".join(map(_rendered, added))
        if self._key is None or self._list is None:
            if root.flow:
                values = [pair[1] for pair in root.pairs]
                return self._into_flow(text, root, values, f"{self._section}: [{in_flow}]")
            block = self._eol.join([f"{self._section}:", *self._block_lines(added, 2)])
            return self._insert_lines(text, self._document.end, block)
        if self._list.is_null or self._list_is_bare:
            colon = self._colon(self._key)
            if root.flow:
                return f"{text[:colon]} [{in_flow}]{text[self._list.end :]}"
            emptied = text[:colon] + text[self._list.end :]
            return _Edit(emptied, self._file, self._section)._below_key(added)  # noqa: SLF001 - another of this class
        if self._list.flow:
            return self._into_flow(text, self._list, self._list.items, in_flow)
        behind = self._behind(text, self._list.items[-1], self._list.column)
        return self._insert_lines(text, behind, self._eol.join(self._block_lines(added, self._list.column)))

    def _below_key(self, added: Sequence[_Entry]) -> str:
        colon = self._colon(self._key)
        block = self._eol.join(self._block_lines(added, 2))
        return self._insert_lines(self._text, line_end(self._text, colon), block)

    def _block_lines(self, added: Sequence[_Entry], indentation: int) -> list[str]:
        found: list[str] = []
        for entry in added:
            if isinstance(entry, str):
                found.append(f"{' ' * indentation}- {render_value(entry)}")
                continue
            lines = (f"{key}: {render_value(value)}" for key, value in entry.items())
            found += [" " * indentation + ("  " if number else "- ") + line for number, line in enumerate(lines)]
        return found

    def _insert_lines(self, text: str, index: int, block: str) -> str:
        """Put whole lines at the beginning of a line, or behind a last line that has no break."""
        if index > 0 and text[index - 1] != "\n":
            return f"{text[:index]}{self._eol}{block}{self._eol if index < len(text) else ''}{text[index:]}"
        return f"{text[:index]}{block}{self._eol}{text[index:]}"

    def _inserted_lines(self, lines: list[str]) -> str:
        """Whole lines of an entry, from the column of its dash on, put at the end of the list."""
        if self._key is None or self._list is None:
            if self._document.root.flow:
                raise self._refused("it is written between braces")
            block = self._eol.join([f"{self._section}:", *_indented(lines, 2)])
            return self._insert_lines(self._text, self._document.end, block)
        if self._list.is_null or self._list_is_bare:
            colon = self._colon(self._key)
            emptied = self._text[:colon] + self._text[self._list.end :]
            again = _Edit(emptied, self._file, self._section)
            place = line_end(again._text, again._colon(again._key))
            return again._insert_lines(again._text, place, self._eol.join(_indented(lines, 2)))
        behind = self._behind(self._text, self._list.items[-1], self._list.column)
        return self._insert_lines(self._text, behind, self._eol.join(_indented(lines, self._list.column)))

    def _lines_of(self, node: Node) -> list[str]:
        """The lines of an entry of a block list with the comments that belong to it, from its dash on."""
        column = self._sequence().column
        text = self._text[self._line_start(node.start) : self._behind(self._text, node, column)]
        return [line[column:] if not line[:column].strip() else line for line in text.splitlines()]

    def _scalar(self, node: Node) -> Value:
        """A scalar as what it is: written without quotes, digits are a number and `true` is none of text."""
        if node.end - node.start != len(node.text):
            return node.text
        if node.text in ("true", "false"):
            return node.text == "true"
        return int(node.text) if re.fullmatch(r"0|[1-9][0-9]*", node.text, re.ASCII) else node.text

    def _into_flow(self, text: str, collection: Node, items: list[Node], rendered: str) -> str:
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
        indentation = text[self._line_start(last.start) : last.start]
        if indentation.strip():
            indentation = " " * (len(indentation) - len(indentation.lstrip()))
        before = text[:comma_end] + ("" if has_comma else ",") + text[comma_end:behind]
        return f"{before}{indentation}{rendered}{',' if has_comma else ''}{self._eol}{text[behind:]}"

    # --- taking away ---------------------------------------------------------------------------------------------

    def _emptied(self, text: str) -> str:
        """The list has lost its last entry: say that it is empty, rather than null."""
        colon = self._colon(self._key)
        return f"{text[:colon]} []{text[colon:]}"

    def _cut_from_flow(self, text: str, spans: list[tuple[int, int]], index: int) -> str:
        """Take away an element between brackets, with one comma, or with its line if it has one for itself."""
        start, end = spans[index]
        comma = end + len(text[end:]) - len(text[end:].lstrip())
        behind = comma + 1 if text[comma : comma + 1] == "," else end
        line_start, next_line = self._line_start(start), line_end(text, behind)
        if not text[line_start:start].strip() and _BLANK_OR_REMARK.fullmatch(text[behind:next_line]):
            return text[:line_start] + text[next_line:]
        if index + 1 < len(spans):
            rest = text[behind:].lstrip(" ")
            return f"{text[:start]}{' ' if rest.startswith('#') else ''}{rest}"
        if index > 0 and "#" not in text[spans[index - 1][1] : start]:
            return text[: spans[index - 1][1]] + text[end:]
        return text[:start] + text[behind:]

    def _without_pair(self, text: str, node: Node, at: int) -> str:
        key, value = node.pairs[at]
        if node.flow:
            return self._cut_from_flow(text, [(name.start, old.end) for name, old in node.pairs], at)
        if at == 0:  # it stands behind the dash, and the next one takes its place
            return text[: key.start] + text[node.pairs[1][0].start :]
        return text[: self._line_start(key.start)] + text[self._behind(text, value, key.column) :]

    # --- changing an entry ---------------------------------------------------------------------------------------

    def _with_pairs(self, text: str, node: Node, added: Mapping[str, Value]) -> str:
        if node.flow:
            rendered = ", ".join(f"{key}: {render_value(value, in_flow=True)}" for key, value in added.items())
            return self._into_flow(text, node, [old for _, old in node.pairs], rendered)
        behind = self._behind(text, node, node.column - 1)
        lines = (f"{' ' * node.column}{key}: {render_value(value)}" for key, value in added.items())
        return self._insert_lines(text, behind, self._eol.join(lines))

    def _with_value(self, text: str, node: Node, at: int, value: Value) -> str:
        key, old = node.pairs[at]
        rendered = render_value(value, in_flow=node.flow)
        is_inline = old.flow and old.end > old.start and text[old.end - 1] != "\n"
        if is_inline:
            return text[: old.start] + rendered + text[old.end :]
        colon = self._colon(key)
        end = max(old.end, colon)
        if text[end - 1] == "\n":  # a block scalar ends behind its line
            end -= len(self._eol)
        return f"{text[:colon]} {rendered}{text[end:]}"

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

    def _behind(self, text: str, node: Node, column: int) -> int:
        """The beginning of the line behind a block node and the comments below it that stand deeper than `column`."""
        index = line_end(text, node.end)
        while index < len(text):
            end = line_end(text, index + 1)
            line = text[index:end]
            if not line.lstrip(" ").startswith("#") or len(line) - len(line.lstrip(" ")) <= column:
                break
            index = end
        return index

    def _colon(self, key: Node | None) -> int:
        """Behind the colon of a key."""
        found = -1 if key is None else self._text.find(":", key.end)
        if found < 0:
            raise self._refused("a key has no colon")
        return found + 1

    def _line_start(self, index: int) -> int:
        return self._text.rfind("\n", 0, index) + 1

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
            f"{self._file}: the file cannot be edited: {reason}", hint=_HINT_BY_HAND, details={"file": self._file}
        )


def _indented(lines: list[str], column: int) -> list[str]:
    return [f"{' ' * column}{line}" if line else line for line in lines]


def _rendered(entry: _Entry) -> str:
    """An entry as it stands between brackets."""
    return render_value(entry, in_flow=True) if isinstance(entry, str) else render_flow(entry)


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
