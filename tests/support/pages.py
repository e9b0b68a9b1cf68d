"""Pages of docs/ that a person types from: each command and each file, in order, with the real `grex`.

A page is typed from its fenced blocks; everything around them is for people. The syntax:

- A block ```` ```console ```` is typed into a shell that stays open for the whole page. A line `$ ...` is a command,
  lines `> ...` below it go on with it, and what follows, up to the next command, is what it prints (standard output
  and error in one place). `ben$ ...` is typed by another person, who has a home and a shell of his own.
- A block with `title="FILE"` is a file, and is written where the person who typed last stands.
- Any other block is there to be read, and nothing becomes of it.
- A command ends with 0, or the next one is `echo $?` and says with what.

What a page shows is what was printed, but for what differs each time:

- `...` stands for anything inside of a line, and alone on a line for any number of lines.
- A commit (7 to 40 hexadecimal digits) or stamp (`20261120T235217Z`) may be another one. Those that are one on the page
  have to be one in truth, too, and those that are two have to be two. In a command they are what was printed.
- Times (`0.52 s`, `2026-11-20T23:52:17Z`, `2026-11-20`), sizes (`4.7 KiB`), `pid 4121` and `host vm` may be others.
- `/home/ada`, `/home/ben` are the homes; `https://example.com/team/` is where the repositories are, for git only: grex
  sees the URL as it is written. `/opt/src/grex` is this source tree.
- Lines of packs that follow each other (`cloned       a: ...`, with what stands below it) may come in another order, as
  packs are done at the same time.

`python -m tests.docs PAGE` types a page and says where it differs; with `--write` the page gets what was printed in
place of what it shows, for somebody to look at. What agrees stays as it is.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from tests.support.git_server import GitServer

__all__ = ["TEAM", "Command", "File", "House", "Names", "Page", "agrees", "parse", "type_page"]

TEAM = "https://example.com/team/"
TOP = Path(__file__).parents[2]
_SOURCES = "/opt/src/grex"
_READER = "ada"
_END = "@end-of-command@"
_FENCE = re.compile(r"^```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_PROMPT = re.compile(r"^(?:([a-z]+))?\$ (.*)$")
_PACK_LINE = re.compile(r"^([a-z-]+ +)([^\s:]+)")
_INDENT = 13
_VARYING = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z"), "TIME"),
    (re.compile(r"\b\d{4}-\d\d-\d\d\b"), "DAY"),
    (re.compile(r"\b\d+(?:\.\d+)? s\b"), "N s"),
    (re.compile(r"\b\d+(?:\.\d+)? [KMG]?i?B\b"), "N B"),
    (re.compile(r"\bpid \d+"), "pid N"),
    (re.compile(r"\bhost [\w.-]+"), "host H"),
    (re.compile(r'"([0-9a-f]{40})"'), r"\1"),  # YAML needs the quotes where a commit looks like a number
)
_COMMIT = r"\b(?=[0-9a-f]*\d)[0-9a-f]{7,40}\b"
_STAMP = r"\b\d{8}T\d{6}(?:\.\d+)?Z(?:-\d+)?"
_NAME = re.compile(rf"{_STAMP}|{_COMMIT}")


@dataclass(frozen=True)
class Command:
    """Something to type: who types it, the text, and the lines that the page shows for it.

    `start` and `end` are where those lines stand in the page's text.
    """

    person: str
    text: str
    printed: list[str]
    start: int
    end: int


@dataclass(frozen=True)
class File:
    """Something to write."""

    name: str
    text: str


def parse(page: str) -> Iterator[Command | File]:
    """What a page says to do, in its order."""
    for block in _FENCE.finditer(page):
        language, title, body = block.groups()
        if title:
            yield File(title, body)
        elif language == "console":
            yield from _commands(body, block.start(3))


def _commands(body: str, offset: int) -> Iterator[Command]:
    person, typed, printed, start = "", list[str](), list[str](), offset
    for line in body.splitlines(keepends=True):
        prompt = _PROMPT.match(line)
        if prompt:
            if typed:
                yield Command(person, "\n".join(typed), printed, start, offset)
            person, typed, printed = prompt[1] or _READER, [prompt[2]], []
        elif not typed:
            raise ValueError(f"a console block begins with a command, and this one with {line!r}")
        elif line.startswith("> ") and not printed:
            typed.append(line[2:].rstrip("\n"))
        else:
            printed.append(line.rstrip("\n"))
        offset += len(line)
        if not printed:
            start = offset
    if typed:
        yield Command(person, "\n".join(typed), printed, start, offset)


@dataclass
class Names:
    """Which commit or stamp of the page is which in truth."""

    said_for: dict[str, str] = field(default_factory=dict)
    page_for: dict[str, str] = field(default_factory=dict)

    def are_one(self, page: str, said: str) -> bool:
        """Whether they may be the same; if so, they are from now on. A short commit is known in a long one."""
        self.said_for.setdefault(page, said)  # as it is printed, for somebody who types it
        page, said = (name if "T" in name else name[:7] for name in (page, said))
        return self.said_for.setdefault(page, said) == said and self.page_for.setdefault(said, page) == page

    def copied(self, text: str) -> str:
        """What somebody types who copies names from what was printed, not from the page."""
        return _NAME.sub(lambda name: self.said_for.get(name[0], name[0]), text)

    def written(self, line: str) -> str:
        """A printed line for the page: what the page has a name for is called so, and the rest as it was printed."""
        page_for = {said: page for page, said in self.said_for.items()}
        for name in _NAME.findall(line):
            if name not in page_for:
                self.are_one(name, name)
        return _NAME.sub(lambda name: page_for.get(name[0], name[0]), line)


def agrees(shown: Sequence[str], said: Sequence[str], names: Names | None = None) -> bool:
    """Whether a command printed what the page shows for it; if so, `names` know what is called how."""
    shown, said = _by_pack(shown), _by_pack(said)
    tried = Names() if names is None else Names(dict(names.said_for), dict(names.page_for))
    if shown and shown[0] == "...":
        return any(agrees(shown[1:], said[skipped:], names) for skipped in range(len(said) + 1))
    for number, line in enumerate(shown):
        if line == "...":
            if agrees(shown[number:], said[number:], tried):
                break
            return False
        if number >= len(said) or not _line_agrees(line, said[number], tried):
            return False
    else:
        if len(said) != len(shown):
            return False
    if names is not None:
        names.said_for, names.page_for = tried.said_for, tried.page_for
    return True


def _by_pack(lines: Sequence[str]) -> list[str]:
    """The lines, with those of packs that follow each other sorted by their paths."""
    ordered, of_packs = list[str](), list[tuple[str, list[str]]]()
    for line in [*lines, ""]:
        pack = _PACK_LINE.match(line)
        if pack and pack.end(1) == _INDENT:
            of_packs.append((pack[2], [line]))
        elif of_packs and line.startswith(" " * _INDENT):
            of_packs[-1][1].append(line)
        else:
            ordered += [one for _, entry in sorted(of_packs, key=lambda one: one[0]) for one in entry]
            of_packs.clear()
            ordered.append(line)
    return ordered[:-1]


def _learn(shown: Sequence[str], said: Sequence[str], names: Names) -> None:
    """Take names from the lines that agree where others do not, so that one difference does not bring more."""
    for line in shown:
        for one in said:
            if line != "..." and agrees([line], [one], names):
                break


def _line_agrees(shown: str, said: str, names: Names) -> bool:
    for varying, text in _VARYING:
        shown, said = varying.sub(text, shown), varying.sub(text, said)
    pattern, found, end = "", list[str](), 0
    for piece in re.finditer(rf"\.\.\.|{_NAME.pattern}", shown):
        pattern += re.escape(shown[end : piece.start()])
        end = piece.end()
        if piece[0] == "...":
            pattern += ".*"
        else:
            pattern += f"({_STAMP})" if "T" in piece[0] else rf"([0-9a-f]{{{len(piece[0])}}})"
            found.append(piece[0])
    match = re.fullmatch(pattern + re.escape(shown[end:]), said)
    return match is not None and all(map(names.are_one, found, match.groups()))


class _Shell:
    """A person's shell, standard output and error in one place."""

    def __init__(self, home: Path, environ: Mapping[str, str]) -> None:
        self.directory = home
        self._process = subprocess.Popen(
            ["bash", "--norc", "--noprofile"],
            cwd=home,
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            bufsize=1,
        )

    def type(self, command: str) -> tuple[int, list[str]]:
        """Give a command, whose standard input is empty; gives its exit code and what it printed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        # `$?` is for the next command to ask for. What reads standard input must not read the commands that follow.
        again = f'(exit $__code); {{ {command}\n}} < /dev/null; __code=$?; printf "\\n{_END} %s %s\\n" $__code "$PWD"\n'
        self._process.stdin.write(again)
        said: list[str] = []
        for line in self._process.stdout:
            if line.startswith(_END):
                _, code, directory = line.rstrip("\n").split(" ", 2)
                self.directory = Path(directory)
                if said and not said[-1]:
                    said.pop()  # the line end before the mark, which is for output that does not end with one
                return int(code), said
            said.append(line.rstrip("\n"))
        raise AssertionError(f"the shell has ended in {command!r}: {said}")

    def close(self) -> None:
        """End it, and wait for what it has started in the background."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("wait\n")
        self._process.stdin.close()
        self._process.wait(timeout=60)
        self._process.stdout.close()


