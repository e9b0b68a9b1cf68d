"""What git can fail with, and how its words become one sentence with a next step.

git's standard error is text of others (a server can write into it), so it is redacted, cleaned and cut before it is
shown. Since git runs with LC_ALL=C, its own phrases can be recognised; a phrase that is not known costs the hint and
nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from grex.errors import FetchError, PackError
from grex.names import clean, redact

__all__ = [
    "AnotherGitError",
    "CheckoutRefusedError",
    "FilesInTheWayError",
    "GitError",
    "PushError",
    "PushHookError",
    "RefNotFoundError",
    "explain_failure",
    "shown_paths",
    "was_refused",
]

_REASON_CHARS = 300
_SHOWN_PATHS = 5
_KEPT_LINES = 20


class GitError(PackError):
    """A git command failed, or could not be started."""

    code = "pack.git"


class RefNotFoundError(FetchError):
    """The remote has no such branch, tag or commit."""

    code = "pack.ref-not-found"


class FilesInTheWayError(FetchError):
    """Files stand where a clone's would go; `paths` names them, and nothing was overwritten."""

    code = "pack.files-in-the-way"

    def __init__(self, message: str, *, paths: Sequence[str], hint: str | None = None) -> None:
        super().__init__(message, hint=hint, details={"paths": list(paths)})
        self.paths = tuple(paths)


class PushError(GitError):
    """The remote did not take what was pushed; what is there is as it was."""

    code = "pack.push"


class PushHookError(PushError):
    """The user's `pre-push` hook has refused a push, or failed; nothing was sent."""

    code = "pack.push-hook"


class CheckoutRefusedError(GitError):
    """git, or a check before it, would not move this checkout; nothing was changed, `paths` says because of what."""

    code = "pack.checkout-refused"

    def __init__(self, message: str, *, paths: Sequence[str] = (), hint: str | None = None) -> None:
        super().__init__(message, hint=hint, details={"paths": list(paths)})
        self.paths = tuple(paths)


class AnotherGitError(GitError):
    """Another git is at work in this checkout, or has left a lock file that is not ours to remove."""

    code = "pack.another-git"


def shown_paths(paths: Sequence[str]) -> str:
    """A few of the paths, for a sentence."""
    text = ", ".join(f"'{clean(path)}'" for path in paths[:_SHOWN_PATHS])
    return f"{text} and {len(paths) - _SHOWN_PATHS} more" if len(paths) > _SHOWN_PATHS else text


_LOGIN_HINT = (
    "Set up a credential helper (`git config --global credential.helper ...`), an ssh agent or GIT_ASKPASS, and check "
    "that `git ls-remote URL` works without a question: git asks for nothing here."
)
# The first that matches wins, so what is specific stands before what it is usually accompanied by. The patterns are
# compiled when something has failed, and not by every program that imports this.
_HINTS: Sequence[tuple[str, type[PackError] | None, str]] = (
    (
        r"\.lock': File exists",
        AnotherGitError,
        "Wait for the other git that is at work in this checkout, or remove its lock file if it has died.",
    ),
    (
        r"smudge filter lfs failed|git-lfs[^\n]*(?:not found|No such file)|external filter 'git-lfs",
        None,
        "Install git-lfs; or set GIT_LFS_SKIP_SMUDGE=1, which leaves pointers in place of these files.",
    ),
    (
        r"No space left on device|Disk quota exceeded",
        None,
        "Make room on this file system and try again; what is complete stays.",
    ),
    (
        r"Remote branch .* not found|couldn't find remote ref|not our ref|no such remote ref|unadvertised object",
        RefNotFoundError,
        "Check the ref's spelling, and that it has been pushed.",
    ),
    (
        r"dubious ownership",
        None,
        "If you trust the other user to whom it belongs: `git config --global --add safe.directory DIR`.",
    ),
    (r"transport '[^']*' not allowed", None, "Use an https, ssh, git or file URL."),
    (
        r"Host key verification failed",
        None,
        "Connect once by hand (`ssh HOST`) and accept the host key, or add it to known_hosts.",
    ),
    (
        (
            r"could not read (?:Username|Password)|terminal prompts disabled|Authentication failed"
            r"|Permission denied \(|Invalid username or password|HTTP Basic: Access denied|returned error: 40[13]"
        ),
        None,
        _LOGIN_HINT,
    ),
    (
        r"Could not resolve host|Name or service not known|Temporary failure in name resolution",
        None,
        "Check the host's name and the network; `grex sync --offline` works with what is cloned.",
    ),
    (
        (
            r"Connection (?:refused|timed out|reset)|Failed to connect|Network is unreachable|No route to host"
            r"|Operation timed out"
        ),
        None,
        "Check the network, a proxy (HTTPS_PROXY) and the port; `grex sync --offline` works with what is cloned.",
    ),
    (r"certificate", None, "Check the clock and the certificates (GIT_SSL_CAINFO, http.sslCAInfo)."),
    (
        r"Repository not found|does not appear to be a git repository|does not exist|repository .* not found",
        None,
        "Check the URL; a private repository that you may not see also looks like this.",
    ),
    (
        r"early EOF|unexpected disconnect|RPC failed|hung up unexpectedly|index-pack (?:failed|died|output)",
        None,
        "Try again: the connection broke.",
    ),
    (r"Read-only file system|Permission denied|insufficient permission", None, "Check who owns these files."),
)
_PROGRESS = re.compile(
    r"(?:remote: *)?(?:[A-Z][a-z]+ing [a-z ]+: +\d+(?:%| *\(|, done)|Enumerating objects:|Total \d+ \(delta )"
)
_SAYS_WHY = re.compile(r"^(?:fatal|error|remote|ssh|git): *(?:fatal: |error: )?", re.IGNORECASE)


_REFUSED = re.compile(rb"Authentication failed|could not read (?:Username|Password)|terminal prompts disabled")


def was_refused(stderr: bytes) -> bool:
    """Whether a host wanted a user and a password, and did not get the right ones."""
    return _REFUSED.search(stderr) is not None


def explain_failure(what: str, end: str, stderr: bytes, *, error: type[PackError]) -> PackError:
    """Make an error of a command that failed.

    Args:
        what: the command and the thing it was for, as the beginning of a sentence.
        end: how it ended, for when git says nothing.
        stderr: what git said.
        error: the class to use, unless the words show a more exact one.
    """
    text = redact(stderr.decode("utf-8", "replace"))
    hint = None
    for pattern, exact, known_hint in _HINTS:
        if re.search(pattern, text, re.IGNORECASE):
            hint = known_hint
            # A ref that is missing is a failure to fetch and nothing else; a lock file is one in any command.
            if exact is not None and (issubclass(exact, error) or exact is AnotherGitError):
                error = exact
            break
    said = [line for line in text.splitlines() if not _PROGRESS.match(line)]
    details = {"stderr": [clean(line, _REASON_CHARS) for line in said[-_KEPT_LINES:]]}
    return error(f"{what} failed: {_reason(text) or end}", hint=hint, details=details)


def _reason(text: str) -> str:
    """The line that says why: the first with a git prefix, or else the last."""
    # Progress is no reason, least of all that of the server, which has the prefix of a line that says why.
    lines = [line.strip() for line in text.splitlines() if not _PROGRESS.match(line)]
    lines = [line for line in lines if line and not line.startswith(("hint:", "warning:", "Cloning into"))]
    if not lines:
        return ""
    said = [line for line in lines if _SAYS_WHY.match(line)]
    return clean(_SAYS_WHY.sub("", (said or lines[-1:])[0]), _REASON_CHARS).rstrip(".")
