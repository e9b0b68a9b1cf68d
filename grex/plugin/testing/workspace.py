"""A workspace on disk in which the real `grex` runs, in a process and a home of its own.

It shows what no recording can: that the entry points are there, that a pack.yaml is read as its author means it, that
trust is asked for, and what the log makes of it all. The plugin has to be installed where the tests run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from msgspec import Struct

from grex.plugin.testing.repository import commit_files, make_repository, quiet_git_environ

__all__ = ["Ended", "TemporaryWorkspace"]

_TIMEOUT_S = 120.0


class Ended(Struct, frozen=True):
    """What one call of `grex` came to.

    Attributes:
        code: the exit code.
        document: what `--json` printed, the report or the error.
        stderr: what was said besides.
    """

    code: int
    document: Mapping[str, Any]
    stderr: str

    @property
    def packs(self) -> dict[str, Mapping[str, Any]]:
        """The packs of a report, by path."""
        return {pack["path"]: pack for pack in self.document.get("packs", ())}


class TemporaryWorkspace:
    """A workspace with a home beside it, in a directory that is removed at the end of the `with` block.

        with TemporaryWorkspace() as workspace:
            workspace.add_pack("tools", {"type": "declarative", "actions": [{"mkdir": {"path": "~/bin"}}]})
            workspace.sync()
            assert (workspace.home / "bin").is_dir()

    Args:
        directory: an empty one that the caller removes; by default a new one that is removed at the end.
        environ: variables for `grex` besides those of this process.
        python: the interpreter of the environment in which grex and the plugin are installed.
        timeout_s: how long one call may take.
    """

    def __init__(
        self,
        directory: Path | None = None,
        *,
        environ: Mapping[str, str] | None = None,
        python: str | Path = sys.executable,
        timeout_s: float = _TIMEOUT_S,
    ) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="grex-test-") if directory is None else None
        base = (Path(self._temporary.name) if self._temporary is not None else directory or Path()).resolve()
        self.root = base / "workspace"
        self.home = base / "home"
        self.upstream = base / "upstream"
        self.environ = quiet_git_environ(os.environ) | {
            "HOME": str(self.home),
            "XDG_STATE_HOME": str(self.home / ".local/state"),
            "XDG_CONFIG_HOME": str(self.home / ".config"),
            "XDG_CACHE_HOME": str(self.home / ".cache"),
            **(environ or {}),
        }
        self._python = python
        self._timeout_s = timeout_s
        self._children: dict[str, str] = {}
        for made in (self.root, self.home, self.upstream):
            made.mkdir(parents=True)
        self.init()

    def __enter__(self) -> Self:
        """The workspace itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Remove the directory, if it was made here."""
        if self._temporary is not None:
            self._temporary.cleanup()

    def init(self) -> Ended:
        """`grex init`; done already when a workspace is made."""
        return self.grex("init")

    def add_pack(
        self, name: str, pack_yaml: str | Mapping[str, Any], files: Mapping[str, str | bytes] | None = None
    ) -> Path:
        """Declare a pack whose repository is made here; gives the repository, for `commit`.

        Args:
            name: of the pack, and its path in the workspace.
            pack_yaml: its text, or its keys; `schema_version` and `name` are filled in.
            files: what else is in the repository.
        """
        repository = self.upstream / name
        make_repository(repository, {**(files or {}), ".grex/pack.yaml": _text(name, pack_yaml)})
        self._children[name] = repository.as_uri()
        self._declare()
        return repository

    def change_pack(
        self,
        name: str,
        pack_yaml: str | Mapping[str, Any] | None = None,
        files: Mapping[str, str | bytes | None] | None = None,
    ) -> str:
        """Commit another pack.yaml, or other files (None removes one), to a pack's repository; gives the commit."""
        changed: dict[str, str | bytes | None] = dict(files or {})
        if pack_yaml is not None:
            changed[".grex/pack.yaml"] = _text(name, pack_yaml)
        return commit_files(self.upstream / name, changed)

    def remove_pack(self, name: str) -> None:
        """Declare it no longer; what it brought stays until it is pruned."""
        del self._children[name]
        self._declare()

    def sync(self, *arguments: str, expect: int | Sequence[int] | None = 0, trust: bool = True) -> Ended:
        """`grex sync`.

        Args:
            arguments: of the command.
            expect: the exit code, or those that are right; None for any.
            trust: whether the packs that were added here are trusted.
        """
        return self._trusting("sync", *arguments, expect=expect, trust=trust)

    def update(self, *arguments: str, expect: int | Sequence[int] | None = 0, trust: bool = True) -> Ended:
        """`grex update`."""
        return self._trusting("update", *arguments, expect=expect, trust=trust)

    def status(self, *arguments: str, expect: int | Sequence[int] | None = 0) -> Ended:
        """`grex status`."""
        return self.grex("status", *arguments, expect=expect)

    def teardown(self, *arguments: str, expect: int | Sequence[int] | None = 0) -> Ended:
        """`grex teardown`."""
        return self.grex("teardown", *arguments, expect=expect)

    def grex(self, *arguments: str | Path, expect: int | Sequence[int] | None = 0) -> Ended:
        """Run `grex ARGUMENTS --json` in the workspace, to its end.

        Raises:
            AssertionError: it ended with another exit code than expected, or with a traceback; all that it said is in
                the message.
        """
        ended = subprocess.run(
            [str(self._python), "-m", "grex", *map(str, arguments), "--json"],
            cwd=self.root,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=self._timeout_s,
            check=False,
            text=True,
        )
        allowed = (expect,) if isinstance(expect, int) else expect
        if "Traceback (most recent call last)" in ended.stderr or (
            allowed is not None and ended.returncode not in allowed
        ):
            told = f"grex {' '.join(map(str, arguments))} ended with {ended.returncode}, expected {expect}"
            raise AssertionError(f"{told}\n{ended.stdout}\n{ended.stderr}")
        return Ended(ended.returncode, json.loads(ended.stdout or "{}"), ended.stderr)

    def _trusting(self, verb: str, *arguments: str, expect: int | Sequence[int] | None, trust: bool) -> Ended:
        trusted = ("--trust", self.upstream.as_uri()) if trust else ()
        return self.grex(verb, *arguments, *trusted, expect=expect)

    def _declare(self) -> None:
        children = [{"url": url, "path": name} for name, url in self._children.items()]
        text = _text("workspace", {"type": "meta", "children": children})
        (self.root / ".grex/pack.yaml").write_text(text)


def _text(name: str, pack_yaml: str | Mapping[str, Any]) -> str:
    """The text of a pack.yaml; what JSON writes is YAML."""
    if isinstance(pack_yaml, str):
        return pack_yaml
    return json.dumps({"schema_version": "1", "name": name, **pack_yaml}, indent=2) + "\n"
