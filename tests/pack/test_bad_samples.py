"""Broken and hostile pack.yaml files: each is refused, with every problem, its place and what to do about it.

The files under `samples/` are the input. The table holds the problems of each, rendered, without the file's name.
"""

# ruff: noqa: E501 - the table holds whole messages; one cut in two cannot be searched for
from __future__ import annotations

import time
from pathlib import Path

import pytest

from grex.errors import GrexError, ManifestError, PackSpecError, SchemaVersionError
from grex.pack import Problem, parse_pack_spec
from grex.pack.problems import MAX_PROBLEMS
from grex.pack.yaml_events import MAX_BYTES

SAMPLES = Path(__file__).parent / "samples"

EXPECTED: dict[str, tuple[str, ...]] = {
    "action-empty": ("5:5: an item of actions is a mapping with one key, the action's name (Name an action.)",),
    "action-name": ("5:5: 'Make Dir' cannot be the name of an action (Write it in lower case, as in 'symlink'.)",),
    "action-text": ("5:5: an action of actions has no arguments (Write 'mkdir: {...}'.)",),
    "action-two-keys": (
        "5:5: an item of actions is a mapping with one key, the action's name (Indent the arguments below the name.)",
    ),
    "actions-mapping": (
        "5:3: actions is a list, and this is a mapping (Write one item to a line, each after '- '; or [] for an empty list.)",
    ),
    "actions-replace-in-base": ("4:1: only a target in .grex/targets/ may have 'actions_replace' (Move it there.)",),
    "alias": ("4:6: the alias '*nowhere' is not allowed (Write the value out.)",),
    "anchor-bomb": (
        "4:6: the anchor '&a' is not allowed (Write the value out.)",
        "5:6: the anchor '&b' is not allowed (Write the value out.)",
        "5:10: the alias '*a' is not allowed (Write the value out.)",
        "5:14: the alias '*a' is not allowed (Write the value out.)",
        "6:7: the alias '*b' is not allowed (Write the value out.)",
        "6:11: the alias '*b' is not allowed (Write the value out.)",
    ),
    "anchor": ("4:6: the anchor '&a' is not allowed (Write the value out.)",),
    "at-sign": (
        "4:10: this is not YAML: found character that cannot start any token (Indent with spaces; quote a value that starts with @, ` or %.)",
    ),
    "bad-escape": (
        "4:13: this is not YAML: found invalid Unicode character escape code (Check the indentation, brackets and quotes above.)",
    ),
    "bad-indent": (
        "6:3: this is not YAML: did not find expected key (Check the indentation, brackets and quotes above.)",
    ),
    "bom-inside": (
        "4:11: the character U+FEFF is not allowed here (Take it away, or write it as an escape in double quotes.)",
    ),
    "child-depth": (
        "6:12: depth is 0 (Write at least 1, or leave the key out.)",
        "8:12: depth is a whole number, and this is text (Write digits, without quotes.)",
        "10:12: depth is a whole number, and this is true or false (Write digits, without quotes.)",
    ),
    "child-empty": ("5:5: a child needs 'url' (Write it as in 'url: https://host/path'.)",),
    "child-filter": ("6:13: filter cannot be 'sparse:oid=x' (Use blob:none, blob:limit=<size>, or tree:<depth>.)",),
    "child-groups": (
        "6:18: a group is empty (Write its value, or leave the key out.)",
        "6:22: a group cannot be 'a b' (Use letters, digits and . _ -, the first a letter or digit.)",
        "6:29: a group is text, and this is a number (Write it in quotes.)",
    ),
    "child-path-default": (
        "5:10: the URL ends in '', which as a path is empty (Write 'path' as well.)",
        "6:10: the URL ends in 'con', which as a path holds 'con', a device name on Windows (Write 'path' as well.)",
    ),
    "child-path-device": (
        "6:11: the path 'nul' holds 'nul', a device name on Windows (It starts at this pack, or with '/' at the workspace.)",
    ),
    "child-path-dots": (
        "6:11: the path '../a' holds the segment '..' (It starts at this pack, or with '/' at the workspace.)",
    ),
    "child-path-git": (
        "6:11: the path 'x/.GIT/hooks' holds '.GIT', a name that git or grex keeps for itself (It starts at this pack, or with '/' at the workspace.)",
    ),
    "child-path-lock": (
        "6:11: the path '/.grex.sync.lock' holds '.grex.sync.lock', a name that git or grex keeps for itself (It starts at this pack, or with '/' at the workspace.)",
    ),
    "child-path-root": ("6:11: the path '/' is empty (It starts at this pack, or with '/' at the workspace.)",),
    "child-path-twice-unicode": (
        "8:11: the path '/café' is taken by 'café' (Declared in line 5; file systems without case would mix them up.)",
    ),
    "child-path-twice": (
        "7:11: the path 'A' is taken by 'a' (Declared in line 5; file systems without case would mix them up.)",
    ),
    "child-ref-number": ("6:10: ref is text, and this is a number (Write it in quotes.)",),
    "child-ref-option": ("6:10: the ref '--orphan=x' starts with '-' (Give a branch, a tag or a whole commit id.)",),
    "child-ref-range": ("6:10: the ref 'main..dev' holds '..' (Give a branch, a tag or a whole commit id.)",),
    "child-remotes": (
        "7:7: the remote 'origin' is the URL itself (Choose another name.)",
        "8:7: a remote cannot be called '-x' (Use letters, digits and . _ -, the first a letter or digit.)",
        "9:11: the URL 'ext::sh' names the remote helper 'ext::', and helpers run programs (Use https, ssh or a path.)",
        "10:13: the URL of a remote is text, and this is a list (Write its value after the colon.)",
    ),
    "child-sparse": (
        "6:19: a sparse directory cannot be '*.c' (Give a directory inside the pack; no patterns, and nothing that starts with -, ! or #.)",
        "6:26: a sparse directory cannot be '../x' (Give a directory inside the pack; no patterns, and nothing that starts with -, ! or #.)",
        "6:32: a sparse directory cannot be '!a' (Give a directory inside the pack; no patterns, and nothing that starts with -, ! or #.)",
        "6:38: a sparse directory cannot be '-a' (Give a directory inside the pack; no patterns, and nothing that starts with -, ! or #.)",
    ),
    "child-submodules": ("6:17: submodules is true or false, and this is text (Write true or false, without quotes.)",),
    "child-text": (
        "5:5: a child is a mapping of keys to values, and this is text (Write 'key: value' lines below it.)",
    ),
    "child-unknown-key": (
        "6:5: a child has no key 'branch' (Known: depth, filter, groups, path, ref, remotes, sparse, submodules, url.)",
    ),
    "child-url-climbs": ("7:10: the URL '../../a' climbs out of the base (Use fewer '..', or the address in full.)",),
    "child-url-helper": (
        "5:10: the URL 'ext::sh -c 'touch /tmp/x'' names the remote helper 'ext::', and helpers run programs (Use https, ssh or a path.)",
    ),
    "child-url-number": ("5:10: url is text, and this is a number (Write it in quotes.)",),
    "child-url-option": (
        "5:10: the URL '--upload-pack=touch' starts with '-', which git would read as an option (Write `./` before a path.)",
    ),
    "child-url-password": (
        "5:10: the URL 'https://***@host/a' has a port that is not a number (Write special characters of a password as %XX.)",
    ),
    "child-url-relative": (
        "5:10: the URL 'a' is neither an address nor relative to one (Set `defaults.base`, or write `./` before a path.)",
    ),
    "child-url-ssh-option": (
        "5:10: the URL 'ssh://-oProxyCommand=id/a' has a host that starts with '-' (Use the address that the host gives.)",
    ),
    "child-url-unknown-scheme": (
        "5:10: the URL 'ftp://h/a' has the scheme 'ftp', which grex does not use (Use https, ssh, git, file or a path.)",
    ),
    "children-mapping": (
        "4:11: children is a list, and this is a mapping (Write one item to a line, each after '- '; or [] for an empty list.)",
    ),
    "children-null": (
        "4:10: children is a list, and this is nothing (Write one item to a line, each after '- '; or [] for an empty list.)",
    ),
    "colon-in-value": (
        "4:11: this is not YAML: mapping values are not allowed in this context (Quote a value that holds ': '.)",
    ),
    "defaults-list": (
        "4:11: defaults is a mapping of keys to values, and this is a list (Write 'key: value' lines below it.)",
    ),
    "defaults-unknown": (
        "5:3: defaults has no key 'reff' (Did you mean 'ref'?)",
        "6:9: the URL 'fd::17' names the remote helper 'fd::', and helpers run programs (Use https, ssh or a path.)",
    ),
    "depends-on": (
        "4:20: 'core' is named a second time (The first is in line 4.)",
        "4:26: an item of depends_on is text, and this is a number (Write it in quotes.)",
        "4:29: the URL 'x::y' names the remote helper 'x::', and helpers run programs (Use https, ssh or a path.)",
        "4:37: the URL 'Core' is neither an address nor relative to one (Set `defaults.base`, or write `./` before a path.)",
    ),
    "directive": ("1:1: directives (%YAML, %TAG) are not allowed (Take the line away.)",),
    "duplicate-key-quoted": ("4:1: the key 'type' stands here a second time (The first is in line 3.)",),
    "duplicate-key": ("4:1: the key 'name' stands here a second time (The first is in line 2.)",),
    "duplicate-nested-key": ("6:5: the key 'url' stands here a second time (The first is in line 5.)",),
    "empty": ("1:1: the file is empty (See docs/reference/pack-yaml.md.)",),
    "key-list": ("4:3: a key is text, and this is a list (Write it in quotes.)",),
    "key-number": ("4:1: a key is text, and this is a number (Write it in quotes.)",),
    "key-true": ("4:1: a key is text, and this is true or false (Write it in quotes.)",),
    "line-separator": (
        "4:11: the character U+2028 is not allowed here (Take it away, or write it as an escape in double quotes.)",
    ),
    "list-document": (
        "1:1: a pack.yaml is a mapping of keys to values, and this is a list (Write 'key: value' lines below it.)",
    ),
    "many-at-once": (
        "1:1: 'type' is missing (Use meta, declarative, scripted or plain.)",
        '1:17: the schema version is text, and this is a number (Quote it: "1".)',
        "2:7: name cannot be 'Sample' (Use a small letter, then small letters, digits and '-', at most 100 in all.)",
        "3:1: a pack.yaml has no key 'versoin' (Did you mean 'version'?)",
        "5:10: the URL 'x::y' names the remote helper 'x::', and helpers run programs (Use https, ssh or a path.)",
        "6:5: a child needs 'url' (Write it as in 'url: https://host/path'.)",
        "7:11: teardown is a list, and this is a number (Write one item to a line, each after '- '; or [] for an empty list.)",
    ),
    "merge-key": (
        "4:1: a pack.yaml has no key '<<' (Known: actions, children, defaults, depends_on, name, overrides, schema_version, teardown, type, version.)",
    ),
    "meta-actions": (
        "4:1: 'actions' would not run, for the type is 'meta' (Use type: declarative, or take them away.)",
        "6:1: 'teardown' would not run, for the type is 'meta' (Use type: declarative, or take them away.)",
    ),
    "name-empty": ("2:7: name is empty (Write its value, or leave the key out.)",),
    "name-long": (
        "2:7: name cannot be 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa…' (Use a small letter, then small letters, digits and '-', at most 100 in all.)",
    ),
    "name-null": ("2:6: name is text, and this is nothing (Write its value after the colon.)",),
    "name-number": ("2:7: name is text, and this is a number (Write it in quotes.)",),
    "name-upper": (
        "2:7: name cannot be 'Sample' (Use a small letter, then small letters, digits and '-', at most 100 in all.)",
    ),
    "nested-33-deep-block": ("5:65: values are nested more than 32 deep (Declare less in one place.)",),
    "nested-33-deep": ("4:37: values are nested more than 32 deep (Declare less in one place.)",),
    "no-required-keys": (
        "1:1: 'schema_version' is missing (Write schema_version: \"1\".)",
        "1:1: 'type' is missing (Use meta, declarative, scripted or plain.)",
        "1:1: 'name' is missing (Write it as in 'name: my-pack'.)",
    ),
    "non-specific-tag": (
        "4:10: the tag '!' is not allowed (Leave it out; quotes make text of a number.)",
        "4:10: version is text, and this is a number (Write it in quotes.)",
    ),
    "nul-escape": ("4:10: the text holds a NUL character (No file name or argument can hold one.)",),
    "null-document": (
        "2:1: a pack.yaml is a mapping of keys to values, and this is nothing (Write 'key: value' lines below it.)",
    ),
    "number-too-large": (
        "4:6: the number '9999999999999999999…' is too large (Quote it if it is meant as text.)",
        "5:6: the number '1e999' is too large (Quote it if it is meant as text.)",
    ),
    "only-comments": ("1:1: the file is empty (See docs/reference/pack-yaml.md.)",),
    "overrides": (
        "5:5: an override says nothing (Give it 'url', 'ref' or both.)",
        "6:5: an override needs 'path' (Give the pack's path from the workspace root.)",
        "7:11: the path '../a' holds the segment '..' (It starts at this pack, or with '/' at the workspace.)",
        "11:5: 'B' is overridden a second time (The first is in line 9.)",
        "13:5: an override is a mapping of keys to values, and this is text (Write 'key: value' lines below it.)",
    ),
    "plain-children": (
        "4:1: a pack of type 'plain' has no children (Use type: meta.)",
        "6:1: 'actions' would not run, for the type is 'plain' (Use type: declarative, or take them away.)",
    ),
    "schema-float": ('1:17: the schema version is text, and this is a number (Quote it: "1".)',),
    "schema-mapping": ('1:17: the schema version is text, and this is a mapping (Quote it: "1".)',),
    "schema-newer": ("1:17: the schema version '2' was written for another grex (Upgrade grex.)",),
    "schema-number": ('1:17: the schema version is text, and this is a number (Quote it: "1".)',),
    "schema-unknown": ("1:17: the schema version 'v1' does not exist (Write \"1\".)",),
    "second-document": ("4:1: a second document starts here (Keep one document in a file.)",),
    "tab-indent": (
        "5:1: this is not YAML: found character that cannot start any token (Indent with spaces; quote a value that starts with @, ` or %.)",
    ),
    "tag-directive": ("1:1: directives (%YAML, %TAG) are not allowed (Take the line away.)",),
    "tag-on-mapping": ("4:11: the tag '!ruby/object' is not allowed (Leave it out; quotes make text of a number.)",),
    "tag": (
        "4:6: the tag 'tag:yaml.org,2002:python/object/apply:os.system' is not allowed (Leave it out; quotes make text of a number.)",
    ),
    "teardown-null": (
        "4:10: teardown is a list, and this is nothing (Write one item to a line, each after '- '; or [] for an empty list.)",
    ),
    "text-document": (
        "1:1: a pack.yaml is a mapping of keys to values, and this is text (Write 'key: value' lines below it.)",
    ),
    "type-bad": (
        "3:7: type cannot be '../evil' (Use a small letter, then small letters, digits and '-', at most 100 in all.)",
    ),
    "unclosed-bracket": (
        "5:8: this is not YAML: did not find expected ',' or ']' (Check the indentation, brackets and quotes above.)",
    ),
    "unclosed-quote": (
        "5:1: this is not YAML: found unexpected end of stream (Check the indentation, brackets and quotes above.)",
    ),
    "unknown-key-escape": (
        "4:1: a pack.yaml has no key 'red' (Known: actions, children, defaults, depends_on, name, overrides, schema_version, teardown, type, version.)",
    ),
    "unknown-key-far": (
        "4:1: a pack.yaml has no key 'zzz' (Known: actions, children, defaults, depends_on, name, overrides, schema_version, teardown, type, version.)",
    ),
    "unknown-key-secret": (
        "4:1: a pack.yaml has no key 'https://***@host/' (Known: actions, children, defaults, depends_on, name, overrides, schema_version, teardown, type, version.)",
    ),
    "unknown-key": ("4:1: a pack.yaml has no key 'chidren' (Did you mean 'children'?)",),
    "version-lines": ("4:10: version is one line of at most 100 characters (Shorten it.)",),
    "version-number": ("4:10: version is text, and this is a number (Write it in quotes.)",),
}

