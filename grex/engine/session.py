"""One run over one workspace: what every phase of it needs, made once and handed down.

A `Session` reads the environment and the disk through values that the front end put into `Settings`; nothing below a
verb looks at `os.environ` or at the home directory by itself.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct, field

from grex.engine.holds import Holds, Permits, SharedPermits
from grex.engine.watchdog import Watchdog
from grex.errors import ConfigError, UnknownPackTypeError
from grex.git import GitCommand, GitProgress, GitRunner, Logins
from grex.locks import WaitPolicy, set_verb, set_workspace
from grex.manifest import (
    LARGE_LOG_BYTES,
    Event,
    Folded,
    ForkMark,
    LockLine,
    Log,
    fold,
    lines_needed,
    read_fork_mark,
    read_lockfile,
    worth_compacting,
)
from grex.names import InvalidUrlError, PackUrl, Rewrites, clean
from grex.plugin import Registry
from grex.plugin.registry import PACK_TYPES_GROUP
from grex.progress import Sink, Slice, events, null_sink
from grex.workspace import Layout, TrustStore

if TYPE_CHECKING:
    from grex.pack import OverrideSpec

__all__ = ["Session", "Settings"]

T = TypeVar("T")


class Settings(Struct, frozen=True):
    """What the front end found out about this user, this machine and this call.

    Attributes:
        home: the user's home directory.
        environ: the caller's environment variables.
        platform: `linux`, `macos` or `windows`.
        state_dir: the user's state directory for grex (trust).
        verb: the verb that is running, for holder records.
        jobs: `--jobs`, None for one disk permit per core.
        network_permits: how many steps may use the network at once.
        per_host: how many of them may talk to one host.
        no_wait: fail at once where a lock is held.
        lock_timeout_s: seconds to wait for a lock, None for ever.
        trust: URL prefixes that are trusted for this run only, as typed.
        keep_days: how many days the trash keeps things.
        sink: where progress goes.
        cache_dir: where the objects lie that clones of all workspaces share; None for nowhere.
        rewrites: which addresses are asked for somewhere else.
        logins: answers git's questions for a user and a password; None where nobody can be asked.
        refused: why a file of settings was refused, where a verb goes on with the defaults for it.
        shared_permits: what all runs of this process have together; None where this is the only one.
    """

    home: Path
    environ: Mapping[str, str]
    platform: str
    state_dir: Path
    verb: str
    jobs: int | None = None
    network_permits: int = 32
    per_host: int = 8
    no_wait: bool = False
    lock_timeout_s: float | None = None
    trust: tuple[str, ...] = ()
    keep_days: int = 90
    sink: Sink = null_sink
    cache_dir: Path | None = None
    rewrites: Rewrites = field(default_factory=Rewrites)
    logins: Logins | None = None
    refused: tuple[ConfigError, ...] = ()
    shared_permits: SharedPermits | None = None


class Session(Struct):
    """A workspace that is open for one run."""

    layout: Layout
    settings: Settings
    holds: Holds
    registry: Registry
    trust: TrustStore
    log: Log
    watchdog: Watchdog
    lines: Mapping[str, LockLine] = field(default_factory=dict)
    folded: Folded = field(default_factory=Folded)
    overrides: Mapping[str, OverrideSpec] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    fork: ForkMark | None = None
    """What a fork is told of itself; None in every other workspace."""
    recovered: list[str] = field(default_factory=list)
    """What a run before had left, and was put right when WORKSPACE was had."""
    _log_bytes: int = 0
    started: float = field(default_factory=time.monotonic)
    """Of the monotonic clock: what a run took is counted from here, its waits included."""
    run_id: str = field(default_factory=lambda: secrets.token_hex(6))

    @classmethod
    def open(cls, root: Path, settings: Settings) -> Session:
        """Open a workspace: takes no lock and reads no manifest yet. To be called inside the event loop of the run."""
        from grex.workspace import canonical_prefix  # noqa: PLC0415 - only a call with --trust needs it

        layout = Layout(root)
        set_verb(settings.verb)
        set_workspace(root)
        policy = WaitPolicy(timeout_s=settings.lock_timeout_s, no_wait=settings.no_wait)
        permits = Permits.for_jobs(settings.jobs, settings.network_permits, settings.per_host)
        watchdog = Watchdog(settings.sink)
        fork = read_fork_mark(layout.state_dir)
        base = root if fork is None else Path(fork.base)
        return cls(
            layout=layout,
            settings=settings,
            holds=Holds(layout, permits=permits, policy=policy, sink=settings.sink, shared=settings.shared_permits),
            registry=Registry(watchdog.expect_third_parties),
            trust=TrustStore(
                settings.state_dir, root, tuple(canonical_prefix(prefix, base) for prefix in settings.trust)
            ),
            log=Log(layout.log, layout.trash_dir),
            watchdog=watchdog,
            fork=fork,
        )

    def check_type(self, name: str) -> tuple[str, str] | None:
        """What to say of a pack type that nobody registers, and what to do; None of one that is known."""
        if self.registry.has(PACK_TYPES_GROUP, name):
            return None
        try:
            self.registry.pack_type(name)
        except UnknownPackTypeError as error:
            return error.message, error.hint or ""
        return None

    @property
    def base(self) -> Path:
        """Where relative URLs start: at the root, and in a fork where they start in the workspace it was made of."""
        return self.layout.root if self.fork is None else Path(self.fork.base)

    def fork_branch(self, path: str) -> str | None:
        """In a fork, the branch that was made for a pack of it; None otherwise."""
        return None if self.fork is None else self.fork.branch_of(path)

    def real(self, url: PackUrl) -> PackUrl:
        """The address that is asked, which the configuration may have rewritten.

        Raises:
            ConfigError: what the configuration makes of it is no address.
        """
        try:
            return self.settings.rewrites.real(url)
        except InvalidUrlError as error:
            raise ConfigError(
                f"the configuration rewrites {clean(url.redacted)} to what is no address: {error}", hint=error.hint
            ) from error

    def address(self, url: PackUrl) -> PackUrl:
        """The address that a checkout belongs to, and that its `origin` has: the declared one.

        Where it is the workspace's own configuration that rewrites it, it is the rewritten one. Otherwise, once that
        rule is gone, what came from there would pass for what is trusted under the declared address.
        """
        rule = self.settings.rewrites.rule_for(url)
        return self.real(url) if rule is not None and rule.is_shared else url

    def trust_key(self, url: PackUrl) -> str:
        """What trust in a pack of this address goes by."""
        return self.address(url).trust_key

    def host_of(self, url: PackUrl) -> str:
        """What the limit of simultaneous connections counts by: the host that is really asked."""
        return self.real(url).limit_key

    def git_for(
        self, pack: str, url: PackUrl | None = None, *, offline: bool = False, others: bool = False
    ) -> GitRunner:
        """A runner whose commands stand on the pack's track of the trace.

        With a URL, its credentials are known to git, and that it may be asked for elsewhere, while git is given
        `address(url).plain`.

        Args:
            pack: its path.
            url: what git is going to talk to.
            offline: whether git may use no transport at all, not even for objects that a partial clone lacks.
            others: whether further addresses, which only git sees, are rewritten too: those of submodules.
        """
        sink = self.settings.sink

        def ran(command: GitCommand) -> None:
            facts = {"argv": " ".join(command.argv), "cwd": str(command.cwd), "returncode": command.returncode}
            sink(Slice(f"git {command.argv[1]}", "git", pack, command.start_ns, command.end_ns, facts))

        stands_for: list[tuple[str, str]] = []
        if url is not None:
            stands_for.append((self.address(url).plain, self.real(url).resolved))
        if others:
            stands_for += [(rule.instead_of, rule.base) for rule in self.settings.rewrites.rules]
        return GitRunner(
            self.settings.environ,
            on_command=ran,
            stands_for=stands_for,
            offline=offline,
            logins=self.settings.logins,
        )

    def git_progress(self, pack: str) -> Callable[[GitProgress], None]:
        """What is told how far git is with a pack: the sink is, once for each hundredth of a stage and each rate."""
        sink = self.settings.sink
        last: tuple[str, int, int | None] = ("", -1, None)

        def on_progress(progress: GitProgress) -> None:
            nonlocal last
            now = (progress.stage, progress.percent, progress.bytes_per_s)
            if now != last:
                last = now
                sink(events.GitProgress(pack, *now))

        return on_progress

    async def read_records(self) -> None:
        """Read the log and the lockfile. Tier: MANIFEST, shared and briefly.

        Raises:
            CorruptLogError: the log is damaged in its middle.
            LockfileError: the lockfile cannot be used.
        """
        async with self.holds.manifest_shared():
            self.reread()

    async def read_manifest(self, read: Callable[[], T]) -> T:
        """What `read` gives of what is declared and recorded; `notes` says so where it was read without the lock.

        Tier: MANIFEST, shared and briefly. `read` may be called several times.

        Raises:
            LockError: the lock could not be had.
            GrexError: what `read` raised.
        """
        found, note = await self.holds.read_manifest(read)
        if note is not None:
            self.notes.append(note)
        return found

    def reread(self) -> None:
        """Read the log and the lockfile without a lock, for callers that hold MANIFEST or only look."""
        self.fork = read_fork_mark(self.layout.state_dir)
        self.lines = read_lockfile(self.layout.lockfile)
        self.folded = fold(self.log.read().events)

    async def record(self, pack: str, events: Sequence[Event], *, durable: bool = True) -> None:
        """Append to the log. Tier: MANIFEST, exclusive and briefly."""
        if not events:
            return
        async with self.holds.manifest_exclusive(pack) as hold:
            report = self.log.append(events, hold=hold, durable=durable)
        self._log_bytes = report.size_bytes

    async def compact_log(self) -> None:
        """Rewrite the log if this run has written to it and it is mostly history by now.

        Tier: MANIFEST, exclusive and briefly. What the log amounts to stays the same; a run that recorded nothing
        leaves it as it is.
        """
        if self._log_bytes < LARGE_LOG_BYTES:
            return
        async with self.holds.manifest_exclusive("log") as hold:
            contents = self.log.read()
            live = lines_needed(fold(contents.events))
            if worth_compacting(contents.size_bytes, len(contents.events), live):
                self.log.compact(hold=hold)
