"""west.yml: what west 1.5 resolves it to; `tests/interchange/test_peers.py` holds that against west itself."""

from __future__ import annotations

import pytest

from grex.interchange import MissingFileError, OwnRepository, Tree, Wanted
from tests.interchange.reading import brief, read, refused

ZEPHYR = Tree("https://h/zephyr", "main")
HELPER = "'ext::sh -c x' names the remote helper 'ext::', and helpers run programs (Use https, ssh or a path.)"
KEPT_APART = "write it without them, and set up a credential helper or an ssh key"
HEAD = "manifest:\n  remotes: [{name: up, url-base: https://h}]\n  defaults: {remote: up, revision: main}\n"


def test_a_project_is_named_by_remote_and_name_or_by_a_url_of_its_own() -> None:
    imported = read(
        "west",
        """
manifest:
  remotes:
    - {name: up, url-base: https://h/up}
    - {name: other, url-base: git@h:other}
  defaults: {remote: up}
  projects:
    - {name: hal_STM32.x, path: modules/hal/stm32}
    - {name: b, remote: other, repo-path: deep/b.git, revision: v1.2}
    - {name: c, url: "https://else/c", revision: 8f69aafa4155bf243956f846cb449880b373d99a, clone-depth: 3}
    - {name: d, revision: HEAD, submodules: true, groups: [a, b]}
    - {name: e, revision: refs/heads/next}
""",
    )
    assert brief(imported) == [
        ("modules/hal/stm32", "https://h/up/hal_STM32.x", "master"),
        ("b", "git@h:other/deep/b.git", "v1.2"),
        ("c", "https://else/c", "8f69aafa4155bf243956f846cb449880b373d99a"),
        ("d", "https://h/up/d", None),
        ("e", "https://h/up/e", "next"),
    ]
    assert [(pack.depth, pack.submodules, pack.groups) for pack in imported.packs[2:4]] == [
        (3, False, ()),
        (None, True, ("a", "b")),
    ]


def test_what_a_project_imports_comes_after_the_projects_and_the_first_definition_counts() -> None:
    imported = read(
        "west",
        HEAD + "  projects:\n    - {name: zephyr, import: true}\n    - {name: hal, revision: mine}\n",
        {
            (ZEPHYR, "west.yml"): {
                "west.yml": HEAD + "  projects:\n    - name: hal\n    - {name: extra, path: x/extra}\n"
            }
        },
    )
    assert brief(imported) == [
        ("zephyr", "https://h/zephyr", "main"),
        ("hal", "https://h/hal", "mine"),
        ("x/extra", "https://h/extra", "main"),
    ]


def test_the_own_repositorys_imports_come_before_the_projects() -> None:
    imported = read(
        "west",
        HEAD + "  projects: [{name: a, revision: top}]\n  self: {import: parts}\n",
        {
            (Tree(), "parts"): {
                "parts/1.yml": HEAD + "  projects: [{name: a, revision: part}, {name: b}]\n",
                "parts/2.yml": HEAD + "  projects: [{name: b, revision: second}]\n",
            }
        },
    )
    assert brief(imported) == [("a", "https://h/a", "part"), ("b", "https://h/b", "main")]


@pytest.mark.parametrize(
    ("chosen", "left"),
    [
        ("name-allowlist: [a, b]", "ab"),
        ("name-allowlist: a", "a"),
        ("name-whitelist: a", "a"),
        ("path-allowlist: ['x/*']", "bc"),
        ("name-blocklist: [a]", "bc"),
        ("path-blocklist: ['x/*']", "a"),
        ("path-blocklist: ['x/*'], name-allowlist: [b]", "b"),
        ("name-blocklist: [a], path-allowlist: ['x/*']", "bc"),
        ("file: west.yml, path-prefix: '', name-allowlist: []", "abc"),
    ],
)
def test_a_map_lets_in_what_it_allows(chosen: str, left: str) -> None:
    inner = HEAD + "  projects: [{name: a}, {name: b, path: x/b}, {name: c, path: x/c}]\n"
    imported = read(
        "west",
        HEAD + f"  projects: [{{name: zephyr, import: {{{chosen}}}}}]\n",
        {(ZEPHYR, "west.yml"): {"west.yml": inner}},
    )
    assert "".join(pack.path[-1] for pack in imported.packs[1:]) == left


def test_prefixes_add_up_and_stand_before_the_importing_project_too() -> None:
    imported = read(
        "west",
        HEAD + "  projects: [{name: zephyr, import: {path-prefix: one}}]\n",
        {
            (ZEPHYR, "west.yml"): {
                "west.yml": HEAD
                + "  projects: [{name: mid, revision: main, import: {path-prefix: two, file: sub/w.yml}}]\n"
            },
            (Tree("https://h/mid", "main"), "sub/w.yml"): {"sub/w.yml": HEAD + "  projects: [{name: leaf}]\n"},
        },
    )
    assert [pack.path for pack in imported.packs] == ["one/zephyr", "one/two/mid", "one/two/leaf"]


