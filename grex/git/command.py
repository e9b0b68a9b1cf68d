"""The one place that builds git command lines and their environment, and runs them.

What every git of ours gets, and why:

* **Nothing of a repository runs.** Hooks, fsmonitor, background maintenance and recursion into submodules are off;
  transports are an allow-list, so that no URL runs a program. One command is let run hooks, the push: `pre-push` is
  where git-lfs sends its objects, and without it others would get commits without their files. Hooks are the user's: no
  clone brings any. Filters (`filter.*.smudge`, `.process`) run everywhere, for they are the user's configuration.
* **Nothing of the caller leaks in.** `GIT_*` variables are dropped but for those about ssh, proxies, certificates and
  where configuration lies: a `GIT_DIR` or `GIT_INDEX_FILE` left over from a hook would point our commands at another
  repository. Search for a repository stops at the working directory, so a damaged checkout cannot make git act on the
  repository around it.
* **Nothing is asked.** There is no terminal (a session of its own has none, which ssh needs for a question too) and no
  standard input. Credentials come from helpers, an agent or an askpass program. `ssh -oBatchMode=yes` was not
  chosen: it forbids the askpass program, and setting GIT_SSH_COMMAND would override the user's core.sshCommand.
* **Writers hold BACKEND.** A command that writes inherits the lock's descriptor (see `docs/concurrency.md`); one that
  reads takes no lock, and is told to leave even git's optional ones alone (`GIT_OPTIONAL_LOCKS=0`).

Names and URLs of others never stand where git looks for an option: they follow `--` or are part of a word
(`--branch=NAME`), and commits are given as full object ids.
"""

from __future__ import annotations

import copy
import os
import shlex
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from grex.errors import PackError
from grex.git.errors import GitError, explain_failure, was_refused
from grex.git.progress import GitProgress, ProgressParser
from grex.names import clean, is_full_sha, redact
from grex.process import Finished, ProcessTimeoutError, run_process

__all__ = ["BackendHold", "GitCommand", "GitRunner", "Logins", "git_environment", "require_backend", "require_sha"]

LOCAL_TIMEOUT_S = 600.0
"""How long a command may take that stays on this machine: only a hang takes longer."""

STDOUT_LIMIT_BYTES = 32 << 20

_PROTOCOLS = ("https", "http", "ssh", "git", "file")
_KEPT = frozenset(
    {
        "GIT_ASKPASS",
        "GIT_CONFIG_GLOBAL",
        "GIT_CONFIG_NOSYSTEM",
        "GIT_CONFIG_SYSTEM",
        "GIT_HTTP_PROXY_AUTHMETHOD",
        "GIT_LFS_SKIP_SMUDGE",
        "GIT_PROXY_COMMAND",
        "GIT_SSH",
        "GIT_SSH_COMMAND",
        "GIT_SSH_VARIANT",
    }
)
_KEPT_PREFIXES = ("GIT_SSL_", "GIT_PROXY_SSL_")

_NO_HOOKS = "core.hooksPath=/dev/null"
_CONFIG = (
    "core.fsmonitor=false",
    "core.quotePath=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    "fetch.writeCommitGraph=false",
    "protocol.ext.allow=never",
    "advice.detachedHead=false",
    "color.ui=false",
)


class BackendHold(Protocol):
    """The BACKEND lock of a checkout while it is held; `grex.locks` makes the real ones."""

    @property
    def fd(self) -> int:
        """The descriptor that a writing git inherits."""

    @property
    def active(self) -> bool:
        """Whether the lock is still held."""


class Logins(Protocol):
    """Answers git's questions for a user and a password; `grex.cli.logins` asks a person on the terminal."""

    def variables(self) -> tuple[str, dict[str, str]]:
        """An id for one attempt of a command, and the variables by which its git finds the answers."""

    async def is_worth_another(self, attempt: str) -> bool:
        """Whether a command whose login was refused should be run again: it was answered, and may be once more."""


class GitCommand(Struct, frozen=True):
    """One git process that has ended, for traces and for tests that count."""

    argv: tuple[str, ...]
    """Without credentials, and without the options that every command gets."""
    cwd: Path
    write: bool
    start_ns: int
    """On the monotonic clock, as `end_ns`."""
    end_ns: int
    returncode: int | None
    """None if it was cancelled, ran out of time or could not be started; `pid` likewise."""
    pid: int | None


def git_environment(caller: Mapping[str, str]) -> dict[str, str]:
    """The environment that every git gets, made from the caller's."""
    environment = {
        name: value
        for name, value in caller.items()
        if not name.startswith("GIT_") or name in _KEPT or name.startswith(_KEPT_PREFIXES)
    }
    # A caller who allows less than we do keeps that.
    allowed = caller.get("GIT_ALLOW_PROTOCOL")
    protocols = [name for name in _PROTOCOLS if allowed is None or name in allowed.split(":")]
    environment |= {
        "GIT_ALLOW_PROTOCOL": ":".join(protocols),
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C",
    }
    environment.setdefault("GCM_INTERACTIVE", "never")
    return environment


