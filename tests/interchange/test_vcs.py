"""`.repos` and rosinstall files."""

from __future__ import annotations

from grex.interchange import ResolvedPack, render_vcs
from tests.interchange.reading import brief, read, refused


def test_a_repos_file_is_read_with_capitals_dots_and_underscores_in_its_paths() -> None:
    imported = read(
        "vcs",
        """
repositories:
  ament/ament_cmake: {type: git, url: https://h/ament_cmake.git, version: rolling}
  eProsima/Fast-DDS:
    type: git
    url: https://h/Fast-DDS.git
    version: 2.x
  ros2/rcl.v2: {type: git, url: "git@h:rcl.git"}
  ros2/tag: {type: git, url: https://h/tag.git, version: null}
""",
    )
    assert brief(imported) == [
        ("ament/ament_cmake", "https://h/ament_cmake.git", "rolling"),
        ("eProsima/Fast-DDS", "https://h/Fast-DDS.git", "2.x"),
        ("ros2/rcl.v2", "git@h:rcl.git", None),
        ("ros2/tag", "https://h/tag.git", None),
    ]


def test_a_version_that_is_a_number_means_what_vcs_takes_it_for_and_that_is_said() -> None:
    one = "  a: {type: git, url: https://h/a, version: 1.10}\n"
    imported = read("vcs", f"repositories:\n{one}  b: {{type: git, url: https://h/b, version: 3}}\n")
    assert [pack.ref for pack in imported.packs] == ["1.1", "3"]
    assert imported.notes == ("m:2:45: version is a number and means 1.1; in quotes it would mean what it shows",)


def test_another_kind_of_repository_is_refused_and_not_dropped() -> None:
    assert refused(
        "vcs",
        """repositories:
  a: {type: hg, url: https://h/a}
  b: {url: https://h/b}
  c: {type: git}
  CON: {type: git, url: https://h/d}
  A: {type: git, url: https://h/e}
  a/../../b: {type: git, url: https://h/f}
""",
    ) == [
        "m:2:3: 'a' is a repository of type 'hg' (grex keeps git repositories: take it out)",
        "m:3:3: 'b' has no 'type' (write 'type: git')",
        "m:4:3: 'c' has no 'url' (write it as in 'url: https://host/path')",
        "m:5:3: the path 'CON' holds 'CON', a device name on Windows (give the repository another path)",
        "m:7:3: the path 'a/../../b' holds the segment '..' (give the repository another path)",
    ]


def test_two_paths_that_some_file_system_takes_for_one_are_refused() -> None:
    problems = refused(
        "vcs", "repositories:\n  a/B: {type: git, url: https://h/a}\n  a/b: {type: git, url: https://h/b}\n"
    )
    assert problems == [
        "m:3:3: the path 'a/b' is taken by 'a/B' (it stands in line 2; file systems without case would mix them up)"
    ]


def test_a_rosinstall_list_is_read_too() -> None:
    text = "- git: {local-name: a/b, uri: https://h/b, version: v1}\n- git: {local-name: c, uri: https://h/c}\n"
    assert brief(read("vcs", text)) == [("a/b", "https://h/b", "v1"), ("c", "https://h/c", None)]
    assert refused("vcs", "- svn: {local-name: a, uri: https://h/a}\n") == [
        "m:1:21: 'a' is a repository of type 'svn' (grex keeps git repositories: take it out)"
    ]


def test_what_a_repos_file_cannot_say_is_noted() -> None:
    pack = ResolvedPack("a", "https://h/a", "refs/tags/v1", groups=("g",), depth=1, submodules=True)
    exported = render_vcs([pack, ResolvedPack("b/yes", "/srv/b", None)])
    assert exported.text == (
        "repositories:\n"
        '  a:\n    type: git\n    url: "https://h/a"\n    version: v1\n'
        "  b/yes:\n    type: git\n    url: /srv/b\n"
    )
    assert exported.notes == ("a: groups, depth, submodules cannot be said in a .repos file",)


def test_an_empty_list_is_no_mistake() -> None:
    assert read("vcs", "repositories:\n").packs == ()
    assert read("vcs", render_vcs([]).text).packs == ()
