"""`REPOS.json`, the lists that small meta-repo scripts keep.

Three forms, none of which has a specification; what is taken is what stands here:

    [{"url": URL, "path": PATH, "ref": REF}, ...]      the list that the Rust tool `grex` (egoisth777/grex) imports
    {"repos": [ the same list ]}
    {"PATH": "URL", ...}                               also below "projects", as the `.meta` of the npm tool `meta`

`path` may be left out for the last segment of the URL; `ref` (or `branch`, `tag`, `sha`) for the remote's HEAD.
"""

from __future__ import annotations

import json
from pathlib import Path

from grex.interchange.packs import Imported, ImportedPack, said, short_ref
from grex.interchange.source import Files, Source
from grex.names import InvalidUrlError, parse_url
from grex.pack import Mark, Node, Problems, read_yaml
from grex.pack.fields import read_list, read_mapping
from grex.pack.problems import quoted

__all__ = ["parse_repos_json"]

_REFS = ("ref", "sha", "tag", "branch")
_KEYS = ("name", "path", "url", *_REFS)


def parse_repos_json(source: Source, files: Files, problems: Problems) -> Imported:
    """The repositories of a JSON file. It is read as the YAML that it is as well, which knows the places."""
    del files
    try:
        json.loads(source.data)
    except json.JSONDecodeError as error:
        problems.add(Mark(source.file, error.lineno, error.colno), f"this is not JSON: {error.msg}", "correct it there")
        return Imported()
    except (UnicodeDecodeError, RecursionError):
        problems.add(Mark(source.file, 1, 1), "this is not JSON", "save it as UTF-8, and not nested without end")
        return Imported()
    root = read_yaml(source.data, file=source.file, problems=problems)
    if root is None:
        return Imported()
    notes: list[str] = []
    listed = root.get("repos")
    mapped = root.get("projects") or root
    if isinstance(root.value, tuple) or (listed is not None and isinstance(listed.value, tuple)):
        items = read_list(root if listed is None else listed, "repos", problems) or ()
        packs = [pack for item in items if (pack := _entry(item, problems, notes)) is not None]
        return Imported(tuple(packs), notes=tuple(notes))
    packs = []
    for path, entry in (read_mapping(mapped, "the file", problems) or {}).items():
        url = said(entry.node, f"the URL of {quoted(path)}", problems)
        if url is not None:
            packs.append(
                ImportedPack(path, url.text, None, entry.mark, marks={"path": entry.mark, "url": entry.node.mark})
            )
    return Imported(tuple(packs), notes=tuple(notes))


def _entry(item: Node, problems: Problems, notes: list[str]) -> ImportedPack | None:
    entries = read_mapping(item, "a repository", problems)
    if entries is None:
        return None
    if "url" not in entries:
        problems.add(item, "a repository needs 'url'", 'write it as in "url": "https://host/path"')
        return None
    url = said(entries["url"].node, "url", problems)
    path = said(entries["path"].node, "path", problems) if "path" in entries else None
    key = next((key for key in _REFS if key in entries and entries[key].node.value is not None), None)
    ref = said(entries[key].node, key, problems) if key is not None else None
    left = sorted(name for name in entries if name not in _KEYS)
    if left:
        notes.append(f"{item.mark}: {', '.join(map(quoted, left))} is not taken over")
    if url is None or (path is None and "path" in entries) or (ref is None and key is not None):
        return None
    where = path.text if path is not None else _default_path(url.text)
    if where is None:
        problems.add(url.mark, f"the URL {quoted(url.text)} ends in no name", "write 'path' as well")
        return None
    marks = {"url": url.mark, **({"path": path.mark} if path else {}), **({"ref": ref.mark} if ref else {})}
    return ImportedPack(where, url.text, short_ref(ref.text) if ref else None, item.mark, marks=marks)


def _default_path(url: str) -> str | None:
    try:
        return parse_url(url, relative_to=Path("/")).default_name or None
    except InvalidUrlError:
        return "-"  # refused for its URL in a moment, and for nothing else
