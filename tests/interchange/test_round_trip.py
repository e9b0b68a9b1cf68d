"""What is written for another tool says, when it is read again, what was written."""

from __future__ import annotations

from collections.abc import Sequence

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from grex.interchange import ResolvedPack, render_vcs, render_west
from grex.names import check_pack_path, check_ref, fold_key
from tests.interchange.reading import read

SEGMENT = st.text("aZ09._-+ '\"#&*!|>%@`{}[],?=äß世😀", min_size=1, max_size=8)
PATH = st.lists(SEGMENT, min_size=1, max_size=3).map("/".join).filter(lambda path: check_pack_path(path) is None)
REF = st.sampled_from(
    ["main", "off", "no", "1_0", "2024-01-01", "v1.10", "1.0", "yes", "release/0.8.x", "0x10", "a" * 40, "5e3"]
) | st.text("aZ09._-+'\"#&!|>%@`{},=ä/世😀", min_size=1, max_size=6).filter(
    lambda ref: check_ref(ref) is None and ref != "HEAD"
)
LABEL = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,4}", fullmatch=True) | st.sampled_from(["y", "on", "1e3", "0o7"])
URL = st.sampled_from(["https://h/x.git", "git@h:team/x", "file:///srv/a%20b", "/srv/ä b"])
PACKS = st.lists(
    st.builds(
        ResolvedPack,
        path=PATH,
        url=URL,
        ref=REF | st.none(),
        groups=st.lists(LABEL, max_size=2, unique=True).map(tuple),
        depth=st.none() | st.integers(1, 9),
        submodules=st.booleans(),
    ),
    max_size=5,
    unique_by=lambda pack: fold_key(pack.path),
)


@settings(max_examples=50)
@given(packs=PACKS)
def test_a_west_yml_says_paths_urls_refs_groups_depths_and_submodules(packs: Sequence[ResolvedPack]) -> None:
    text = render_west(packs, groups_off=["x", "y"]).text
    theirs = yaml.safe_load(text)["manifest"]["projects"]
    assert [project.get("groups", []) for project in theirs] == [list(pack.groups) for pack in packs]
    imported = read("west", text)
    assert [(pack.path, pack.url, pack.ref, pack.groups, pack.depth, pack.submodules) for pack in imported.packs] == [
        (pack.path, pack.url, pack.ref, pack.groups, pack.depth, pack.submodules) for pack in packs
    ]
    assert imported.groups_off == ("x", "y")


@settings(max_examples=50)
@given(packs=PACKS)
def test_a_repos_file_says_paths_urls_and_refs(packs: Sequence[ResolvedPack]) -> None:
    text = render_vcs(packs).text
    # As the tools read it, by YAML 1.1, in which `yes` and `1_0` are no text.
    theirs = yaml.safe_load(text)["repositories"]
    assert {path: entry.get("version") for path, entry in theirs.items()} == {pack.path: pack.ref for pack in packs}
    imported = read("vcs", text)
    assert [(pack.path, pack.url, pack.ref) for pack in imported.packs] == [
        (pack.path, pack.url, pack.ref) for pack in packs
    ]


def test_no_two_projects_of_a_west_yml_have_one_name() -> None:
    paths = ["a/x", "b/x", "a.x", "manifest", "x_", "c/manifest"]
    imported = read("west", render_west([ResolvedPack(path, "https://h/x", "m") for path in paths]).text)
    assert [pack.path for pack in imported.packs] == paths
