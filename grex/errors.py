"""The one error tree: the class of a failure decides how it leaves the program.

A message is one sentence that names the thing; a hint says what to do next. Front ends catch `GrexError` once;
anything else that reaches them is a bug and shows a traceback. The table of classes, codes and exit codes is in
`docs/reference/exit-codes.md`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

__all__ = [
    "ActionError",
    "ClaimError",
    "CommandError",
    "ConfigError",
    "CorruptLogError",
    "CycleError",
    "FetchError",
    "GrexError",
    "LockBusyError",
    "LockCancelledError",
    "LockDeadlockError",
    "LockError",
    "LockFallbackWarning",
    "LockInheritedError",
    "LockTimeoutError",
    "LockUnavailableError",
    "LockUnsupportedError",
    "LockfileError",
    "ManifestError",
    "NotAWorkspaceError",
    "PackError",
    "PackGoneError",
    "PackSpecError",
    "PluginError",
    "PluginLoadError",
    "SchemaVersionError",
    "ServerError",
    "TierOrderError",
    "UnconfirmedError",
    "UnknownActionError",
    "UnknownFetcherError",
    "UnknownPackTypeError",
    "UnknownPredicateError",
    "UntrustedError",
    "UsageError",
]


class GrexError(Exception):
    """Anything that grex can explain to its user."""

    code: ClassVar[str] = "internal"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str | None = None, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details: dict[str, Any] = dict(details or {})

    def to_json(self) -> dict[str, Any]:
        """The error object of `--json` and of tool results."""
        return {
            "code": self.code,
            "exit_code": self.exit_code,
            "message": self.message,
            "hint": self.hint,
            "details": self.details,
        }


class UsageError(GrexError):
    """The call itself is wrong: an unknown pack, an option that does not fit."""

    code = "usage.invalid"
    exit_code = 2


class NotAWorkspaceError(UsageError):
    """There is no workspace here."""

    code = "usage.not-a-workspace"


class ConfigError(UsageError):
    """`.grex/config.toml`, `local.yaml` or an environment variable does not say something usable."""

    code = "usage.config"


class UnconfirmedError(UsageError):
    """A tool was called in a way that would take work away, and without `confirm`."""

    code = "usage.unconfirmed"


class ServerError(GrexError):
    """The stream between `grex serve` and its client is broken."""

    code = "mcp.stream"
    exit_code = 6


class ManifestError(GrexError):
    """What is declared or recorded cannot be used: pack.yaml of the root, the log, the lockfile."""

    code = "manifest.invalid"
    exit_code = 3


class CorruptLogError(ManifestError):
    """The log is damaged in its middle."""

    code = "manifest.corrupt-log"


class SchemaVersionError(ManifestError):
    """A file was written by a grex that this one does not know."""

    code = "manifest.schema-version"


class LockfileError(ManifestError):
    """The lockfile cannot be read, or does not fit the declarations."""

    code = "manifest.lockfile"


class PackError(GrexError):
    """One pack failed; the others go on."""

    code = "pack.failed"
    exit_code = 4


class PackSpecError(PackError):
    """A pack.yaml is refused; `details["problems"]` lists every problem of the file."""

    code = "pack.spec"


class FetchError(PackError):
    """git could not bring what was declared."""

    code = "pack.fetch"


class CommandError(PackError):
    """A command that the user ran in a pack failed, or could not be started; `details` has how it ended."""

    code = "pack.command"


class ActionError(PackError):
    """An action or a hook failed."""

    code = "pack.action"


class ClaimError(PackError):
    """Two packs, or two actions of one, want the same place for themselves; `details["problems"]` lists them."""

    code = "pack.claim"


class CycleError(PackError):
    """Packs own or need each other in a circle; `details["chain"]` is the circle."""

    code = "pack.cycle"


class UntrustedError(PackError):
    """A pack would run something that this user has not allowed."""

    code = "pack.untrusted"


class LockError(GrexError):
    """A lock could not be had."""

    code = "lock.failed"
    exit_code = 5


class LockBusyError(LockError):
    """Somebody else holds the lock, or (`reentrant`) this very task or one of its ancestors."""

    code = "lock.busy"

    def __init__(
        self,
        message: str,
        *,
        reentrant: bool = False,
        hint: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message, hint=hint, details=details)
        self.reentrant = reentrant


class LockTimeoutError(LockError):
    """The lock did not come free in the time that was given."""

    code = "lock.timeout"


class LockDeadlockError(LockError):
    """Waiting would never end: a holder above us waits for us. `chain` names them, outermost first."""

    code = "lock.deadlock"

    def __init__(self, message: str, *, chain: Sequence[str] = (), hint: str | None = None) -> None:
        super().__init__(message, hint=hint, details={"chain": list(chain)})
        self.chain = tuple(chain)


class LockUnavailableError(LockError):
    """The lock file cannot be opened or locked; `path` and `errno` say where and why."""

    code = "lock.unavailable"

    def __init__(self, message: str, *, path: str, errno: int | None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint, details={"path": path, "errno": errno})
        self.path = path
        self.errno = errno


class LockUnsupportedError(LockError):
    """This platform or file system has no kernel lock of the kind that is needed."""

    code = "lock.unsupported"


class PackGoneError(LockError):
    """The pack's directory vanished while its lock was waited for."""

    code = "lock.pack-gone"


class TierOrderError(GrexError):
    """Locks were asked for against the tier order: a bug in the caller, never in the user's data."""

    code = "lock.tier-order"


class LockInheritedError(GrexError):
    """A hold was used in a forked child that merely inherited it: a bug in the caller."""

    code = "lock.inherited"


class LockCancelledError(GrexError):
    """An explicit `CancelToken` fired while a lock was waited for."""

    code = "lock.cancelled"
    exit_code = 130


class LockFallbackWarning(RuntimeWarning):
    """A wait for a lock is polled, and its order not kept; the lock is as exclusive as ever."""


class PluginError(GrexError):
    """A plugin is missing, does not load, or breaks its contract."""

    code = "plugin.failed"
    exit_code = 8


class UnknownPackTypeError(PluginError):
    """No installed distribution registers this pack type."""

    code = "plugin.unknown-pack-type"


class UnknownActionError(PluginError):
    """No installed distribution registers this action."""

    code = "plugin.unknown-action"


class UnknownPredicateError(PluginError):
    """No plugin registers the predicate."""

    code = "plugin.unknown-predicate"


class UnknownFetcherError(PluginError):
    """No plugin fetches URLs of that scheme."""

    code = "plugin.unknown-fetcher"


class PluginLoadError(PluginError):
    """An entry point exists and cannot be imported."""

    code = "plugin.load"
