"""Submodules, tsrc, REPOS.json, and how a format is recognised."""

from __future__ import annotations

import pytest

from grex.interchange import OwnRepository, recognise
from tests.interchange.reading import brief, read, refused

SHA = "8f69aafa4155bf243956f846cb449880b373d99a"
MODULES = """# ours
[submodule "libs/a"]
\tpath = libs/a
\turl = ../a.git
\tbranch = dev
\tshallow = true
[submodule "name with \\"quotes\\""]
\tpath = b
\turl = https://h/b
\tupdate = none
"""
SETTINGS = (
    ("submodule.libs/a.path", "libs/a"),
    ("submodule.libs/a.url", "../a.git"),
    ("submodule.libs/a.branch", "dev"),
    ("submodule.libs/a.shallow", "true"),
    ('submodule.name with "quotes".path', "b"),
    ('submodule.name with "quotes".url', "https://h/b"),
    ('submodule.name with "quotes".update', "none"),
)
OWN = OwnRepository("https://h/team/super.git", "main", "")


def test_submodules_are_at_the_commits_that_are_recorded_or_on_their_branches() -> None:
    pinned = read("gitmodules", MODULES, settings=SETTINGS, pins={"libs/a": SHA}, own=OWN)
    assert brief(pinned) == [("libs/a", "https://h/team/a.git", SHA), ("b", "https://h/b", None)]
    assert pinned.packs[0].depth == 1
    assert [str(pack.mark) for pack in pinned.packs] == ["m:2:1", "m:7:1"]
    assert pinned.notes == (
        "b is pinned nowhere, for no repository around the file records a commit for it",
        "m:7:1: b: update is not taken over",
    )
    floating = read("gitmodules", MODULES, settings=SETTINGS, pins={"libs/a": SHA}, own=OWN, branches=True)
    assert [pack.ref for pack in floating.packs] == ["dev", None]


@pytest.mark.parametrize(("ref", "branch"), [("main", "main"), (SHA, None)])
def test_a_branch_that_is_a_dot_is_that_of_the_superproject(ref: str, branch: str | None) -> None:
    settings = (("submodule.a.path", "a"), ("submodule.a.url", "https://h/a"), ("submodule.a.branch", "."))
    own = OwnRepository("https://h/s", ref, "")
    assert read("gitmodules", '[submodule "a"]', settings=settings, own=own, branches=True).packs[0].ref == branch


def test_problems_of_submodules_stand_at_their_sections() -> None:
    settings = (*SETTINGS[:2], ('submodule.name with "quotes".path', "b"))
    no_origin = "starts at the origin of the repository around it, and there is none (give it with --manifest-url)"
    assert refused("gitmodules", MODULES, settings=settings) == [
        f"m:2:1: the URL '../a.git' {no_origin}",
        "m:7:1: the submodule 'name with \"quotes\"' has no url (write it there)",
    ]


TSRC = """
repos:
  - {dest: libs/foo, url: "git@h:foo.git"}
  - dest: bar
    remotes: [{name: origin, url: https://h/bar}, {name: up, url: https://u/bar}]
    tag: v1
    branch: next
    ignore_submodules: true
    copy: [{file: top.mk, dest: Makefile}, {file: same}]
    symlink: [{source: bin/tool, target: ../bar/tool.sh}]
  - {dest: baz, url: https://h/baz, sha1: 8f69aafa4155bf243956f846cb449880b373d99a, branch: x}
  - {dest: loose, url: https://h/loose}
groups:
  default: {repos: [libs/foo]}
  more: {repos: [bar], includes: [default]}
  all: {repos: [baz], includes: [more, all]}
"""


def test_a_tsrc_manifest_is_read_with_remotes_links_and_groups() -> None:
    imported = read("tsrc", TSRC)
    assert brief(imported) == [
        ("libs/foo", "git@h:foo.git", "master"),
        ("bar", "https://h/bar", "refs/tags/v1"),
        ("baz", "https://h/baz", SHA),
        ("loose", "https://h/loose", "master"),
    ]
    assert [pack.groups for pack in imported.packs] == [
        ("default", "more", "all"),
        ("more", "all"),
        ("all",),
        ("ungrouped",),
    ]
    assert imported.groups_off == ("more", "all", "ungrouped")
    bar = imported.packs[1]
    assert (dict(bar.remotes), bar.submodules) == ({"up": "https://u/bar"}, False)
    assert [(link.kind, link.src, link.dst) for link in bar.links] == [
        ("copy", "bar/top.mk", "Makefile"),
        ("copy", "bar/same", "same"),
        ("symlink", "bar/tool.sh", "bin/tool"),
    ]


