"""A distribution with plugins on a path of its own, so that the real `grex` in a second process finds them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

__all__ = ["python_path", "write_distribution"]


def write_distribution(site: Path, name: str, source: str, entries: Mapping[str, Mapping[str, str]]) -> Path:
    """Write a distribution of one module, `<name>_module`; gives the directory for `PYTHONPATH`.

    Args:
        site: the directory; made if it is missing.
        name: the distribution.
        source: the module's text.
        entries: by group, the entry points: name and attribute of the module.
    """
    info = site / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines: list[str] = []
    for group, found in entries.items():
        lines += [f"[{group}]", *(f"{entry} = {name}_module:{attribute}" for entry, attribute in found.items()), ""]
    (info / "entry_points.txt").write_text("\n".join(lines))
    (site / f"{name}_module.py").write_text(source)
    return site


def python_path(*sites: Path) -> str:
    """The `PYTHONPATH` of a process that is to find these distributions, and whatever this one finds."""
    return os.pathsep.join([*map(str, sites), *filter(None, [os.environ.get("PYTHONPATH")])])