HEAD = b'schema_version: "1"\nname: sample\ntype: declarative\n'

# What an editor or a tool would not leave alone in a file.
GENERATED: dict[str, tuple[bytes, tuple[str, ...]]] = {
    "byte order mark": (
        b"\xef\xbb\xbf" + HEAD,
        ("1:1: the file starts with a byte order mark (Save it as UTF-8 without BOM.)",),
    ),
    "UTF-16": (
        HEAD.decode().encode("utf-16"),
        ("1:1: the file starts with a byte order mark (Save it as UTF-8 without BOM.)",),
    ),
    "Latin-1": (
        HEAD + "version: né\n".encode("latin-1"),
        ("4:11: the byte 0xe9 is not UTF-8 (Save the file as UTF-8.)",),
    ),
    "overlong UTF-8": (
        HEAD + b"version: \xc0\x80\n",
        ("4:10: the byte 0xc0 is not UTF-8 (Save the file as UTF-8.)",),
    ),
    "surrogate in UTF-8": (
        HEAD + b"version: \xed\xa0\x80\n",
        ("4:10: the byte 0xed is not UTF-8 (Save the file as UTF-8.)",),
    ),
    "NUL": (
        HEAD + b"version: a\0b\n",
        ("4:11: the character U+0000 is not allowed here (Take it away, or write it as an escape in double quotes.)",),
    ),
    "escape sequence": (
        HEAD + b"version: \x1b[31mred\n",
        ("4:10: the character U+001B is not allowed here (Take it away, or write it as an escape in double quotes.)",),
    ),
    "forbidden character after CRLF lines": (
        HEAD.replace(b"\n", b"\r\n") + b"version: \x7f\r\n",
        ("4:10: the character U+007F is not allowed here (Take it away, or write it as an escape in double quotes.)",),
    ),
    "20 KB of opening brackets": (
        b"[" * 20_000,
        ("1:33: values are nested more than 32 deep (Declare less in one place.)",),
    ),
    "20 KB of opening braces": (
        b"{" * 20_000,
        ("1:33: values are nested more than 32 deep (Declare less in one place.)",),
    ),
    "20 KB of nested block lists": (
        b"- " * 10_000,
        ("1:65: values are nested more than 32 deep (Declare less in one place.)",),
    ),
    "1 MiB and a byte": (
        HEAD + b"#" * (MAX_BYTES + 1 - len(HEAD)),
        ("1:1: the file is larger than 1 MiB (Declare the children in several packs.)",),
    ),
}


