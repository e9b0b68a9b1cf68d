"""Addresses of repositories: which are accepted, what git is given, and when two are the same.

git takes almost any text as an address and runs a program for some of them, so grex takes only the kinds listed in
`docs/reference/pack-yaml.md`: `https`, `http`, `ssh`, `git` and `file` URLs, the scp form, and paths. Everything else
is refused with a reason, and so is what a shell or git could read as an option.

One parsed value carries three texts. `text` is what was declared and `resolved` what git is given: both may hold
credentials and are for git alone. `redacted` is for people, files and logs. `repr` shows `redacted`, so that a
debugger or a failed assertion gives nothing away either.

`identity` answers "is it the same repository?" by spelling, without asking anybody: scheme and host in lower case,
without user, default port, trailing `/` and `.git`; the scp form is `ssh`. A path on a server that is relative to a
home (`host:x`) counts as equal to the absolute one (`ssh://host/x`), as on every hosting service. `https` and `ssh`
to one host stay different: they may well be served differently. Paths on this machine are told apart by where they
lead, which is the only question here that touches the disk, and only when it is asked.

Relative URLs follow `defaults.base` as in `west.yml`; `.` and `..` at their start are resolved against it and may
not climb out of the base's host. Without a base, `./` and `../` are relative to the declaring workspace.
"""

from __future__ import annotations

import os
import re
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote

from msgspec import Struct

from grex.names.text import SECRET_PARAMETER, as_hint, clean, redact

__all__ = ["InvalidUrlError", "PackUrl", "parse_url"]

_DEFAULT_PORTS = {"https": 443, "http": 80, "ssh": 22, "git": 9418}
_MAX_PORT = 65535
_URL_BYTES = 2048

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_HELPER = re.compile(r"[A-Za-z0-9+.-]*::")
_DRIVE = re.compile(r"[A-Za-z]:[/\\]")
_SCP = re.compile(r"(?:(?P<user>[^@/:]+)@)?(?P<host>\[[^\]/]+\]|[^/:@\[\]]+):(?P<path>.*)", re.DOTALL)
_AUTHORITY = re.compile(r"(?:(?P<info>.*)@)?(?P<host>\[[0-9A-Fa-f:.%]+\]|[^:\[\]@]*)(?::(?P<port>[0-9]*))?", re.DOTALL)
_HOST = re.compile(r"[\w](?:[\w.-]*[\w.])?")
_IPV6 = re.compile(r"[0-9A-Fa-f:.]+(?:%[\w.-]+)?")
_SSH_USER = re.compile(r"(?:ssh://)?([^@/:]+)(?::[^@/]*)?@")
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


class InvalidUrlError(ValueError):
    """This is not an address that grex gives to git; the message says why, in one sentence and without credentials."""

    def __init__(self, text: str, reason: str, hint: str) -> None:
        super().__init__(f"'{clean(redact(text))}' {reason}")
        self.reason = reason
        self.hint = as_hint(hint)