def test_filters_of_imports_inside_imports_hold_together() -> None:
    imported = read(
        "west",
        HEAD + "  projects: [{name: zephyr, import: {name-blocklist: [leaf]}}]\n",
        {
            (ZEPHYR, "west.yml"): {"west.yml": HEAD + "  projects: [{name: mid, import: true}]\n"},
            (Tree("https://h/mid", "main"), "west.yml"): {"w": HEAD + "  projects: [{name: leaf}, {name: twig}]\n"},
        },
    )
    assert [pack.path for pack in imported.packs] == ["zephyr", "mid", "twig"]


def test_the_group_filter_nearest_to_the_top_wins() -> None:
    inner = HEAD + "  group-filter: [-a, -b, -c]\n  projects: []\n"
    imported = read(
        "west",
        HEAD + "  group-filter: [+a, -d]\n  projects: [{name: zephyr, import: true}]\n",
        {(ZEPHYR, "west.yml"): {"west.yml": inner}},
    )
    assert imported.groups_off == ("b", "c", "d")


def test_a_file_that_is_imported_is_asked_for_with_the_place_that_names_it() -> None:
    with pytest.raises(MissingFileError) as caught:
        read("west", HEAD + "  projects:\n    - {name: zephyr, import: true}\n")
    assert caught.value.wanted == Wanted(ZEPHYR, "west.yml")
    assert caught.value.at == "m:5:30"


@pytest.mark.parametrize(
    ("own", "path", "declared"),
    [
        (OwnRepository("https://h/app", "main", "app"), "", ("app", "https://h/app", "main")),
        (OwnRepository("https://h/app", "main", "app"), "path: elsewhere", ("elsewhere", "https://h/app", "main")),
        (OwnRepository("https://h/app", "main", ""), "path: app", None),
        (OwnRepository(None, "main", "app"), "", None),
        (OwnRepository("https://h/app", "main", None), "", None),
        (None, "path: app", None),
    ],
)
def test_the_own_repository_is_a_pack_where_it_is_known(
    own: OwnRepository | None, path: str, declared: tuple[str, str, str] | None
) -> None:
    imported = read("west", HEAD + f"  self: {{{path}}}\n", own=own)
    assert list(brief(imported)) == ([declared] if declared else [])
    assert bool(imported.notes) == (declared is None)


def test_what_is_not_taken_over_is_told() -> None:
    imported = read(
        "west",
        HEAD
        + """
  future: 1
  self: {west-commands: c.yml}
  projects:
    - {name: a, west-commands: c.yml, userdata: {x: 1}, submodules: [{path: p}], hue: red}
""",
    )
    told = "\n".join(imported.notes)
    for word in ("'future'", "'hue'", "west-commands (2 times)", "userdata (1 time)", "all submodules"):
        assert word in told
    assert imported.packs[0].submodules


def test_every_problem_is_told_with_its_place() -> None:
    assert refused(
        "west",
        """manifest:
  projects:
    - {name: a}
    - {name: b, remote: nowhere}
    - {name: c/d, url: "https://h/c"}
    - {path: e}
    - {name: f, url: "ext::sh -c x", revision: "-x", path: ../f}
    - {name: g, url: "https://h/g", groups: ["a b"], clone-depth: 0}
    - {name: h, url: "https://h/h", groups: [x], import: true}
    - {name: i, url: "https://me:secret@h/i"}
""",
        {(Tree("https://h/h", "master"), "west.yml"): {"w": "manifest: {}\n"}},
    ) == [
        "m:3:14: 'a' has no 'url' and no 'remote' (write one of them, or a default remote)",
        "m:4:25: the remote 'nowhere' is not declared (declare it below 'remotes')",
        "m:5:14: 'c/d' cannot be the name of a project (change that; west refuses it as well)",
        "m:6:7: a project needs 'name' (write it as in 'name: hal_stm32')",
        f"m:7:22: the URL {HELPER}",
        "m:7:48: the ref '-x' starts with '-' (give a branch, a tag or a whole commit id)",
        "m:7:60: the path '../f' holds the segment '..' (give the repository another path)",
        "m:8:7: 'a b' cannot be the name of a group (use letters, digits and . _ -, the first a letter or digit)",
        "m:8:67: clone-depth is 0 (write at least 1, or leave the key out)",
        "m:9:58: 'h' has both 'groups' and 'import' (change that; west refuses it as well)",
        f"m:10:22: the URL 'https://***@h/i' holds credentials, and pack.yaml is made to be committed ({KEPT_APART})",
    ]


def test_imports_in_a_circle_end() -> None:
    again = HEAD + "  projects: []\n  self: {import: again.yml}\n"
    problems = refused("west", again, {(Tree(), "again.yml"): {"again.yml": again}})
    assert problems == ["again.yml:5:18: imports are nested deeper than 20 (look whether they go in a circle)"]


@pytest.mark.parametrize("file", ["../west.yml", "/etc/passwd", ""])
def test_an_import_that_leads_out_of_its_repository_is_refused(file: str) -> None:
    assert refused("west", HEAD + f"  self: {{import: '{file}'}}\n")


def test_an_import_of_what_is_not_there_is_told() -> None:
    problems = refused("west", HEAD + "  projects: [{name: zephyr, import: true}]\n", {(ZEPHYR, "west.yml"): {}})
    assert problems == ["m:4:37: there is no 'west.yml' in 'https://h/zephyr' at main (correct the import)"]