def test_without_a_default_group_nothing_of_tsrc_is_off() -> None:
    imported = read("tsrc", "repos: [{dest: a, url: https://h/a}]\ngroups: {g: {repos: [a]}}\n")
    assert (imported.groups_off, imported.packs[0].groups) == ((), ("g",))


def test_problems_of_a_tsrc_manifest_have_their_places() -> None:
    assert refused(
        "tsrc",
        """repos:
  - {url: https://h/a}
  - {dest: b}
  - {dest: c, url: https://h/c, remotes: []}
  - {dest: d, url: https://h/d, symlink: [{source: x, target: ../../out}]}
groups: {g: {repos: [z], includes: [y]}}
""",
    ) == [
        "m:2:5: a repository needs 'dest' (give the directory it goes into)",
        "m:3:5: a repository has either 'url' or 'remotes' (write one of the two)",
        "m:4:5: a repository has either 'url' or 'remotes' (write one of the two)",
        "m:5:43: the path '../../out' holds the segment '..' (give a place in the workspace)",
        "m:6:10: the group 'g' includes 'y', which is none (correct it)",
        "m:6:22: the group 'g' has 'z', which is no 'dest' (correct it)",
    ]


@pytest.mark.parametrize(
    ("text", "packs"),
    [
        ('[{"url": "https://h/a.git", "path": "x/a"}]', [("x/a", "https://h/a.git", None)]),
        ('{"repos": [{"url": "https://h/a.git", "ref": "v1"}]}', [("a", "https://h/a.git", "v1")]),
        ('{"repos": [{"url": "https://h/a", "branch": "b", "name": "n"}]}', [("a", "https://h/a", "b")]),
        ('{"a": "https://h/a", "b/c": "git@h:c"}', [("a", "https://h/a", None), ("b/c", "git@h:c", None)]),
        ('{\n\t"projects": {"a": "https:\\/\\/h\\/a"}\n}', [("a", "https://h/a", None)]),
        ("{}", []),
    ],
)
def test_each_form_of_a_json_list_is_read(text: str, packs: list[tuple[str, str, str | None]]) -> None:
    assert brief(read("json", text)) == packs


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "m:1:2: this is not JSON"),
        ("- url: https://h/a\n", "m:1:1: this is not JSON"),
        ('[{"path": "a"}]', "m:1:2: a repository needs 'url'"),
        ('{"a": 1.5, "b": ["x"]}', "m:1:7: the URL '1.5'"),
        ('{"a": {"deep": "x"}}', "m:1:7: the URL of 'a' is text, and this is a mapping"),
        ('{"a": "https://h/a", "a": "https://h/b"}', "m:1:22: the key 'a' stands here a second time"),
        ('{"a": "ftp://h/a"}', "m:1:7: the URL 'ftp://h/a'"),
    ],
)
def test_what_is_wrong_with_a_json_list_is_told_at_its_place(text: str, told: str) -> None:
    assert refused("json", text)[0].startswith(told)


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("west.yml", "# c\nmanifest:\n  projects: []\n", "west"),
        ("anything", "manifest :\n", "west"),
        ("ros2.repos", "x: 1", "vcs"),
        ("deps.yaml", "---\nrepositories:\n", "vcs"),
        (".rosinstall", "- git: {local-name: a}", "vcs"),
        ("manifest.yml", "repos:\n- {}\n", "tsrc"),
        ("default.xml", "", "repo"),
        ("x", '\n<?xml version="1.0"?>', "repo"),
        (".gitmodules", "", "gitmodules"),
        ("modules", '# c\n[submodule "a"]', "gitmodules"),
        ("REPOS.json", "", "json"),
        ("x", " [1]", "json"),
        (".meta", "", "json"),
        ("README.md", "# manifest\n", None),
        ("x.yml", "  manifest:\n", None),
    ],
)
def test_a_format_is_recognised_by_name_or_content(name: str, text: str, found: str | None) -> None:
    assert recognise(name, text.encode()) == found
