"""Whether a checkout may be taken away, and what goes with it: each rule is a test of one call."""

from __future__ import annotations

from pathlib import Path

import pytest

from grex.engine import ROOT, Graph
from grex.engine.keeping import Departure, Holding, depart, why_kept
from grex.errors import PackError
from grex.git import LocalWork
from grex.pack import parse_pack_spec
from tests.support.workspace import pack_yaml

WORK = {
    "edited": LocalWork(edited=("a",)),
    "untracked": LocalWork(untracked=("a",)),
    "stashed": LocalWork(stashes=1),
    "unpushed": LocalWork(unpushed=("topic",)),
    "operation-in-progress": LocalWork(operation="rebase"),
    "submodule-work": LocalWork(submodules=(("sub", "has a stash"),)),
}


@pytest.mark.parametrize(("code", "work"), WORK.items(), ids=WORK)
def test_work_that_is_nowhere_else_keeps_a_checkout_unless_it_is_forced(code: str, work: LocalWork) -> None:
    leave = why_kept(Holding(path="a", work=work))
    assert leave is not None
    assert leave.code == code
    assert "--force" in leave.hint
    assert why_kept(Holding(path="a", work=work), force=True) is None


@pytest.mark.parametrize(
    ("code", "holding"),
    [
        ("not-ours", Holding(path="a", is_owned=False)),
        ("interrupted", Holding(path="a", is_interrupted=True)),
        ("holds-repository", Holding(path="a", repositories=("x/y",))),
    ],
)
def test_what_is_whole_in_the_trash_may_be_forced(code: str, holding: Holding) -> None:
    leave = why_kept(holding)
    assert leave is not None
    assert leave.code == code
    assert why_kept(holding, force=True) is None


@pytest.mark.parametrize(
    ("code", "holding"),
    [
        ("holds-pack", Holding(path="a", staying=("a/b",))),
        ("linked-worktree", Holding(path="a", is_linked=True)),
        ("has-worktrees", Holding(path="a", worktrees=("/elsewhere",))),
    ],
)
def test_what_would_break_something_outside_of_it_stays_whatever_the_user_says(code: str, holding: Holding) -> None:
    for force in (False, True):
        leave = why_kept(holding, force=force)
        assert leave is not None
        assert leave.code == code
        assert leave.hint


def test_a_checkout_without_work_may_go() -> None:
    assert why_kept(Holding(path="a")) is None


def graph(tmp_path: Path, **children: list[str]) -> Graph:
    """A graph of packs by name; `root` declares its own children with a leading slash for the others'."""
    found = Graph(tmp_path, {})
    order = ["root", *(name for name in children if name != "root")]
    for name in order:
        declared = [{"url": f"https://example.invalid/{path.strip('/')}.git", "path": path} for path in children[name]]
        spec = parse_pack_spec(
            pack_yaml(name, children=declared).encode(), file=f"{name}/p.yaml", is_root=name == "root"
        )
        found.declare(ROOT if name == "root" else name, spec)
    return found


def departed(found: Graph, *chosen: str, recorded: tuple[str, ...] = ()) -> Departure:
    return depart(found.nodes, recorded, chosen)


def test_a_pack_takes_along_what_only_it_declares(tmp_path: Path) -> None:
    found = graph(tmp_path, root=["a", "b"], a=["/c", "/d"], b=["/d"])
    gone = departed(found, "a")
    assert gone.leaving == {"a", "c"}
    assert gone.staying == {"b", "d"}
    assert gone.undeclare == {"a"}


def test_a_pack_that_others_declare_as_well_stays_and_only_the_roots_entry_goes(tmp_path: Path) -> None:
    found = graph(tmp_path, root=["a", "b"], a=["/b"])
    gone = departed(found, "b")
    assert gone.leaving == frozenset()
    assert gone.undeclare == {"b"}
    assert "a/p.yaml:5" in gone.shared["b"]


def test_a_pack_of_another_ones_is_refused_with_the_place_to_edit(tmp_path: Path) -> None:
    found = graph(tmp_path, root=["a"], a=["/b"])
    with pytest.raises(PackError, match=r"b is declared by a, at a/p\.yaml:5"):
        departed(found, "b")


def test_a_pack_of_another_ones_may_be_named_together_with_it(tmp_path: Path) -> None:
    found = graph(tmp_path, root=["a"], a=["/b"])
    assert departed(found, "a", "b").leaving == {"a", "b"}


def test_what_nobody_declares_and_lies_in_what_goes_goes_too(tmp_path: Path) -> None:
    found = graph(tmp_path, root=["a", "b"])
    gone = departed(found, "a", recorded=("a", "a/old", "b/old", "b"))
    assert gone.leaving == {"a", "a/old"}


def test_packs_that_declare_each_other_do_not_keep_each_other(tmp_path: Path) -> None:
    found = graph(tmp_path, root=["a"], a=["/b"], b=["/c"], c=["/b"])
    assert departed(found, "a").leaving == {"a", "b", "c"}


def test_one_that_only_the_log_knows_goes_by_name(tmp_path: Path) -> None:
    found = graph(tmp_path, root=["a"])
    gone = departed(found, "old", recorded=("old",))
    assert gone.leaving == {"old"}
    assert gone.undeclare == frozenset()
