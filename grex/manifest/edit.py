"""Editing the root pack.yaml as a person would: a few characters in the right place, everything else as it was.

The functions here take the text and give the text; `edit_root` does the disk. An entry goes into a list of the top
level (`children`, `overrides`, and the words of `groups` in `.grex/local.yaml`), in the style that the list has: block
lists of any indentation, lists between brackets, lists that are not there yet. Comments, order, quoting and line ends
stay.

Each edit is proven (`manifest.list_edit`): the new text is parsed again, and must say what the old one said with
exactly this one change. If it does not - tabs, complex keys, a comment in a place that nobody thought of - the edit is
refused with what to do by hand, and nothing is written.

A comment in the line of an entry and comments below it that are indented deeper than its dash belong to it: they
stay in front of what is inserted, and go when it is removed. All other comments stay.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from grex.errors import ManifestError
from grex.fs import read_regular, replace_file
from grex.manifest.list_edit import HINT_BY_HAND, ListEdit
from grex.manifest.log import ManifestWriteHold, require_hold
from grex.manifest.yaml_text import Value

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
        raise ManifestError(f"{path}: the file is not UTF-8", hint=HINT_BY_HAND, details={"file": str(path)}) from error
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
    return ListEdit(text, file, section).insert([child])


def insert_children(text: str, children: Sequence[Mapping[str, Value]], *, file: str, section: str = "children") -> str:
    """The text with several entries more, in their order; as `insert_child`, and proven once for all of them.

    Raises:
        ManifestError: the text has no shape that can be edited.
    """
    return ListEdit(text, file, section).insert(children) if children else text


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
    return ListEdit(text, file, section).change(changes)


def change_key(text: str, key: str, value: str, *, file: str) -> str:
    """The text with the value of a key of the top level replaced; the key has to be there.

    Raises:
        ManifestError: the text has no shape that can be edited, or no such key.
    """
    return ListEdit(text, file, key).replace_value(value)


def remove_child(text: str, index: int, *, file: str, section: str = "children") -> str:
    """The text without the entry that stands at this index, from 0, of a list of the top level.

    Raises:
        ManifestError: the text has no shape that can be edited, or no such entry.
    """
    return ListEdit(text, file, section).remove(index)


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
    return ListEdit(text, file, section).insert_copy(ListEdit(source, file, section), index)


def copy_value(
    source: str, source_index: int, text: str, index: int, key: str, *, file: str, section: str = "children"
) -> str:
    """The text with one key of an entry as an entry of another text has it: set, or taken away.

    Raises:
        ManifestError: one of the texts has no shape that can be edited, or there is no such entry.
    """
    value = ListEdit(source, file, section).value_of(source_index, key)
    return ListEdit(text, file, section).change({index: {key: value}})


def insert_item(text: str, item: str, *, file: str, section: str) -> str:
    """The text with one word more at the end of a list of words.

    Raises:
        ManifestError: the text has no shape that can be edited.
    """
    return ListEdit(text, file, section).insert([item])


def replace_item(text: str, index: int, item: str, *, file: str, section: str) -> str:
    """The text with another word at this index, from 0, of a list of words.

    Raises:
        ManifestError: the text has no shape that can be edited, or no such word.
    """
    return ListEdit(text, file, section).replace(index, item)
