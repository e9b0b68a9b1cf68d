"""A workspace on disk and the real `grex` in a second process, with an environment of its own."""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.grex_nursery import run

__all__ = ["Run", "Workspace", "pack_yaml"]

_TIMEOUT_S = 60
_LOCK_NAMES = (".grex-lock", "grex-lock", ".grex.sync.lock", ".grex.jsonl.lock")


def pack_yaml(name: str, type_: str = "meta", /, **keys: Any) -> str:
    """A pack.yaml of these keys; JSON is YAML, so that nothing has to be quoted by hand."""
    lines = ['schema_version: "1"', f"name: {name}", f"type: {type_}"]
    for key, value in keys.items():
        if isinstance(value, list) and value:
            lines += [f"{key}:", *(f"  - {json.dumps(item)}" for item in value)]
        else:
            lines.append(f"{key}: {json.dumps(value)}")
    return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class Run:
    """What one call of `grex` came to."""

    code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> dict[str, Any]:
        """The JSON document on standard output."""
        value = json.loads(self.stdout)
        assert isinstance(value, dict)
        return value

    @property
    def packs(self) -> dict[str, dict[str, Any]]:
        """The packs of a report, by path."""
        return {pack["path"]: pack for pack in self.document["packs"]}

    @property
    def error(self) -> dict[str, Any]:
        """The error of a call that ended with one under `--json`."""
        found = self.document["error"]
        assert isinstance(found, dict)
        return found


class Workspace:
    """A workspace root below `base`, and a home beside it that nothing else uses."""

    def __init__(self, base: Path, name: str = "ws") -> None:
        self.root = base / name
        self.home = base / f"{name}.home"
        self.root.mkdir(parents=True)
        self.home.mkdir()
        self.environ = {key: value for key, value in os.environ.items() if not key.startswith(("GREX_", "GIT_"))}
        self.environ |= {
            "HOME": str(self.home),
            "XDG_STATE_HOME": str(self.home / "state"),
            "XDG_CONFIG_HOME": str(self.home / "config"),
            "XDG_CACHE_HOME": str(self.home / "cache"),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_SYSTEM": os.devnull,
            "PYTHONWARNINGS": "error",
        }
        for role in ("AUTHOR", "COMMITTER"):
            self.environ[f"GIT_{role}_NAME"] = "Test"
            self.environ[f"GIT_{role}_EMAIL"] = "test@example.invalid"

    def __truediv__(self, path: str) -> Path:
        """A path below the root."""
        return self.root / path

    @property
    def lockfile(self) -> Path:
        """What was resolved."""
        return self.root / "grex.lock.jsonl"

    @property
    def log(self) -> Path:
        """What grex did."""
        return self.root / "grex.jsonl"

    def declare(self, *children: Mapping[str, Any], **keys: Any) -> None:
        """Write the root's pack.yaml."""
        (self.root / ".grex").mkdir(exist_ok=True)
        text = pack_yaml("root", **{"children": list(children), **keys} if children else keys)
        (self.root / ".grex/pack.yaml").write_text(text)

    def command(self, *arguments: str | Path) -> list[str]:
        """The command line of a call, for tests that start it themselves with `environ` in `root`."""
        return [sys.executable, "-m", "grex", *map(str, arguments)]

    def grex(self, *arguments: str | Path, expect: int | None = 0, cwd: Path | None = None, **environ: str) -> Run:
        """Run `grex` to its end; an exit code other than the expected one fails the test with all that it said."""
        words = list(map(str, arguments))
        done = run(words, cwd=cwd or self.root, env=self.environ | environ, timeout_s=_TIMEOUT_S)
        told = f"grex {' '.join(words)}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback (most recent call last)" not in done.stderr, told
        assert expect is None or done.returncode == expect, told
        return Run(done.returncode, done.stdout, done.stderr)

    def sync(self, *arguments: str | Path, expect: int | None = 0, cwd: Path | None = None, **environ: str) -> Run:
        """`grex sync --json`."""
        return self.grex("sync", "--json", *arguments, expect=expect, cwd=cwd, **environ)

    def locked(self) -> dict[str, dict[str, Any]]:
        """The lockfile's lines by path."""
        lines = [json.loads(line) for line in self.lockfile.read_text().splitlines()]
        return {line["path"]: line for line in lines}

    def snapshot(self, *, git: bool = False, times: bool = False, roots: Iterable[Path] = ()) -> dict[str, Any]:
        """Everything below the root, by path: mode and content, without lock files.

        Args:
            git: look into git directories as well.
            times: with the modification times, of directories too.
            roots: other places to look at besides.
        """
        found: dict[str, Any] = {}
        for root in (self.root, *roots):
            for directory, names, files in os.walk(root):
                if not git and ".git" in names:
                    names.remove(".git")
                for name in (*names, *files):
                    path = Path(directory, name)
                    if name not in _LOCK_NAMES and not name.endswith(".grex-backend.lock"):
                        found[str(path.relative_to(root.parent))] = _facts(path, times=times)
        return found


def _facts(path: Path, *, times: bool) -> tuple[Any, ...]:
    status = path.lstat()
    content: Any = None
    if stat.S_ISLNK(status.st_mode):
        content = str(path.readlink())
    elif stat.S_ISREG(status.st_mode):
        content = path.read_bytes()
    return (oct(status.st_mode), content, *((status.st_mtime_ns,) if times else ()))
