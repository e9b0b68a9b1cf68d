"""Which workspace a directory belongs to.

The tests build directories with `.grex/pack.yaml` in them and say in a table what each workspace declares and records.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

import pytest

from grex.errors import ManifestError, NotAWorkspaceError
from grex.pack import current_platform, read_declared_paths
from grex.workspace import find_workspace


class Tree:
    """Directories with a pack.yaml, and what is known about them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.declares: dict[tuple[str, str], set[str]] = {}
        self.records: dict[str, set[str]] = {}
        self.asked_records: list[str] = []

    def add(self, *paths: str) -> None:
        for path in paths:
            (self.root / path / ".grex").mkdir(parents=True)
            (self.root / path / ".grex/pack.yaml").touch()

    def recorded(self, workspace: Path) -> Collection[str]:
        name = workspace.relative_to(self.root).as_posix()
        self.asked_records.append(name)
        return self.records.get(name, set())

    def declared(self, workspace: Path, pack_path: str) -> Collection[str]:
        return self.declares.get((workspace.relative_to(self.root).as_posix(), pack_path), set())

    def find(self, start: str, explicit: str | None = None) -> str:
        found = find_workspace(
            self.root / start,
            explicit=None if explicit is None else self.root / explicit,
            recorded=self.recorded,
            declared=self.declared,
        )
        return found.relative_to(self.root).as_posix()


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    (tmp_path / "ws/libs/a/src").mkdir(parents=True)
    return Tree(tmp_path)


def test_the_nearest_directory_with_a_pack_yaml_is_the_workspace(tree: Tree) -> None:
    tree.add("ws")
    assert tree.find("ws") == "ws"
    assert tree.find("ws/libs/a/src") == "ws"
    assert tree.find("ws/libs/../libs/a") == "ws"


def test_a_declared_pack_belongs_to_its_workspace(tree: Tree) -> None:
    tree.add("ws", "ws/libs/a")
    tree.declares["ws", ""] = {"libs/a"}
    assert tree.find("ws/libs/a/src") == "ws"
    assert not tree.asked_records, "the log is read only when declarations do not answer"


def test_a_recorded_pack_belongs_to_its_workspace(tree: Tree) -> None:
    tree.add("ws", "ws/libs/a")
    tree.records["ws"] = {"libs/a"}
    assert tree.find("ws/libs/a/src") == "ws"


def test_a_workspace_inside_another_that_knows_nothing_of_it_is_its_own(tree: Tree) -> None:
    tree.add("ws", "ws/libs/a")
    tree.declares["ws", ""] = {"libs/b", "libs"}
    tree.records["ws"] = {"libs/ab", "lib"}
    assert tree.find("ws/libs/a/src") == "ws/libs/a"
    assert tree.find("ws/libs") == "ws"


def test_a_pack_of_a_pack_belongs_to_the_workspace(tree: Tree) -> None:
    tree.add("ws", "ws/libs/a", "ws/libs/a/src")
    tree.declares["ws", ""] = {"libs/a"}
    tree.declares["ws", "libs/a"] = {"libs/a/src"}
    assert tree.find("ws/libs/a/src") == "ws"


def test_packs_between_count_although_they_have_nothing_at_this_place(tree: Tree) -> None:
    tree.add("ws", "ws/libs/a/src")
    tree.declares["ws", ""] = {"libs"}
    tree.declares["ws", "libs"] = {"libs/a"}
    tree.declares["ws", "libs/a"] = {"libs/a/src"}
    assert tree.find("ws/libs/a/src") == "ws"


def test_a_recorded_pack_between_declares_too(tree: Tree) -> None:
    tree.add("ws", "ws/libs/a")
    tree.records["ws"] = {"libs"}
    tree.declares["ws", "libs"] = {"libs/a"}
    assert tree.find("ws/libs/a") == "ws"


def test_a_pack_cannot_make_itself_the_workspace_by_declaring_something(tree: Tree) -> None:
    tree.add("ws", "ws/libs/a", "ws/libs/a/src")
    tree.declares["ws", ""] = {"libs/a"}
    tree.declares["ws/libs/a", ""] = {"src"}
    tree.records["ws/libs/a"] = {"src"}
    assert tree.find("ws/libs/a") == "ws"
    # What the pack declares counts when the workspace asks it, by paths from the workspace.
    tree.declares["ws", "libs/a"] = {"libs/a/src"}
    assert tree.find("ws/libs/a/src") == "ws"