class PackUrl(Struct, frozen=True, dict=True):  # the dict holds `identity`, once it was asked for
    """The address of a repository, checked and resolved; see the module for what each text is for."""

    text: str
    """As declared; may hold credentials."""
    resolved: str
    """What git is given, absolute; may hold credentials."""
    scheme: str
    """`https`, `http`, `ssh`, `git`, `file` or `local`."""
    host: str
    """In lower case; an IPv6 address without its brackets; empty for `file` and `local`."""
    path: str
    """On the host, as written; for `file` and `local` the absolute path."""
    port: int | None = None
    """None where it is the scheme's own."""

    def __repr__(self) -> str:
        """Show the redacted address: a repr ends up in logs."""
        return f"PackUrl({self.redacted!r})"

    @property
    def redacted(self) -> str:
        """The resolved address without credentials, for people and files."""
        return redact(self.resolved)

    @property
    def plain(self) -> str:
        """The resolved address without the user and password of an `http(s)` one: what may be written into a file."""
        if self.scheme not in {"http", "https"}:
            return self.resolved
        scheme, mark, rest = self.resolved.partition("://")
        authority, slash, path = rest.partition("/")
        return f"{scheme}{mark}{authority.rpartition('@')[2]}{slash}{path}"

    @property
    def trust_key(self) -> str:
        """The canonical spelling by which trust goes: as `identity`, and on ssh with the user who is asked for.

        `alice@host:x` and `bob@host:x` are two homes on one host. `git` and no user at all are the service itself.
        """
        user = _SSH_USER.match(self.resolved) if self.scheme == "ssh" else None
        if user is None or user[1] == "git":
            return self.identity
        return self.identity.replace("ssh://", f"ssh://{user[1]}@", 1)

    @property
    def is_local(self) -> bool:
        """Whether the repository is on this machine."""
        return self.scheme in {"file", "local"}

    @property
    def local_path(self) -> Path | None:
        """The directory of a repository on this machine."""
        return Path(self.path) if self.is_local else None

    @cached_property  # that of a local repository costs a look at each directory on the way
    def identity(self) -> str:
        """The canonical spelling: equal for two addresses of the same repository."""
        if self.is_local:
            return f"file://{_real_repository(self.path)}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port is None else f":{self.port}"
        path, _, query = self.path.partition("#")[0].partition("?")
        kept = [part for part in query.split("&") if part and not SECRET_PARAMETER.fullmatch(part.partition("=")[0])]
        path = _without_suffix(unquote(path).lstrip("/"))
        return f"{self.scheme}://{host}{port}/{path}{'?' if kept else ''}{'&'.join(kept)}"

    @property
    def limit_key(self) -> str:
        """What the limit of simultaneous connections counts by."""
        return self.host or "local"

    @property
    def default_name(self) -> str:
        """The last segment without `.git`: the directory that `git clone` would make. May be empty."""
        path = self.path if self.is_local else unquote(self.path.partition("#")[0].partition("?")[0])
        path = path.rstrip("/").removesuffix("/.git")
        return _without_suffix(path).rpartition("/")[2]

    @property
    def warning(self) -> str | None:
        """What a user should know about this address although it is accepted."""
        if self.scheme == "http" and not _is_loopback(self.host):
            return f"'{clean(self.redacted)}' is fetched without encryption, so anyone on the way can change it"
        return None


def parse_url(text: str, *, base: str | None = None, relative_to: Path | None = None) -> PackUrl:
    """Return the checked address.

    Args:
        text: the address as declared.
        base: `defaults.base` of the declaring pack.yaml, for an address that is relative.
        relative_to: the directory that `./` and `../` start from where there is no base; absolute.

    Raises:
        InvalidUrlError: git could take it for something else, or nobody could fetch from it.
    """
    _check_text(text)
    if not _is_relative(text):
        return _parse_absolute(text, text)
    if base is not None:
        origin = parse_url(base, relative_to=relative_to)
        return _parse_absolute(text, _join(origin, text))
    if not text.startswith(("./", "../")):
        raise InvalidUrlError(
            text, "is neither an address nor relative to one", "set `defaults.base`, or write `./` before a path"
        )
    if relative_to is None:
        raise InvalidUrlError(text, "is relative, and nothing says to what", "write the address in full")
    return _parse_absolute(text, os.path.normpath(relative_to / text))


def _check_text(text: str) -> None:
    if not text:
        raise InvalidUrlError(text, "is empty", "write the address of a git repository")
    if text != text.strip():
        raise InvalidUrlError(text, "starts or ends with white space", "take the white space away")
    if _UNSAFE.search(text):
        raise InvalidUrlError(text, "holds a control character", "type the address anew")
    if len(text.encode()) > _URL_BYTES:
        raise InvalidUrlError(text, f"is longer than {_URL_BYTES} bytes", "check that it is an address")
    if text.startswith("-"):
        raise InvalidUrlError(text, "starts with '-', which git would read as an option", "write `./` before a path")
    if text.startswith("~"):
        raise InvalidUrlError(text, "starts with '~', which only a shell expands", "write the path in full")
    helper = _HELPER.match(text)
    if helper:
        raise InvalidUrlError(
            text, f"names the remote helper {helper.group()!r}, and helpers run programs", "use https, ssh or a path"
        )
    if _DRIVE.match(text):
        raise InvalidUrlError(text, "is a path on a drive", "write `file:///` before it, or ssh:// for a host")


