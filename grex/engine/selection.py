"""Filters: `--filter EXPR` as a value that can be asked about a pack. Pure: nothing here looks at a disk.

An expression is terms joined by `,`, all of which must hold; of several expressions one is enough. A term is

- a glob on the pack's path from the workspace root: `?` and `*` stay inside a segment, `**` crosses slashes (`**/x` is
  `x` at any depth, `x/**` everything below `x`), `[a-z]` and `[!a-z]` are one character;
- `type:GLOB`, the pack's type; `group:GLOB`, one of its groups;
- `changed`: HEAD is not what the lockfile says, or a tracked file is edited;

and `!` before it turns it round. No path holds a colon or a backslash, so `key:` cannot be mistaken for a path; a path
that is called `changed` is written `./changed`.

A fact may be unknown: the type of a pack that was never cloned, or whether one is changed before anybody looked. Terms
are therefore true, false or unknown (None), joined as Kleene does it; an unknown pack is not chosen, for a filter
never brings what it does not match. Globs are matched by following all readings at once, in time proportional to the
length of the text, so that no expression can be made to take for ever.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, TypeAlias

from msgspec import Struct

from grex.errors import UsageError
from grex.names import clean, suggest

__all__ = ["Facts", "Filter", "Glob", "Term", "matches", "parse_filter", "parse_filters"]

_KEYS = ("group", "type")
_CHANGED = "changed"
Kind: TypeAlias = Literal["path", "type", "group", "changed"]


class Facts(Struct, frozen=True):
    """What is known of one pack; None is not known."""

    path: str
    type: str | None = None
    groups: tuple[str, ...] = ()
    changed: bool | None = None


class _Token(Struct, frozen=True):
    """A character, a set of characters, `?`, or what stands for several: `*`, `**`, and `**/` at a segment's start."""

    kind: Literal["one", "set", "?", "*", "**", "**/"]
    characters: str = ""
    ranges: tuple[tuple[str, str], ...] = ()
    is_negated: bool = False

    def takes(self, character: str) -> bool:
        """Whether that character may stand here."""
        match self.kind:
            case "one":
                return character == self.characters
            case "**" | "**/":
                return True
            case "set":
                found = any(first <= character <= last for first, last in self.ranges)
                return character != "/" and found != self.is_negated
            case _:
                return character != "/"


class Glob(Struct, frozen=True):
    """A pattern; `parse_filter` makes them."""

    text: str
    tokens: tuple[_Token, ...]

    def matches(self, text: str) -> bool:
        """Whether the whole text is of this pattern."""
        places = self._with_skipped({0}, behind="/")
        for character in text:
            after: set[int] = set()
            for place in places:
                if place < len(self.tokens) and self.tokens[place].takes(character):
                    after.add(place if self.tokens[place].kind in ("*", "**", "**/") else place + 1)
            places = self._with_skipped(after, behind=character)
        return len(self.tokens) in places

    def _with_skipped(self, places: set[int], behind: str) -> set[int]:
        """The places with those behind tokens that may end here: any `*`, and `**/` where a segment begins."""
        for place in range(len(self.tokens)):
            if place in places:
                kind = self.tokens[place].kind
                if kind in ("*", "**") or (kind == "**/" and behind == "/"):
                    places.add(place + 1)
        return places


class Term(Struct, frozen=True):
    """One condition, and where it stands in its expression."""

    kind: Kind
    glob: Glob | None
    is_negated: bool
    offset: int

    def holds(self, facts: Facts) -> bool | None:
        """Whether it is so; None if nobody knows."""
        found = self._found(facts)
        return None if found is None else found != self.is_negated

    def _found(self, facts: Facts) -> bool | None:
        if self.glob is None:
            return facts.changed
        match self.kind:
            case "type":
                return None if facts.type is None else self.glob.matches(facts.type)
            case "group":
                return any(map(self.glob.matches, facts.groups))
            case _:
                return self.glob.matches(facts.path)


class Filter(Struct, frozen=True):
    """One expression: terms that must all hold."""

    text: str
    terms: tuple[Term, ...]

    def matches(self, facts: Facts) -> bool | None:
        """Whether a pack is of it; None if that depends on what is not known."""
        found = [term.holds(facts) for term in self.terms]
        if False in found:
            return False
        return None if None in found else True


def matches(filters: Sequence[Filter], facts: Facts) -> bool | None:
    """Whether a pack is of one of these expressions, or there are none; None if that depends on what is not known."""
    found = [one.matches(facts) for one in filters]
    if not found or True in found:
        return True
    return None if None in found else False


def parse_filters(texts: Iterable[str]) -> tuple[Filter, ...]:
    """The expressions of a call.

    Raises:
        UsageError: as for `parse_filter`.
    """
    return tuple(map(parse_filter, texts))


