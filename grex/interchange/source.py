"""What a parser is given: the file, what is known of the repository around it, and the files that it named so far.

Parsing is done again with each further file instead of being stopped in its middle: manifests are small, and a parse
that depends on its arguments alone can be tested as one call.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

from msgspec import Struct, field

__all__ = ["Files", "MissingFileError", "OwnRepository", "Source", "Tree", "Wanted"]


class Tree(NamedTuple):
    """Where a file is read from: a remote at a ref, or, where both are None, the repository that FILE lies in."""

    url: str | None = None
    ref: str | None = None


class Wanted(NamedTuple):
    """A file, or a directory of which the manifests are meant."""

    tree: Tree
    path: str


Files: TypeAlias = "Mapping[Wanted, tuple[tuple[str, bytes], ...]]"
"""What was read: the path and the bytes of each file, in their order; none at all where there is no such file."""


class MissingFileError(Exception):
    """The manifest names a file that was not read yet."""

    def __init__(self, wanted: Wanted, at: str) -> None:
        super().__init__(f"{wanted.path} is needed")
        self.wanted = wanted
        self.at = at
        """The place that names it."""


class OwnRepository(Struct, frozen=True):
    """The repository in which the manifest lies.

    Attributes:
        url: of its origin; None where it has none.
        ref: the branch that it is on if that follows the branch of the same name of its origin, else its commit.
        path: where it lies in the workspace; None if it lies elsewhere, `""` if it is the workspace itself.
    """

    url: str | None
    ref: str | None = None
    path: str | None = None


class Source(Struct, frozen=True):
    """A manifest to be parsed.

    Attributes:
        file: what it is called in messages.
        data: its bytes.
        own: the repository around it, if there is one.
        platform: `linux`, `macos` or `windows`.
        further: manifests that are read after it as if they were a part of it, each with its name.
        settings: of a .gitmodules, what git reads in it, in order.
        pins: of a .gitmodules, the commits that the repository around it records for its submodules, by path.
        branches: of a .gitmodules, take the branches instead of the commits.
    """

    file: str
    data: bytes
    own: OwnRepository | None = None
    platform: str = "linux"
    further: tuple[tuple[str, bytes], ...] = ()
    settings: tuple[tuple[str, str], ...] = ()
    pins: Mapping[str, str] = field(default_factory=dict)
    branches: bool = False