def require_backend(backend: BackendHold) -> None:
    """Refuse to write without the lock.

    Raises:
        RuntimeError: the lock is not held: a bug in the caller.
    """
    if not backend.active:
        raise RuntimeError("a git command that writes was about to run without the BACKEND lock")


def require_sha(sha: str) -> str:
    """The object id, if it is a full one; nothing else may stand for a commit on a command line of ours.

    Raises:
        ValueError: it is something else: a bug in the caller.
    """
    if not is_full_sha(sha):
        raise ValueError(f"not a full object id: {clean(sha)!r}")
    return sha.lower()


class GitRunner:
    """Runs git commands with one environment.

    Args:
        environ: the caller's environment, from which `git_environment` takes what git may see.
        on_command: is told of each git process when it has ended.
        stands_for: pairs of an address as it may be written into files, and what is really asked: the same with its
            credentials, or another one. Commands are given the first, and git reads from variables that it stands for
            the second (`url.*.insteadOf`); so credentials that a pack.yaml declares are in no configuration of a
            repository and on no command line.
        offline: whether git may use no transport at all.
        logins: answers git's questions for a user and a password.
        git: the program.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        on_command: Callable[[GitCommand], None] | None = None,
        *,
        stands_for: Sequence[tuple[str, str]] = (),
        offline: bool = False,
        logins: Logins | None = None,
        git: str = "git",
    ) -> None:
        self._environ = environ
        self._stands_for = [pair for pair in stands_for if pair[0] != pair[1]]
        self._offline = offline
        self._logins = logins
        self._environment: dict[str, str] | None = None
        self._on_command = on_command
        self._git = git
        self._git_dir: Path | None = None

    def in_repository(self, git_dir: Path) -> GitRunner:
        """The same for commands about a repository as a whole, run in its git directory, with or without a work tree.

        git is told that this is the one: it may be configured to take no bare repository that it only finds
        (`safe.bareRepository=explicit`), and from within a git directory every one looks bare.
        """
        runner = copy.copy(self)
        runner._git_dir = git_dir  # noqa: SLF001 - one of its own kind
        return runner

    async def run(
        self,
        args: Sequence[str],
        *,
        cwd: Path,
        write: BackendHold | None = None,
        timeout_s: float | None = LOCAL_TIMEOUT_S,
        stdin_data: bytes | None = None,
        accept: Collection[int] = (0,),
        config: Sequence[str] = (),
        extra_env: Mapping[str, str] | None = None,
        subject: str = "",
        error: type[PackError] = GitError,
        on_progress: Callable[[GitProgress], None] | None = None,
        on_stderr: Callable[[bytes], None] | None = None,
        runs_hooks: bool = False,
    ) -> Finished:
        """Run one git command.

        Cancellation: git and everything it started have ended before it goes on.

        Args:
            args: the subcommand and its arguments.
            cwd: the checkout, or for a clone the directory it is made in.
            write: the BACKEND hold of the checkout, for a command that may change it.
            timeout_s: how long it may take.
            stdin_data: what it reads.
            accept: the exit codes that are answers and not failures.
            config: further `name=value` settings for this command.
            extra_env: further variables for this command.
            subject: what it is about, for the error; by default the directory.
            error: the class of a failure that is not a more exact one.
            on_progress: is told how far git is; the command has to be given `--progress`.
            on_stderr: hears standard error as it comes; without `on_progress`.
            runs_hooks: let the user's hooks in this repository run, as they would for the user.

        Raises:
            PackError: of the class `error`: git failed, took too long or could not be started.
            RuntimeError: `write` is not held any more: a bug in the caller.
        """
        while True:
            attempt, login = ("", {}) if self._logins is None else self._logins.variables()
            finished = await self._run_once(
                args,
                cwd=cwd,
                write=write,
                timeout_s=timeout_s,
                stdin_data=stdin_data,
                config=config,
                extra_env={**login, **(extra_env or {})},
                subject=subject,
                error=error,
                on_progress=on_progress,
                on_stderr=on_stderr,
                runs_hooks=runs_hooks,
            )
            what = _what(args, subject, cwd)
            if finished.returncode not in accept:
                if (
                    self._logins is not None
                    and was_refused(finished.stderr)
                    and await self._logins.is_worth_another(attempt)
                ):
                    continue
                failed = explain_failure(what, f"git {finished.describe_end()}", finished.stderr, error=error)
                if finished.returncode < 0:
                    failed.details["signal"] = -finished.returncode
                raise failed
            if finished.stdout_truncated:  # half an answer is none
                raise error(f"{what} failed: git answered with more than {STDOUT_LIMIT_BYTES >> 20} MiB")
            return finished

    async def _run_once(
        self,
        args: Sequence[str],
        *,
        cwd: Path,
        write: BackendHold | None,
        timeout_s: float | None,
        stdin_data: bytes | None,
        config: Sequence[str],
        extra_env: Mapping[str, str],
        subject: str,
        error: type[PackError],
        on_progress: Callable[[GitProgress], None] | None,
        on_stderr: Callable[[bytes], None] | None,
        runs_hooks: bool,
    ) -> Finished:
        """Run it, whatever it answers."""
        if write is not None:
            require_backend(write)
        what = _what(args, subject, cwd)
        parser = None if on_progress is None else ProgressParser(on_progress)
        start_ns = time.monotonic_ns()
        finished = None
        try:
            finished = await run_process(
                self._argv(args, (*(() if runs_hooks else (_NO_HOOKS,)), *config), write=write is not None),
                cwd=cwd,
                env=self._command_environment(cwd, extra_env, write=write is not None, runs_hooks=runs_hooks),
                timeout_s=timeout_s,
                pass_fds=() if write is None else (write.fd,),
                stdin_data=stdin_data,
                stdout_limit_bytes=STDOUT_LIMIT_BYTES,
                keep_tail=False,
                on_stderr=on_stderr if parser is None else parser.feed,
            )
        except ProcessTimeoutError as timeout:
            raise error(
                f"{what} did not end within {timeout.timeout_s:g} seconds and was stopped",
                hint="Check the network and the disk, or give it more time.",
                details={"timeout_s": timeout.timeout_s},
            ) from None
        except OSError as failure:
            raise _not_started(what, self._git, cwd, failure, error) from failure
        finally:
            self._report(args, cwd, finished, start_ns, write=write is not None)
        return finished

    def _argv(self, args: Sequence[str], config: Sequence[str], *, write: bool) -> list[str]:
        argv = [self._git]
        for setting in (*_CONFIG, *(_credential_config() if write else ()), *config):
            argv += ("-c", setting)
        argv += args
        return argv

    def _command_environment(
        self, cwd: Path, extra: Mapping[str, str] | None, *, write: bool, runs_hooks: bool
    ) -> dict[str, str]:
        if self._environment is None:  # most runners of a run with nothing to do never start a git
            self._environment = git_environment(self._environ)
            if self._stands_for:
                self._environment["GIT_CONFIG_COUNT"] = str(len(self._stands_for))
            for index, (plain, real) in enumerate(self._stands_for):
                self._environment[f"GIT_CONFIG_KEY_{index}"] = f"url.{real}.insteadOf"
                self._environment[f"GIT_CONFIG_VALUE_{index}"] = plain
            if self._offline:
                self._environment["GIT_ALLOW_PROTOCOL"] = "none"
        environment = dict(self._environment)
        # git always looks at the working directory itself; the ceiling keeps it from looking further up.
        environment["GIT_CEILING_DIRECTORIES"] = os.path.dirname(os.path.realpath(cwd))  # noqa: PTH120 - a text for git
        if self._git_dir is not None:
            environment["GIT_DIR"] = str(self._git_dir)
        if not write:
            environment["GIT_OPTIONAL_LOCKS"] = "0"
        if runs_hooks:
            del environment["GIT_LITERAL_PATHSPECS"]  # a hook may say `git diff -- '*.c'`
        if extra is not None:
            own = environment.get("GIT_ASKPASS")
            environment |= extra
            if own is not None:  # the user's choice goes before ours
                environment["GIT_ASKPASS"] = own
        return environment

    def _report(self, args: Sequence[str], cwd: Path, finished: Finished | None, start_ns: int, *, write: bool) -> None:
        if self._on_command is None:
            return
        self._on_command(
            GitCommand(
                argv=("git", *map(redact, args)),
                cwd=cwd,
                write=write,
                start_ns=start_ns,
                end_ns=time.monotonic_ns(),
                returncode=None if finished is None else finished.returncode,
                pid=None if finished is None else finished.pid,
            )
        )


def _what(args: Sequence[str], subject: str, cwd: Path) -> str:
    """The command and what it is about, as the beginning of a sentence."""
    return f"git {args[0]} of {redact(subject)}" if subject else f"git {args[0]} in '{cwd}'"


def _credential_config() -> Sequence[str]:
    """Settings that put a wrapper between git and the user's credential helpers; see `grex.git.credential_helper`."""
    script = Path(__file__).with_name("credential_helper.py")
    wrapper = f"!{shlex.quote(sys.executable or 'python3')} -I -S {shlex.quote(str(script))}"
    return (
        "credential.helper=",  # an empty one forgets all before it, those for single URLs included
        f"credential.helper={wrapper}",
        "credential.useHttpPath=true",  # the inner git needs the path to choose among the user's helpers
    )


def _not_started(what: str, git: str, cwd: Path, failure: OSError, error: type[PackError]) -> PackError:
    if isinstance(failure, FileNotFoundError) and cwd.is_dir():
        return error(
            f"{what} failed: the program '{git}' was not found", hint="Install git 2.34 or newer, and check PATH."
        )
    return error(f"{what} failed: {failure.strerror or failure}")