def problems_of(data: bytes, *, is_root: bool = True) -> tuple[str, ...]:
    with pytest.raises(GrexError) as caught:
        parse_pack_spec(data, file="pack.yaml", is_root=is_root)
    problems = [Problem(**problem) for problem in caught.value.details["problems"]]
    assert all(problem.hint for problem in problems), "a problem without a hint leaves the reader alone"
    return tuple(problem.render().removeprefix("pack.yaml:") for problem in problems)


def test_every_sample_has_its_problems_in_the_table() -> None:
    assert sorted(path.stem for path in SAMPLES.glob("*.yaml")) == sorted(EXPECTED)


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_bad_file_is_refused_with_all_its_problems(name: str) -> None:
    assert problems_of((SAMPLES / f"{name}.yaml").read_bytes()) == EXPECTED[name]


@pytest.mark.parametrize("name", sorted(GENERATED))
def test_bytes_that_no_editor_shows_are_refused(name: str) -> None:
    data, expected = GENERATED[name]
    assert problems_of(data) == expected


@pytest.mark.parametrize("bracket", [b"[", b"{", b"- ", b"? ", b"[{a: "])
def test_a_file_made_to_be_slow_is_refused_while_it_is_parsed(bracket: bytes) -> None:
    started = time.process_time()
    problems_of(bracket * 20_000)
    assert time.process_time() - started < 0.5  # a loader needs most of a minute


