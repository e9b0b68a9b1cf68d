"""One call: what the options and the environment say.

Environment variables and the home directory are read here, and below the command line they are values. How a call is
run stands in `grex.cli.execution`.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field
from msgspec.structs import replace

from grex.cli.colours import ColourChoice
from grex.cli.streams import is_one_place, terminal_width
from grex.errors import ConfigError, GrexError, UsageError
from grex.names import clean

if TYPE_CHECKING:
    from grex.engine import Settings

__all__ = ["Call"]

_SHOWN_CHARACTERS = 40
_LONG = frozenset(
    {"add", "clone", "fetch", "fork", "import", "override", "push", "rm", "run", "set", "switch", "sync", "teardown"}
    | {"update"}
)
"""The verbs that may run long; what `exec` shows is what its commands say."""


class Call(Struct, frozen=True):
    """The options that commands share, and the environment; `joined` adds those after the verb to those before it.

    `as_json` is that the output is for programs, `as_lines` that it comes line by line.
    """

    verb: str = ""
    as_json: bool = False
    as_lines: bool = False
    quiet: bool = False
    workspace: Path | None = None
    jobs: int | None = None
    no_wait: bool = False
    lock_timeout_s: float | None = None
    trace: Path | None = None
    trust: tuple[str, ...] = ()
    behind_dashes: tuple[str, ...] | None = None
    colour: ColourChoice | None = None
    no_pager: bool = False
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    is_lenient: bool = False
    """Whether the verb goes on with the defaults where a file of settings is refused, and tells of it itself."""

    def joined(self, after: Call) -> Call:
        """The call of a verb, when these options stood before the verb; what stands after it wins.

        Raises:
            UsageError: the options, or the environment, contradict themselves.
        """
        no_wait = after.no_wait or self.no_wait
        lock_timeout_s = after.lock_timeout_s if after.lock_timeout_s is not None else self.lock_timeout_s
        jobs = after.jobs if after.jobs is not None else self.jobs
        if no_wait and lock_timeout_s is not None:
            raise UsageError("--no-wait and --lock-timeout exclude each other", hint="Give one of them.")
        as_lines = self.as_lines or after.as_lines
        if as_lines and (self.as_json or after.as_json):
            raise UsageError("--json and --json-lines exclude each other", hint="Give one of them.")
        return replace(
            self,
            verb=after.verb,
            behind_dashes=after.behind_dashes,
            as_json=self.as_json or after.as_json or as_lines,
            as_lines=as_lines,
            quiet=self.quiet or after.quiet,
            workspace=after.workspace if after.workspace is not None else self.workspace,
            jobs=jobs if jobs is not None else _jobs_from(self.environ),
            no_wait=no_wait,
            lock_timeout_s=lock_timeout_s,
            trace=after.trace if after.trace is not None else self.trace,
            trust=(*after.trust, *self.environ.get("GREX_TRUST", "").split()),
            colour=after.colour or self.colour,
            no_pager=self.no_pager or after.no_pager,
        )

    @property
    def has_one_place(self) -> bool:
        """Whether progress and report come out in one place: a terminal, or the same file or pipe."""
        return not self.quiet and not self.as_json and is_one_place(sys.stdout, sys.stderr)

    @property
    def width(self) -> int | None:
        """How wide the terminal is that the report goes to; None where it goes elsewhere."""
        return terminal_width(sys.stdout, self.environ.get("COLUMNS"))

    @property
    def has_view(self) -> bool:
        """Whether somebody watches at a terminal that can show how a long run goes on."""
        return (
            self.verb in _LONG
            and not self.quiet
            and not self.as_json
            and self.environ.get("TERM", "dumb") != "dumb"
            and terminal_width(sys.stderr, self.environ.get("COLUMNS")) is not None
        )

    def root(self) -> Path:
        """The workspace of this call.

        Raises:
            NotAWorkspaceError: there is none.
            UsageError: the current directory is not there any more.
        """
        from grex.verbs.locate import locate  # noqa: PLC0415 - `--help` needs no workspace

        return locate(_current_directory(), self.workspace or self._from_variable())

    def _from_variable(self) -> Path | None:
        named = self.environ.get("GREX_WORKSPACE")
        return Path(named) if named else None

    def overridden_workspace(self) -> Path | None:
        """The workspace that this call was started in, if GREX_WORKSPACE chose another one; None otherwise."""
        from grex.verbs.locate import locate  # noqa: PLC0415 - as above

        if self.workspace is not None or self._from_variable() is None:
            return None
        try:
            here = locate(_current_directory(), None)
        except GrexError:
            return None
        return None if here == self.root() else here

    def place(self, path: Path) -> Path:
        """A path as the verb has to read it: a relative one starts where the person is.

        Raises:
            UsageError: the current directory is not there any more.
        """
        return path if path.is_absolute() else _current_directory() / path

    def from_here(self, url: str) -> str:
        """A URL as the workspace has to read it: a person's relative path starts where the person is."""
        if not url.startswith(("./", "../")):
            return url
        from grex.manifest import read_fork_mark  # noqa: PLC0415 - as above
        from grex.workspace import Layout  # noqa: PLC0415 - as above

        root = self.root()
        mark = read_fork_mark(Layout(root).state_dir)
        path = os.path.relpath(url, root if mark is None else mark.base)
        return path if path.startswith("../") else f"./{path}"

    def settings(self, root: Path, sink: Callable[[Any], None]) -> Settings:
        """What the verb is told about this user and this machine."""
        from platformdirs import user_config_path, user_state_path  # noqa: PLC0415 - verbs only

        from grex.engine import Settings  # noqa: PLC0415 - verbs only
        from grex.workspace import read_config  # noqa: PLC0415 - verbs only

        home = _home()  # first: without one, the paths of the next lines would lie in a directory called ~
        refused: list[ConfigError] = []
        config = read_config(root, user_config_path(appauthor=False), refused=refused if self.is_lenient else None)
        platform = {"darwin": "macos", "win32": "windows"}.get(sys.platform, "linux")
        return Settings(
            home=home,
            environ=self.environ,
            platform=platform,
            state_dir=user_state_path("grex", appauthor=False),
            verb=self.verb,
            jobs=self.jobs if self.jobs is not None else config.jobs,
            network_permits=config.network_permits,
            per_host=config.per_host,
            no_wait=self.no_wait,
            lock_timeout_s=self.lock_timeout_s,
            trust=(*self.trust, *config.trust_prefixes),
            keep_days=config.keep_days,
            sink=sink,
            cache_dir=self.cache_dir() or config.cache_dir,
            rewrites=config.rewrites,
            refused=tuple(refused),
        )

    def cache_dir(self) -> Path | None:
        """The directory of GREX_CACHE_DIR; a relative one starts where the person is."""
        from grex.workspace import cache_directory  # noqa: PLC0415 - verbs only

        named = self.environ.get("GREX_CACHE_DIR", "")
        return cache_directory(named, relative_to=_current_directory()) if named else None


