"""XML as a tree of elements that know their places, and nothing of what makes XML dangerous.

Entities are refused where they are declared (a few lines of them grow to gigabytes, or read files), external ones are
never fetched, and size and depth have limits. Text between elements is dropped: manifests have all in attributes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn
from xml.parsers import expat

from msgspec import Struct, field

from grex.names import clean
from grex.pack import Mark, Problems

__all__ = ["MAX_XML_BYTES", "Element", "read_xml"]

MAX_XML_BYTES = 4 << 20
_MAX_DEPTH = 32


class Element(Struct, frozen=True):
    """An element: its name, its attributes, what is in it, and where it begins."""

    tag: str
    attributes: Mapping[str, str]
    mark: Mark
    children: list[Element] = field(default_factory=list)

    def get(self, name: str) -> str | None:
        """An attribute; an empty one is as good as none."""
        return self.attributes.get(name) or None


class _RefusedError(Exception):
    """A problem was recorded that ends the reading."""


def read_xml(data: bytes, *, file: str, problems: Problems) -> Element | None:
    """The root element, or None after a problem was recorded."""
    problems.begin(file)
    if len(data) > MAX_XML_BYTES:
        problems.add(Mark(file, 1, 1), f"the file is larger than {MAX_XML_BYTES >> 20} MiB", "split it by <include>")
        return None
    parser = expat.ParserCreate()
    root: list[Element] = []
    stack: list[Element] = []

    def here() -> Mark:
        return Mark(file, parser.CurrentLineNumber, parser.CurrentColumnNumber + 1)

    def refuse(message: str, hint: str) -> NoReturn:
        problems.add(here(), message, hint)
        raise _RefusedError

    def begin(tag: str, attributes: dict[str, str]) -> None:
        element = Element(tag, attributes, here())
        (stack[-1].children if stack else root).append(element)
        stack.append(element)
        if len(stack) > _MAX_DEPTH:
            refuse(f"elements are nested deeper than {_MAX_DEPTH}", "take some away; a manifest needs three")

    def end(tag: str) -> None:
        del tag
        stack.pop()

    def entity(*declaration: object) -> None:
        refuse(f"the entity {clean(str(declaration[0]), 40)!r} is declared", "write its text out; grex reads none")

    def outside(*reference: object) -> int:
        del reference
        refuse("an external entity is referred to", "write its text out; grex reads none")

    parser.StartElementHandler = begin
    parser.EndElementHandler = end
    parser.EntityDeclHandler = entity
    parser.UnparsedEntityDeclHandler = entity
    parser.ExternalEntityRefHandler = outside
    try:
        parser.Parse(data, True)
    except _RefusedError:
        return None
    except expat.ExpatError as error:
        mark = Mark(file, error.lineno, error.offset + 1)
        problems.add(mark, f"this is not XML: {expat.ErrorString(error.code)}", "correct it there")
        return None
    return root[0] if root else None
