"""The guide for authors, followed literally: every file is written and every command run, in an empty directory."""

from __future__ import annotations

import fnmatch
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.environment import EXAMPLES, make_environment

PAGE = EXAMPLES.parent / "docs/guides/writing-plugins.md"
_BLOCK = re.compile(r"^```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def steps() -> Iterator[tuple[str, str, str]]:
    """What the page says to do, in its order: `write`, a name and a text; or `run`, a command and what it prints."""
    for language, title, text in _BLOCK.findall(PAGE.read_text("utf-8")):
        if title:
            yield "write", title, text
            continue
        assert language == "console", f"{PAGE.name} has a block that is neither a file nor a command: {text}"
        for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
            command, _, printed = part.partition("\n")
            yield "run", command, printed


def agrees(printed: str, said: str) -> bool:
    """Whether a command printed what the page shows; `...` stands for anything."""
    pattern = re.sub(r"\.{3}", "*", re.sub(r"([\[\]?])", r"[\1]", printed.strip()))
    return fnmatch.fnmatchcase(said.strip(), pattern)


def test_dots_stand_for_anything_and_nothing_else_does() -> None:
    assert agrees("a ... c\n...", "a [b] c\nd")
    assert not agrees("a ... c", "a b d")
    assert not agrees("a[b]", "ab")
    assert not agrees("", "something")


@pytest.mark.slow
def test_the_guide_followed_literally_ends_with_a_tested_plugin_that_works(
    tmp_path: Path, quiet_environment: Path
) -> None:
    python = make_environment(tmp_path / "environment")
    grex = python.with_name("grex")
    grex.write_text(f"#!{python}\nfrom grex.__main__ import main\n\nmain()\n")
    grex.chmod(0o755)
    environ = {**os.environ, "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}"}
    directory = tmp_path / "empty"
    directory.mkdir()
    done: list[str] = []
    for what, name, text in steps():
        done.append(what)
        if what == "write":
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            (directory / name).write_text(text)
            continue
        ended = subprocess.run(
            ["/bin/sh", "-c", name],
            cwd=directory,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=110,
            check=False,
        )
        assert ended.returncode == 0, f"$ {name}\n{ended.stdout}"
        assert agrees(text, ended.stdout), f"$ {name}\n{ended.stdout}\nand the page says\n{text}"
    assert (quiet_environment / "notes").read_text() == "buy milk\n"
    assert done.count("run") >= 6
    assert done.count("write") >= 5
