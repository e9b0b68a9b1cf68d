"""What every verb that works on packs is asked with."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from grex.verbs.asking import TrustQuestion

__all__ = ["PacksRequest"]


class PacksRequest(Struct, frozen=True):
    """On which packs a verb is to work, and how.

    Attributes:
        root: the workspace.
        packs: PACK arguments: paths or unique names, with their descendants; empty for all.
        filters: expressions, one of which a pack has to be of; empty for no filter.
        dry_run: print the plan and write nothing.
        fail_fast: start nothing new after a failure.
        ask_trust: asks the user about untrusted packs and gives the URL prefixes to trust from now on; None where
            nobody can be asked.
    """

    root: Path
    packs: tuple[str, ...] = ()
    filters: tuple[str, ...] = ()
    dry_run: bool = False
    fail_fast: bool = False
    ask_trust: TrustQuestion | None = None
