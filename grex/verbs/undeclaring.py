"""Takes declarations of packs out of the root's pack.yaml, proven before and kept for whoever brings them back."""

from __future__ import annotations

from collections.abc import Collection

from grex.engine import Session
from grex.errors import ManifestError
from grex.manifest import edit_root, remove_child
from grex.manifest.edit import copy_entry
from grex.names import PACK_YAML, resolve_pack_path
from grex.pack import PackSpec, parse_pack_spec

__all__ = ["Undeclaring", "entries_of", "take_out"]


class Undeclaring:
    """Takes entries out of the root's pack.yaml; comments, order and all else stay."""

    def __init__(self, paths: Collection[str]) -> None:
        self._paths = paths
        self._left = 0

    def edit(self, text: str) -> str:
        """The text without the entries."""
        spec = parse_pack_spec(text.encode(), file=PACK_YAML, is_root=True)
        indexes = sorted(_indexes(spec, self._paths).values(), reverse=True)
        self._left = len(spec.children) - len(indexes)
        for index in indexes:
            text = remove_child(text, index, file=PACK_YAML)
        return text

    def check(self, data: bytes) -> None:
        """Refuse a result that is not what was meant."""
        spec = parse_pack_spec(data, file=PACK_YAML, is_root=True)
        if len(spec.children) != self._left or _indexes(spec, self._paths):
            raise ManifestError(
                f"{PACK_YAML} would not say what was meant", hint="Take the entries out by hand; nothing was written."
            )

    def attempt(self, session: Session) -> None:
        """Insist, before anything is moved, that it can be done; nothing is written.

        Raises:
            ManifestError: the file has no shape that can be edited.
        """
        self.check(self.edit(session.layout.pack_yaml.read_text(encoding="utf-8")).encode())


async def take_out(session: Session, paths: Collection[str]) -> None:
    """Take entries out of the root's pack.yaml. Tier: MANIFEST."""
    undeclaring = Undeclaring(paths)
    async with session.holds.manifest_exclusive("declarations") as hold:
        edit_root(session.layout.pack_yaml, undeclaring.edit, hold=hold, check=undeclaring.check)


def entries_of(session: Session, paths: Collection[str]) -> dict[str, str]:
    """The entries of these packs as they are written, for whoever brings them back."""
    if not paths:
        return {}
    text = session.layout.pack_yaml.read_bytes().decode()
    spec = parse_pack_spec(text.encode(), file=PACK_YAML, is_root=True)
    return {
        path: copy_entry(text, index, "children: []\n", file=PACK_YAML) for path, index in _indexes(spec, paths).items()
    }


def _indexes(spec: PackSpec, paths: Collection[str]) -> dict[str, int]:
    """Where the root's pack.yaml declares these packs."""
    places = {resolve_pack_path("", child.path): index for index, child in enumerate(spec.children)}
    return {path: places[path] for path in paths if path in places}
