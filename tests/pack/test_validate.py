"""What a good pack.yaml means, how targets change it, and which files are not read."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from grex.errors import ManifestError, PackSpecError
from grex.names import InvalidUrlError
from grex.pack import Problem, current_platform, parse_pack_spec, read_declared_paths, read_pack_spec

FULL = b"""\
# A comment.
schema_version: "1"
name: my-pack
type: declarative
version: "1.10"
depends_on: [core, https://host/tools.git, ./near]
defaults:
  base: https://u:p@host/org
  ref: main
  depth: 1
  filter: blob:none
children:
  - url: core.git
  - url: git@other:x/y.git
    path: /vendor/y
    ref: refs/tags/v1
    groups: [dev, ci, dev]
    depth: 5
    filter: tree:0
    sparse: [src, /docs/en]
    submodules: true
    remotes: {upstream: ../up/y, fork: https://host/fork}
actions:
  - mkdir: {path: a}
  - when:
      os: linux
      actions: [{mkdir: {path: b}}]
teardown: []
overrides:
  - {path: /libs/a, ref: dev}
  - {path: libs/b, url: ../b}
x-team: {owner: [me, 1, true, null]}
"""


def test_every_key_is_understood() -> None:
    spec = parse_pack_spec(FULL, file="dir/pack.yaml", is_root=True)
    assert (spec.schema_version, spec.name, spec.type, spec.version) == ("1", "my-pack", "declarative", "1.10")
    assert spec.source == Path("dir/pack.yaml")
    assert [(dep.name, dep.url) for dep in spec.depends_on] == [
        ("core", None),
        (None, "https://host/tools.git"),
        (None, "./near"),
    ]
    assert (spec.defaults.ref, spec.defaults.depth, spec.defaults.filter) == ("main", 1, "blob:none")
    assert spec.has_children
    assert [(action.kind, str(action.mark)) for action in spec.actions] == [
        ("mkdir", "dir/pack.yaml:24:5"),
        ("when", "dir/pack.yaml:25:5"),
    ]
    assert str(spec.actions[0].mark_of("path")) == "dir/pack.yaml:24:19"
    assert str(spec.actions[0].mark_of("absent")) == "dir/pack.yaml:24:5"
    assert spec.teardown == ()
    assert [(override.path, override.url, override.ref) for override in spec.overrides] == [
        ("libs/a", None, "dev"),
        ("libs/b", "../b", None),
    ]
    assert spec.extensions == {"x-team": {"owner": ["me", 1, True, None]}}


def test_children_get_the_defaults_that_they_do_not_say_themselves() -> None:
    first, second = parse_pack_spec(FULL, file="f", is_root=True).children
    assert (first.url, first.path, first.ref, first.depth, first.filter) == ("core.git", "core", "main", 1, "blob:none")
    assert (first.groups, first.sparse, first.submodules, dict(first.remotes)) == ((), (), False, {})
    assert (second.path, second.ref, second.depth, second.filter) == ("/vendor/y", "refs/tags/v1", 5, "tree:0")
    assert (second.groups, second.sparse, second.submodules) == (("dev", "ci"), ("src", "/docs/en"), True)
    assert dict(second.remotes) == {"upstream": "../up/y", "fork": "https://host/fork"}
    assert str(second.mark) == "f:14:5"


def test_urls_are_resolved_against_the_base_or_the_directory() -> None:
    spec = parse_pack_spec(FULL, file="f", is_root=True)
    assert spec.resolve_url("core.git", Path("/ws")).resolved == "https://u:p@host/org/core.git"
    with pytest.raises(InvalidUrlError):
        spec.resolve_url("../../../x", Path("/ws"))
    plain = parse_pack_spec(b'schema_version: "1"\nname: a\ntype: meta\n', file="f", is_root=True)
    assert plain.resolve_url("../x", Path("/ws/pack")).resolved == "/ws/x"


def test_the_least_pack_yaml_has_nothing_but_its_name() -> None:
    spec = parse_pack_spec(b'{"schema_version": "1", "name": "a", "type": "some-plugin"}', file="f", is_root=False)
    assert (spec.children, spec.actions, spec.teardown, spec.overrides) == ((), (), None, ())
    assert not spec.has_children


def test_a_repr_does_not_give_credentials_away() -> None:
    text = b"""
schema_version: "1"
name: a
type: meta
defaults: {base: "https://u:p@host/org"}
depends_on: [core, https://host/tools.git, ./near]
children: [{path: b, url: "https://u:p@host/b", remotes: {up: "https://u:p@host/c"}}]
overrides: [{path: b, url: "https://u:p@host/d"}]
"""
    spec = parse_pack_spec(text, file="f", is_root=True)
    assert (spec.defaults.base, spec.overrides[0].url) == ("https://u:p@host/org", "https://u:p@host/d")
    assert "u:p@" not in repr(spec)
    assert "ChildSpec(path='b', ref=None" in repr(spec)


BASE = b"""\
schema_version: "1"
name: base
type: declarative
defaults: {ref: main, depth: 1}
children: [{url: https://h/a}]
actions: [{mkdir: {path: a}}]
"""


def test_a_target_replaces_scalars_appends_lists_and_merges_mappings() -> None:
    target = (
        b"name: other\ndefaults: {ref: dev}\nchildren: [{url: https://h/b}]\n"
        b"actions: [{mkdir: {path: b}}]\nteardown: []\nactions_replace: false\n"
    )
    spec = parse_pack_spec(BASE, file="base", is_root=False, target=(target, "target"))
    assert spec.name == "other"
    assert (spec.defaults.ref, spec.defaults.depth) == ("dev", 1)
    assert [(child.path, child.ref, child.mark.file) for child in spec.children] == [
        ("a", "dev", "base"),
        ("b", "dev", "target"),
    ]
    assert [action.mark.file for action in spec.actions] == ["base", "target"]
    assert spec.teardown == ()


@pytest.mark.parametrize(("target", "count"), [(b"actions: [{exec: {cmd: [a]}}]\n", 1), (b"", 0)])
def test_a_target_may_replace_the_actions(target: bytes, count: int) -> None:
    spec = parse_pack_spec(BASE, file="base", is_root=False, target=(target + b"actions_replace: true\n", "target"))
    assert [action.kind for action in spec.actions] == ["exec"] * count


def test_problems_of_base_and_target_are_reported_together_each_with_its_file() -> None:
    with pytest.raises(PackSpecError) as caught:
        parse_pack_spec(
            BASE + b"zzz: 1\n",
            file="base",
            is_root=False,
            target=(b"actions_replace: 1\nchildren: [{url: x::y}, {url: https://h/A}]\n", "target"),
        )
    assert [Problem(**problem).render().partition(" (")[0] for problem in caught.value.details["problems"]] == [
        "base:7:1: a pack.yaml has no key 'zzz'",
        "target:1:18: actions_replace is true or false, and this is a number",
        "target:2:18: the URL 'x::y' names the remote helper 'x::', and helpers run programs",
        "target:2:31: the path 'A' is taken by 'a'",
    ]


def test_a_broken_target_refuses_the_pack() -> None:
    for broken in (b"[", b"- a\n", b""):
        with pytest.raises(PackSpecError, match=r"^target:[12]:1:"):
            parse_pack_spec(BASE, file="base", is_root=False, target=(broken, "target"))


def read(root: Path) -> object:
    return read_pack_spec(root, is_root=False, platform="linux", display="libs/a")


def test_a_repository_without_a_pack_yaml_declares_nothing(tmp_path: Path) -> None:
    assert read(tmp_path) is None
    (tmp_path / ".grex").write_text("a file of the repository's own")
    assert read(tmp_path) is None
    (tmp_path / ".grex").unlink()
    (tmp_path / ".grex").mkdir()
    assert read(tmp_path) is None
    assert read(tmp_path / "absent") is None


def test_only_the_target_of_the_platform_is_read(tmp_path: Path) -> None:
    (tmp_path / ".grex/targets").mkdir(parents=True)
    (tmp_path / ".grex/pack.yaml").write_bytes(BASE)
    (tmp_path / ".grex/targets/linux.yaml").write_text("name: on-linux\n")
    (tmp_path / ".grex/targets/macos.yaml").write_text("[")
    spec = read_pack_spec(tmp_path, is_root=True, platform="linux", display="")
    assert spec is not None
    assert spec.name == "on-linux"
    assert spec.source == tmp_path / ".grex/pack.yaml"
    windows = read_pack_spec(tmp_path, is_root=True, platform="windows", display="")
    assert windows is not None
    assert windows.name == "base"
    with pytest.raises(ManifestError, match=r"^\.grex/targets/macos\.yaml:2:1: "):
        read_pack_spec(tmp_path, is_root=True, platform="macos", display="")


def make_link(path: Path) -> None:
    secret = path.parent.parent / "secret"
    secret.write_text("token: s3cret\n")
    path.symlink_to(secret)


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def make_directory(path: Path) -> None:
    path.mkdir()


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as bound:
        here = Path.cwd()
        os.chdir(path.parent)  # the path of a socket is short
        try:
            bound.bind(path.name)
        finally:
            os.chdir(here)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (make_link, "libs/a/.grex/pack.yaml:1:1: the file is a symbolic link."),
        (make_fifo, "libs/a/.grex/pack.yaml:1:1: this is no regular file."),
        (make_directory, "libs/a/.grex/pack.yaml:1:1: this is no regular file."),
        (make_socket, "libs/a/.grex/pack.yaml:1:1: this is a socket."),
    ],
)
def test_what_is_no_regular_file_is_refused_without_being_read(tmp_path: Path, make: object, message: str) -> None:
    (tmp_path / ".grex").mkdir()
    assert callable(make)
    make(tmp_path / ".grex/pack.yaml")
    with pytest.raises(PackSpecError) as caught:
        read(tmp_path)
    assert caught.value.message == message
    assert caught.value.hint == "Put a regular file in its place."


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="the descriptors of a process are not listed here")
def test_reading_leaves_no_descriptor_open_whatever_was_read(tmp_path: Path) -> None:
    (tmp_path / "good/.grex").mkdir(parents=True)
    (tmp_path / "good/.grex/pack.yaml").write_bytes(BASE)
    (tmp_path / "bad/.grex/pack.yaml").mkdir(parents=True)
    before = open_descriptors()
    for _ in range(10):
        assert read(tmp_path / "good") is not None
        with pytest.raises(PackSpecError):
            read(tmp_path / "bad")
    assert open_descriptors() == before


@pytest.mark.parametrize(
    "char", ["\t", "~", "\xa0", "\u2027", "\u202a", "\ufefc", "\uff00", "\ufffd", "\U0001f680", "\U0010fffd"]
)
def test_every_other_character_may_stand_in_a_comment_or_quotes(char: str) -> None:
    text = f'{BASE.decode()}# {char}\nx-a: "{char}"\n'
    assert parse_pack_spec(text.encode(), file="f", is_root=False).extensions == {"x-a": char}


@pytest.mark.parametrize(
    "char", ["\x00", "\x08", "\x0b", "\x0c", "\x0e", "\x1f", "\x7f", "\x85", "\x9f", "\u2029", "\ufffe", "\uffff"]
)
def test_a_character_that_is_not_seen_may_not(char: str) -> None:
    with pytest.raises(PackSpecError, match=r"^f:7:4: the character U\+[0-9A-F]{4} is not allowed here\.$"):
        parse_pack_spec(f"{BASE.decode()}#  {char}\n".encode(), file="f", is_root=False)


def test_a_grex_directory_that_is_a_symlink_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real/pack.yaml").write_bytes(BASE)
    (tmp_path / ".grex").symlink_to("real")
    with pytest.raises(PackSpecError, match=r"the directory \.grex is a symbolic link"):
        read(tmp_path)


def test_a_targets_directory_that_is_a_symlink_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".grex").mkdir()
    (tmp_path / ".grex/pack.yaml").write_bytes(BASE)
    (tmp_path / ".grex/targets").symlink_to(tmp_path)
    with pytest.raises(PackSpecError, match="the directory targets is a symbolic link"):
        read(tmp_path)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_says_so(tmp_path: Path) -> None:
    (tmp_path / ".grex").mkdir()
    (tmp_path / ".grex/pack.yaml").touch(mode=0)
    with pytest.raises(PackSpecError, match="the file cannot be read: Permission denied"):
        read(tmp_path)


def test_a_huge_file_is_not_read_to_its_end(tmp_path: Path) -> None:
    (tmp_path / ".grex").mkdir()
    with (tmp_path / ".grex/pack.yaml").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(PackSpecError, match="larger than 1 MiB"):
        read(tmp_path)


def test_declared_paths_start_at_the_workspace_and_a_broken_file_has_none(tmp_path: Path) -> None:
    (tmp_path / ".grex").mkdir()
    (tmp_path / "libs/a/.grex").mkdir(parents=True)
    (tmp_path / ".grex/pack.yaml").write_bytes(BASE + b"overrides: [{path: far/away, ref: x}]\n")
    (tmp_path / "libs/a/.grex/pack.yaml").write_bytes(
        BASE.replace(b"[{url: https://h/a}]", b"[{url: https://h/b}, {url: https://h/c, path: /c}]")
    )
    platform = current_platform()
    assert read_declared_paths(tmp_path, "", platform=platform) == {"a", "far/away"}
    assert read_declared_paths(tmp_path, "libs/a", platform=platform) == {"libs/a/b", "c"}
    assert read_declared_paths(tmp_path, "libs", platform=platform) == set()
    (tmp_path / ".grex/pack.yaml").write_bytes(b"[")
    assert read_declared_paths(tmp_path, "", platform=platform) == set()


def test_an_unknown_type_is_among_the_problems_of_a_file_and_no_problem_of_its_own() -> None:
    def unknown(name: str) -> tuple[str, str] | None:
        return None if name == "meta" else (f"no {name}", "use meta")

    def told(text: str) -> list[tuple[int, str, str]]:
        with pytest.raises(PackSpecError) as caught:
            parse_pack_spec(text.encode(), file="p", is_root=False, check_type=unknown)
        return [(one["line"], one["message"], one["hint"]) for one in caught.value.details["problems"]]

    wrong = 'schema_version: "1"\nname: a\ntype: {}\nx: 1\n'
    assert told(wrong.format("exotic"))[0] == (3, "no exotic", "Use meta.")
    assert len(told(wrong.format("meta"))) == 1
    right = 'schema_version: "1"\nname: a\ntype: exotic\n'
    assert parse_pack_spec(right.encode(), file="p", is_root=False, check_type=unknown).type == "exotic"
