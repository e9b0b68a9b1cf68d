"""What lies on the disk, and which packs a PACK argument means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from grex.engine import Survey, survey
from grex.engine.survey import absent_above, named
from grex.errors import ConfigError, ManifestError, UsageError
from grex.manifest import LockLine
from tests.support.git_server import GitServer, git
from tests.support.place import Place
from tests.support.workspace import pack_yaml


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def checkout(place: Place, path: str, text: str | None = None) -> None:
    """A repository as git would leave it, without a commit; that is all a survey looks at."""
    root = place.root / path
    root.mkdir(parents=True)
    git(root, "init", "--quiet")
    if text is not None:
        (root / ".grex").mkdir()
        (root / ".grex/pack.yaml").write_text(text)


def child(path: str, url: str | None = None) -> dict[str, str]:
    return {"url": url or f"https://host.example/{path.replace('/', '-')}", "path": path}


def line(path: str, *parents: str) -> LockLine:
    return LockLine(path=path, url="https://host.example/x", ref=None, branch="main", sha="1" * 40, type="plain",
                    parents=parents or (".",))  # fmt: skip


def looked(place: Place) -> Survey:
    return survey(place.session().layout, "linux")


@pytest.fixture
def nested(place: Place) -> Place:
    """The root owns a and b; a, which is there, owns a/x and a/core; b is absent."""
    place.declare(child("a"), child("b"), child("libs/core"))
    checkout(place, "a", pack_yaml("apples", children=[child("x"), child("core")]))
    checkout(place, "a/x")
    return place


def test_a_survey_reads_from_the_root_as_far_down_as_there_are_checkouts(nested: Place) -> None:
    found = looked(nested)
    assert [node.path for node in found.nodes()] == ["a", "a/core", "a/x", "b", "libs/core"]
    assert {path: state.kind for path, state in found.states.items()} == {
        "a": "checkout",
        "a/core": "absent",
        "a/x": "checkout",
        "b": "absent",
        "libs/core": "absent",
    }
    assert found.errors == {}
    assert found.graph.nodes["a"].name == "apples"


def test_a_survey_writes_nothing(nested: Place) -> None:
    before = sorted(str(path) for path in nested.root.rglob("*"))
    looked(nested)
    assert sorted(str(path) for path in nested.root.rglob("*")) == before


def test_a_pack_with_a_bad_pack_yaml_is_an_error_of_its_own(nested: Place) -> None:
    (nested / "a/.grex/pack.yaml").write_text("nonsense: [")
    found = looked(nested)
    assert [node.path for node in found.nodes()] == ["a", "b", "libs/core"]
    assert found.errors["a"].code == "pack.spec"


def test_a_conflict_is_told_and_not_followed(place: Place) -> None:
    place.declare(child("a"), child("c", "https://host.example/one"))
    checkout(place, "a", pack_yaml("a", children=[child("/c", "https://host.example/two")]))
    assert "is declared differently" in looked(place).errors["c"].message


@pytest.mark.parametrize("text", [None, "name: [", pack_yaml("root", nonsense=1)])
def test_a_root_that_cannot_be_read_is_a_failure_of_the_manifest(place: Place, text: str | None) -> None:
    (place / ".grex").mkdir()
    if text is not None:
        (place / ".grex/pack.yaml").write_text(text)
    with pytest.raises(ManifestError) as caught:
        looked(place)
    assert caught.value.exit_code == 3
    assert caught.value.hint


def test_overrides_of_this_machine_win_over_those_of_the_root(place: Place) -> None:
    place.declare(child("a"), overrides=[{"path": "a", "ref": "team"}])
    assert looked(place).graph.nodes["a"].ref == "team"
    (place / ".grex/local.yaml").write_text('overrides: [{"path": "a", "ref": "mine"}]\n')
    assert looked(place).graph.nodes["a"].ref == "mine"
    (place / ".grex/local.yaml").write_text("overrides: 3\n")
    with pytest.raises(ConfigError, match=r"\.grex/local\.yaml"):
        looked(place)


# -- named, absent_above -----------------------------------------------------------------------------------------------


def select(found: Survey, lines: Mapping[str, LockLine], wanted: Sequence[str]) -> set[str]:
    chosen = named(found, lines, wanted)
    return chosen | absent_above(chosen, found, lines)


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [
        (["a"], {"a"}),
        (["./a/"], {"a"}),
        (["a/x"], {"a/x"}),
        (["x"], {"a/x"}),
        (["apples"], {"a"}),
        (["libs/core"], {"libs/core"}),
        (["a", "b", "x"], {"a", "b", "a/x"}),
    ],
)
def test_a_pack_is_meant_by_its_path_or_its_unique_name(nested: Place, wanted: list[str], chosen: set[str]) -> None:
    assert select(looked(nested), {}, wanted) == chosen


def test_no_argument_means_all(nested: Place) -> None:
    assert select(looked(nested), {}, []) == set()


def test_a_name_of_several_packs_is_refused_with_their_paths(nested: Place) -> None:
    with pytest.raises(UsageError, match="'core' is the name of several packs: a/core, libs/core") as caught:
        select(looked(nested), {}, ["core"])
    assert "path" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("wanted", "hint"),
    [
        ("aples", "Did you mean 'apples'?"),
        ("libs/cor", "Did you mean 'libs/core'?"),
        ("zzzzzz", "`grex ls` lists the packs."),
    ],
)
def test_an_unknown_pack_is_refused_with_the_closest_one(nested: Place, wanted: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        select(looked(nested), {}, [wanted])
    assert caught.value.message == f"there is no pack {wanted!r} in this workspace"
    assert caught.value.hint == hint
    assert caught.value.exit_code == 2


def test_control_characters_of_an_argument_do_not_reach_the_terminal(nested: Place) -> None:
    with pytest.raises(UsageError) as caught:
        select(looked(nested), {}, ["\x1b[31mred"])
    assert "\x1b" not in caught.value.message


def test_a_pack_that_only_the_lockfile_knows_is_chosen_with_the_absent_ones_above_it(nested: Place) -> None:
    lines = {found.path: found for found in (line("b"), line("b/in", "b"), line("b/in/deep", "b/in", "a"))}
    assert select(looked(nested), lines, ["deep"]) == {"b/in/deep", "b/in", "b"}
    assert select(looked(nested), lines, ["a/core"]) == {"a/core"}


def test_a_lockfile_that_goes_in_circles_does_not_hang(nested: Place) -> None:
    lines = {found.path: found for found in (line("p", "q"), line("q", "p"))}
    assert select(looked(nested), lines, ["p"]) == {"p", "q"}


def test_a_server_is_not_asked(tmp_path: Path) -> None:
    place = Place(tmp_path)
    server = GitServer(tmp_path / "up")
    place.declare({"url": server.url("never-made"), "path": "a"})
    assert looked(place).states["a"].kind == "absent"
