"""The first page's commands do what it says: typed into a shell one after the other, they print what stands below them.

What differs from machine to machine (paths, process ids, hosts, times) is compared as one and the same. The ten
seconds of the page's slow installation pass when the test wants: its `sleep` is a gate. What a shell says of its jobs
(`[1] ...`) it says only to a person.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from grex.pack import parse_pack_spec
from tests.support.git_server import GitServer
from tests.support.running import Gate
from tests.support.workspace import Workspace

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
_END = "@end-of-command@"
_ONE_AND_THE_SAME = (
    (r"pid \d+", "pid N"),
    (r"host \S+?(?=,)", "host H"),
    (r"\b[\d.]+ s\b", "N s"),
    (r"\d{4}-\d\d-\d\dT[\d:]{8}Z", "TIME"),
    (r"/\S*/(ws|two)\b", r"/.../\1"),
)


def blocks(language: str) -> list[str]:
    """The page's blocks in a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def steps(block: str) -> Iterator[tuple[str, list[str]]]:
    """The commands of a block, each with what it prints."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, *printed = part.splitlines()
        yield re.sub(r" {2,}#.*", "", command), [line for line in printed if not line.startswith("[1]")]


def same(lines: list[str]) -> list[str]:
    """The lines without what differs from machine to machine."""
    for pattern, text in _ONE_AND_THE_SAME:
        lines = [re.sub(pattern, text, line) for line in lines]
    return lines


class Shell:
    """A person's shell in a directory where grex has been installed, standard output and error in one place."""

    def __init__(self, directory: Path, environ: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            ["bash", "--norc", "--noprofile"],
            cwd=directory,
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            bufsize=1,
        )

    def type(self, command: str, look: Callable[[str], object]) -> tuple[int, list[str]]:
        """Give a command; gives its exit code and what it printed, each line of which `look` was shown at once."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{command}\necho {_END} $?\n")
        said: list[str] = []
        for line in self._process.stdout:
            if line.startswith(_END):
                return int(line.split()[1]), said
            said.append(line.rstrip("\n"))
            look(line)
        raise AssertionError(f"the shell has ended in {command!r}: {said}")

    def close(self) -> None:
        """End it, with what it has started in the background ended before."""
        assert self._process.stdin is not None
        self._process.stdin.write("wait\n")
        self._process.stdin.close()
        self._process.wait(timeout=60)
        assert self._process.stdout is not None
        self._process.stdout.close()


@pytest.fixture
def place(tmp_path: Path) -> Workspace:
    """A directory with an installed grex and a home of its own; `environ` is the person's."""
    made = Workspace(tmp_path, "here")
    (made / ".venv/bin").mkdir(parents=True)
    (made / ".venv/bin/grex").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m grex "$@"\n')
    (made / ".venv/bin/grex").chmod(0o755)
    made.environ["PYTHONPATH"] = str(Path(__file__).parents[2])
    return made


def test_two_syncs_at_once_print_what_the_page_says(place: Workspace, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "sleep").write_text(gate.script())
    (tools / "sleep").chmod(0o755)
    place.environ["PATH"] = f"{tools}{os.pathsep}{place.environ['PATH']}"
    block = next(block for block in blocks("console") if "--no-wait" in block)
    shell = Shell(place.root, place.environ)
    opened: list[str] = []

    def look(line: str) -> None:
        if line.startswith("waiting") and not opened:
            opened.append(line)
            gate.open()

    try:
        for command, printed in steps(block):
            if command.startswith("cat "):
                shell.type("wait", look)
            _, said = shell.type(command, look)
            assert same(said) == same(printed), command
            if command.endswith("&"):
                gate.wait_entered()
    finally:
        if not opened and gate.entered.exists():
            gate.open()
        shell.close()
    assert opened


def test_the_first_steps_work_as_they_are_typed(place: Workspace, server: GitServer, tmp_path: Path) -> None:
    server.create("robots", {"arm.urdf": "<robot/>\n"})
    config = tmp_path / "gitconfig"
    config.write_text(f'[url "{server.root.as_uri()}/"]\n\tinsteadOf = https://host.example/team/\n')
    place.environ["GIT_CONFIG_GLOBAL"] = str(config)
    block = next(block for block in blocks("console") if "robots.git" in block)
    shell = Shell(place.root, place.environ)
    try:
        typed = [(command, shell.type(command, lambda _: None)) for command, _ in steps(block)]
    finally:
        shell.close()
    assert [(command, said) for command, (code, said) in typed if code] == []
    assert (place / "ws/robots/arm.urdf").exists()
    assert len(typed) == block.count("\n")


def test_the_pages_pack_yaml_is_one() -> None:
    (text,) = blocks("yaml")
    spec = parse_pack_spec(text.encode(), file="README.md", is_root=True)
    assert len(spec.children) == 3
