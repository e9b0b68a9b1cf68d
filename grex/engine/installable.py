"""What there is to install in a pack, and how that stands to what the log says was installed."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from grex.engine.graph import ROOT
from grex.engine.session import Session
from grex.errors import PackError
from grex.manifest import NOT_WHOLE
from grex.pack import PackSpec, actions_hash
from grex.plugin import Pack, PackType

__all__ = ["InstallState", "Installable", "Present", "examine"]

InstallState = Literal["not-installed", "install-outdated", "current"]


class Present(Struct, frozen=True):
    """A pack whose checkout is there: what the install phase needs to know of it.

    `trust_key` is what trust goes by, where that is not the identity; both are None for the root.
    """

    path: str
    spec: PackSpec | None
    commit: str
    identity: str | None
    trust_key: str | None = None

    @property
    def trusted_as(self) -> str | None:
        """What trust goes by, None for the root."""
        return self.trust_key or self.identity


class Installable(Struct, frozen=True):
    """A pack that has something to install.

    `state` is `current` where the log says that exactly this was installed and nothing was begun since. `is_anew` says
    that an install was there and is not whole any more: a teardown has begun, or the checkout is another one.
    """

    found: Present
    pack: Pack
    pack_type: PackType
    actions_hash: str
    state: InstallState
    is_anew: bool = False

    @property
    def path(self) -> str:
        """The pack."""
        return self.found.path


def examine(session: Session, found: Present) -> Installable | None:
    """How the installation of a pack stands; None where it has nothing to install.

    Raises:
        GrexError: its type is unknown or runs no actions and it declares some, or its files cannot be read.
        Exception: whatever a plugin raises.
    """
    spec = found.spec
    if spec is None:  # a checkout without a pack.yaml is of type `plain`, which has nothing to install
        return None
    pack_type = session.registry.pack_type(spec.type)
    root = session.layout.pack_dir(found.path)
    _check_takes_actions(found.path, spec, pack_type)
    pack = Pack(found.path, root, spec.name, spec.type, spec, found.commit)
    if not pack_type.has_install(pack):
        return None
    digest = actions_hash(spec, root, found.commit if found.path != ROOT else "")
    record = session.folded.packs.get(found.path)
    state: InstallState = "current"
    if record is None or record.installed is None:
        state = "not-installed"
    elif record.installed.actions_hash != digest or record.open_brackets:
        # A bracket that a killed run left open may have changed anything: what was installed before proves nothing.
        state = "install-outdated"
    is_anew = record is not None and record.installed is not None and record.installed.actions_hash == NOT_WHOLE
    return Installable(found, pack, pack_type, digest, state, is_anew)


def _check_takes_actions(path: str, spec: PackSpec, pack_type: PackType) -> None:
    """Refuse actions that would not run. Of grex's own types this is said with all else that is wrong with the file."""
    declared = (*spec.actions, *(spec.teardown or ()))
    if pack_type.takes_actions or not declared:
        return
    mark = declared[0].mark
    raise PackError(
        f"{mark}: the actions would not run, for the type is {spec.type!r}",
        hint="Use a type that runs actions, such as declarative, or take them away.",
        details={"pack": path, "file": mark.file, "line": mark.line, "column": mark.column},
    )
