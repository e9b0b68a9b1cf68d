"""A manifest as text, and what it comes to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from grex.interchange import Imported, Source, Tree, Wanted, fit_for_grex, parse
from grex.pack import Problems

__all__ = ["brief", "read", "refused"]


def _run(
    format_name: str, text: str, files: Mapping[tuple[Tree, str], Mapping[str, str]], **facts: Any
) -> tuple[Imported, list[str]]:
    known = {
        Wanted(tree, path): tuple((name, content.encode()) for name, content in found.items())
        for (tree, path), found in files.items()
    }
    problems = Problems()
    source = Source(file=facts.pop("file", "m"), data=text.encode(), **facts)
    imported = fit_for_grex(parse(format_name, source, known, problems), problems)
    return imported, [problem.render() for problem in problems]


def read(
    format_name: str, text: str, files: Mapping[tuple[Tree, str], Mapping[str, str]] | None = None, **facts: Any
) -> Imported:
    """What a manifest comes to; any problem fails the test."""
    imported, problems = _run(format_name, text, files or {}, **facts)
    assert problems == []
    return imported


def refused(
    format_name: str, text: str, files: Mapping[tuple[Tree, str], Mapping[str, str]] | None = None, **facts: Any
) -> list[str]:
    """The problems of a manifest, a line each; none at all fails the test."""
    _, problems = _run(format_name, text, files or {}, **facts)
    assert problems
    return problems


def brief(imported: Imported) -> Sequence[tuple[str, str, str | None]]:
    """Path, URL and ref of each pack."""
    return [(pack.path, pack.url, pack.ref) for pack in imported.packs]
