"""Workspaces to crash in, and the judgement whether one has come out of a crash whole.

`ColdClones` is a fresh workspace of seven nested packs of every type; `NewsUpstream` the same one, synced, after which
every upstream has moved: files changed, deleted, grown, a branch rewritten, a pack added - and the user has left edits
and untracked files where none of that goes. Both come in a small size of two packs, for tests of which there are many.

A scenario is built once; each round begins with a copy of it, and is judged against what an undisturbed sync makes of
such a copy.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from grex.manifest import Folded, Log, fold
from tests.support.git_server import GitServer, git
from tests.support.workspace import Workspace, pack_yaml

__all__ = ["ColdClones", "NewsUpstream", "Scenario", "Verdict", "judge", "leftovers", "scenario"]

_HOOK = "#!/bin/sh\nset -e\nmkdir -p built\ngit rev-parse HEAD >/dev/null 2>&1 || true\ncp source.txt built/copy.txt\n"
_MANY = 60
_LOCAL_NAMES = {"grex.jsonl", ".grex.jsonl.lock", ".grex.sync.lock", "trash", "state"}


@dataclass(frozen=True)
class Verdict:
    """What a workspace came to, as far as two machines must agree about it."""

    lockfile: bytes
    heads: dict[str, tuple[str, str]]
    statuses: dict[str, str]
    files: dict[str, Any] = field(repr=False)
    folded: dict[str, Any] = field(repr=False)


class Scenario:
    """A workspace in the state before the sync that is to be disturbed.

    Every round happens in the same directory, because what a pack installs may name it (an absolute link); `begin`
    puts the state from before back into it.
    """

    def __init__(self, base: Path, *, small: bool = False) -> None:
        self.small = small
        self.server = GitServer(base / "server")
        self.workspace = Workspace(base)
        self.workspace.environ["GREX_TRUST"] = self.server.root.as_uri()
        self._template = base / "template"
        self.build()
        self.workspace.root.rename(self._template)
        undisturbed = self.begin()
        undisturbed.sync()
        self.expected = judge(undisturbed)
        self.expect_users_files(undisturbed)

    def build(self) -> None:
        """Fill the server and the workspace."""
        raise NotImplementedError

    def expect_users_files(self, workspace: Workspace) -> None:
        """Fail if something that the user left in the workspace is not there any more."""

    def begin(self) -> Workspace:
        """The workspace as it was before the sync."""
        if self.workspace.root.exists():
            shutil.rmtree(self.workspace.root)
        subprocess.run(["cp", "-a", str(self._template), str(self.workspace.root)], check=True)
        return self.workspace

    @cached_property
    def duration_s(self) -> float:
        """How long a sync takes that is not disturbed; measured when it is first asked for."""
        workspace = self.begin()
        before = time.monotonic()
        workspace.sync()
        return time.monotonic() - before

    def check(self, workspace: Workspace) -> None:
        """Sync, and insist that the workspace is as if nothing had ever happened; then once more, to no effect."""
        workspace.sync()
        found = judge(workspace)
        assert found.heads == self.expected.heads
        assert found.statuses == self.expected.statuses
        assert found.lockfile == self.expected.lockfile
        assert found.files == self.expected.files
        assert found.folded == self.expected.folded
        self.expect_users_files(workspace)
        assert not leftovers(workspace)
        before = workspace.snapshot(git=True, times=True)
        again = workspace.sync()
        assert {pack["status"] for pack in again.packs.values()} <= {"unchanged"}
        after = workspace.snapshot(git=True, times=True)
        assert after == before, sorted(path for path in {*before, *after} if before.get(path) != after.get(path))


class ColdClones(Scenario):
    """Nothing is there yet but the root's pack.yaml."""

    def build(self) -> None:
        """Seven packs: nested, one inside another's checkout, pinned, tagged, with hooks and with actions."""
        fill_server(self.server)
        declare(self.workspace, self.server, small=self.small)