def test_1_mib_exactly_is_not_too_much() -> None:
    assert parse_pack_spec(HEAD + b"#" * (MAX_BYTES - len(HEAD)), file="f", is_root=True).name == "sample"


def test_32_levels_are_not_too_deep() -> None:
    spec = parse_pack_spec(HEAD + b"x-a: " + b"[" * 31 + b"]" * 31, file="f", is_root=True)
    assert "x-a" in spec.extensions


def test_the_message_names_the_first_problem_and_counts_the_others() -> None:
    with pytest.raises(ManifestError) as caught:
        parse_pack_spec(HEAD + b"a: 1\nb: 2\nversion: 3\n", file="libs/.grex/pack.yaml", is_root=True)
    assert caught.value.message == "libs/.grex/pack.yaml:4:1: a pack.yaml has no key 'a' (and 2 more problems)."
    assert caught.value.hint == problems_of(HEAD + b"a: 1\n")[0].partition("(")[2][:-1]


def test_a_problem_of_a_pack_is_its_own_failure_and_one_of_the_root_everybodys() -> None:
    with pytest.raises(PackSpecError):
        parse_pack_spec(b"a: 1", file="f", is_root=False)
    with pytest.raises(ManifestError) as caught:
        parse_pack_spec(b"a: 1", file="f", is_root=True)
    assert type(caught.value) is ManifestError
    with pytest.raises(SchemaVersionError):
        parse_pack_spec(b'schema_version: "2"', file="f", is_root=True)


def test_overrides_are_the_roots_alone() -> None:
    body = HEAD + b"overrides:\n  - {path: a, ref: main}\n"
    assert len(parse_pack_spec(body, file="f", is_root=True).overrides) == 1
    assert problems_of(body, is_root=False) == (
        "4:1: only the pack.yaml of the workspace itself may have 'overrides' (Move it there.)",
    )


def test_a_thousand_problems_are_counted_and_the_first_hundred_listed() -> None:
    data = HEAD + b"".join(b"k%d: 1\n" % number for number in range(1000))
    with pytest.raises(ManifestError, match=r"and 999 more problems") as caught:
        parse_pack_spec(data, file="f", is_root=True)
    assert len(caught.value.details["problems"]) == MAX_PROBLEMS


def test_no_error_repeats_a_credential() -> None:
    url = b"https://user:s3cret@host/x"
    bad = b"children:\n  - {url: '" + url + b"', ref: '" + url + b"', path: '" + url + b"'}\n'" + url + b"': 1\n"
    with pytest.raises(ManifestError) as caught:
        parse_pack_spec(HEAD + bad, file="f", is_root=True)
    assert "s3cret" not in str(vars(caught.value))
