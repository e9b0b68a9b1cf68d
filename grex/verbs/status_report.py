"""How the packs of a workspace stand, as values and as the document of `--json`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from grex.errors import GrexError
from grex.verbs.report import exit_code_of, failure_json

if TYPE_CHECKING:
    from grex.engine.over_git import OverOutcome
    from grex.verbs.documents import PackStatusObject, RepositoryObject, StatusDocument

__all__ = ["PackStatus", "RepositoryStatus", "StatusReport"]

_DRIFT_EXIT_CODE = 7
_AS_DECLARED = frozenset({"detached", "inactive"})
_UPSTREAM_ONLY = frozenset({"ahead", "behind", "diverged"})
_NO_DRIFT = _AS_DECLARED | {"unpushed"}


class PackStatus(Struct, frozen=True):
    """How one pack stands.

    Attributes:
        path: the pack.
        states: what is not as declared; empty for a clean pack. Of: `missing`, `in-the-way`, `interrupted`,
            `wrong-ref`, `detached`, `edited`, `untracked`, `conflicted`, `ahead`, `behind`,
            `diverged`, `unpushed`, `in-progress`, `not-installed`, `install-outdated`, `install-failed` (the last one),
            `untrusted` (its install is due and would run something that this user has not allowed),
            `install-tampered`, `install-unknown`, `undeclared`, `inactive`, `error`.
        branch: the branch that HEAD is on, None when detached.
        sha: HEAD.
        ref: the declared ref.
        edited: how many tracked files differ.
        untracked: how many paths git does not know.
        ahead: commits that the upstream lacks, as of the last fetch.
        behind: commits that are missing here, as of the last fetch.
        unpushed: commits that no remote has, where HEAD follows nothing that could be ahead of.
        tampered: what was changed by hand since it was installed, a line for each thing.
        text: what `states` means here, in one line.
        hint: what to do about an install that failed or is not trusted.
        error: what is wrong with the declaration.
        is_at_lock: whether HEAD is the lockfile's commit, and no remote was asked for what is newer.
    """

    path: str
    states: tuple[str, ...] = ()
    branch: str | None = None
    sha: str | None = None
    ref: str | None = None
    edited: int = 0
    untracked: int = 0
    ahead: int = 0
    behind: int = 0
    unpushed: int = 0
    tampered: tuple[str, ...] = ()
    text: str = ""
    hint: str | None = None
    error: GrexError | None = None
    is_at_lock: bool = False

    @property
    def is_clean(self) -> bool:
        """Whether there is nothing to look at; a detached pin is as declared, and so is a group that is off."""
        return not set(self.states) - _AS_DECLARED

    @property
    def is_drift(self) -> bool:
        """Whether it is not in the state that the last sync was asked for.

        What upstream has beyond the lockfile's commit is none, unless it was asked for: a pipeline that has just run
        `sync --locked` must not fail because somebody pushes. Nor are commits that nobody else has.
        """
        return bool(set(self.states) - _NO_DRIFT - (_UPSTREAM_ONLY if self.is_at_lock else set()))

    def to_json(self) -> PackStatusObject:
        """The pack's entry in the document."""
        return {
            "path": self.path,
            "states": list(self.states),
            "drift": self.is_drift,
            "branch": self.branch,
            "sha": self.sha,
            "ref": self.ref,
            "edited": self.edited,
            "untracked": self.untracked,
            "ahead": self.ahead,
            "behind": self.behind,
            "unpushed": self.unpushed,
            "tampered": list(self.tampered),
            "text": self.text,
            "hint": self.hint,
            "error": failure_json(self.error),
        }


class RepositoryStatus(Struct, frozen=True):
    """How the workspace's own repository stands: `edited` tracked files, commits against its upstream.

    `branch` is None when detached. What the packs in it are, is not its matter.
    """

    top: Path
    branch: str | None
    sha: str | None
    edited: int = 0
    ahead: int = 0
    behind: int = 0
    problem: str | None = None

    def to_json(self) -> RepositoryObject:
        """Its entry in the document."""
        return {
            "path": str(self.top),
            "branch": self.branch,
            "sha": self.sha,
            "edited": self.edited,
            "ahead": self.ahead,
            "behind": self.behind,
            "problem": self.problem,
        }


class StatusReport(Struct, frozen=True):
    """Every declared pack and every checkout of ours that nobody declares any more, sorted by path.

    `repository` is that of the workspace; None where it lies in none, or only some packs were asked for.
    `fetched` is what became of each pack's fetch, None where none was asked for.
    """

    root: Path
    packs: tuple[PackStatus, ...]
    fail_on_drift: bool = False
    notes: tuple[str, ...] = ()
    is_narrowed: bool = False
    """Whether only some of the packs were asked for."""
    repository: RepositoryStatus | None = None
    fetched: tuple[OverOutcome, ...] | None = None

    @property
    def not_fetched(self) -> list[OverOutcome]:
        """The packs whose remote could not be asked: what is told of them is as of an earlier fetch."""
        return [outcome for outcome in self.fetched or () if outcome.error is not None]

    @property
    def is_clean(self) -> bool:
        """Whether there is nothing to look at in any pack."""
        return all(pack.is_clean for pack in self.packs)

    @property
    def is_drift(self) -> bool:
        """Whether a pack is not in the state that the last sync was asked for."""
        return any(pack.is_drift for pack in self.packs)

    @property
    def exit_code(self) -> int:
        """0; what errors in declarations, and failed fetches, come to; 7 for drift if that was asked for."""
        broken = exit_code_of([*(pack.error for pack in self.packs), *(pack.error for pack in self.not_fetched)])
        if broken:
            return broken
        return _DRIFT_EXIT_CODE if self.fail_on_drift and self.is_drift else 0

    def to_json(self) -> StatusDocument:
        """The document of `--json`."""
        return {
            "schema": "grex.status/1",
            "workspace": str(self.root),
            "exit_code": self.exit_code,
            "clean": self.is_clean,
            "drift": self.is_drift,
            "repository": self.repository.to_json() if self.repository is not None else None,
            "packs": [pack.to_json() for pack in self.packs],
            "fetched": None
            if self.fetched is None
            else [
                {"path": one.path, "status": one.status, "text": one.text, "error": failure_json(one.error)}
                for one in self.fetched
            ],
            "notes": list(self.notes),
        }
