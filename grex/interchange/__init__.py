"""What other tools write about many repositories, read and written: west, vcstool, repo, submodules, tsrc, REPOS.json.

One module for each format (west, the largest one, has `west_imports` and `west_text` besides), and all of them pure:
bytes in, `Imported` out, with every problem at its place in the file. A format whose manifests name further files
(`import` of west, `include` of repo) asks for one by raising `MissingFileError`; the caller reads it and parses again.
So which file is needed is decided here, and how it is fetched is not. What is written is text, with a note for all that
a format has no words for.

Nothing here knows what a workspace declares already; `grex.engine.declaring` compares.
"""

from __future__ import annotations

from grex.interchange.formats import FORMATS, parse, recognise
from grex.interchange.packs import Imported, ImportedPack, Link, fit_for_grex
from grex.interchange.source import Files, MissingFileError, OwnRepository, Source, Tree, Wanted
from grex.interchange.tree import Exported, ResolvedPack
from grex.interchange.vcs import render_vcs
from grex.interchange.west_text import render_west

__all__ = [
    "FORMATS",
    "Exported",
    "Files",
    "Imported",
    "ImportedPack",
    "Link",
    "MissingFileError",
    "OwnRepository",
    "ResolvedPack",
    "Source",
    "Tree",
    "Wanted",
    "fit_for_grex",
    "parse",
    "recognise",
    "render_vcs",
    "render_west",
]
