"""What may differ between a page and what is printed, and that nothing else may."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.pages import Command, File, House, Names, agrees, parse, type_page

TEXT = """# A page

```console
$ cat > a <<END
> one
> END
$ cat a
one
ben$ pwd && cat /home/ada/a
/home/ben
one
```

```yaml title="b/c.yaml"
x: 1
```

```yaml
not: typed
```
"""


def test_a_page_is_commands_with_what_they_print_and_files() -> None:
    first, second, third, file = parse(TEXT)
    assert isinstance(first, Command)
    assert first.text == "cat > a <<END\none\nEND"
    assert first.printed == []
    assert isinstance(second, Command)
    assert second.printed == ["one"]
    assert TEXT[second.start : second.end] == "one\n"
    assert isinstance(third, Command)
    assert third.person == "ben"
    assert file == File("b/c.yaml", "x: 1\n")


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        ("a ... c", "a b b c"),
        ("a\n...\nd", "a\nb\nc\nd"),
        ("a\n...", "a"),
        ("...\nat eb6beaff9b\nb", "at 1234567abc\nc\nat 7654321abc\nb"),
        (
            "cloned       a: x\n             y\nmoved        b\nend",
            "moved        b\ncloned       a: x\n             y\nend",
        ),
        ("took 0.61 s.", "took 12 s."),
        ("since 2026-11-20T23:52:17Z", "since 2027-01-01T00:00:00Z"),
        ("4.7 KiB used 2026-11-20", "512 B used 2027-01-01"),
        ('version: "13c7dd0b3a9c5fea231443199dff0c75473aa5b1"', "version: d341c189cdfab847b7d266c03e75a71558e3f3eb"),
        ("x.grex-bak.20261120T235217Z", "x.grex-bak.20270101T000000Z"),
        ("pid 1 on host vm", "pid 977 on host ci-3"),
        ("at eb6beaff9b\nfrom eb6beaff9b", "at 1234567abc\nfrom 1234567abc"),
        ("[x] (a|b) *", "[x] (a|b) *"),
    ],
)
def test_what_differs_each_time_may_differ(shown: str, said: str) -> None:
    assert agrees(shown.splitlines(), said.splitlines())


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        ("a", "b"),
        ("a", "a\nb"),
        ("a\nb", "a"),
        ("a ... c", "a b"),
        ("", "a"),
        ("3 packs; 0.61 s", "4 packs; 0.61 s"),
        ("at eb6beaff9b\nfrom eb6beaff9b", "at 1234567abc\nfrom 7654321abc"),
        ("at eb6beaff9b\nfrom 1234567abc", "at 1234567abc\nfrom 1234567abc"),
        ("at eb6beaff9b", "at nothing"),
        ("cloned       a\nnote: x\nmoved        b", "moved        b\nnote: x\ncloned       a"),
        ("cloned       a\nnote         a: x", "note         a: x\ncloned       a"),
        ("cloned  a\nmoved   b", "moved   b\ncloned  a"),
        ("20261120T235217Z\n20261120T235217Z", "20270101T000000Z\n20270101T000001Z"),
        ("a [b]", "a b"),
    ],
)
def test_nothing_else_may(shown: str, said: str) -> None:
    assert not agrees(shown.splitlines(), said.splitlines())


def test_a_page_is_typed_by_its_people_and_written_anew(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(TEXT.replace("$ cat a\none\n", "$ cat a\ntwo\n") + "\n```console\nben$ cat b/c.yaml\n```\n")
    with House(tmp_path / "house") as house:
        typed = type_page(page, house)
    assert [one.splitlines()[1:] for one in typed.differences] == [
        ["one", "--- the page says", "two"],
        ["x: 1", "--- the page says"],
    ]
    assert typed.text == TEXT + "\n```console\nben$ cat b/c.yaml\nx: 1\n```\n"
    assert typed.commands == 4


def test_a_failure_is_said_by_the_page_or_ends_it(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```console\n$ (exit 4)\n$ echo $?\n4\n$ false\n$ echo never\n```\n")
    with House(tmp_path / "house") as house:
        typed = type_page(page, house)
    assert [one.splitlines()[0].rpartition(": ")[2] for one in typed.differences] == ["$ false"]
    assert typed.commands == 3


def test_names_in_a_command_are_those_that_were_printed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "```console\n$ n=123; echo 20270101T000000.${n}456Z; echo 5520fdce7d\n20261120T235217.817626Z\n1234567abc\n"
        "$ test 20261120T235217.817626Z/1234567abc = 20270101T000000.123456Z/5520fdce7d\n```\n"
    )
    with House(tmp_path / "house") as house:
        typed = type_page(page, house)
    assert typed.differences == []
    assert typed.commands == 2


def test_a_page_that_is_written_anew_calls_one_thing_by_one_name(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    first = "$ n=123; echo 20270101T000000.${n}456Z\n20261120T235217.817626Z\n"
    text = f"```console\n{first}$ echo of 20261120T235217.817626Z\n"
    page.write_text(text + "nothing\n```\n")
    with House(tmp_path / "house") as house:
        typed = type_page(page, house)
    assert typed.text == text + "of 20261120T235217.817626Z\n```\n"


def test_lines_that_do_not_agree_name_nothing() -> None:
    names = Names()
    assert not agrees(["at eb6beaff9b", "x"], ["at 1234567abc", "y"], names)
    assert names.copied("eb6beaff9b") == "eb6beaff9b"
    assert agrees(["at eb6beaff9b", "x"], ["at 1234567abc", "x"], names)
    assert names.copied("eb6beaff9b") == "1234567abc"


def test_a_line_that_differs_hides_no_name_of_the_others(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    first = "$ n=123; echo at 20270101T000000.${n}456Z; echo new\nat 20261120T235217.817626Z\n"
    second = "$ test 20261120T235217.817626Z = 20270101T000000.123456Z\n"
    page.write_text(f"```console\n{first}old\n{second}```\n")
    with House(tmp_path / "house") as house:
        typed = type_page(page, house)
    assert len(typed.differences) == 1
    assert typed.text == f"```console\n{first}new\n{second}```\n"
