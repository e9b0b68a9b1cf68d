"""What has to be out of git's sight: the managed blocks, files of grex's that are tracked, and the merge driver."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from grex.engine.checks.finding import Finding
from grex.engine.checks.ground import Ground
from grex.engine.hiding import Block, Hiding
from grex.engine.merging import teach_merging
from grex.errors import ManifestError
from grex.exclude import (
    enclosing_repository,
    find_block_faults,
    git_dir_of,
)
from grex.fs import canonical
from grex.git import GitDirs, IndexUnreadableError, read_index
from grex.git.merge_driver import has_merge_driver, merge_patterns
from grex.names import clean

__all__ = ["check_hidden", "check_merging", "check_tracked", "fix_hidden", "fix_merging"]

_SEEN = "`git status` shows what is grex's, and `git clean` or `git add` may take it"
_OF_A_PACK = re.compile(r"(^|/)(\.grex-lock$|\.grex-tmp-|\.[^/]*\.grex-backend\.lock$)")
_OF_THE_WORKSPACE = ("grex.jsonl", ".grex.jsonl.lock", ".grex.sync.lock", ".grex/local.yaml")
_BELOW_THE_WORKSPACE = (".grex/state/", ".grex/store/", ".grex/trash/")


async def check_hidden(ground: Ground) -> list[Finding]:
    """Managed blocks that lack something, say too much, or whose markers are damaged."""
    if ground.found is None:
        return []
    findings: list[Finding] = []
    for name, block, pack in _blocks(ground):
        file = block.file
        try:
            faults = find_block_faults(file, block.patterns)
        except OSError as error:
            findings.append(_unreadable(ground, name, file, error, pack))
            continue
        stale = [line for line in faults.stale if ground.is_whole and not block.is_kept(line)]
        if faults.lacking:
            text, why = f"the block lacks {_shown(faults.lacking)}", _SEEN
        elif faults.marks:
            text, why = f"the managed block is damaged: {faults.marks}", "What stands between markers is overwritten"
        elif stale:
            text, why = f"the block hides {_shown(stale)}, which is no pack", "Files of that name stay unseen by git"
        else:
            continue
        findings.append(
            Finding(
                code="exclude-lacking" if faults.lacking else "exclude-damaged" if faults.marks else "exclude-stale",
                severity="warning",
                subject=ground.shown(file),
                text=f"{text} (of {name})",
                why=why,
                fix="writes the block anew; every line outside of it stays",
                pack=pack,
                target=str(file),
            )
        )
    return findings


def _blocks(ground: Ground) -> list[tuple[str, Block, str | None]]:
    """Each repository's name, what its block has to say, and the pack whose repository it is."""
    hiding = _hiding(ground)
    packs = {canonical(state.real): path for path, state in ground.all_checkouts() if not state.is_symlink}
    found: dict[Path, tuple[str, Block, str | None]] = {}
    for block in hiding.blocks(sorted(ground.known() | set(ground.undeclared))):
        pack = packs.get(block.work_tree)
        name = "the workspace's repository" if pack is None else f"the pack {clean(pack)}"
        found[block.file] = (name, block, pack)
    for node, state in ground.checkouts():
        if state.is_symlink or state.common_dir is None or state.note is not None or state.record is None:
            continue
        block = hiding.own_block(state.real, state.common_dir)
        found.setdefault(block.file, (f"the pack {clean(node.path)}", block, node.path))
    return [found[file] for file in sorted(found)]


def _hiding(ground: Ground) -> Hiding:
    return Hiding(ground.session.layout, ground.session.holds)


def _shown(patterns: Iterable[str]) -> str:
    told = [clean(pattern, 60) for pattern in patterns]
    return ", ".join(told[:3]) + (f" and {len(told) - 3} more" if len(told) > 3 else "")  # noqa: PLR2004 - as sliced


def _unreadable(ground: Ground, name: str, file: Path, error: OSError, pack: str | None) -> Finding:
    return Finding(
        code="exclude-unreadable",
        severity="error",
        subject=ground.shown(file),
        text=f"the exclude file of {name} cannot be read: {error.strerror or error}",
        why=_SEEN,
        hint="Check the file and its directory; a link is replaced by the file itself.",
        pack=pack,
        exit_code=3 if pack is None else 4,
    )


