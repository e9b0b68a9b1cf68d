"""Where a pack may write that nobody trusts: inside its own checkout, and no trick leads out."""

from __future__ import annotations

from pathlib import Path

import pytest

from grex.builtin.paths import is_inside
from grex.plugin import Pack


@pytest.mark.parametrize("path", ["a", "a/b/c", "missing/parent/x", "with space", "日本語", ".config/x", ".gitignore"])
def test_a_place_in_the_checkout_is_inside(path: str, pack: Pack) -> None:
    assert is_inside(pack.root / path, pack.root)


@pytest.mark.parametrize("path", ["/etc/x", "..", "../x", "a/../../x", "a/../b"])
def test_a_path_that_is_absolute_or_goes_up_is_outside_even_if_it_comes_back(path: str, pack: Pack) -> None:
    assert not is_inside(pack.root / path, pack.root)


def test_the_checkout_itself_is_outside(pack: Pack) -> None:
    assert not is_inside(pack.root, pack.root)


def test_a_neighbour_whose_name_begins_alike_is_outside(pack: Pack) -> None:
    assert not is_inside(Path(f"{pack.root}-evil/x"), pack.root)


@pytest.mark.parametrize("where", ["link/x", "link/deep/x", "inner/link/x"])
def test_a_parent_that_is_a_link_out_of_the_checkout_is_outside(where: str, pack: Pack, tmp_path: Path) -> None:
    (pack.root / "inner").mkdir()
    for link in ("link", "inner/link"):
        (pack.root / link).symlink_to(tmp_path / "home")
    assert not is_inside(pack.root / where, pack.root)


def test_a_chain_of_links_is_followed_to_its_end(pack: Pack, tmp_path: Path) -> None:
    (pack.root / "one").symlink_to("two")
    (pack.root / "two").symlink_to(tmp_path)
    assert not is_inside(pack.root / "one/x", pack.root)


def test_a_link_that_stays_in_the_checkout_is_inside(pack: Pack) -> None:
    (pack.root / "real").mkdir()
    (pack.root / "link").symlink_to("real")
    assert is_inside(pack.root / "link/x", pack.root)


def test_a_link_to_the_checkouts_parent_and_back_is_judged_by_where_it_ends(pack: Pack) -> None:
    (pack.root / "up").symlink_to("..")
    assert is_inside(pack.root / "up/tools/x", pack.root)
    assert not is_inside(pack.root / "up/x", pack.root)


def test_the_last_segment_is_not_followed(pack: Pack, tmp_path: Path) -> None:
    (pack.root / "link").symlink_to(tmp_path)
    assert is_inside(pack.root / "link", pack.root)


def test_a_checkout_that_is_reached_through_a_link_is_still_itself(pack: Pack, tmp_path: Path) -> None:
    (tmp_path / "alias").symlink_to(pack.root)
    assert is_inside(tmp_path / "alias/x", pack.root)
    assert is_inside(pack.root / "x", tmp_path / "alias")


@pytest.mark.parametrize(
    "path",
    [".git/hooks/post-checkout", ".GIT/config", ".grex/pack.yaml", "a/.git", ".grex-lock", ".x.grex-backend.lock"],
)
def test_what_git_and_grex_keep_for_themselves_is_outside(path: str, pack: Pack) -> None:
    assert not is_inside(pack.root / path, pack.root)


def test_a_link_to_the_git_directory_is_no_way_round(pack: Pack) -> None:
    (pack.root / "innocent").symlink_to(".git")
    assert not is_inside(pack.root / "innocent/config", pack.root)


@pytest.mark.parametrize("path", ["child", "child/x", "child/a/b"])
@pytest.mark.parametrize("is_file", [False, True])
def test_a_checkout_inside_the_checkout_is_somebody_elses(path: str, is_file: bool, pack: Pack) -> None:
    (pack.root / "child").mkdir()
    if is_file:  # a worktree, a submodule
        (pack.root / "child/.git").write_text("gitdir: elsewhere")
    else:
        (pack.root / "child/.git").mkdir()
    assert not is_inside(pack.root / path, pack.root)