def test_what_lies_in_an_independent_workspace_is_judged_by_that(tree: Tree) -> None:
    tree.add("ws", "ws/libs", "ws/libs/a")
    tree.declares["ws/libs", ""] = {"a"}
    assert tree.find("ws/libs/a") == "ws/libs"


def test_packs_that_declare_each_other_do_not_hang_the_search(tree: Tree) -> None:
    tree.add("ws", "ws/libs/a/src")
    tree.declares["ws", ""] = {"libs"}
    tree.declares["ws", "libs"] = {"libs", "libs/a"}
    tree.declares["ws", "libs/a"] = {"libs", "libs/a"}
    assert tree.find("ws/libs/a/src") == "ws/libs/a/src"


def test_paths_are_compared_as_file_systems_do(tree: Tree) -> None:
    tree.add("ws", "ws/libs/a")
    tree.declares["ws", ""] = {"Libs/A"}
    assert tree.find("ws/libs/a") == "ws"


def test_a_start_through_a_link_is_where_the_link_leads(tree: Tree) -> None:
    tree.add("ws", "other")
    (tree.root / "ws/link").symlink_to(tree.root / "other")
    assert tree.find("ws/link") == "other"


def test_outside_of_any_workspace_the_next_step_is_named(tree: Tree) -> None:
    with pytest.raises(NotAWorkspaceError, match=r"is in no workspace") as caught:
        tree.find("ws/libs")
    assert caught.value.hint is not None
    assert "grex init" in caught.value.hint


def test_what_was_said_outright_is_the_workspace_wherever_one_is(tree: Tree) -> None:
    tree.add("ws", "other")
    assert tree.find("ws/libs", explicit="other") == "other"
    tree.declares["ws", ""] = {"libs/a"}
    tree.add("ws/libs/a")
    assert tree.find("ws", explicit="ws/libs/a") == "ws/libs/a"


def test_what_was_said_outright_has_to_be_one(tree: Tree) -> None:
    tree.add("ws")
    with pytest.raises(NotAWorkspaceError, match=r"libs' is not a workspace: it has no \.grex/pack\.yaml\."):
        tree.find("ws", explicit="ws/libs")


def test_a_directory_named_pack_yaml_makes_no_workspace(tree: Tree) -> None:
    tree.add("ws")
    (tree.root / "ws/libs/.grex/pack.yaml").mkdir(parents=True)
    assert tree.find("ws/libs") == "ws"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may give files away")
@pytest.mark.parametrize(
    ("outer", "inner", "found"),
    [
        (1234, 0, "ws/libs/a"),  # somebody put a workspace above ours
        (0, 1234, "ws"),  # root's is trusted, as root is
        (1234, 1234, "ws"),  # theirs within theirs
        (1234, 4321, "ws/libs/a"),
    ],
)
def test_an_outer_workspace_of_somebody_else_is_ignored(tree: Tree, outer: int, inner: int, found: str) -> None:
    tree.add("ws", "ws/libs/a")
    tree.declares["ws", ""] = {"libs/a"}
    os.chown(tree.root / "ws/.grex", outer, -1)
    os.chown(tree.root / "ws/libs/a/.grex", inner, -1)
    assert tree.find("ws/libs/a/src") == found


def test_with_real_files_a_broken_outer_pack_yaml_declares_nothing(tmp_path: Path) -> None:
    def find() -> Path:
        return find_workspace(
            tmp_path / "libs/a",
            explicit=None,
            recorded=lambda root: (),
            declared=lambda root, path: read_declared_paths(root, path, platform=current_platform()),
        )

    head = 'schema_version: "1"\nname: a\ntype: meta\n'
    for path in (".grex", "libs/a/.grex"):
        (tmp_path / path).mkdir(parents=True)
        (tmp_path / path / "pack.yaml").write_text(head)
    assert find() == tmp_path / "libs/a"
    (tmp_path / ".grex/pack.yaml").write_text(f"{head}children: [{{url: https://h/a, path: libs/a}}]\n")
    assert find() == tmp_path
    (tmp_path / ".grex/pack.yaml").write_text("[")
    assert find() == tmp_path / "libs/a"


@pytest.mark.parametrize("explicit", ["ws", None])
def test_a_directory_in_the_place_of_the_only_pack_yaml_is_named(tree: Tree, explicit: str | None) -> None:
    (tree.root / "ws/.grex/pack.yaml").mkdir(parents=True)
    with pytest.raises(ManifestError) as caught:
        tree.find("ws/libs", explicit)
    assert caught.value.message == f"{tree.root}/ws/.grex/pack.yaml is a directory, and has to be a file"
    assert caught.value.hint
    tree.add(".")
    assert tree.find("ws/libs") == "."
