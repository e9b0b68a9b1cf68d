"""Which packs this user lets run something in this workspace.

Trust is the user's, so it is kept in the user's state directory (`<state>/grex/trust/<hash of the workspace>.json`),
never in the workspace, which may be somebody else's. It is a list of URL prefixes in their canonical spelling; a prefix
ends at a path boundary, so `https://host/team` covers `https://host/team/x` and not `https://host/team-x`. The root's
own actions are trusted under the name `.`, which is bound to the very directory (device and inode): another workspace
put at the same path does not inherit it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from grex.errors import ConfigError, UsageError
from grex.fs import replace_file, sweep_temporary_files
from grex.names import InvalidUrlError, parse_url

__all__ = ["ROOT_TRUST", "TrustStore", "canonical_prefix", "covers"]

ROOT_TRUST = "."


def canonical_prefix(text: str, workspace: Path) -> str:
    """The canonical spelling of a URL prefix that a user typed.

    Raises:
        UsageError: it is not the beginning of a URL or path that grex would clone from.
    """
    if text == ROOT_TRUST:
        return ROOT_TRUST
    try:
        url = parse_url(text, relative_to=workspace)
    except InvalidUrlError as error:
        raise UsageError(
            f"{text!r} is no URL prefix: {error}",
            hint="Give the beginning of a URL up to a slash, such as https://host/team, or . for the root.",
        ) from error
    prefix = url.trust_key.rstrip("/")
    if prefix == "file:":
        raise UsageError(
            f"{text!r} would trust every repository on this machine", hint="Give the directory that they lie in."
        )
    return prefix


def covers(prefix: str, trust_key: str) -> bool:
    """Whether the canonical URL lies under the canonical prefix, at a path boundary."""
    return trust_key == prefix or trust_key.startswith(prefix.rstrip("/") + "/")


class _Stored(Struct, frozen=True):
    prefixes: tuple[str, ...]
    root: tuple[int, int] | None


class TrustStore:
    """What this user trusts in one workspace, with what this run adds to it.

    Args:
        state_dir: the user's state directory for grex.
        workspace: the workspace root.
        extra: canonical prefixes that hold for this run only (`--trust`, `GREX_TRUST`, the user's configuration).
    """

    def __init__(self, state_dir: Path, workspace: Path, extra: Iterable[str] = ()) -> None:
        import hashlib  # noqa: PLC0415 - it loads OpenSSL, and completion runs at each press of a key

        self._workspace = workspace.resolve()
        digest = hashlib.sha256(str(self._workspace).encode("utf-8", "surrogateescape")).hexdigest()[:32]
        self.path = state_dir / "trust" / f"{digest}.json"
        self.extra = tuple(extra)

    def prefixes(self) -> tuple[str, ...]:
        """The kept prefixes, sorted; `.` among them if the root is trusted.

        Raises:
            ConfigError: the file is there and is not one of ours.
        """
        stored = self._read()
        root = (ROOT_TRUST,) if stored.root == self._root_id() else ()
        return (*root, *stored.prefixes)

    def trusts(self, trust_key: str) -> bool:
        """Whether a pack of that canonical URL may run what it declares."""
        return any(covers(prefix, trust_key) for prefix in (*self.extra, *self.prefixes()) if prefix != ROOT_TRUST)

    def trusts_root(self) -> bool:
        """Whether the root's own actions may run."""
        return ROOT_TRUST in self.extra or ROOT_TRUST in self.prefixes()

    def add(self, prefix: str) -> bool:
        """Keep a canonical prefix; false if it was there. Under WORKSPACE, so that two writers do not lose one."""
        stored = self._read()
        if prefix == ROOT_TRUST:
            if stored.root == self._root_id():
                return False
            self._write(_Stored(stored.prefixes, self._root_id()))
            return True
        if prefix in stored.prefixes:
            return False
        self._write(_Stored(tuple(sorted({*stored.prefixes, prefix})), stored.root))
        return True

    def revoke(self, prefix: str) -> bool:
        """Take a canonical prefix back; false if it was not there. Under WORKSPACE."""
        stored = self._read()
        if prefix == ROOT_TRUST:
            if stored.root is None:
                return False
            self._write(_Stored(stored.prefixes, None))
            return True
        if prefix not in stored.prefixes:
            return False
        self._write(_Stored(tuple(kept for kept in stored.prefixes if kept != prefix), stored.root))
        return True

    def _root_id(self) -> tuple[int, int]:
        found = self._workspace.stat()
        return (found.st_dev, found.st_ino)

    def _read(self) -> _Stored:
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return _Stored((), None)
        except OSError as error:
            raise ConfigError(
                f"the trust file {self.path} cannot be read: {error.strerror}", hint="Check its owner and mode."
            ) from error
        try:
            value = json.loads(data)
            prefixes, root = value["prefixes"], value["root"]
            if not isinstance(prefixes, list) or not all(isinstance(prefix, str) for prefix in prefixes):
                raise TypeError("prefixes are a list of text")  # noqa: TRY301 - one place says that it is damaged
            return _Stored(tuple(prefixes), None if root is None else (int(root[0]), int(root[1])))
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise ConfigError(
                f"the trust file {self.path} is damaged",
                hint="Remove it; nothing is trusted then until `grex trust` says so again.",
            ) from error

    def _write(self, stored: _Stored) -> None:
        value = {
            "version": 1,
            "workspace": str(self._workspace),
            "root": None if stored.root is None else list(stored.root),
            "prefixes": list(stored.prefixes),
        }
        text = json.dumps(value, indent=2, ensure_ascii=True) + "\n"
        sweep_temporary_files(self.path.parent)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            replace_file(self.path, text.encode(), mode=0o600)
        except OSError as error:
            raise ConfigError(
                f"the trust file {self.path} cannot be written: {error.strerror or error}",
                hint="Give yourself permission there, or set XDG_STATE_HOME; GREX_TRUST trusts for one run.",
            ) from error