def _current_directory() -> Path:
    try:
        return Path.cwd()
    except OSError as error:
        raise UsageError(
            f"the current directory cannot be found: {error.strerror}",
            hint="It was removed, or may not be read: `cd` to another one.",
        ) from error


def _home() -> Path:
    try:
        home = Path.home()
    except RuntimeError as error:
        raise ConfigError(
            "this user has no home directory, neither by HOME nor in the user database",
            hint="Set HOME to a directory in which grex may keep its configuration and its trust.",
        ) from error
    if not home.is_absolute() or os.environ.get("HOME") == "":
        # A link in `~` would be somewhere else in each directory; and an empty HOME is `/` to Python.
        raise ConfigError(
            f"HOME is {clean(os.environ.get('HOME', str(home)), _SHOWN_CHARACTERS)!r}, no absolute path",
            hint="Set HOME to your home directory, or unset it.",
        )
    return home


def _jobs_from(environ: Mapping[str, str]) -> int | None:
    text = environ.get("GREX_JOBS", "").strip()
    if not text:
        return None
    if re.fullmatch(r"0*[1-9][0-9]{0,5}", text, re.ASCII) is None:
        raise UsageError(
            f"GREX_JOBS is {clean(text, _SHOWN_CHARACTERS)!r}, not a number of 1 or more",
            hint="Unset it, or set it to a number.",
        )
    return int(text)
