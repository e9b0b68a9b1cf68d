"""Edits of pack.yaml: exactly one change, and every comment still there."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from grex.errors import ManifestError
from grex.manifest import (
    Value,
    change_child,
    change_children,
    change_key,
    edit_root,
    insert_child,
    insert_children,
    remove_child,
)
from grex.manifest.yaml_text import render_value
from tests.support.broken_disk import BrokenDisk
from tests.support.holds import FakeHold

HOLD = FakeHold()
BASE = 'schema_version: "1"\nname: x\n'
NEW: Mapping[str, Value] = {"url": "https://h/new.git", "path": "libs/new"}
BLOCK = "  - url: https://h/new.git\n    path: libs/new\n"
FLOW = '{url: "https://h/new.git", path: libs/new}'


def strings(text: str) -> object:
    """The file with every scalar as text."""
    return yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 - the one loader that makes nothing but text


INSERTIONS: list[tuple[str, str, str]] = [
    ("no list", BASE + "# end\n", BASE + "# end\nchildren:\n" + BLOCK),
    ("no list, no last line end", BASE[:-1], BASE + "children:\n" + BLOCK[:-1]),
    ("empty", BASE + "children:\ntype: meta\n", BASE + "children:\n" + BLOCK + "type: meta\n"),
    ("empty at the end", BASE + "children:", BASE + "children:\n" + BLOCK[:-1]),
    ("empty with a remark", BASE + "children:  # ours\n", BASE + "children:  # ours\n" + BLOCK),
    ("a remark instead", BASE + "children:\n  # none yet\n", BASE + "children:\n" + BLOCK + "  # none yet\n"),
    ("null", BASE + "children: ~ # ours\n", BASE + "children: # ours\n" + BLOCK),
    ("null in a word", BASE + "children: null\n", BASE + "children:\n" + BLOCK),
    ("brackets", BASE + "children: []\ntype: meta\n", BASE + "children:\n" + BLOCK + "type: meta\n"),
    ("brackets with a remark", BASE + "children: [ ] # ours\n", BASE + "children: # ours\n" + BLOCK),
    ("a remark between brackets", BASE + "children: [\n  # none\n]\n", BASE + f"children: [{FLOW}\n  # none\n]\n"),
    ("brackets with one", BASE + "children: [{url: a}]\n", BASE + f"children: [{{url: a}}, {FLOW}]\n"),
    ("a comma at the end", BASE + "children: [{url: a},]\n", BASE + f"children: [{{url: a}}, {FLOW},]\n"),
    (
        "brackets over lines",
        BASE + "children: [\n  {url: a},  # first\n  {url: b}  # second\n]\ntype: meta\n",
        BASE + f"children: [\n  {{url: a}},  # first\n  {{url: b}},  # second\n  {FLOW}\n]\ntype: meta\n",
    ),
    (
        "brackets over lines, a comma at the end",
        BASE + "children: [\n  {url: a},\n  {url: b},  # second\n]\n",
        BASE + f"children: [\n  {{url: a}},\n  {{url: b}},  # second\n  {FLOW},\n]\n",
    ),
    (
        "block",
        BASE + "children:\n  # one\n  - url: a  # A\n    ref: x\n    # belongs to a\n  # free\n\ntype: meta # t\n",
        BASE
        + "children:\n  # one\n  - url: a  # A\n    ref: x\n    # belongs to a\n"
        + BLOCK
        + "  # free\n\ntype: meta # t\n",
    ),
    (
        "block without indentation",
        BASE + "children:\n- url: a\n\n# about the type\ntype: meta",
        BASE + "children:\n- url: a\n- url: https://h/new.git\n  path: libs/new\n\n# about the type\ntype: meta",
    ),
    (
        "block far in, no last line end",
        BASE + "children:\n      -   url: a\n          path: q",
        BASE + "children:\n      -   url: a\n          path: q\n      - url: https://h/new.git\n        path: libs/new",
    ),
    (
        "block of braces",
        BASE + "children:\n  - {url: a}\n  - {url: b,\n     ref: c}\n",
        BASE + "children:\n  - {url: a}\n  - {url: b,\n     ref: c}\n" + BLOCK,
    ),
    (
        "a block scalar at the end",
        BASE + "children:\n  - url: a\n    x-note: |\n      text\n\n      more\ntype: meta\n",
        BASE + "children:\n  - url: a\n    x-note: |\n      text\n\n      more\n" + BLOCK + "type: meta\n",
    ),
    (
        "an empty value at the end",
        BASE + "children:\n  - url: a\n    ref:   # none\ntype: meta\n",
        BASE + "children:\n  - url: a\n    ref:   # none\n" + BLOCK + "type: meta\n",
    ),
    (
        "document markers",
        "---\n" + BASE + "children:\n  - url: a\n...\n# after\n",
        "---\n" + BASE + "children:\n  - url: a\n" + BLOCK + "...\n# after\n",
    ),
    ("document markers, no list", "---\n" + BASE + "...\n", "---\n" + BASE + "children:\n" + BLOCK + "...\n"),
    (
        "the whole file in braces",
        '{schema_version: "1", name: x}\n',
        f'{{schema_version: "1", name: x, children: [{FLOW}]}}\n',
    ),
    (
        "braces and no value",
        '{schema_version: "1", children: , name: x}\n',
        f'{{schema_version: "1", children: [{FLOW}], name: x}}\n',
    ),
    ("a quoted key", BASE + '"children":\n  - url: a\n', BASE + '"children":\n  - url: a\n' + BLOCK),
    ("the word inside a remark", BASE + "# children: []\n", BASE + "# children: []\nchildren:\n" + BLOCK),
    (
        "the word deeper down",
        BASE + "x-old:\n  children: []\n",
        BASE + "x-old:\n  children: []\nchildren:\n" + BLOCK,
    ),
    (
        "letters of more than one byte",
        BASE + "# ü€𝄞\nchildren:\n  - url: ü€𝄞\n",
        BASE + "# ü€𝄞\nchildren:\n  - url: ü€𝄞\n" + BLOCK,
    ),
]


@pytest.mark.parametrize("eol", ["\n", "\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize(("before", "after"), [pytest.param(*case[1:], id=case[0]) for case in INSERTIONS])
def test_an_entry_goes_to_the_end_of_the_list_and_nothing_else_moves(before: str, after: str, eol: str) -> None:
    found = insert_child(before.replace("\n", eol), NEW, file="pack.yaml")
    assert found == after.replace("\n", eol)


@pytest.mark.parametrize("case", INSERTIONS, ids=lambda case: str(case[0]))
def test_what_was_inserted_can_be_removed_again_and_every_remark_stays(case: tuple[str, str, str]) -> None:
    _, before, after = case
    document = strings(before)
    assert isinstance(document, dict)
    children = document.get("children")
    children = children if isinstance(children, list) else []
    removed = remove_child(after, len(children), file="pack.yaml")
    assert strings(removed) == {**document, "children": children}
    assert re.findall("#.*", removed) == re.findall("#.*", before)


@pytest.mark.parametrize(
    ("before", "index", "after"),
    [
        ("children:\n  - url: a\n    # of a\n  # free\n  - url: b\n", 0, "children:\n  # free\n  - url: b\n"),
        ("children:\n  - url: a\n  - url: b  # of b\n\n# free\n", 1, "children:\n  - url: a\n\n# free\n"),
        ("children:  # ours\n  - url: a\nname: x\n", 0, "children: []  # ours\nname: x\n"),
        ("children:\n- url: a\n- url: b\n- url: c", 1, "children:\n- url: a\n- url: c"),
        ("children:\n  - url: a\n  - url: b", 1, "children:\n  - url: a\n"),
        ("children: [{url: a}, {url: b}, {url: c}]\n", 0, "children: [{url: b}, {url: c}]\n"),
        ("children: [{url: a}, {url: b}, {url: c}]\n", 1, "children: [{url: a}, {url: c}]\n"),
        ("children: [{url: a}, {url: b}]\n", 1, "children: [{url: a}]\n"),
        ("children: [{url: a}]\n", 0, "children: []\n"),
        ("children: [{url: a},]\n", 0, "children: []\n"),
        ("children: [{url: a}, {url: b},]\n", 1, "children: [{url: a},]\n"),
        (
            "children: [\n  {url: a},  # A\n  {url: b},  # B\n]\n",
            0,
            "children: [\n  {url: b},  # B\n]\n",
        ),
        (
            "children: [\n  # first\n  {url: a},  # A\n  {url: b}  # B\n]\n",
            1,
            "children: [\n  # first\n  {url: a},  # A\n]\n",
        ),
        ("children: [{url: a}, # A\n  {url: b}]\n", 0, "children: [ # A\n  {url: b}]\n"),
        ("children: [{url: a}, # A\n  {url: b}]\n", 1, "children: [{url: a}, # A\n  ]\n"),
    ],
)
def test_an_entry_is_removed_with_what_belongs_to_it(before: str, index: int, after: str) -> None:
    assert remove_child(before, index, file="pack.yaml") == after


@pytest.mark.parametrize(
    ("before", "changes", "after"),
    [
        ("- url: a\n  ref: v1  # pinned\n", {"ref": "v2"}, "- url: a\n  ref: v2  # pinned\n"),
        ("- url: a\n  ref: 'v1'\n", {"ref": "1.0"}, '- url: a\n  ref: "1.0"\n'),
        ("- url: a\n  ref:  # none\n", {"ref": "v2"}, "- url: a\n  ref: v2  # none\n"),
        ("- url: a\n", {"ref": "v2", "path": "p"}, "- url: a\n  ref: v2\n  path: p\n"),
        ("- url: a  # A\n  # below\n- url: b\n", {"ref": "v2"}, "- url: a  # A\n  # below\n  ref: v2\n- url: b\n"),
        ("- url: a\n  ref: v1\n  path: p\n", {"ref": None}, "- url: a\n  path: p\n"),
        ("- ref: v1\n  url: a\n", {"ref": None}, "- url: a\n"),
        ("- url: a\n", {"ref": None}, "- url: a\n"),
        ("- {url: a, ref: v1}\n", {"ref": None}, "- {url: a}\n"),
        ("- {ref: v1, url: a}\n", {"ref": None}, "- {url: a}\n"),
        ("- {url: a}\n", {"ref": "a:b"}, '- {url: a, ref: "a:b"}\n'),
        ("- {url: a, ref: v1}\n", {"ref": "no"}, '- {url: a, ref: "no"}\n'),
        ("- url: a\n  groups: [x, y] # G\n", {"groups": ["z"]}, "- url: a\n  groups: [z] # G\n"),
        ("- url: a\n  groups:\n    - x\n    - y\n  ref: r\n", {"groups": ["z"]}, "- url: a\n  groups: [z]\n  ref: r\n"),
        ("- url: a\n  ref: |\n    v1\n- url: b\n", {"ref": "v2"}, "- url: a\n  ref: v2\n- url: b\n"),
        ("- url: a\n  ref: >-\n    v1\n", {"ref": "v2"}, "- url: a\n  ref: v2\n"),
        ("- url:\n    a\n", {"url": "b"}, "- url:\n    b\n"),
        ("- url: a\n", {"depth": 1, "submodules": True}, "- url: a\n  depth: 1\n  submodules: true\n"),
    ],
)
@pytest.mark.parametrize("eol", ["\n", "\r\n"], ids=["LF", "CRLF"])
def test_keys_of_an_entry_are_set_and_taken_away(
    before: str, changes: Mapping[str, Value | None], after: str, eol: str
) -> None:
    head = "name: x # n\nchildren:\n"
    found = change_child((head + before).replace("\n", eol), 0, changes, file="pack.yaml")
    assert found == (head + after).replace("\n", eol)


def test_another_list_of_the_top_level_is_edited_the_same_way() -> None:
    entry = {"path": "libs/a", "ref": "v2"}
    text = insert_child(BASE, entry, file="f", section="overrides")
    assert text == BASE + "overrides:\n  - path: libs/a\n    ref: v2\n"
    assert change_child(text, 0, {"ref": "v3"}, file="f", section="overrides").endswith("ref: v3\n")
    assert remove_child(text, 0, file="f", section="overrides") == BASE + "overrides: []\n"


REFUSED: list[tuple[str, str, str]] = [
    ("empty", "", "it is empty"),
    ("only remarks", "# nothing\n", "it is empty"),
    ("a list", "- a\n", "it is not a mapping"),
    ("two documents", "a: b\n---\nc: d\n", "it holds more than one document"),
    ("an alias", "a: &x b\nchildren: *x\n", "it holds an alias"),
    ("children as text", "children: all\n", "'children' is not a list"),
    ("children as an empty text", 'children: ""\n', "'children' is not a list"),
    ("children as a mapping", "children: {a: b}\n", "'children' is not a list"),
    (
        "children twice",
        "children: [a]\nx: y\nchildren: []\n",
        "the change of 'children' would change something else too",
    ),
    ("a key without colon", "? children\n", "a key has no colon"),
    ("no YAML", "a: [\n", "while parsing a flow node"),
    ("deep", "a: " + "[" * 32 + "]" * 32, "it is nested deeper than 32"),
    ("far too deep", "a: " + "[" * 20_000, "it is nested deeper than 32"),
    ("a control character", "a: \x01\n", ""),
]


@pytest.mark.parametrize(("text", "reason"), [pytest.param(*case[1:], id=case[0]) for case in REFUSED])
def test_what_cannot_be_edited_for_sure_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(ManifestError) as caught:
        insert_child(text, NEW, file="ws/.grex/pack.yaml")
    assert caught.value.message.startswith(f"ws/.grex/pack.yaml: the file cannot be edited: {reason}")
    assert "\n" not in caught.value.message
    assert caught.value.hint == "Edit the file by hand; nothing was written."


def test_an_entry_that_is_not_there_is_an_error() -> None:
    for index in (-1, 1):
        with pytest.raises(ManifestError, match="'children' has 1 entries"):
            remove_child("children: [{url: a}]", index, file="f")
    with pytest.raises(ManifestError, match="it has no 'children'"):
        change_child("name: x", 0, {"url": "b"}, file="f")
    with pytest.raises(ManifestError, match="is not a mapping"):
        change_child("children: [a]", 0, {"url": "b"}, file="f")
    with pytest.raises(ManifestError, match="all that the entry says"):
        change_child("children: [{url: a}]", 0, {"url": None}, file="f")


# --- Values ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["main", "v1.2", "https://h/a.git", "git@h:a/b.git", "libs/a", "/srv/x", "a+b~1", "feature/x@2"]
)
def test_harmless_text_is_not_quoted(text: str) -> None:
    assert render_value(text) == text


HARMFUL = ["no", "Yes", "NULL", "true", "~", "1.0", "0x1f", "1e5", "012", "1:30", ".inf", "2026-11-20", "a:", "-x"]
HARMFUL += ["'", '"', "{a}", "[a]", "&a", "*a", "!a", "|", ">", "%a", "@a", "`a", "ü", "=", "<<"]
HARMFUL += ["", "a: b", "a #b", "- x", "a\nb", "\t", " a", "a ", "\x7f", "\u2028"]


@pytest.mark.parametrize("text", HARMFUL)
@pytest.mark.parametrize("in_flow", [True, False])
def test_all_other_text_is_quoted_and_read_back_by_every_reader(text: str, in_flow: bool) -> None:
    rendered = render_value(text, in_flow=in_flow)
    assert rendered.startswith('"')
    for loader in (yaml.SafeLoader, yaml.CSafeLoader):  # YAML 1.1, the less forgiving one
        assert yaml.load(f"[{rendered}]" if in_flow else f"a: {rendered}", Loader=loader) in ([text], {"a": text})  # noqa: S506 - both are safe loaders


texts = st.text(st.characters(codec="utf-8"))


@given(texts, st.lists(texts))
def test_any_text_can_be_set_and_is_read_back(text: str, texts: list[str]) -> None:
    edited = insert_child(BASE, {"url": text, "groups": texts}, file="f")
    assert strings(edited) == {"schema_version": "1", "name": "x", "children": [{"url": text, "groups": texts}]}
    in_flow = insert_child("{a: b}", {"url": text, "groups": texts}, file="f")
    assert strings(in_flow) == {"a": "b", "children": [{"url": text, "groups": texts}]}


# --- Generated files ---------------------------------------------------------------------------------------------

remarks = st.sampled_from(["", "", "  # r", "  # children: []"])
own_lines = st.sampled_from(["", "", "\n", "# own\n", "    # own\n", "  # own: x\n"])
entries = st.sampled_from(
    [
        "url: a{0}\n{1}ref: b{0}\n",
        "url: a{0}\n",
        "{{url: a, ref: [b]}}{0}\n",
        "url: |{0}\n{1}  text\n",
        "url:\n{1}groups:{0}\n{1}- x\n",
    ]
)


@st.composite
def files(draw: st.DrawFn) -> tuple[str, int]:
    """A pack.yaml with a list of children in the middle, and how many there are."""
    indentation = draw(st.sampled_from(["", "  ", "    "]))
    number = draw(st.integers(1, 4))
    text = "name: x\n" + draw(own_lines) + "children:" + draw(remarks) + "\n"
    for _ in range(number):
        entry = draw(entries).format(draw(remarks), indentation + "  ")
        text += draw(own_lines) + indentation + "- " + entry
    text += draw(own_lines) + draw(st.sampled_from(["type: meta\n", "type: meta", "", "x-y:\n- z\n"]))
    return text.replace("\n", draw(st.sampled_from(["\n", "\r\n"]))), number


@given(files(), st.data())
def test_edits_of_generated_files_change_one_thing_and_keep_every_remark_and_line_end(
    file: tuple[str, int], data: st.DataObject
) -> None:
    text, number = file
    before = strings(text)
    assert isinstance(before, dict)
    inserted = insert_child(text, NEW, file="f")
    assert strings(inserted) == {**before, "children": [*before["children"], dict(NEW)]}
    assert re.findall("#.*", inserted) == re.findall("#.*", text)
    kept = iter(inserted.splitlines(keepends=True))
    lines = text.splitlines(keepends=True)
    assert all(any(line.rstrip("\r\n") == other.rstrip("\r\n") for other in kept) for line in lines)
    assert ("\r\n" in text) == ("\r\n" in inserted)
    assert "\n" not in inserted.replace("\r\n", "") or "\r\n" not in text

    index = data.draw(st.integers(0, number - 1))
    removed = remove_child(text, index, file="f")
    expected = before["children"][:index] + before["children"][index + 1 :]
    assert strings(removed) == {**before, "children": expected}

    changed = change_child(text, index, {"ref": "new", "x-more": "y"}, file="f")
    entry = {**before["children"][index], "ref": "new", "x-more": "y"}
    assert strings(changed) == {**before, "children": [*expected[:index], entry, *expected[index:]]}


# --- The disk ----------------------------------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "pack.yaml"
    path.write_bytes(b"children:\r\n- url: a\r\n")
    return path


def accept(data: bytes) -> None:
    """Check nothing."""


def appending(text: str) -> Callable[[str], str]:
    return lambda old: old + text


def test_an_edit_is_checked_and_then_replaces_the_file(path: Path) -> None:
    seen: list[bytes] = []
    assert edit_root(path, lambda text: insert_child(text, {"url": "b"}, file="f"), hold=HOLD, check=seen.append)
    assert path.read_bytes() == b"children:\r\n- url: a\r\n- url: b\r\n"
    assert seen == [path.read_bytes()]


def test_an_edit_that_changes_nothing_is_neither_checked_nor_written(path: Path) -> None:
    before = path.stat()
    assert not edit_root(path, lambda text: text, hold=HOLD, check=lambda data: pytest.fail("checked"))
    assert path.stat().st_ino == before.st_ino


def test_what_the_check_refuses_is_not_written(path: Path) -> None:
    def refuse(data: bytes) -> None:
        raise ManifestError("no")

    with pytest.raises(ManifestError, match="no"):
        edit_root(path, appending("x: y\n"), hold=HOLD, check=refuse)
    assert path.read_bytes() == b"children:\r\n- url: a\r\n"


def test_a_file_that_an_editor_saved_meanwhile_is_not_overwritten(path: Path) -> None:
    def save(data: bytes) -> None:
        path.write_bytes(b"saved by somebody")

    with pytest.raises(ManifestError, match="changed by somebody else") as caught:
        edit_root(path, appending("x: y\n"), hold=HOLD, check=save)
    assert caught.value.hint == "Run the command again; nothing was written."
    assert path.read_bytes() == b"saved by somebody"


def test_the_lock_must_be_held(path: Path) -> None:
    with pytest.raises(RuntimeError, match="only while MANIFEST is held"):
        edit_root(path, appending("x: y\n"), hold=FakeHold(active=False), check=accept)


def test_a_file_that_is_missing_a_link_or_not_utf8_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, reason in (("missing", "No such file"), ("link", "symbolic link")):
        other = path.with_name(name)
        if name == "link":
            other.symlink_to("pack.yaml")
        with pytest.raises(ManifestError, match=reason):
            edit_root(other, appending("x"), hold=HOLD, check=accept)
    BrokenDisk(monkeypatch).fail("write")
    with pytest.raises(ManifestError, match="No space left"):
        edit_root(path, appending("x: y\n"), hold=HOLD, check=accept)
    path.write_bytes(b"\xff")
    with pytest.raises(ManifestError, match="not UTF-8"):
        edit_root(path, appending("x"), hold=HOLD, check=accept)
    assert path.read_bytes() == b"\xff"


# --- several at once


def test_several_entries_go_in_at_once_in_every_shape() -> None:
    new: list[Mapping[str, Value]] = [{"url": "x", "path": "p"}, {"url": "y", "remotes": {"f": "https://h/f"}}]
    block = '  - url: x\n    path: p\n  - url: "y"\n    remotes: {f: "https://h/f"}\n'
    flow = '{url: x, path: p}, {url: "y", remotes: {f: "https://h/f"}}'
    for before, after in (
        (BASE, BASE + "children:\n" + block),
        (BASE + "children: []\ntype: meta\n", BASE + "children:\n" + block + "type: meta\n"),
        (BASE + "children:\n  - url: a # A\n# end\n", BASE + "children:\n  - url: a # A\n" + block + "# end\n"),
        (BASE + "children: [{url: a}]\n", BASE + f"children: [{{url: a}}, {flow}]\n"),
        ("{name: x}\n", f"{{name: x, children: [{flow}]}}\n"),
        ("{name: x, children: []}\n", f"{{name: x, children: [{flow}]}}\n"),
    ):
        assert insert_children(before, new, file="f") == after
    assert insert_children(BASE, [], file="f") == BASE


def test_actions_go_in_with_what_is_inside_of_them() -> None:
    action: Mapping[str, Value] = {"when": {"all_of": [{"path_exists": "a b"}], "actions": [{"copy": {"src": "x"}}]}}
    text = insert_children(BASE, [action], file="f", section="actions")
    assert text == BASE + 'actions:\n  - when: {all_of: [{path_exists: "a b"}], actions: [{copy: {src: x}}]}\n'


def test_several_entries_change_at_once_as_one_by_one() -> None:
    text = BASE + (
        "children:\n  - url: a  # A\n    ref: x\n    depth: 1\n  # between\n  - url: b\n"
        "  - {url: c, ref: y, depth: 3} # C\n  - url: d\n    path: dd\n    # belongs to d\n"
    )
    changes: dict[int, Mapping[str, Value | None]] = {
        0: {"ref": None, "url": "https://h/longer", "groups": ["g"], "depth": 22},
        1: {"ref": "new", "path": "pp"},
        2: {"ref": None, "depth": 4, "path": "cc"},
        3: {"path": None, "url": "z"},
    }
    one_by_one = text
    for index, change in changes.items():
        one_by_one = change_child(one_by_one, index, change, file="f")
    assert change_children(text, changes, file="f") == one_by_one
    assert one_by_one == BASE + (
        "children:\n  - url: https://h/longer  # A\n    depth: 22\n    groups: [g]\n  # between\n  - url: b\n"
        "    ref: new\n    path: pp\n  - {url: c, depth: 4, path: cc} # C\n  - url: z\n    # belongs to d\n"
    )


def test_a_key_of_the_top_level_is_set_with_its_remark_kept() -> None:
    assert change_key(BASE + "type: meta  # t\n", "type", "declarative", file="f") == BASE + "type: declarative  # t\n"
    for text in (BASE, BASE + "type: [a]\n", BASE + "type:\n  - a\n"):
        with pytest.raises(ManifestError, match="cannot be edited"):
            change_key(text, "type", "declarative", file="f")


def test_hundreds_of_entries_take_no_longer_than_a_parse_or_two() -> None:
    """Proven once, not once each: five thousand entries, of which each is changed afterwards."""
    new: list[Mapping[str, Value]] = [{"url": f"https://h/{number}", "path": f"p/{number}"} for number in range(5000)]
    text = insert_children(BASE, new, file="f")
    text = change_children(text, {number: {"ref": "v1"} for number in range(5000)}, file="f")
    assert text.count("    ref: v1\n") == 5000
