"""Every file and directory that grex has in a workspace, under one name each.

Nothing is created or looked at here. A lock file of the BACKEND tier stands beside the checkout that it protects,
never inside: git removes and writes what is inside, and a checkout that is a symlink is protected where it really is.
"""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from grex.names import BACKEND_LOCK_SUFFIX, GREX_DIRECTORY, PACK_LOCK_NAME, PACK_YAML

__all__ = ["Layout", "backend_lock_for"]


def backend_lock_for(real_checkout: Path) -> Path:
    """Return the lock file of a checkout, which must be its canonical path: through a symlink it would be another."""
    return real_checkout.parent / f".{real_checkout.name}{BACKEND_LOCK_SUFFIX}"


class Layout(Struct, frozen=True):
    """The places of one workspace; `root` is canonical."""

    root: Path

    @property
    def grex_dir(self) -> Path:
        """The directory of everything that is not a well-known file."""
        return self.root / GREX_DIRECTORY

    @property
    def pack_yaml(self) -> Path:
        """What is declared."""
        return self.root / PACK_YAML

    @property
    def config_toml(self) -> Path:
        """The configuration of the workspace, shared."""
        return self.grex_dir / "config.toml"

    @property
    def local_yaml(self) -> Path:
        """The overrides of this machine, never committed."""
        return self.grex_dir / "local.yaml"

    @property
    def log(self) -> Path:
        """What grex did on this machine."""
        return self.root / "grex.jsonl"

    @property
    def lockfile(self) -> Path:
        """What was resolved, shared."""
        return self.root / "grex.lock.jsonl"

    @property
    def workspace_lock(self) -> Path:
        """The lock of tier WORKSPACE."""
        return self.root / ".grex.sync.lock"

    @property
    def manifest_lock(self) -> Path:
        """The lock of tier MANIFEST: pack.yaml of the root, log and lockfile."""
        return self.root / ".grex.jsonl.lock"

    @property
    def state_dir(self) -> Path:
        """Notes about clones that are under way."""
        return self.grex_dir / "state"

    @property
    def trash_dir(self) -> Path:
        """What was moved away."""
        return self.grex_dir / "trash"

    @property
    def store_dir(self) -> Path:
        """Snapshots."""
        return self.grex_dir / "store"

    @property
    def records(self) -> tuple[Path, ...]:
        """What grex keeps for itself and could not go on without: nothing else may have a file or a link there."""
        return (
            self.pack_yaml,
            self.config_toml,
            self.local_yaml,
            self.log,
            self.lockfile,
            self.workspace_lock,
            self.manifest_lock,
            self.state_dir,
            self.trash_dir,
            self.store_dir,
        )

    def pack_dir(self, pack_path: str) -> Path:
        """The directory of a pack by its checked path from the root; `""` is the root pack."""
        return self.root / pack_path

    def pack_lock(self, pack_path: str) -> Path:
        """The lock of tier PACK."""
        return self.pack_dir(pack_path) / PACK_LOCK_NAME
