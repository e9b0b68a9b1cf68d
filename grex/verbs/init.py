"""`grex init`: makes a workspace; an existing one is left alone and reported."""

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from grex.engine import Hiding, Session, Settings
from grex.engine.merging import teach_merging
from grex.errors import ConfigError, GrexError, UsageError
from grex.fs import replace_file
from grex.names import PACK_YAML
from grex.verbs.locate import locate
from grex.workspace import ROOT_TRUST, directory_in_place

if TYPE_CHECKING:
    from grex.verbs.documents import InitDocument

__all__ = ["InitReport", "InitRequest", "init", "making"]


class InitRequest(Struct, frozen=True):
    """Where to make a workspace.

    Attributes:
        root: the directory; it is made if it is missing.
        name: the root pack's name, None to derive it from the directory's.
        gitignore: keep the managed block in the workspace's `.gitignore`; without it, in the `info/exclude` of the
            repository around the workspace, if there is one.
    """

    root: Path
    name: str | None = None
    gitignore: bool = False


class InitReport(Struct, frozen=True):
    """What init found or made; `gitignore_changed` if `.gitignore` was written.

    `outer` is the workspace in which a new one was made; if that declares this place, it `belongs_to_outer`, and
    commands that are started in here work on the outer one.
    """

    root: Path
    created: bool
    gitignore_changed: bool = False
    outer: Path | None = None
    belongs_to_outer: bool = False
    exit_code: int = 0

    def to_json(self) -> InitDocument:
        """The document of `--json`."""
        return {
            "schema": "grex.init/1",
            "workspace": str(self.root),
            "created": self.created,
            "gitignore_changed": self.gitignore_changed,
            "outer": None if self.outer is None else str(self.outer),
            "belongs_to_outer": self.belongs_to_outer,
            "exit_code": self.exit_code,
        }


async def init(request: InitRequest, settings: Settings) -> InitReport:
    """Make a workspace, and trust its root for this user.

    Tiers: WORKSPACE, MANIFEST. Cancellation: the workspace is there completely or not at all.

    Raises:
        UsageError: the place is a file, cannot be written to, or the name is not one.
        ManifestError: what should be its pack.yaml is a directory.
    """
    with making(f"the workspace {request.root}"):
        return await _init(request, settings)


async def _init(request: InitRequest, settings: Settings) -> InitReport:
    root = request.root
    if root.exists() and not root.is_dir():
        raise UsageError(f"{root} is a file", hint="Give a directory, or a path that does not exist yet.")
    if (root / PACK_YAML).is_dir():
        raise directory_in_place(root)
    if (root / PACK_YAML).exists():
        session = Session.open(root, settings)
        if not request.gitignore:
            return InitReport(root, created=False)
        async with session.holds.workspace():
            return InitReport(
                root, created=False, gitignore_changed=Hiding(session.layout, session.holds).hide_in_gitignore()
            )
    name = request.name if request.name is not None else _name_from(root)
    if re.fullmatch(r"[a-z][a-z0-9-]*", name) is None:
        raise UsageError(
            f"{name!r} is no pack name", hint="Use lower-case letters, digits and hyphens, beginning with a letter."
        )
    root.mkdir(parents=True, exist_ok=True)
    # Hidden before the first lock file appears.
    session = Session.open(root, settings)
    hiding = Hiding(session.layout, session.holds, gitignore=request.gitignore)
    gitignore_changed = request.gitignore and hiding.hide_in_gitignore()
    await hiding.hide([])
    async with session.holds.workspace():
        if (root / PACK_YAML).exists():  # another init was faster
            return InitReport(root, created=False, gitignore_changed=gitignore_changed)
        async with session.holds.manifest_exclusive("init"):
            (root / PACK_YAML).parent.mkdir(exist_ok=True)
            replace_file(root / PACK_YAML, _template(name).encode())
        try:
            session.trust.add(ROOT_TRUST)
        except ConfigError:
            (root / PACK_YAML).unlink()  # or the next init would find a workspace, and leave its root without trust
            raise
        await teach_merging(session)  # where it cannot be done, the first sync says so
    outer = _workspace_of(root.parent)
    is_pack = outer is not None and _workspace_of(root) == outer
    return InitReport(root, created=True, gitignore_changed=gitignore_changed, outer=outer, belongs_to_outer=is_pack)


def _workspace_of(directory: Path) -> Path | None:
    try:
        return locate(directory, None)
    except GrexError:
        return None


@contextmanager
def making(what: str) -> Generator[None]:
    """Say in a sentence why the disk would not take what the block writes.

    Raises:
        UsageError: it would not.
    """
    try:
        yield
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise UsageError(
            f"{what} cannot be made: {error.strerror or error}{where}",
            hint="Give a directory in which you may write, on a disk with room.",
            details={"errno": error.errno, "path": error.filename},
        ) from error


def _name_from(root: Path) -> str:
    cleaned = re.sub(r"[^a-z0-9]+", "-", root.resolve().name.lower()).strip("-")
    return cleaned if re.match(r"[a-z]", cleaned) else f"workspace-{cleaned}".rstrip("-")


def _template(name: str) -> str:
    return f'schema_version: "1"\nname: {name}\ntype: meta\nchildren: []\n'
