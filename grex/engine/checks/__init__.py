"""What `grex doctor` looks at: each check is a function from what was found to findings, each fix one of a finding.

To add a check is to put it into `CHECKS`; to let it be mended, to name its code in `FIXES`.
"""

from __future__ import annotations

from collections.abc import Mapping

from grex.engine.checks.checkouts import check_checkouts, check_objects
from grex.engine.checks.declarations import check_declarations, check_places
from grex.engine.checks.finding import Check, Finding, Fix, Severity, of_error
from grex.engine.checks.forked import check_forks, fix_fork, fix_fork_home, fix_fork_place
from grex.engine.checks.ground import Ground, read_ground
from grex.engine.checks.hidden import check_hidden, check_merging, check_tracked, fix_hidden, fix_merging
from grex.engine.checks.leftovers import (
    check_brackets,
    check_clone_notes,
    check_moves,
    check_temporaries,
    fix_bracket,
    fix_clone_note,
    fix_damaged_note,
    fix_move,
    fix_scratch,
    fix_temporary,
)
from grex.engine.checks.machine import check_locks, check_machine, check_settings
from grex.engine.checks.owners import check_owners
from grex.engine.checks.rebuilding import check_lost_log, fix_lost_log
from grex.engine.checks.records import check_lockfile, check_log, fix_lockfile, fix_torn_log, fix_unwanted_lines
from grex.engine.checks.trashed import check_trash, fix_sweep, fix_trash

__all__ = ["CHECKS", "FIXES", "Check", "Finding", "Fix", "Ground", "Severity", "of_error", "read_ground"]

CHECKS: Mapping[str, Check] = {
    "declarations": check_declarations,
    "places": check_places,
    "log": check_log,
    "lost log": check_lost_log,
    "clones": check_clone_notes,
    "owners": check_owners,
    "moves": check_moves,
    "lockfile": check_lockfile,
    "checkouts": check_checkouts,
    "objects": check_objects,
    "brackets": check_brackets,
    "exclude files": check_hidden,
    "tracked files": check_tracked,
    "merge driver": check_merging,
    "trash": check_trash,
    "forks": check_forks,
    "temporary files": check_temporaries,
    "locks": check_locks,
    "settings": check_settings,
    "machine": check_machine,
}
"""In the order in which findings are told, and mended: what others rely on comes first."""

FIXES: Mapping[str, Fix] = {
    "log-torn": fix_torn_log,
    "log-lost": fix_lost_log,
    "log-incomplete": fix_lost_log,
    "interrupted-clone": fix_clone_note,
    "clone-note-damaged": fix_damaged_note,
    "interrupted-move": fix_move,
    "lockfile-damaged": fix_lockfile,
    "lockfile-merge": fix_lockfile,
    "lockfile-undeclared": fix_unwanted_lines,
    "open-bracket": fix_bracket,
    "exclude-lacking": fix_hidden,
    "exclude-damaged": fix_hidden,
    "exclude-stale": fix_hidden,
    "merge-driver": fix_merging,
    "trash-moved": fix_trash,
    "trash-empty": fix_trash,
    "trash-sweep": fix_sweep,
    "fork-gone": fix_fork,
    "fork-home": fix_fork_home,
    "fork-moved": fix_fork_place,
    "temporary-file": fix_temporary,
    "temporary-comparison": fix_scratch,
}
"""What mends a finding, by its code; a finding without `fix` is left as it is, whatever its code."""
