"""The XML of `repo`."""

from __future__ import annotations

import pytest

from grex.interchange import MissingFileError, OwnRepository, Tree, Wanted
from grex.interchange.xml_tree import MAX_XML_BYTES
from tests.interchange.reading import brief, read, refused

HEAD = '<manifest><remote name="up" fetch="https://h/base"/><default remote="up" revision="refs/heads/main"/>'


def manifest(inner: str) -> str:
    return f"{HEAD}{inner}</manifest>"


def test_projects_take_remote_and_revision_from_where_they_are_said_first() -> None:
    imported = read(
        "repo",
        """<?xml version="1.0" encoding="UTF-8"?>
<manifest>
  <project name="platform/build" path="build/make" groups="pdk, tools" clone-depth="1"/>
  <project name="device/x.y_z"/>
  <project name="k" remote="own" revision="refs/tags/v1"/>
  <project name="l" remote="own"/>
  <remote name="up" fetch="https://h/base/" pushurl="ssh://h/push"/>
  <remote name="own" fetch="git@h:own" revision="dev"/>
  <default remote="up" revision="refs/heads/main" sync-j="4" sync-s="true"/>
</manifest>""",
    )
    assert brief(imported) == [
        ("build/make", "https://h/base/platform/build", "main"),
        ("device/x.y_z", "https://h/base/device/x.y_z", "main"),
        ("k", "git@h:own/k", "refs/tags/v1"),
        ("l", "git@h:own/l", "dev"),
    ]
    first = imported.packs[0]
    assert (first.groups, first.depth, first.submodules, dict(first.remotes)) == (
        ("pdk", "tools"),
        1,
        True,
        {"push": "ssh://h/push/platform/build"},
    )


@pytest.mark.parametrize(
    ("origin", "fetch", "url"),
    [
        ("https://h/platform/manifest", "..", "https://h/p"),
        ("https://h/a/b/manifest.git", "..", "https://h/a/p"),
        ("https://h/a/b/manifest.git", ".", "https://h/a/b/p"),
        ("https://h/a/b/manifest.git", "../../x/", "https://h/x/p"),
        ("https://h/manifest", "../../..", "https://h/p"),
        ("ssh://git@h:29418/a/manifest", "..", "ssh://git@h:29418/p"),
        ("git@h:team/a/manifest", "..", "git@h:team/p"),
        ("git@h:team/manifest", "..", "git@h:team/p"),
        ("/srv/a/manifest.git", "..", "/srv/p"),
        ("file:///srv/a/manifest.git", "..", "file:///srv/p"),
    ],
)
def test_a_relative_fetch_starts_where_the_manifest_came_from(origin: str, fetch: str, url: str) -> None:
    text = f'<manifest><remote name="up" fetch="{fetch}"/><project name="p" remote="up" revision="main"/></manifest>'
    assert brief(read("repo", text, own=OwnRepository(origin))) == [("p", url, "main")]
    assert refused("repo", text)[0].startswith(
        f"m:1:11: '{fetch}' starts where the manifest came from, and it lies in no"
    )


def test_notdefault_is_said_by_groups_that_are_off_as_repo_would_choose() -> None:
    projects = manifest(
        '<project name="a"/><project name="b" groups="pdk"/><project name="c" groups="notdefault,x"/>'
        '<project name="d" groups="notdefault,platform-linux"/><project name="e" groups="notdefault,platform-darwin"/>'
    )
    for platform, brought in (("linux", "abd"), ("macos", "abe"), ("windows", "ab")):
        imported = read("repo", projects, platform=platform)
        on = [pack for pack in imported.packs if not pack.groups or set(pack.groups) - set(imported.groups_off)]
        assert "".join(pack.path for pack in on) == brought
    plain = read("repo", manifest('<project name="a" groups="pdk"/>'))
    assert (plain.groups_off, plain.packs[0].groups) == ((), ("pdk",))


def test_an_include_stands_in_its_place_with_its_groups_and_its_revision() -> None:
    text = manifest('<project name="a"/><include name="sub/more.xml" groups="g" revision="rel"/><project name="z"/>')
    inner = '<manifest><project name="b" groups="h"/><project name="c" revision="own"/></manifest>'
    imported = read("repo", text, {(Tree(), "sub/more.xml"): {"sub/more.xml": inner}})
    assert [(pack.path, pack.ref, pack.groups) for pack in imported.packs] == [
        ("a", "main", ()),
        ("b", "rel", ("g", "h")),
        ("c", "own", ("g",)),
        ("z", "main", ()),
    ]
    with pytest.raises(MissingFileError) as caught:
        read("repo", text)
    assert caught.value.wanted == Wanted(Tree(), "sub/more.xml")


