"""Tells the repository of a workspace to have grex merge what is declared and what was resolved, pack by pack.

Both are local to the repository (`info/attributes` and its configuration), as the managed block that hides packs is. A
line in the attributes without a driver in the configuration does no harm: git then merges lines, as ever.
"""

from __future__ import annotations

from grex.engine.session import Session
from grex.errors import GrexError
from grex.exclude import enclosing_repository, ensure_block, read_block
from grex.fs import canonical
from grex.git.merge_driver import has_merge_driver, merge_patterns, write_merge_driver

__all__ = ["teach_merging"]


async def teach_merging(session: Session) -> str | None:
    """Have the repository around the workspace merge its pack.yaml and its lockfile by packs. WORKSPACE is held.

    Writes nothing where that is so already, and does nothing where there is no repository.

    Returns:
        Why it could not be done, or None. Merging then goes line by line.
    """
    layout = session.layout
    around = enclosing_repository(layout.root)
    if around is None:
        return None
    work_tree, common_dir = around
    inside = canonical(layout.root).relative_to(work_tree)
    paths = [(inside / file.relative_to(layout.root)).as_posix() for file in (layout.pack_yaml, layout.lockfile)]
    attributes = common_dir / "info" / "attributes"
    try:
        if not has_merge_driver(common_dir):
            await write_merge_driver(session.git_for("."), work_tree)
        ensure_block(attributes, sorted({*read_block(attributes), *merge_patterns(paths)}))
    except (GrexError, OSError) as error:
        return f"merges of the workspace's repository go line by line, not by packs: {error}"
    return None
