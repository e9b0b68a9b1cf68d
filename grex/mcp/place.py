"""Where a server works, and how each of its calls gets its settings.

The front end has read the environment and the options once, and hands down a function that makes settings of them:
the configuration files are read anew for each call, as they are for each command.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace

from grex.engine import Permits, Settings, SharedPermits
from grex.progress import Sink, Tee, null_sink

if TYPE_CHECKING:
    from grex.verbs.config import ConfigRequest

__all__ = ["Asked", "Place"]


class Asked(Struct, frozen=True):
    """What one call says of how it is to be run.

    Attributes:
        verb: the verb, for holder records.
        sink: where its progress goes.
        jobs: on how many packs it may work at once; None for as many as the server may.
        no_wait: fail at once where a lock is held.
        lock_timeout_s: seconds to wait for a lock, None for ever.
    """

    verb: str
    sink: Sink = null_sink
    jobs: int | None = None
    no_wait: bool = False
    lock_timeout_s: float | None = None


class Place(Struct, frozen=True):
    """The workspace that a server was started for, which it never leaves.

    Attributes:
        root: its directory.
        make_settings: the settings of a call, as the front end knows them; may raise `GrexError`.
        make_config_request: what `grex config` is asked with, in this process.
        permits: what all calls have together.
        trace: is told what all calls do, whether or not their clients want to know.
    """

    root: Path
    make_settings: Callable[[Asked], Settings]
    make_config_request: Callable[[], ConfigRequest]
    permits: SharedPermits = field(default_factory=SharedPermits)
    trace: Sink = null_sink

    def settings(self, asked: Asked) -> Settings:
        """The settings of a call, which shares the permits with all others.

        Raises:
            ConfigError: a configuration file does not say something usable.
        """
        if self.trace is not null_sink:
            asked = replace(asked, sink=Tee(asked.sink, self.trace))
        found = self.make_settings(asked)
        self.permits.fit(Permits.for_jobs(found.jobs, found.network_permits, found.per_host))
        jobs = found.jobs if asked.jobs is None else asked.jobs
        return replace(found, jobs=jobs, shared_permits=self.permits)
