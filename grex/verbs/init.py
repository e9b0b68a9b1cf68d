"""`grex init`: makes a workspace; an existing one is left alone and reported."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from grex.engine import Hiding, Session, Settings
from grex.errors import UsageError
from grex.fs import replace_file
from grex.names import PACK_YAML
from grex.workspace import ROOT_TRUST

if TYPE_CHECKING:
    from grex.verbs.documents import InitDocument

__all__ = ["InitReport", "InitRequest", "init"]


@dataclass(frozen=True, slots=True)
class InitRequest:
    """Where to make a workspace.

    Attributes:
        root: the directory; it is made if it is missing.
        name: the root pack's name, None to derive it from the directory's.
        gitignore: keep the managed block in the workspace's `.gitignore` instead of `info/exclude`.
    """

    root: Path
    name: str | None = None
    gitignore: bool = False


@dataclass(frozen=True, slots=True)
class InitReport:
    """What init found or made."""

    root: Path
    created: bool
    exit_code: int = 0

    def to_json(self) -> InitDocument:
        """The document of `--json`."""
        return {
            "schema": "grex.init/1",
            "workspace": str(self.root),
            "created": self.created,
            "exit_code": self.exit_code,
        }


async def init(request: InitRequest, settings: Settings) -> InitReport:
    """Make a workspace, and trust its root for this user.

    Tiers: WORKSPACE, MANIFEST. Cancellation: the workspace is there completely or not at all.

    Raises:
        UsageError: the place is a file, or the name is not one.
    """
    root = request.root
    if root.exists() and not root.is_dir():
        raise UsageError(f"{root} is a file", hint="Give a directory, or a path that does not exist yet.")
    if (root / PACK_YAML).exists():
        return InitReport(root, created=False)
    name = request.name if request.name is not None else _name_from(root)
    if re.fullmatch(r"[a-z][a-z0-9-]*", name) is None:
        raise UsageError(
            f"{name!r} is no pack name", hint="Use lower-case letters, digits and hyphens, beginning with a letter."
        )
    root.mkdir(parents=True, exist_ok=True)
    # Hidden before the first lock file appears.
    session = Session.open(root, settings)
    Hiding(session.layout, gitignore=request.gitignore).hide([])
    async with session.holds.workspace():
        if (root / PACK_YAML).exists():  # another init was faster
            return InitReport(root, created=False)
        async with session.holds.manifest_exclusive("init"):
            (root / PACK_YAML).parent.mkdir(exist_ok=True)
            replace_file(root / PACK_YAML, _template(name).encode())
        session.trust.add(ROOT_TRUST)
    return InitReport(root, created=True)


def _name_from(root: Path) -> str:
    cleaned = re.sub(r"[^a-z0-9]+", "-", root.resolve().name.lower()).strip("-")
    return cleaned if re.match(r"[a-z]", cleaned) else f"workspace-{cleaned}".rstrip("-")


def _template(name: str) -> str:
    return f'schema_version: "1"\nname: {name}\ntype: meta\nchildren: []\n'