def _is_relative(text: str) -> bool:
    """Apply git's own rule: a colon before the first slash makes it an address on a host."""
    if text.startswith("/") or _SCHEME.match(text):
        return False
    return ":" not in text.partition("/")[0]


def _parse_absolute(text: str, resolved: str) -> PackUrl:
    if resolved.startswith("/"):
        return PackUrl(text, resolved, "local", "", resolved)
    match = _SCHEME.fullmatch(resolved)
    if match is None:
        return _parse_scp(text, resolved)
    scheme, rest = match.group(1).lower(), match.group(2)
    if scheme == "file":
        return _parse_file(text, rest)
    if scheme not in _DEFAULT_PORTS:
        raise InvalidUrlError(
            text,
            f"has the scheme '{clean(scheme, 40)}', which grex does not use",
            "use https, ssh, git, file or a path",
        )
    if any(char.isspace() for char in rest):
        raise InvalidUrlError(text, "holds white space", "write a space as %20")
    return _parse_network(text, scheme, rest)


def _parse_network(text: str, scheme: str, rest: str) -> PackUrl:
    if _UNSAFE.search(unquote(rest)):
        # A line feed that git decodes would end a line of its own protocol, or of a credential helper's.
        raise InvalidUrlError(text, "holds a control character written as %XX", "take it away")
    end = next((index for index, char in enumerate(rest) if char in "/?#"), len(rest))
    authority, path = rest[:end], rest[end:]
    match = _AUTHORITY.fullmatch(authority)
    if match is None:
        raise InvalidUrlError(text, "has a port that is not a number", "write special characters of a password as %XX")
    user = (match["info"] or "").partition(":")[0]
    host = _check_host(text, match["host"], user)
    port = int(match["port"]) if match["port"] else None
    if port is not None and not 0 < port <= _MAX_PORT:
        raise InvalidUrlError(
            text, f"has the port {clean(match['port'], 20)}, which does not exist", "use a number from 1 to 65535"
        )
    if not path.strip("/"):
        raise InvalidUrlError(text, "names a host and no repository", "add the path of the repository")
    _check_dot_segments(text, path)
    # git looks its transports up by the scheme as written, and finds no helper for `HTTPS`.
    return PackUrl(text, f"{scheme}://{rest}", scheme, host, path, None if port == _DEFAULT_PORTS[scheme] else port)


def _parse_file(text: str, rest: str) -> PackUrl:
    host, slash, path = rest.partition("/")
    if host.lower() not in {"", "localhost"}:
        raise InvalidUrlError(text, "names a host in a file URL", "write three slashes, as in file:///path")
    path = unquote(f"{slash}{path}")  # as git does
    if not path.strip("/"):
        raise InvalidUrlError(text, "names no repository", "add the path of the repository")
    if _UNSAFE.search(path):
        raise InvalidUrlError(text, "holds a control character", "type the address anew")
    # git on Linux takes `file://localhost/x` for the path `localhost/x`.
    return PackUrl(text, f"file:///{rest.partition('/')[2]}", "file", "", path)


