"""Keeps grex's own files and the child packs out of sight of the repositories that enclose them.

In every repository that encloses something of grex's, `<git dir>/info/exclude` gets a managed block. It is written
before the first file appears that it hides. While a run goes on, lines are only added; `settle` drops what no longer
belongs there.

`info/exclude` lies in the common git directory, so all work trees of a repository have one: the forks of a workspace,
at other commits with other packs, and maybe synced in this very moment. Hence

- the file is changed under a lock of its own, read anew; one that says all that it should is only read;
- of a repository with several work trees no line is dropped, for it may hide what another one has. Once it has one
  again, the next sync of everything drops what is left over;
- of a repository around the workspace only the lines below the workspace are its own to drop.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable
from functools import partial
from pathlib import Path

from msgspec import Struct

from grex.engine.holds import Holds
from grex.errors import LockUnavailableError, ManifestError, PackError
from grex.exclude import enclosing_repository, ensure_block, escape_pattern, read_block, says, workspace_patterns
from grex.fs import canonical
from grex.git import IndexUnreadableError, find_git_dirs, linked_work_trees, read_index
from grex.names import shown_argument
from grex.workspace import Layout

__all__ = ["Block", "Hiding"]


def _always(line: str) -> bool:
    del line
    return True


def _never(line: str) -> bool:
    del line
    return False


class Block(Struct, frozen=True):
    """The managed block of one repository, as it has to be.

    Attributes:
        work_tree: the root of the repository's work tree.
        file: the file that the block is in.
        patterns: what it has to say.
        is_kept: which other lines of it stay.
    """

    work_tree: Path
    file: Path
    patterns: tuple[str, ...]
    is_kept: Callable[[str], bool]


class Hiding:
    """The managed blocks of one workspace. What has something to write takes MANIFEST for it, briefly."""

    def __init__(self, layout: Layout, holds: Holds, *, gitignore: bool = False) -> None:
        self._layout = layout
        self._holds = holds
        self._gitignore = gitignore
        self._tracked: dict[Path, list[str]] = {}
        self._around: dict[Path, tuple[Path, Path] | None] = {}

    def forget(self) -> None:
        """Look anew which repository encloses and tracks what: a checkout has appeared or moved."""
        self._around.clear()
        self._tracked.clear()

    async def hide(self, packs: Iterable[str]) -> None:
        """Hide these packs (paths in the workspace) and grex's own files from whatever repository encloses them."""
        for (work_tree, common_dir), paths in self._by_repository(packs).items():
            wanted = workspace_patterns(work_tree, self._layout.root, [self._layout.pack_dir(path) for path in paths])
            await self._write(self._block_file(work_tree, common_dir), wanted)

    def hide_in_gitignore(self) -> bool:
        """Hide grex's own files through the workspace's `.gitignore`, also where no repository is there yet.

        Returns:
            Whether the file was written.
        """
        target = self._layout.root / ".gitignore"
        wanted = workspace_patterns(self._layout.root, self._layout.root, [])
        return ensure_block(target, sorted({*read_block(target), *wanted}))

    async def hide_own(self, checkout: Path, common_dir: Path) -> None:
        """Hide the pack's own lock file from its own repository. Under PACK."""
        await self._write(common_dir / "info" / "exclude", workspace_patterns(checkout, self._layout.root, []))

    async def unhide(self, packs: Iterable[str]) -> None:
        """Hide these packs no longer; all else that is hidden stays so, also what nobody declares."""
        for (work_tree, common_dir), paths in self._by_repository(packs).items():
            directories = [self._layout.pack_dir(path) for path in paths]
            # One by one: of packs that lie in each other, the patterns of all are only those of the outermost.
            dropped = {
                pattern
                for directory in directories
                for pattern in workspace_patterns(work_tree, self._layout.root, [directory])
            }
            if linked_work_trees(common_dir):
                dropped = set()  # another work tree may have a pack there
            own = workspace_patterns(work_tree, self._layout.root, [])
            await self._write(self._block_file(work_tree, common_dir), own, partial(_is_none_of, frozenset(dropped)))

    def hide_unseen(self, checkout: Path, git_dir: Path) -> None:
        """The same for a clone that is made in a git directory that nobody can see yet: without a lock."""
        ensure_block(git_dir / "info" / "exclude", workspace_patterns(checkout, self._layout.root, []))

    async def settle(self, packs: Iterable[str]) -> None:
        """Make the blocks say exactly this, once everything that is declared is known."""
        for block in self.blocks(packs):
            await self.write(block)

    async def _write(self, target: Path, wanted: Collection[str], is_kept: Callable[[str], bool] = _always) -> None:
        """Let the block say what is wanted, and what it says already and is kept."""

        def lines() -> list[str]:
            return sorted({*wanted, *filter(is_kept, read_block(target))})

        if says(target, lines()):
            return
        if target.parent.name != "info":  # a `.gitignore`, which each work tree has for itself
            ensure_block(target, lines())
            return
        try:
            async with self._holds.exclude_file(target):
                ensure_block(target, lines())
        except LockUnavailableError as error:
            raise ManifestError(
                f"{target}: what is grex's cannot be hidden from git here: {error.message}",
                hint=error.hint,
                details={"file": str(target), "errno": error.errno},
            ) from error

    def _kept(self, work_tree: Path, common_dir: Path) -> Callable[[str], bool]:
        """Which lines may be somebody else's: of another work tree, or of another workspace in the same repository."""
        if linked_work_trees(common_dir):
            return _always
        root = canonical(self._layout.root)
        if not root.is_relative_to(work_tree) or root == work_tree:
            return _never
        own = escape_pattern(root.relative_to(work_tree).as_posix()) + "/"
        return lambda line: not line.startswith(own)

    def blocks(self, packs: Iterable[str]) -> list[Block]:
        """What the blocks have to say, once everything that is declared is known: one for each repository around."""
        return [
            Block(
                work_tree,
                self._block_file(work_tree, common_dir),
                workspace_patterns(work_tree, self._layout.root, [self._layout.pack_dir(path) for path in paths]),
                self._kept(work_tree, common_dir),
            )
            for (work_tree, common_dir), paths in self._by_repository(packs).items()
        ]

    def own_block(self, checkout: Path, common_dir: Path) -> Block:
        """What the block of a pack's own repository has to say at least."""
        patterns = workspace_patterns(checkout, self._layout.root, [])
        return Block(checkout, common_dir / "info" / "exclude", patterns, _always)

    async def write(self, block: Block, *, keeps_all: bool = False) -> None:
        """Let a block say what it has to, and what is kept. Tier: MANIFEST, where there is something to write.

        Raises:
            ManifestError: the file cannot be read or replaced; it is as it was.
        """
        await self._write(block.file, block.patterns, _always if keeps_all else block.is_kept)

    def refuse_tracked(self, pack: str) -> PackError | None:
        """Why a pack must not be put there: the repository around it tracks something at that path.

        A checkout inside another one's tracked files would be two owners of the same bytes.
        """
        directory = self._layout.pack_dir(pack)
        enclosing = self._enclosing(directory.parent)
        if enclosing is None:
            return None
        work_tree, common_dir = enclosing
        try:
            relative = directory.relative_to(work_tree).as_posix()
        except ValueError:
            relative = canonical(directory.parent).joinpath(directory.name).relative_to(canonical(work_tree)).as_posix()
        del common_dir
        found = self._tracked_at(work_tree, relative)
        if found is None:
            return None
        owner = self._name(work_tree)
        return PackError(
            f"{pack} cannot be put there: {owner} tracks {found}",
            # Not a plain `git rm`: it deletes the files as well, and of a checkout that was added by mistake all of it.
            hint=f"Give the child another path, or take it out of {owner}, which leaves the files: "
            f"`git -C {shown_argument(str(work_tree))} rm -r --cached {shown_argument(relative)}`.",
            details={"path": pack, "owner": owner, "tracked": found},
        )

    def _enclosing(self, directory: Path) -> tuple[Path, Path] | None:
        """`enclosing_repository`, asked once for each directory until `forget`: most packs lie side by side."""
        try:
            return self._around[directory]
        except KeyError:
            found = self._around[directory] = enclosing_repository(directory)
            return found

    def _tracked_at(self, work_tree: Path, relative: str) -> str | None:
        """A tracked path that is the given one or lies below it."""
        known = self._tracked.get(work_tree)
        if known is None:
            known = self._tracked[work_tree] = _tracked_paths(work_tree)
        for wanted in (relative, relative + "/"):
            position = bisect_left(known, wanted)
            found = known[position] if position < len(known) else ""
            if found == relative or (wanted != relative and found.startswith(wanted)):
                return found
        return None

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
        self.forget()
        for path in packs:
            enclosing = self._enclosing(self._layout.pack_dir(path).parent)
            if enclosing is not None:
                found.setdefault(enclosing, []).append(path)
        return found

    def _block_file(self, work_tree: Path, common_dir: Path) -> Path:
        if self._gitignore and work_tree == self._layout.root:
            return work_tree / ".gitignore"
        return common_dir / "info" / "exclude"


def _tracked_paths(work_tree: Path) -> list[str]:
    """What a repository tracks, sorted; nothing where only git can read its index: a clone checks its way as well."""
    dirs = find_git_dirs(work_tree)
    if dirs is None:
        return []
    try:
        return sorted(os.fsdecode(entry.path) for entry in read_index(dirs).entries)
    except IndexUnreadableError:
        return []


def _is_none_of(dropped: Collection[str], line: str) -> bool:
    return line not in dropped