class NewsUpstream(Scenario):
    """Everything is there, and everything upstream has moved."""

    def build(self) -> None:
        """Sync once, let the user work, then let every upstream move."""
        fill_server(self.server)
        declare(self.workspace, self.server, small=self.small)
        self.workspace.sync()
        for path, text in self._users_files().items():
            (self.workspace / path).write_text(text)
        move_upstream(self.server)

    def expect_users_files(self, workspace: Workspace) -> None:
        """The files that the user has made or edited, where nothing comes in."""
        for path, text in self._users_files().items():
            assert (workspace / path).read_text() == text

    def _users_files(self) -> dict[str, str]:
        files = {"rewritten/base.txt": "edited by the user\n", "rewritten/notes.txt": "the user's\n"}
        if not self.small:
            files |= {"app/kept.txt": "edited by the user\n", "app/many/own.txt": "between files that change\n"}
        return files


_built: dict[tuple[str, bool], Scenario] = {}


def scenario(kind: type[Scenario], base: Path, *, small: bool = False) -> Scenario:
    """One that is built once for all tests of this process; in the environment of the first that asks for it."""
    key = (kind.__name__, small)
    if key not in _built:
        _built[key] = kind(base / f"{kind.__name__}-{'small' if small else 'large'}", small=small)
    return _built[key]


def fill_server(server: GitServer) -> None:
    """The upstream repositories of both scenarios, as they are at first."""
    many = {f"many/{number:03}.txt": f"{number}\n" * 50 for number in range(_MANY)}
    server.create("lib", {"lib.txt": "lib 1\n"})
    server.create("inner", {"inner.txt": "inner 1\n", "data.bin": "0123456789" * 3000})
    server.create("fresh", {"fresh.txt": "fresh 1\n"})
    server.create(
        "hooked",
        {
            ".grex/pack.yaml": pack_yaml("hooked", "scripted"),
            ".grex/hooks/setup.sh": _HOOK,
            ".gitignore": "built/\n",
            "source.txt": "source 1\n",
        },
    )
    server.create(
        "acts",
        {
            ".grex/pack.yaml": pack_yaml(
                "acts",
                "declarative",
                actions=[
                    {"mkdir": {"path": "made"}},
                    {"symlink": {"src": "target.txt", "dst": "made/link"}},
                    {"exec": {"cmd": ["cp", "target.txt", "made/copy"]}},
                ],
            ),
            ".gitignore": "made/\n",
            "target.txt": "target 1\n",
        },
    )
    server.create("tagged", {"tagged.txt": "tagged 1\n"})
    server.tag("tagged", "v1", annotated=True)
    server.create(
        "app",
        {
            ".grex/pack.yaml": pack_yaml(
                "app",
                "meta",
                children=[
                    {"url": server.url("lib"), "path": "libs/lib"},
                    {"url": server.url("inner"), "path": "many/inner"},
                    {"url": server.url("tagged"), "path": "tagged", "ref": "v1"},
                ],
            ),
            "kept.txt": "kept\n",
            "gone.txt": "will be deleted\n",
            "big.txt": "small\n",
            "folder/file.txt": "will be a file\n",
            **many,
        },
    )
    server.create("rewritten", {"base.txt": "base\n"})
    server.commit("rewritten", {"wrong.txt": "a commit that will be rewritten\n"})


def declare(workspace: Workspace, server: GitServer, *, small: bool) -> None:
    """The root's pack.yaml of both scenarios; the small one leaves out `app`, and its children with it."""
    declared = [
        {"url": server.url("acts"), "path": "tools/acts"},
        {"url": server.url("rewritten")},
    ]
    if not small:
        declared += [{"url": server.url("app")}, {"url": server.url("hooked"), "path": "tools/hooked"}]
    workspace.declare(*declared)


def move_upstream(server: GitServer) -> None:
    """Let every upstream move on."""
    many: dict[str, str | bytes | None] = {f"many/{number:03}.txt": f"new {number}\n" for number in range(0, _MANY, 2)}
    many |= {f"many/{number:03}.txt": None for number in range(1, _MANY, 4)}
    server.commit(
        "app",
        {
            ".grex/pack.yaml": pack_yaml(
                "app",
                "meta",
                children=[
                    {"url": server.url("lib"), "path": "libs/lib"},
                    {"url": server.url("inner"), "path": "many/inner"},
                    {"url": server.url("tagged"), "path": "tagged", "ref": "v1"},
                    {"url": server.url("fresh"), "path": "fresh"},
                ],
            ),
            "gone.txt": None,
            "folder/file.txt": None,
            **many,
        },
    )
    shutil.rmtree(server.work("app") / "folder", ignore_errors=True)  # git itself does not know directories
    server.commit("app", {"folder": "a file now\n", "big.txt": "big\n" * 200_000})
    server.commit("lib", {"lib.txt": "lib 2\n"})
    server.commit("inner", {"inner.txt": None, "data.bin": "9876543210" * 50_000})
    server.commit("hooked", {"source.txt": "source 2\n"})
    server.commit("acts", {"target.txt": "target 2\n"})
    server.commit("rewritten", {"wrong.txt": None, "right.txt": "the commit instead\n"}, amend=True)


