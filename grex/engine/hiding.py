"""Keeps grex's own files and the child packs out of sight of the repositories that enclose them.

In every repository that encloses something of grex's, `<git dir>/info/exclude` gets a managed block. It is written
before the first file appears that it hides. While a run goes on, lines are only added; `settle` drops what no longer
belongs there. Reading and writing the block happens without an await in between, and WORKSPACE keeps other processes
of this workspace out.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from grex.errors import PackError
from grex.exclude import enclosing_repository, ensure_block, read_block, workspace_patterns
from grex.git import tracked_paths
from grex.workspace import Layout

__all__ = ["Hiding"]


class Hiding:
    """The managed blocks of one workspace."""

    def __init__(self, layout: Layout, *, gitignore: bool = False) -> None:
        self._layout = layout
        self._gitignore = gitignore
        self._tracked: dict[Path, tuple[tuple[int, int], frozenset[str]]] = {}

    def hide(self, packs: Iterable[str]) -> None:
        """Hide these packs (paths in the workspace) and grex's own files from whatever repository encloses them."""
        for (work_tree, common_dir), paths in self._by_repository(packs).items():
            target = self._block_file(work_tree, common_dir)
            wanted = workspace_patterns(work_tree, self._layout.root, [self._layout.pack_dir(path) for path in paths])
            ensure_block(target, sorted({*read_block(target), *wanted}))

    def settle(self, packs: Iterable[str]) -> None:
        """Make the blocks say exactly this, once everything that is declared is known."""
        for (work_tree, common_dir), paths in self._by_repository(packs).items():
            target = self._block_file(work_tree, common_dir)
            wanted = workspace_patterns(work_tree, self._layout.root, [self._layout.pack_dir(path) for path in paths])
            ensure_block(target, sorted(wanted))

    def refuse_tracked(self, pack: str) -> PackError | None:
        """Why a pack must not be put there: the repository around it tracks something at that path.

        A checkout inside another one's tracked files would be two owners of the same bytes.
        """
        directory = self._layout.pack_dir(pack)
        enclosing = enclosing_repository(directory.parent)
        if enclosing is None:
            return None
        work_tree, common_dir = enclosing
        try:
            relative = directory.relative_to(work_tree).as_posix()
        except ValueError:
            relative = directory.parent.resolve().joinpath(directory.name).relative_to(work_tree.resolve()).as_posix()
        tracked = tracked_paths(work_tree, common_dir)
        if tracked is None:
            return None
        found = next((path for path in tracked if path == relative or path.startswith(relative + "/")), None)
        if found is None:
            return None
        owner = self._name(work_tree)
        return PackError(
            f"{pack} cannot be put there: {owner} tracks {found}",
            hint=f"Give the child another path, or remove {relative} from {owner}.",
            details={"path": pack, "owner": owner, "tracked": found},
        )

    def _name(self, work_tree: Path) -> str:
        try:
            relative = work_tree.relative_to(self._layout.root).as_posix()
        except ValueError:
            return f"the repository {work_tree}"
        return "the workspace's own repository" if relative == "." else f"the pack {relative}"

    def _by_repository(self, packs: Iterable[str]) -> dict[tuple[Path, Path], list[str]]:
        found: dict[tuple[Path, Path], list[str]] = {}
        around_root = enclosing_repository(self._layout.root)
        if around_root is not None:
            found[around_root] = []
        for path in packs:
            enclosing = enclosing_repository(self._layout.pack_dir(path).parent)
            if enclosing is not None:
                found.setdefault(enclosing, []).append(path)
        return found

    def _block_file(self, work_tree: Path, common_dir: Path) -> Path:
        if self._gitignore and work_tree == self._layout.root:
            return work_tree / ".gitignore"
        return common_dir / "info" / "exclude"
