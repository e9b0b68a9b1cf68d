"""What became of one checkout, and the lockfile's line that follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from msgspec import Struct
from msgspec.structs import replace

from grex.engine.graph import Node
from grex.engine.planner import Leave
from grex.errors import GrexError, LockfileError
from grex.git import CheckoutState, RemoteRef
from grex.manifest import LockLine
from grex.pack import PackSpec

if TYPE_CHECKING:
    from grex.git import RecoveryReport  # a look has no use for these
    from grex.git.history import History

__all__ = [
    "CheckoutOptions",
    "CheckoutOutcome",
    "CheckoutStatus",
    "declared_otherwise",
    "lock_line",
    "lock_url",
    "recovery_notes",
    "short",
    "unlocked",
    "unlocked_error",
    "what_happened",
]

CheckoutStatus = Literal["cloned", "moved", "unchanged", "left", "failed", "planned", "passed"]
_SHORT = 10


class CheckoutOptions(Struct, frozen=True):
    """What a run may do to checkouts.

    With `anew`, tags are resolved again where a remote may be asked; with `force`, what would be left alone is moved,
    after what is in the way was kept.
    """

    locked: bool = False
    offline: bool = False
    dry_run: bool = False
    anew: bool = False
    force: bool = False


class CheckoutOutcome(Struct, frozen=True):
    """What became of one checkout.

    Attributes:
        path: the pack.
        status: what happened; `left` is left alone with the reason in `code`, `text`; `passed` was not asked for.
        old_sha: HEAD before, None where there was no checkout.
        new_sha: HEAD now.
        target: the commit that the declared ref resolved to, if that is known.
        spec: the checked pack.yaml, if the checkout is usable and has one.
        is_present: whether there is a usable checkout of this pack.
        code: why it was left alone, or what is planned; stable for programs.
        text: the same in one line for people.
        hint: what to do about it.
        had_to_move: whether leaving it alone is a failure.
        notes: what else is worth saying.
        error: the failure.
        history: of a checkout that moved, the commits between; None where they are not known.
    """

    path: str
    status: CheckoutStatus
    old_sha: str | None = None
    new_sha: str | None = None
    target: RemoteRef | None = None
    spec: PackSpec | None = None
    is_present: bool = False
    code: str | None = None
    text: str = ""
    hint: str | None = None
    had_to_move: bool = False
    notes: tuple[str, ...] = ()
    error: GrexError | None = None
    history: History | None = None

    @property
    def is_failure(self) -> bool:
        """Whether this makes the run end with a failure."""
        return self.status == "failed" or (self.status == "left" and self.had_to_move)

    def failed_with(self, error: GrexError) -> CheckoutOutcome:
        """The same checkout, failed."""
        return replace(self, status="failed", error=error, text=error.message, hint=error.hint, code=error.code)

    @classmethod
    def refused(cls, path: str, error: GrexError) -> CheckoutOutcome:
        """A pack that failed without anything to say about its checkout."""
        return cls(path, "failed", error=error, text=error.message, hint=error.hint, code=error.code)

    @classmethod
    def left_alone(
        cls,
        path: str,
        state: CheckoutState,
        leave: Leave,
        *,
        target: RemoteRef | None = None,
        spec: PackSpec | None = None,
    ) -> CheckoutOutcome:
        """A pack that was not touched, for a reason."""
        return cls(
            path,
            "left",
            old_sha=state.head_sha,
            new_sha=state.head_sha,
            target=target,
            spec=spec,
            is_present=state.kind == "checkout" and leave.code != "different-repository",
            code=leave.code,
            text=leave.text,
            hint=leave.hint,
            had_to_move=leave.had_to_move,
        )

    @property
    def branch(self) -> str | None:
        """The branch that the declared ref means."""
        return self.target.name if self.target is not None and self.target.kind == "branch" else None


def what_happened(
    status: str,
    text: str,
    where: str | None,
    old_sha: str | None,
    new_sha: str | None,
    history: History | None = None,
) -> str:
    """What became of a checkout, in the same words while it happens and in the report.

    Args:
        status: the outcome's.
        text: what it says of itself.
        where: the branch, or else the declared ref.
        old_sha: HEAD before.
        new_sha: HEAD now.
        history: the commits between.
    """
    if text:
        return text
    if status == "cloned":
        return f"{where or 'a commit'} at {short(new_sha)}"
    if status == "moved":
        count = f" ({history.count()})" if history is not None else ""
        return f"{where or 'a commit'} {short(old_sha)}..{short(new_sha)}{count}"
    return ""


def short(sha: str | None) -> str:
    """An object id for people."""
    return sha[:_SHORT] if sha else "nothing"


def lock_url(node: Node) -> str:
    """The URL as the lockfile has it: without credentials, and as declared where it is relative to the workspace."""
    text = node.url.text
    return text if text.startswith(("./", "../")) and node.url.is_local else node.url.redacted


def unlocked(node: Node, line: LockLine | None) -> str | None:
    """Why the lockfile does not say what a declaration means, for `--locked`; None where it does."""
    if line is None:
        return f"{node.path} is not in the lockfile"
    difference = declared_otherwise(node, line)
    return None if difference is None else f"{node.path} is {difference}"


def declared_otherwise(node: Node, line: LockLine) -> str | None:
    """How a declaration differs from what was locked for it, as the end of a sentence; None where they agree."""
    if line.url != lock_url(node):
        return f"declared with {lock_url(node)}, and locked with {line.url}"
    if line.ref != node.ref:
        return f"declared at {node.ref or 'its HEAD'}, and locked at {line.ref or 'its HEAD'}"
    return None


def unlocked_error(wrong: list[str]) -> LockfileError:
    """The refusal of `--locked`."""
    more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
    return LockfileError(
        f"grex.lock.jsonl does not fit the declarations: {wrong[0]}{more}",
        hint="Run `grex sync` without --locked to resolve anew, and commit the lockfile.",
        details={"problems": wrong},
    )


def lock_line(node: Node, outcome: CheckoutOutcome, before: Mapping[str, LockLine]) -> LockLine | None:
    """The lockfile's line for a pack after this run, or None if it never was resolved.

    A pack that failed or was left alone keeps its line.
    """
    target = outcome.target
    if outcome.status not in ("cloned", "moved", "unchanged") or target is None:
        return before.get(node.path)
    return LockLine(
        path=node.path,
        url=lock_url(node),
        ref=node.ref,
        branch=target.name if target.kind == "branch" else None,
        sha=target.sha,
        type=outcome.spec.type if outcome.spec is not None else "plain",
        parents=node.parents,
    )


def recovery_notes(report: RecoveryReport) -> list[str]:
    """What there is to say of a recovery."""
    notes = ["recovered from an interrupted run"]
    if report.rescue_ref is not None:
        notes.append(f"files that the interrupted run or somebody since had changed are kept as {report.rescue_ref}")
    notes += [f"kept from an interrupted run: {what}" for what in report.kept]
    if report.left:
        notes.append(f"{len(report.left)} files could not be restored without touching others: {report.left[0]}")
    return notes