class House:
    """Where a page is typed: homes of people, each with a git configuration and shell, and a server for all."""

    def __init__(self, base: Path) -> None:
        self.server = GitServer(base / "server")
        self.homes = base / "home"
        self._tools = base / "bin"
        self._tools.mkdir(parents=True)
        self._tool("grex", f'exec "{sys.executable}" -m grex "$@"')
        self._tool("python3", f'exec "{sys.executable}" "$@"')
        self._shells: dict[str, _Shell] = {}

    def _tool(self, name: str, line: str) -> None:
        (self._tools / name).write_text(f"#!/bin/sh\n{line}\n")
        (self._tools / name).chmod(0o755)

    def home(self, person: str = _READER) -> Path:
        """A person's home, made when it is first asked for."""
        home = self.homes / person
        if not home.exists():
            home.mkdir(parents=True)
            (home / ".gitconfig").write_text(
                f"[user]\n\tname = {person.title()}\n\temail = {person}@example.com\n"
                f'[url "{self.server.root.as_uri()}/"]\n\tinsteadOf = {TEAM}\n'
            )
        return home

    def environ(self, person: str) -> dict[str, str]:
        """A person's environment: nothing of this machine's but what a shell needs."""
        libraries = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
        kept = ("PYTHONPYCACHEPREFIX", "TMPDIR", "LANG", "LC_ALL", "GIT_TEMPLATE_DIR")
        environ = {name: os.environ[name] for name in kept if name in os.environ}
        return environ | {
            "HOME": str(self.home(person)),
            "USER": person,
            "SHELL": "/bin/bash",
            "PATH": f"{self._tools}{os.pathsep}{os.environ['PATH']}",
            # What grex needs is installed already, also for an environment that the page makes, and for its pip.
            "PYTHONPATH": os.pathsep.join([str(TOP), *sorted(libraries)]),
            "PIP_NO_INDEX": "1",
            "PIP_NO_DEPS": "1",
            "PIP_NO_BUILD_ISOLATION": "0",  # pip reads this one the other way round
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "GIT_CONFIG_SYSTEM": os.devnull,
            "GREX_JOBS": "1",  # as far as it goes, packs in one order
            # The same commits each time, so that a page that is written anew differs only where it has to.
            "GIT_AUTHOR_DATE": "2026-11-02T09:00:00Z",
            "GIT_COMMITTER_DATE": "2026-11-02T09:00:00Z",
        }

    def type(self, command: Command) -> tuple[int, list[str]]:
        """Type a command; gives its exit code and what it printed, in the words of the page."""
        code, said = self._shell(command.person).type(self.real(command.text))
        assert not any("Traceback (most recent call last)" in line for line in said), "\n".join(said)
        return code, [self.told(line) for line in said]

    def write(self, file: File, person: str) -> None:
        """Write a file where a person stands."""
        path = self._shell(person).directory / self.real(file.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.real(file.text))

    def real(self, text: str) -> str:
        """The page's places, as they are on this machine."""
        return text.replace("/home/", f"{self.homes}/").replace(_SOURCES, str(TOP))

    def told(self, text: str) -> str:
        """The places of this machine, as the page has them."""
        root = self.server.root
        for real, page in ((f"{root.as_uri()}/", TEAM), (f"{root}/", TEAM), (f"{self.homes}/", "/home/")):
            text = text.replace(real, page)
        return text.replace(str(TOP), _SOURCES)

    def _shell(self, person: str) -> _Shell:
        if person not in self._shells:
            self._shells[person] = _Shell(self.home(person), self.environ(person))
        return self._shells[person]

    def __enter__(self) -> Self:
        """The house."""
        return self

    def __exit__(self, *_: object) -> None:
        """End all shells."""
        for shell in self._shells.values():
            shell.close()


