"""`grex demo`: a dozen small upstream repositories on this machine, a nested workspace of them, and two syncs.

Needs only git. Everything lies in one directory: `upstream/` with the bare repositories, `workspace/` with what a user
would have. The second sync shows what happens after somebody pushed.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace

from grex.engine import Settings
from grex.errors import UsageError
from grex.fs import replace_file
from grex.git import GitRunner
from grex.names import PACK_YAML
from grex.verbs.init import InitRequest, init, making
from grex.verbs.ls import ListReport, ListRequest, ls
from grex.verbs.sync import SyncReport, SyncRequest, sync

if TYPE_CHECKING:
    from grex.verbs.documents import DemoDocument

__all__ = ["DemoReport", "DemoRequest", "demo"]

_MARKER = ".grex-demo"
_PUSHED = "services/web"


class DemoRequest(Struct, frozen=True):
    """Where to build the demo: a directory that does not exist, is empty, or holds an earlier demo."""

    directory: Path

    @property
    def workspace(self) -> Path:
        """The workspace that it will have."""
        return self.directory / "workspace"


class DemoReport(Struct, frozen=True):
    """What the demo built, and its two syncs."""

    workspace: Path
    upstream_dir: Path
    upstreams: int
    first: SyncReport
    tree: ListReport
    pushed: str
    second: SyncReport

    @property
    def exit_code(self) -> int:
        """The worse of the two syncs."""
        return max(self.first.exit_code, self.second.exit_code)

    def to_json(self) -> DemoDocument:
        """The document of `--json`."""
        return {
            "schema": "grex.demo/1",
            "workspace": str(self.workspace),
            "upstreams": self.upstreams,
            "pushed": self.pushed,
            "exit_code": self.exit_code,
            "first": self.first.to_json(),
            "tree": self.tree.to_json(),
            "second": self.second.to_json(),
        }


class _Upstream(Struct, frozen=True):
    """One repository to build: the files of its first commit, executable ones by name, and a tag on it."""

    name: str
    files: Mapping[str, str]
    executable: Sequence[str] = ()
    tag: str | None = None
    later: Mapping[str, str] = field(default_factory=dict)


def _pack(name: str, kind: str, *lines: str) -> str:
    return "\n".join(['schema_version: "1"', f"name: {name}", f"type: {kind}", *lines]) + "\n"


def _upstreams(base: Path) -> list[_Upstream]:
    """Four pack types, three levels, a diamond (`libs/common`), a pinned tag (`board`), tracked branches."""
    defaults = ("defaults:", f"  base: {base.as_uri()}")
    return [
        _Upstream(
            "shell",
            {
                PACK_YAML: _pack(
                    "shell",
                    "declarative",
                    "actions:",
                    "  - mkdir: {path: $GREX_WORKSPACE/home}",
                    "  - symlink: {src: files/vimrc, dst: $GREX_WORKSPACE/home/.vimrc}",
                ),
                "files/vimrc": "set number\n",
            },
        ),
        _Upstream(
            "services",
            {PACK_YAML: _pack("services", "meta", *defaults, "children:", "  - url: api.git", "  - url: web.git")},
        ),
        _Upstream(
            "api",
            {
                PACK_YAML: _pack(
                    "api",
                    "scripted",
                    *defaults,
                    "children:",
                    "  - {url: common.git, path: /libs/common}",
                    "depends_on: [common]",
                ),
                ".grex/hooks/setup.sh": '#!/bin/sh\necho "set up $GREX_PACK_NAME" > setup.log\n',
                ".gitignore": "setup.log\n",
                "api.py": "print('api')\n",
            },
            executable=(".grex/hooks/setup.sh",),
        ),
        _Upstream(
            "web",
            {
                PACK_YAML: _pack(
                    "web",
                    "declarative",
                    *defaults,
                    "children:",
                    "  - {url: common.git, path: /libs/common}",
                    "actions:",
                    "  - mkdir: {path: build}",
                ),
                ".gitignore": "build/\n",
                "index.html": "<h1>grex</h1>\n",
            },
            later={"index.html": "<h1>grex, second edition</h1>\n"},
        ),
        _Upstream("common", {PACK_YAML: _pack("common", "plain"), "common.py": "VERSION = 1\n"}),
        _Upstream(
            "firmware",
            {
                PACK_YAML: _pack(
                    "firmware",
                    "meta",
                    *defaults,
                    "children:",
                    "  - {url: board.git, ref: v1.0}",
                    "  - {url: hal.git, ref: main}",
                )
            },
        ),
        _Upstream("board", {"board.c": "int board(void) { return 1; }\n"}, tag="v1.0", later={"board.c": "/* v2 */\n"}),
        _Upstream("hal", {"hal.c": "int hal(void) { return 1; }\n"}),
        _Upstream("robots", {PACK_YAML: _pack("robots", "meta", *defaults, "children:", "  - {url: arm.git}")}),
        _Upstream(
            "arm",
            {
                PACK_YAML: _pack("arm", "meta", *defaults, "children:", "  - {url: driver.git}"),
                "arm.urdf": "<robot/>\n",
            },
        ),
        _Upstream("driver", {"driver.py": "def move(): ...\n"}),
        _Upstream("handbook", {"README.md": "# How we work\n"}),
    ]


async def demo(request: DemoRequest, settings: Settings) -> DemoReport:
    """Build the demo and run it. Tiers: all, through the verbs that it uses.

    Raises:
        UsageError: the directory holds something that is not an earlier demo, or cannot be written to.
    """
    with making(f"the demo in {request.directory}"):
        return await _demo(request, settings)


async def _demo(request: DemoRequest, settings: Settings) -> DemoReport:
    base = request.directory
    _clear(base)
    upstream_dir = base / "upstream"
    workspace = request.workspace
    upstream_dir.mkdir(parents=True)
    (base / _MARKER).touch()
    git = GitRunner(settings.environ)
    upstreams = _upstreams(upstream_dir)
    for upstream in upstreams:
        await _build(git, upstream_dir / f"{upstream.name}.git", upstream)
    await init(InitRequest(workspace, name="demo"), settings)
    top = ("shell", "services", "firmware", "robots", "handbook")
    lines = ["defaults:", f"  base: {upstream_dir.as_uri()}", "children:", *(f"  - url: {name}.git" for name in top)]
    replace_file(workspace / PACK_YAML, _pack("demo", "meta", *lines).encode())
    # The demo's packs are our own, and trusting them must not outlive this call.
    trusting = replace(settings, trust=(*settings.trust, upstream_dir.as_uri()))
    first = await sync(SyncRequest(workspace), trusting)
    tree = await ls(ListRequest(workspace), settings)
    for upstream in upstreams:
        if upstream.later:
            await _commit(git, upstream_dir / f"{upstream.name}.git", "Second edition", upstream.later, (), parent=True)
    second = await sync(SyncRequest(workspace), trusting)
    return DemoReport(workspace, upstream_dir, len(upstreams), first, tree, _PUSHED, second)


def _clear(base: Path) -> None:
    if not base.exists():
        return
    if (base / _MARKER).is_file() and not base.is_symlink():
        shutil.rmtree(base)
        return
    if not base.is_dir() or any(base.iterdir()):
        raise UsageError(f"{base} exists and is no earlier demo", hint="Give a directory that does not exist yet.")


async def _build(git: GitRunner, repository: Path, upstream: _Upstream) -> None:
    await git.run(
        ["init", "--quiet", "--bare", "--template=", "--initial-branch=main", "--", str(repository)],
        cwd=repository.parent,
    )
    await _commit(git, repository, "First edition", upstream.files, upstream.executable, tag=upstream.tag)


async def _commit(
    git: GitRunner,
    repository: Path,
    message: str,
    files: Mapping[str, str],
    executable: Sequence[str],
    *,
    tag: str | None = None,
    parent: bool = False,
) -> None:
    """One commit on main, as a `git fast-import` stream (format: git-fast-import(1))."""
    parts: list[bytes] = [
        b"commit refs/heads/main\nmark :1\n",
        b"committer grex demo <demo@example.invalid> now\n",
        _data(message),
    ]
    if parent:
        parts.append(b"from refs/heads/main^0\n")
    for name, text in files.items():
        mode = b"100755" if name in executable else b"100644"
        parts += [b"M %b inline %b\n" % (mode, name.encode()), _data(text)]
    if tag is not None:
        parts.append(b"reset refs/tags/%b\nfrom :1\n" % tag.encode())
    await git.run(["fast-import", "--quiet", "--date-format=now"], cwd=repository, stdin_data=b"".join(parts))


def _data(text: str) -> bytes:
    data = text.encode()
    return b"data %d\n%b\n" % (len(data), data)