async def fix_hidden(ground: Ground, finding: Finding) -> str:
    """Write the block anew. Tiers: PERMIT and PACK where it is that of a pack; MANIFEST."""
    hiding, session = _hiding(ground), ground.session
    for _, block, pack in _blocks(ground):
        if str(block.file) != finding.target:
            continue
        if pack is None:
            await hiding.write(block, keeps_all=not ground.is_whole)
        else:
            async with session.holds.pack(pack, session.layout.pack_dir(pack), "disk"):
                await hiding.write(block, keeps_all=not ground.is_whole)
        return "the block is as it has to be"
    return "nothing is to be hidden there any more"


async def check_tracked(ground: Ground) -> list[Finding]:
    """Files of grex's own that a repository tracks."""
    found: list[Finding] = []
    around = enclosing_repository(ground.root)
    if around is not None:
        own = git_dir_of(around[0])
        prefix = os.path.relpath(canonical(ground.root), around[0])
        prefix = "" if prefix == "." else f"{prefix}/"
        for path in _tracked(GitDirs(own or around[1], around[1])):
            inner = path.removeprefix(prefix) if path.startswith(prefix) else ""
            if inner in _OF_THE_WORKSPACE or inner.startswith(_BELOW_THE_WORKSPACE) or _OF_A_PACK.search(path):
                found.append(_tracked_file(path, inner, None))
    for path, state in ground.all_checkouts():
        if state.git_dir is not None:
            found += [
                _tracked_file(f"{path}/{one}", "", path) for one in _tracked(state.dirs) if _OF_A_PACK.search(one)
            ]
    return found


def _tracked(dirs: GitDirs) -> list[str]:
    try:
        return [os.fsdecode(entry.path) for entry in read_index(dirs).entries]
    except IndexUnreadableError:
        return []


def _tracked_file(path: str, inner: str, pack: str | None) -> Finding:
    is_log = inner == "grex.jsonl"
    why = (
        "What it says may come from anybody, so a teardown refuses to act on it"
        if is_log
        else "It is this machine's own, and a checkout of another commit replaces it under grex's feet"
    )
    shown = clean(path)
    return Finding(
        code="tracked-file",
        severity="error",
        subject=shown,
        text=f"{shown} is committed in {'the workspace' + chr(39) + 's repository' if pack is None else clean(pack)}",
        why=why,
        hint=f"`git rm --cached {clean(inner or path.rpartition('/')[2])}` takes it out of the repository and leaves "
        "the file.",
        pack=pack,
        exit_code=3 if pack is None else 4,
    )


async def check_merging(ground: Ground) -> list[Finding]:
    """Whether the workspace's repository merges declarations and lockfile pack by pack."""
    around = enclosing_repository(ground.root)
    if around is None or ground.found is None or not (ground.log.events or ground.lines):
        return []  # no sync has been here yet
    work_tree, common_dir = around
    layout = ground.session.layout
    inside = canonical(layout.root).relative_to(work_tree)
    paths = [(inside / file.relative_to(layout.root)).as_posix() for file in (layout.pack_yaml, layout.lockfile)]
    attributes = common_dir / "info" / "attributes"
    try:
        faults = find_block_faults(attributes, merge_patterns(paths))
    except OSError as error:
        return [_unreadable(ground, "the workspace's repository", attributes, error, None)]
    if has_merge_driver(common_dir) and not faults.lacking and not faults.marks:
        return []
    what = "the attributes do not name it" if faults.lacking or faults.marks else "its command is missing or gone"
    return [
        Finding(
            code="merge-driver",
            severity="warning",
            subject=ground.shown(attributes),
            text=f"the workspace's repository does not merge pack.yaml and lockfile pack by pack: {what}",
            why="Merges of two branches that both add a pack end in conflicts",
            fix="writes the attributes and the merge driver of this repository",
        )
    ]


async def fix_merging(ground: Ground, finding: Finding) -> str:
    """Tell the repository how to merge. WORKSPACE is held."""
    del finding
    why_not = await teach_merging(ground.session)
    if why_not is not None:
        raise ManifestError(why_not, hint="Check the repository's configuration and info/attributes.")
    return "merges go pack by pack"