def judge(workspace: Workspace) -> Verdict:
    """Look at everything that must be the same after every crash; what must never be is an assertion."""
    heads: dict[str, tuple[str, str]] = {}
    statuses: dict[str, str] = {}
    for path in packs_on_disk(workspace):
        root = workspace / path
        heads[path] = (git(root, "rev-parse", "HEAD"), git(root, "rev-parse", "--abbrev-ref", "HEAD"))
        statuses[path] = git(root, "status", "--porcelain", "--untracked-files=all")
        done = subprocess.run(
            ["git", "fsck", "--strict", "--no-dangling", "--no-progress"], cwd=root, capture_output=True, check=False
        )
        assert (done.returncode, done.stdout) == (0, b""), f"git fsck in {path}: {done.stdout!r} {done.stderr!r}"
        lock, kept = (root / ".grex-lock").stat(), (root / ".git/grex-lock").stat()
        assert (lock.st_dev, lock.st_ino) == (kept.st_dev, kept.st_ino), f"{path} has two lock files"
    for path, line in workspace.locked().items():
        assert heads[path][0] == line["sha"], f"{path} is not where the lockfile says"
    return Verdict(
        lockfile=workspace.lockfile.read_bytes(),
        heads=heads,
        statuses=statuses,
        files=work_files(workspace),
        folded=_facts_of(folded(workspace)),
    )


def packs_on_disk(workspace: Workspace) -> list[str]:
    """Every checkout below the root; something with a `.git` that is none of the declared packs shows as a difference.

    The paths are relative to the root, sorted.
    """
    found = []
    for directory, names, _ in os.walk(workspace.root):
        if ".git" in names:
            found.append(os.path.relpath(directory, workspace.root))
            names.remove(".git")
    return sorted(found)


def work_files(workspace: Workspace) -> dict[str, Any]:
    """Every file of the workspace outside the git directories, but for logs, notes and the trash."""
    root = f"{workspace.root.name}/"
    found = {}
    for path, (mode, content) in workspace.snapshot().items():
        below = path.removeprefix(root)
        if below in _LOCAL_NAMES or below.split("/")[0:2] in ([".grex", "trash"], [".grex", "state"]):
            continue
        found[below] = (mode, content)
    return found


def folded(workspace: Workspace) -> Folded:
    """What the log amounts to; a torn last line that nobody healed is a failure."""
    contents = Log(workspace.log, workspace / ".grex/trash").read()
    assert contents.torn_tail is None
    return fold(contents.events)


def _facts_of(found: Folded) -> dict[str, Any]:
    return {
        path: (
            record.url,
            record.ref,
            record.sha,
            record.branch,
            record.owned,
            record.installed.actions_hash if record.installed is not None else None,
            # Which, but not how to undo them: what was made right before a kill is found and not made by the next run,
            # and what grex is not known to have made it will never take away.
            [done.kind for done in record.completed],
        )
        for path, record in found.packs.items()
    }


def leftovers(workspace: Workspace) -> list[str]:
    """Temporary files, notes and git's lock files: nothing of that may be left when a sync is through."""
    found = []
    for directory, names, files in os.walk(workspace.root):
        for name in (*names, *files):
            path = os.path.relpath(os.path.join(directory, name), workspace.root)  # noqa: PTH118 - texts
            is_note = name == "note.json" or (name.startswith("clone-") and path.startswith(".grex/state/"))
            is_git_lock = "/.git/" in f"/{path}" and name.endswith(".lock")
            if name.startswith((".grex-tmp-", "tmp_pack_", "tmp_obj_")) or is_note or is_git_lock:
                found.append(path)
    return found