def test_local_manifests_come_last_and_remove_and_extend() -> None:
    local = """<manifest>
  <remove-project name="gone"/>
  <remove-project name="never" optional="true"/>
  <remove-project path="twice/2"/>
  <extend-project name="twice" revision="fixed" groups="mine"/>
  <extend-project name="moved" dest-path="over/there"><linkfile src="f" dest="f2"/></extend-project>
  <project name="mine" path="my/own"/>
</manifest>"""
    text = manifest(
        '<project name="gone"/><project name="twice" path="twice/1"/><project name="twice" path="twice/2"/>'
        '<project name="moved"><copyfile src="f" dest="f1"/></project>'
    )
    imported = read("repo", text, further=(("local.xml", local.encode()),))
    assert [(pack.path, pack.ref, pack.groups) for pack in imported.packs] == [
        ("twice/1", "fixed", ("mine",)),
        ("over/there", "main", ()),
        ("my/own", "main", ()),
    ]
    assert [(link.kind, link.src, link.dst) for link in imported.packs[1].links] == [
        ("copy", "over/there/f", "f1"),
        ("symlink", "over/there/f", "f2"),
    ]


def test_nested_projects_lie_below_their_parent_in_name_and_path() -> None:
    imported = read(
        "repo", manifest('<project name="p" path="at/p" revision="r"><project name="q" path="in/q"/></project>')
    )
    assert brief(imported) == [("at/p", "https://h/base/p", "r"), ("at/p/in/q", "https://h/base/p/q", "r")]


def test_what_is_not_taken_over_is_told() -> None:
    imported = read(
        "repo",
        manifest(
            '<notice>hello</notice><superproject name="s"/><repo-hooks in-project="a" enabled-list="x"/><strange/>'
            '<project name="a" upstream="u" dest-branch="d"><annotation name="n" value="v"/>'
            '<linkfile src="dir/*" dest="there"/></project>'
        ),
    )
    told = "\n".join(imported.notes)
    for word in ("superproject", "hooks", "'strange'", "'upstream'", "'dest-branch'", "annotations", "with a pattern"):
        assert word in told
    assert imported.packs[0].links == ()


def test_every_problem_is_told_with_its_place() -> None:
    elsewhere = "(give the repository another path)"
    assert refused(
        "repo",
        """<manifest>
  <remote name="up" fetch="https://h"/>
  <remote name="up" fetch="https://other"/>
  <remote name="bad"/>
  <project name="a"/>
  <project name="b" remote="nowhere" revision="r"/>
  <project name="c" remote="up"/>
  <project path="d"/>
  <project name="e" remote="up" revision="refs/changes/1/2/3" path=".git/x" clone-depth="x">
    <copyfile src="../out" dest="f"/>
    <linkfile src="f" dest="../out"/>
  </project>
  <extend-project name="z"/>
  <remove-project name="y"/>
  <include/>
</manifest>""",
    ) == [
        "m:3:3: the remote 'up' is there already, and is another one (the first is in line 2)",
        "m:4:3: a remote needs 'name' and 'fetch' (write both)",
        "m:5:3: the project 'a' has no remote, and there is no default (declare it with <remote>)",
        "m:6:3: the project 'b' has the remote 'nowhere', which is none (declare it with <remote>)",
        "m:7:3: the project 'c' has no revision (give one to it, its remote or the default)",
        "m:8:3: a project needs 'name' (give its repository below the remote's 'fetch')",
        "m:9:3: clone-depth is 'x' (write a whole number, at least 1)",
        f"m:9:3: the path '.git/x' holds '.git', a name that git or grex keeps for itself {elsewhere}",
        "m:9:3: the ref 'refs/changes/1/2/3' is neither a branch nor a tag (give a branch, a tag or a whole commit id)",
        "m:10:5: '../out' lies outside of the project (give a file of the project)",
        "m:11:5: the path '../out' holds the segment '..' (give a place in the workspace)",
        "m:13:3: there is no project 'z' to extend (declare it before this)",
        "m:14:3: there is no project 'y' to remove (declare it before this)",
        "m:15:3: an include needs 'name' (give the path of a manifest)",
    ]


BOMB = '<!DOCTYPE m [<!ENTITY a "aaaaaaaa"><!ENTITY b "&a;&a;&a;">]><manifest><project name="&b;"/></manifest>'
OUTSIDE = '<!DOCTYPE m [<!ENTITY a SYSTEM "file:///etc/passwd">]><manifest>&a;</manifest>'
PARAMETER = '<!DOCTYPE m [<!ENTITY % a SYSTEM "file:///etc/passwd"> %a;]><manifest/>'


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (BOMB, "m:1:25: the entity 'a' is declared"),
        (OUTSIDE, "m:1:52: the entity 'a' is declared"),
        (PARAMETER, "m:1:54: the entity 'a' is declared"),
        ("<manifest>&x;</manifest>", "m:1:11: this is not XML: undefined entity"),
        ("<manifest><project></manifest>", "m:1:22: this is not XML: mismatched tag"),
        ("", "m:1:1: this is not XML: no element found"),
        ("<a>" * 40 + "</a>" * 40, "m:1:97: elements are nested deeper than 32"),
        ("<projects/>", "m:1:1: the root element is <'projects'>"),
        ("<manifest/>" + " " * MAX_XML_BYTES, "m:1:1: the file is larger than 4 MiB"),
    ],
)
def test_xml_that_is_broken_or_dangerous_is_refused_where_it_is(text: str, told: str) -> None:
    (problem,) = refused("repo", text)
    assert problem.startswith(told)