def parse_filter(text: str) -> Filter:
    """One expression.

    Raises:
        UsageError: it cannot be read; the message has the offset, from 0, of what is wrong.
    """
    return Filter(text, tuple(_term(text, start, end) for start, end in _pieces(text)))


def _pieces(text: str) -> Iterable[tuple[int, int]]:
    """Where the terms stand: what lies between commas, but for those between brackets."""
    start = place = 0
    while place < len(text):
        if text[place] == "[":
            place = _set_end(text, place, len(text))
        elif text[place] == ",":
            yield start, place
            start = place + 1
        place += 1
    yield start, len(text)


def _term(text: str, start: int, end: int) -> Term:
    offset = start = _behind_blanks(text, start, end)
    is_negated = text[start:end].startswith("!")
    if is_negated:
        start = _behind_blanks(text, start + 1, end)
        if text.startswith("!", start, end):
            raise _wrong(text, start, "`!` stands twice", "One turns the condition round.")
    word = text[start:end].rstrip()
    end = start + len(word)
    if not word:
        what = "nothing stands behind `!`" if is_negated else "a condition is missing"
        raise _wrong(text, start, what, "A condition is a path, `type:NAME`, `group:NAME` or `changed`.")
    if word == _CHANGED:
        return Term("changed", None, is_negated, offset)
    key, colon, _ = word.partition(":")
    if not colon:
        return Term("path", _path_glob(text, start, end), is_negated, offset)
    if key not in _KEYS:
        said = suggest(key, (*_KEYS, _CHANGED))
        raise _wrong(text, start, f"there is no condition {clean(key, 40)!r}", f"{said[:1].upper()}{said[1:]}")
    begin = _behind_blanks(text, start + len(key) + 1, end)
    if begin == end:
        raise _wrong(text, begin, f"`{key}:` needs a name", f"As in `{key}:NAME`.")
    return Term("type" if key == "type" else "group", _glob(text, begin, end), is_negated, offset)


def _path_glob(text: str, start: int, end: int) -> Glob:
    if text.startswith("/", start, end):
        raise _wrong(text, start, "a path starts at the workspace root by itself", "Leave the first `/` out.")
    if text.startswith("./", start, end):
        start += 2
    while end > start and text[end - 1] == "/":
        end -= 1
    if text[start:end] in ("", "."):
        raise _wrong(text, start, "the root is no pack that a filter chooses", "Name it as a PACK argument: `.`")
    return _glob(text, start, end)


def _glob(text: str, start: int, end: int) -> Glob:
    tokens: list[_Token] = []
    place = start
    while place < end:
        character = text[place]
        behind = place + 1
        if character == "*":
            while behind < end and text[behind] == "*":
                behind += 1
            begins_a_segment = place == start or text[place - 1] == "/"
            if behind - place == 1:
                tokens.append(_Token("*"))
            elif begins_a_segment and text.startswith("/", behind, end):
                behind += 1
                tokens.append(_Token("**/"))
            else:
                tokens.append(_Token("**"))
        elif character == "[":
            behind = _set_end(text, place, end) + 1
            tokens.append(_set(text, place, behind - 1))
        elif character == "\\":
            raise _wrong(text, place, "no path holds a backslash", "A special character itself is written as in `[*]`.")
        else:
            tokens.append(_Token("?") if character == "?" else _Token("one", character))
        place = behind
    return Glob(text[start:end], tuple(tokens))


def _set_end(text: str, start: int, end: int) -> int:
    """Where the `]` of a set stands; the first character in it may be one itself."""
    first = start + (2 if text[start + 1 : start + 2] == "!" else 1)
    found = text.find("]", first + 1, end)
    if found < 0:
        raise _wrong(text, start, "`[` is not closed", "As in `[a-z]`; the character itself is written `[[]`.")
    return found


def _set(text: str, start: int, end: int) -> _Token:
    """The set that is opened at `start` and closed at `end`."""
    is_negated = text[start + 1] == "!"
    place = start + 1 + is_negated
    ranges: list[tuple[str, str]] = []
    while place < end:
        last = place + 2 if text[place + 1] == "-" and place + 2 < end else place
        if text[place] > text[last]:
            shown = text[place : last + 1]
            raise _wrong(text, place, f"the range {shown} is empty", f"As in `[{text[last]}-{text[place]}]`.")
        ranges.append((text[place], text[last]))
        place = last + 1
    return _Token("set", ranges=tuple(ranges), is_negated=is_negated)


def _behind_blanks(text: str, start: int, end: int) -> int:
    while start < end and text[start] == " ":
        start += 1
    return start


def _wrong(text: str, offset: int, what: str, hint: str) -> UsageError:
    return UsageError(
        f"--filter {clean(text, 200)!r}: at offset {offset}: {what}",
        hint=hint,
        details={"expression": text, "offset": offset},
    )