@dataclass(frozen=True)
class Page:
    """What became of a page: its text with what was printed, and where it differs from what it shows."""

    text: str
    differences: list[str]
    commands: int


def type_page(path: Path, house: House) -> Page:
    """Type a page from its first block to its last.

    It is not left off at the first difference, but at a command that fails without the page saying so.
    """
    text = path.read_text(encoding="utf-8")
    steps = list(parse(text))
    names, differences, person, count = Names(), list[str](), _READER, 0
    parts, end = list[str](), 0
    for number, step in enumerate(steps):
        if isinstance(step, File):
            house.write(step, person)
            continue
        person, count = step.person, count + 1
        code, said = house.type(replace(step, text=names.copied(step.text)))
        after = steps[number + 1] if number + 1 < len(steps) else None
        line = text.count("\n", 0, step.start)
        if not agrees(step.printed, said, names):
            differences.append(
                "\n".join([f"{path}:{line}: $ {step.text}", *said, "--- the page says", *step.printed, ""])
            )
            _learn(step.printed, said, names)
            parts += [text[end : step.start], *(f"{names.written(one)}\n" for one in said)]
            end = step.end
        if code and not (isinstance(after, Command) and after.text.startswith("echo $?")):
            differences.append("\n".join([f"{path}:{line}: $ {step.text}", *said, f"--- and ends with {code}", ""]))
            break
    return Page("".join(parts) + text[end:], differences, count)
