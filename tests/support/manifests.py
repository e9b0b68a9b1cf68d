"""Manifests as large and as oddly named as real ones, and a bare repository for everything that they list.

All repositories are one, by hard links: what differs between them is where they lie. It has a branch `main`, a branch
`master` that is one commit behind, and a tag `v1` of the first commit.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from tests.support.git_server import GitServer, git

__all__ = ["Upstream", "android_like", "files_below", "ros_like", "zephyr_like"]

_ORGANISATIONS = (
    "ament",
    "eclipse-cyclonedds",
    "eProsima",
    "gazebo-release",
    "osrf",
    "ros-perception",
    "ros2",
    "ros2/rmw",
)
_IGNORED = (".git", ".grex", ".repo", ".west", ".tsrc", ".grex-lock", "grex.lock.jsonl", "grex.jsonl")


class Upstream:
    """Bare repositories below a directory, made by name."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._server = GitServer(root)
        self._server.create("seed", {"README": "1\n", "tools/run.sh": "#!/bin/sh\n", "x.h": "// 1\n"})
        self._server.tag("seed", "v1")
        self._server.commit("seed", {"x.h": "// 2\n"}, branch="master")
        self._server.commit("seed", {"x.h": "// 3\n", "only_main": "m\n"})
        git(self._server.path("seed"), "gc", "--quiet")
        self.sha = git(self._server.work("seed"), "rev-parse", "master")

    def add(self, *names: str) -> None:
        """Make repositories, with `.git` where the name has it."""
        for name in names:
            shutil.copytree(self._server.path("seed"), self.root / name, copy_function=os.link)

    def commit(self, name: str, files: Mapping[str, str]) -> Path:
        """A repository of its own with further files on `main`; gives its path."""
        self._server.create(name, dict(files))
        return self._server.path(name)

    def url(self, name: str = "") -> str:
        """The URL of a repository, or of the directory of all."""
        return (self.root / name).as_uri()


def ros_like(upstream: Upstream, count: int = 100) -> str:
    """A .repos file: two levels, capitals, dashes, underscores, one repository inside of another."""
    lines = ["repositories:"]
    for number in range(count):
        organisation = _ORGANISATIONS[number % len(_ORGANISATIONS)]
        name = ("ament_cmake", "Fast-DDS", "rcl.logging", "rosidl_typesupport_fastrtps")[number % 4] + str(number)
        upstream.add(f"{name}.git")
        version = ("main", "v1", upstream.sha, "master")[number % 4]
        lines += [f"  {organisation}/{name}:", "    type: git", f"    url: {upstream.url(f'{name}.git')}"]
        lines.append(f"    version: {version}")
    upstream.add("inner.git")
    lines += ["  ament/ament_cmake0/src/inner:", "    type: git", f"    url: {upstream.url('inner.git')}"]
    return "\n".join(lines) + "\n"


def zephyr_like(upstream: Upstream, count: int = 60) -> str:
    """The manifest of an application that imports one of `count` modules, some blocked, some in groups that are off."""
    projects = []
    for number in range(count):
        name = f"hal_Vendor.{number}" if number % 3 else f"mod-{number}"
        upstream.add(name)
        where = ("modules/hal", "modules/lib/deep", "tools", "zephyr/inside")[number % 4]
        groups = ", groups: [optional, ci]" if number % 7 == 6 else ", groups: [hal]" if number % 5 == 4 else ""
        revision = ("main", "v1", upstream.sha)[number % 3]
        projects.append(f"    - {{name: {name}, path: {where}/{name}, revision: {revision}{groups}}}")
    remote = f"  remotes: [{{name: up, url-base: '{upstream.url()}'}}]\n  defaults: {{remote: up}}\n"
    inner = "manifest:\n  group-filter: [-optional, -ci]\n" + remote + "  projects:\n" + "\n".join(projects) + "\n"
    upstream.commit("zephyr", {"west.yml": inner, "kernel.c": "int x;\n"})
    return (
        f"manifest:\n{remote}  projects:\n"
        "    - name: zephyr\n      repo-path: zephyr.git\n      revision: main\n      import:\n"
        "        name-blocklist: [mod-0, hal_Vendor.1]\n        path-blocklist: ['tools/*']\n"
        "        name-allowlist: []\n        path-prefix: ''\n"
        "    - {name: mod-3, path: own/mod-3, revision: v1}\n"
        "  self: {path: application}\n"
    )


def android_like(upstream: Upstream, count: int = 500) -> str:
    """A manifest with hundreds of projects, dots in paths, groups, nested places, copyfile and linkfile."""
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        "<manifest>",
        '  <remote name="aosp" fetch=".." review="https://review.invalid/"/>',
        '  <default revision="refs/tags/v1" remote="aosp" sync-j="4"/>',
    ]
    for number in range(count):
        name = f"platform/external/Lib.{number}_x" if number % 2 else f"platform/packages-{number}"
        upstream.add(name)
        path = name.removeprefix("platform/") + (".cts/in.1" if number % 10 == 9 else "")
        groups = (' groups="pdk"', "", ' groups="pdk,tradefed"')[number % 3]
        inside = ""
        if number % 100 == 0:
            inside = (
                f'<copyfile src="x.h" dest="copied/{number}.h"/><linkfile src="tools/run.sh" dest="run-{number}.sh"/>'
            )
        lines.append(f'  <project path="{path}" name="{name}"{groups} clone-depth="1">{inside}</project>')
    upstream.add("platform/nested")
    lines += ['  <project path="packages-0/src/nested" name="platform/nested" revision="main"/>', "</manifest>"]
    return "\n".join(lines) + "\n"


def files_below(root: Path) -> dict[str, str | bytes]:
    """Every file below a workspace of any tool by its path: what it holds, or where it leads."""
    found: dict[str, str | bytes] = {}
    for directory, names, files in os.walk(root):
        names[:] = [name for name in names if name not in _IGNORED]
        for name in (*files, *(name for name in names if Path(directory, name).is_symlink())):
            path = Path(directory, name)
            if name in _IGNORED or name.endswith(".lock"):
                continue
            key = path.relative_to(root).as_posix()
            found[key] = os.path.realpath(path).removeprefix(str(root)) if path.is_symlink() else path.read_bytes()
    return found
