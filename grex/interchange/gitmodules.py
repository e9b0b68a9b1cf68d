r"""`.gitmodules`: submodules become packs, at the commits that the superproject records for them.

Described in gitmodules(5). What stands in the file is read by git itself (`git config -f`), which knows its quoting;
the places are those of the section headers. A relative URL starts at the superproject's origin. The pins are the
gitlinks of the superproject's index; a submodule without one was never added, and is taken by its branch.

`branch = .` means the branch that the superproject is on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from grex.interchange.packs import Imported, ImportedPack
from grex.interchange.source import Files, Source
from grex.names import InvalidUrlError, is_full_sha, parse_url
from grex.pack import Mark, Problems
from grex.pack.problems import quoted

__all__ = ["parse_gitmodules"]

_HEADER = re.compile(r'[ \t]*\[submodule[ \t]+"((?:[^"\\\n]|\\.)*)"\]')
_IGNORED = frozenset({"branch", "fetchrecursesubmodules", "ignore", "path", "shallow", "update", "url"})


def parse_gitmodules(source: Source, files: Files, problems: Problems) -> Imported:
    """The submodules of a superproject."""
    del files
    places = _places(source)
    modules: dict[str, dict[str, str]] = {}
    for key, value in source.settings:
        section, _, rest = key.partition(".")
        name, _, last = rest.rpartition(".")
        if section == "submodule" and name:
            modules.setdefault(name, {})[last.lower()] = value
    notes: list[str] = []
    packs: list[ImportedPack] = []
    for name, settings in modules.items():
        mark = places.get(name, Mark(source.file, 1, 1))
        missing = [key for key in ("path", "url") if not settings.get(key)]
        if missing:
            problems.add(mark, f"the submodule {quoted(name)} has no {' and no '.join(missing)}", "write it there")
            continue
        url = _url(settings["url"], source, mark, problems)
        if url is None:
            continue
        path = settings["path"].rstrip("/")
        ref = _ref(path, settings, source, notes)
        left = sorted(key for key in settings if key not in _IGNORED)
        if left or settings.get("update", "checkout") != "checkout":
            told = [*left, *(["update"] if "update" in settings else [])]
            notes.append(f"{mark}: {path}: {', '.join(told)} is not taken over")
        depth = 1 if settings.get("shallow", "").lower() in ("true", "yes", "on", "1") else None
        packs.append(ImportedPack(path, url, ref, mark, depth=depth))
    return Imported(tuple(packs), notes=tuple(notes))


def _places(source: Source) -> Mapping[str, Mark]:
    """Where each submodule begins."""
    found: dict[str, Mark] = {}
    for number, line in enumerate(source.data.decode("utf-8", "replace").splitlines(), 1):
        header = _HEADER.match(line)
        if header is not None:
            name = re.sub(r"\\(.)", r"\1", header[1])
            found.setdefault(name, Mark(source.file, number, 1 + len(line) - len(line.lstrip())))
    return found


def _url(text: str, source: Source, mark: Mark, problems: Problems) -> str | None:
    if not text.startswith(("./", "../")):
        return text
    base = source.own.url if source.own is not None else None
    if base is None:
        problems.add(
            mark,
            f"the URL {quoted(text)} starts at the origin of the repository around it, and there is none",
            "give it with --manifest-url",
        )
        return None
    try:
        return parse_url(text, base=base).resolved
    except InvalidUrlError as error:
        problems.add(mark, f"the URL {error}", error.hint)
        return None


def _ref(path: str, settings: Mapping[str, str], source: Source, notes: list[str]) -> str | None:
    pin = source.pins.get(path)
    if pin is not None and not source.branches:
        return pin
    if pin is None and not source.branches:
        notes.append(f"{path} is pinned nowhere, for no repository around the file records a commit for it")
    branch = settings.get("branch")
    if branch != ".":
        return branch
    own = source.own.ref if source.own is not None else None
    return None if own is None or is_full_sha(own) else own
