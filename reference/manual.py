"""Manual pages in roff (the macros of man(7)): `grex(1)` and one for each verb.

What a verb takes comes from the command line itself, what it does from its section in `docs/reference/cli.md`, exit
codes and variables from the tables of the reference. Pages are for one version and carry no date, so that the same tree
gives the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from grex import __version__
from grex.cli.described import Described, Parameter, describe, every_verb
from reference.markdown import blocks, section

__all__ = ["manual_pages", "write_manual"]

_PAGES = Path(__file__).parents[1] / "docs" / "reference"
_SPECIAL = {
    "\\": r"\e",
    "-": r"\-",
    "'": r"\(aq",
    "`": r"\(ga",
    "^": r"\(ha",
    "~": r"\(ti",
    '"': r"\(dq",
}
_INLINE = re.compile(r"`([^`]+)`|\*\*([^*]+)\*\*|\*([^*]+)\*|\[([^\]]+)\]\([^)]*\)")
_FILES = (
    (".grex/pack.yaml", "what the workspace declares; committed"),
    (".grex/config.toml", "settings of the workspace; committed"),
    (".grex/local.yaml", "overrides and groups of this machine"),
    ("grex.lock.jsonl", "the lockfile: what was resolved, a line for each pack; committed"),
    ("grex.jsonl", "the log: what grex did on this machine"),
    ("~/.config/grex/config.toml", "settings of the user"),
)


def manual_pages() -> dict[str, str]:
    """Every page, by the name of its file."""
    root = describe()
    verbs = list(every_verb(root))
    pages = {"grex.1": _page(root, "grex", [_page_name(verb) for verb in verbs])}
    for verb in verbs:
        above = ["grex", *(_page_name(other) for other in verbs if verb.words[:1] == other.words[:1] and other != verb)]
        pages[f"{_page_name(verb)}.1"] = _page(verb, _page_name(verb), above)
    return pages


def write_manual(directory: Path) -> list[Path]:
    """Write the pages into a directory, which is made; pages of verbs that are gone are removed."""
    directory.mkdir(parents=True, exist_ok=True)
    pages = manual_pages()
    for old in directory.glob("grex*.1"):
        if old.name not in pages:
            old.unlink()
    for name, text in pages.items():
        (directory / name).write_text(text, "ascii")
    return [directory / name for name in pages]


def _page_name(verb: Described) -> str:
    return "-".join(("grex", *verb.words))


def _page(verb: Described, name: str, others: Iterable[str]) -> str:
    page = (_PAGES / "cli.md").read_text("utf-8")
    takes = verb.usage.partition("[OPTIONS]")[2].strip()
    lines = [
        f'.TH {_text(name).upper()} 1 "" "grex {__version__}" "grex manual"',
        ".SH NAME",
        f"{_text(name)} \\- {_text(verb.summary.rstrip('.'))}",
        ".SH SYNOPSIS",
        f"\\fB{_text(' '.join(('grex', *verb.words)))}\\fR {_text(takes)}".rstrip(),
        "[\\fIOPTIONS\\fR]",
        ".SH DESCRIPTION",
        *_paragraph(_text(verb.text.replace("\n", " "))),
    ]
    about = section(page, f"grex {verb.name}") if verb.words else ""
    lines += _roff(about)
    if verb.verbs:
        lines.append(".SH COMMANDS")
        for below in verb.verbs:
            lines += _tagged(f"\\fB{_text(below.name)}\\fR", _text(below.summary))
    if verb.arguments:
        lines.append(".SH ARGUMENTS")
        for one in verb.arguments:
            lines += _tagged(f"\\fI{_text(one.metavar)}\\fR", _told(one))
    lines.append(".SH OPTIONS")
    for one in verb.options:
        value = f" \\fI{_text(one.metavar)}\\fR" if one.metavar else ""
        lines += _tagged(", ".join(f"\\fB{_text(option)}\\fR" for option in one.names) + value, _told(one))
    lines += [".SH EXIT STATUS", *_rows((_PAGES / "exit-codes.md").read_text("utf-8").partition("\n## ")[0])]
    lines.append(".SH FILES")
    for path, what in _FILES:
        lines += _tagged(f"\\fI{_text(path)}\\fR", _text(what))
    lines += [".SH ENVIRONMENT", *_rows(section(page, "Environment"))]
    lines += [".SH SEE ALSO", ",\n".join(f".BR {_text(other)} (1)" for other in sorted(others)) or ".BR git (1)"]
    # `.BR x (1) ,` is how a list is punctuated: the comma belongs to the arguments of the macro.
    text = re.sub(r"^(\.BR \S+ \(1\)),$", r"\1 ,", "\n".join(lines), flags=re.MULTILINE)
    return f"{text}\n"


def _told(one: Parameter) -> str:
    told = _inline(one.help)
    if one.choices:
        told += f" One of: {_text(', '.join(one.choices))}."
    if one.default:
        told += f" Default: {_text(one.default)}."
    return told + (" May be repeated." if one.is_repeated and "repeated" not in one.help else "")


def _rows(text: str) -> list[str]:
    lines: list[str] = []
    for block in blocks(text):
        if block.kind == "row":
            lines += _tagged(f"\\fB{_plain(block.cells[0])}\\fR", _inline(block.cells[-1]))
    return lines


def _roff(text: str) -> list[str]:
    """A section of a page of the reference."""
    lines: list[str] = []
    for block in blocks(text):
        if block.kind == "code":
            lines += [".PP", ".in +4", ".nf", *map(_guarded, map(_text, block.text.splitlines())), ".fi", ".in"]
        elif block.kind == "row":
            lines += _tagged(_inline(block.cells[0]), _inline("; ".join(block.cells[1:])))
        elif block.kind == "item":
            lines += [r".IP \(bu 2", _guarded(_inline(block.text))]
        else:
            lines += _paragraph(_inline(block.text))
    return lines


def _paragraph(text: str) -> list[str]:
    return [".PP", _guarded(text)]


def _tagged(tag: str, text: str) -> list[str]:
    return [".TP", _guarded(tag), _guarded(text or r"\&")]


def _plain(text: str) -> str:
    return _text(_INLINE.sub(lambda found: next(part for part in found.groups() if part), text))


def _inline(text: str) -> str:
    """A line of Markdown: code and strong words are bold, emphasis is italic, of a link its words are left."""
    parts: list[str] = []
    place = 0
    for found in _INLINE.finditer(text):
        parts.append(_text(text[place : found.start()]))
        code, strong, emphasis, link = found.groups()
        if link is not None:
            parts.append(_inline(link))
        elif emphasis is not None:
            parts.append(f"\\fI{_text(emphasis)}\\fR")
        else:
            parts.append(f"\\fB{_text(code or strong)}\\fR")
        place = found.end()
    return "".join([*parts, _text(text[place:])])


def _text(text: str) -> str:
    """Text that roff shows as it is."""
    return "".join(_SPECIAL.get(one) or (one if one.isascii() else f"\\[u{ord(one):04X}]") for one in text)


def _guarded(line: str) -> str:
    """A line that is no request, whatever it begins with."""
    return f"\\&{line}" if line.startswith((".", "'")) or not line else line