def _parse_scp(text: str, resolved: str) -> PackUrl:
    match = _SCP.fullmatch(resolved)
    if match is None:
        raise InvalidUrlError(text, "is no address that git understands", "write it as a URL, ssh://user@host/path")
    path = match["path"]
    if "@" in path.partition("/")[0]:
        raise InvalidUrlError(text, "holds a password where ssh takes none", "use https, or a key with ssh")
    host = _check_host(text, match["host"], match["user"] or "")
    if not path.strip("/"):
        raise InvalidUrlError(text, "names a host and no repository", "add the path of the repository")
    if path.startswith("-"):
        raise InvalidUrlError(text, "has a path that starts with '-'", "write ssh://host/path")
    _check_dot_segments(text, path)
    return PackUrl(text, resolved, "ssh", host, path)


def _check_dot_segments(text: str, path: str) -> None:
    """Refuse `.` and `..` in a path on a host, encoded ones included.

    Whoever is asked resolves them: curl before it sends the request, a server of ssh on its disk. So
    `https://host/team/../other/x` would look as if it lay under `https://host/team`, which trust goes by, and be
    fetched from somewhere else. The whole path is decoded first, for an encoded slash can make a segment as well.
    """
    plain = unquote(path.partition("#")[0].partition("?")[0]).replace("\\", "/")
    if not {".", ".."}.isdisjoint(plain.split("/")):
        raise InvalidUrlError(text, "holds the segment '.' or '..'", "write the path that it leads to")


def _check_host(text: str, host: str, user: str) -> str:
    """Return the host in lower case and without brackets; ssh would read a leading `-` of either part as an option."""
    if user.startswith("-") or unquote(user).startswith("-"):
        raise InvalidUrlError(text, "has a user that starts with '-'", "use the address that the host gives")
    if host.startswith("-"):
        raise InvalidUrlError(text, "has a host that starts with '-'", "use the address that the host gives")
    if not host:
        raise InvalidUrlError(text, "names no host", "write scheme://host/path")
    if host.startswith("["):
        address = host[1:-1]
        if not _IPV6.fullmatch(address) or ":" not in address:
            raise InvalidUrlError(
                text, "has a host that is no IPv6 address although it stands in brackets", "take the brackets away"
            )
        return address.lower()
    if not _HOST.fullmatch(host):
        raise InvalidUrlError(text, "has a host that is no host name", "use the address that the host gives")
    return host.lower().rstrip(".")


def _join(origin: PackUrl, relative: str) -> str:
    """Put a relative address under a base; `..` takes segments of the base's path away, as it does for submodules."""
    path = origin.path
    if not origin.is_local and ("?" in path or "#" in path):
        raise InvalidUrlError(relative, "is relative to a base that has a query", "write the address in full")
    # For `file` the spelling that git gets is still percent-encoded, unlike `path`.
    whole = origin.resolved.rstrip("/")
    head_length = len(origin.resolved) - len(path) if origin.scheme != "file" else len("file://")
    head, tail = whole[:head_length], whole[head_length:]
    rooted = tail.startswith("/") or origin.scheme != "ssh"
    segments = [segment for segment in tail.split("/") if segment]
    for segment in relative.split("/"):
        if segment in {"", "."}:
            continue
        if segment == "..":
            if not segments:
                raise InvalidUrlError(relative, "climbs out of the base", "use fewer '..', or the address in full")
            segments.pop()
        else:
            segments.append(segment)
    if not segments:
        raise InvalidUrlError(relative, "names no repository", "add the path of the repository")
    return f"{head}{'/' if rooted else ''}{'/'.join(segments)}"


def _without_suffix(path: str) -> str:
    return path.rstrip("/").removesuffix(".git").rstrip("/")


def _is_loopback(host: str) -> bool:
    return (
        host in {"localhost", "::1"} or host.endswith(".localhost") or re.fullmatch(r"127(\.\d+){3}", host) is not None
    )


def _real_repository(path: str) -> str:
    """Where a local address leads, as lenient as git: `x` finds `x.git`, and `x/.git` is the repository of `x`."""
    real = os.path.realpath(path)
    if not os.path.lexists(real) and os.path.lexists(f"{real}.git"):
        real = os.path.realpath(f"{real}.git")
    return real.removesuffix("/.git")
