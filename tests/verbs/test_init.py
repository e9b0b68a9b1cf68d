"""`grex init`: a workspace completely or not at all, hidden and trusted, and an existing one left alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from grex.engine import survey
from grex.errors import UsageError
from grex.verbs.init import InitReport, InitRequest, init
from grex.workspace import Layout, TrustStore
from tests.support.git_server import git
from tests.support.place import Place

pytestmark = pytest.mark.anyio


async def test_a_new_workspace_is_an_empty_meta_pack_that_its_maker_trusts(place: Place) -> None:
    root = place.root / "deep/My Tools!"
    report = await init(InitRequest(root), place.settings())
    assert report == InitReport(root, created=True)
    found = survey(Layout(root), "linux").root_spec
    assert (found.name, found.type, found.children) == ("my-tools", "meta", ())
    assert TrustStore(place.defaults.state_dir, root).trusts_root()


@pytest.mark.parametrize(
    ("directory", "name"), [("9lives", "workspace-9lives"), ("_", "workspace"), ("ÄÖ", "workspace")]
)
async def test_a_name_is_made_of_what_the_directory_offers(place: Place, directory: str, name: str) -> None:
    await init(InitRequest(place.root / directory), place.settings())
    assert survey(Layout(place.root / directory), "linux").root_spec.name == name


async def test_an_existing_workspace_is_left_alone_and_its_root_gets_no_trust(place: Place) -> None:
    place.declare()
    before = {path: path.read_bytes() for path in place.root.rglob("*") if path.is_file()}
    report = await init(InitRequest(place.root, name="other"), place.settings())
    assert not report.created
    assert {path: path.read_bytes() for path in place.root.rglob("*") if path.is_file()} == before
    assert not TrustStore(place.defaults.state_dir, place.root).trusts_root()


@pytest.mark.parametrize("name", ["", "Tools", "9", "a b", "a/b", "-x"])
async def test_a_name_that_is_none_is_refused_before_anything_is_made(place: Place, name: str) -> None:
    with pytest.raises(UsageError, match="is no pack name"):
        await init(InitRequest(place.root / "new", name=name), place.settings())
    assert not (place / "new").exists()


async def test_a_file_in_the_place_is_refused(place: Place) -> None:
    (place / "file").write_text("mine")
    with pytest.raises(UsageError, match="is a file"):
        await init(InitRequest(place.root / "file"), place.settings())


async def test_a_repository_around_it_sees_only_the_declaration(place: Place) -> None:
    git(place.root, "init", "--quiet")
    (place / ".gitignore").write_text("build/\n")
    await init(InitRequest(place.root), place.settings())
    assert git(place.root, "status", "--porcelain", "-uall").split() == ["??", ".gitignore", "??", ".grex/pack.yaml"]
    assert (place / ".gitignore").read_text() == "build/\n"


async def test_with_gitignore_the_block_stands_there_and_the_users_lines_stay(place: Place) -> None:
    git(place.root, "init", "--quiet")
    (place / ".gitignore").write_text("build/\n")
    exclude = place / ".git/info/exclude"
    before = exclude.read_bytes() if exclude.exists() else b""
    await init(InitRequest(place.root, gitignore=True), place.settings())
    assert (place / ".gitignore").read_text().startswith("build/\n")
    assert git(place.root, "status", "--porcelain", "-uall").split() == ["??", ".gitignore", "??", ".grex/pack.yaml"]
    assert (exclude.read_bytes() if exclude.exists() else b"") == before


async def test_the_platform_does_not_matter(place: Place, tmp_path: Path) -> None:
    report = await init(InitRequest(tmp_path / "x"), replace(place.defaults, platform="windows"))
    assert report.created
