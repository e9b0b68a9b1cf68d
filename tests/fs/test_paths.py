"""Canonical paths, and joins that stay inside."""

from __future__ import annotations

from pathlib import Path

import pytest

from grex.fs import UnsafeJoinError, canonical, safe_join


def test_canonical_collapses_links_and_dots_also_of_what_is_not_there_yet(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert canonical(tmp_path / "link/../link/new/file") == canonical(tmp_path / "real/new/file")
    assert canonical(tmp_path / "link/../link/new/file") == canonical(tmp_path) / "real/new/file"


def test_canonical_makes_relative_paths_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert canonical("x") == canonical(tmp_path) / "x"


@pytest.mark.parametrize("relative", ["a", "a/b/c", "...", "a b/ü", ".grex/trash", "-x"])
def test_a_plain_relative_path_is_joined_as_written(tmp_path: Path, relative: str) -> None:
    assert safe_join(tmp_path, relative) == tmp_path / relative


@pytest.mark.parametrize(
    ("relative", "reason"),
    [
        ("", "empty segment"),
        (".", "empty segment"),
        ("a/./b", "empty segment"),
        ("a//b", "empty segment"),
        ("a/", "empty segment"),
        ("/a", "absolute"),
        ("..", "goes up"),
        ("a/../b", "goes up"),
        ("a/..", "goes up"),
        ("a\0b", "NUL"),
    ],
)
def test_a_path_that_is_not_plainly_below_is_refused_with_the_reason(
    tmp_path: Path, relative: str, reason: str
) -> None:
    with pytest.raises(UnsafeJoinError, match=reason):
        safe_join(tmp_path, relative)


def test_a_linked_directory_that_leads_out_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "inside").mkdir(parents=True)
    (root / "out").symlink_to(tmp_path)
    (root / "sibling").symlink_to("../root-not")
    (root / "in").symlink_to("inside")
    (root / "inside/back").symlink_to("../../..")
    for relative in ("out/file", "out/root/inside/file", "in/back/x", "sibling/x"):
        with pytest.raises(UnsafeJoinError, match="link that leads to"):
            safe_join(root, relative)
    assert safe_join(root, "in/file") == root / "in/file"


def test_the_last_segment_may_be_a_link_and_is_not_followed(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "pack").symlink_to(tmp_path)
    assert safe_join(root, "pack") == root / "pack"


def test_a_root_that_is_reached_through_a_link_is_no_escape(tmp_path: Path) -> None:
    (tmp_path / "real/a").mkdir(parents=True)
    (tmp_path / "root").symlink_to("real")
    assert safe_join(tmp_path / "root", "a/b") == tmp_path / "root/a/b"
