"""Which format a file has, by its name and by what is in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

from grex.interchange.gitmodules import parse_gitmodules
from grex.interchange.packs import Imported
from grex.interchange.repo import parse_repo
from grex.interchange.repos_json import parse_repos_json
from grex.interchange.source import Files, Source
from grex.interchange.tsrc import parse_tsrc
from grex.interchange.vcs import parse_vcs
from grex.interchange.west import parse_west
from grex.pack import Problems

__all__ = ["FORMATS", "parse", "recognise"]

FORMATS: Mapping[str, Callable[[Source, Files, Problems], Imported]] = MappingProxyType(
    {
        "west": parse_west,
        "vcs": parse_vcs,
        "repo": parse_repo,
        "gitmodules": parse_gitmodules,
        "tsrc": parse_tsrc,
        "json": parse_repos_json,
    }
)

_FIRST_WORDS = (
    ("repo", re.compile(rb"\s*<")),
    ("gitmodules", re.compile(rb"(?:\s|[#;][^\n]*\n)*\[submodule\s")),
    ("json", re.compile(rb"\s*[\[{]")),
    ("west", re.compile(rb"^manifest\s*:", re.MULTILINE)),
    ("vcs", re.compile(rb"^(?:repositories\s*:|-\s+(?:git|hg|svn|bzr|tar)\s*:)", re.MULTILINE)),
    ("tsrc", re.compile(rb"^repos\s*:", re.MULTILINE)),
)
_NAMES = (
    ("gitmodules", re.compile(r"\.gitmodules")),
    ("vcs", re.compile(r".*\.(?:repos|rosinstall)")),
    ("json", re.compile(r".*\.json|\.meta", re.IGNORECASE)),
    ("repo", re.compile(r".*\.xml")),
)


def recognise(name: str, data: bytes) -> str | None:
    """The format of a file: a name that only one format has decides, else what is in it; None if neither does."""
    for found, pattern in _NAMES:
        if pattern.fullmatch(name):
            return found
    start = data[: 1 << 16].removeprefix(b"\xef\xbb\xbf")
    return next((found for found, pattern in _FIRST_WORDS if pattern.match(start) or _at_top(pattern, start)), None)


def _at_top(pattern: re.Pattern[bytes], start: bytes) -> bool:
    return bool(pattern.flags & re.MULTILINE) and pattern.search(start) is not None


def parse(format_name: str, source: Source, files: Files, problems: Problems) -> Imported:
    """What a file of a format comes to.

    Raises:
        MissingFileError: a further file is needed; call again with it.
    """
    return FORMATS[format_name](source, files, problems)
