"""`grex init`: a workspace completely or not at all, hidden and trusted, and an existing one left alone."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from msgspec.structs import replace

from grex.engine import survey
from grex.errors import ConfigError, ManifestError, UsageError
from grex.verbs import init as init_module
from grex.verbs.init import InitReport, InitRequest, init
from grex.workspace import Layout, TrustStore
from tests.support.git_server import git
from tests.support.place import Place
from tests.support.unprivileged import unprivileged_directory

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


@pytest.mark.parametrize("below", ["", "deep/down"])
async def test_a_place_in_which_nothing_can_be_made_is_refused_in_one_sentence(place: Place, below: str) -> None:
    with unprivileged_directory() as mine:
        mine.chmod(0o500)
        with pytest.raises(UsageError, match=r"the workspace .* cannot be made: Permission denied \(") as caught:
            await init(InitRequest(mine / "new" / below), place.settings())
        assert caught.value.hint
        assert list(mine.iterdir()) == []
        mine.chmod(0o000)  # not even looked into
        with pytest.raises(UsageError, match="cannot be made"):
            await init(InitRequest(mine / "new" / below), place.settings())


async def test_a_full_disk_leaves_no_half_a_workspace(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, data: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(init_module, "replace_file", full)
    with pytest.raises(UsageError, match="No space left on device"):
        await init(InitRequest(place.root), place.settings())
    assert not (place / ".grex/pack.yaml").exists()
    monkeypatch.undo()
    assert (await init(InitRequest(place.root), place.settings())).created


async def test_a_workspace_whose_root_cannot_be_trusted_is_not_made(place: Place) -> None:
    """What would be left is a workspace that the next init reports and whose own actions nobody had allowed."""
    state = place.defaults.state_dir
    state.write_text("a file where the directory should be")
    with pytest.raises(ConfigError, match="the trust file"):
        await init(InitRequest(place.root), place.settings())
    assert not (place / ".grex/pack.yaml").exists()
    state.unlink()
    assert (await init(InitRequest(place.root), place.settings())).created
    assert TrustStore(state, place.root).trusts_root()


@pytest.mark.parametrize("is_made_first", [True, False])
async def test_gitignore_is_written_where_no_repository_is_yet_and_into_a_workspace_that_is_there(
    place: Place, *, is_made_first: bool
) -> None:
    """People make the repository after the workspace as often as before it."""
    if is_made_first:
        await init(InitRequest(place.root), place.settings())
        assert not (place / ".gitignore").exists()
    (place / ".gitignore").write_text("build/\n")
    report = await init(InitRequest(place.root, gitignore=True), place.settings())
    assert report == InitReport(place.root, created=not is_made_first, gitignore_changed=True)
    assert (place / ".gitignore").read_text().startswith("build/\n")
    git(place.root, "init", "--quiet")
    assert git(place.root, "status", "--porcelain", "-uall").split() == ["??", ".gitignore", "??", ".grex/pack.yaml"]
    again = await init(InitRequest(place.root, gitignore=True), place.settings())
    assert again == InitReport(place.root, created=False)


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


async def test_a_workspace_around_it_is_named_with_whose_commands_count(place: Place) -> None:
    place.declare({"url": "https://host.example/mine"})
    stranger = await init(InitRequest(place.root / "own"), place.settings())
    assert (stranger.outer, stranger.belongs_to_outer) == (place.root, False)
    declared = await init(InitRequest(place.root / "mine"), place.settings())
    assert (declared.outer, declared.belongs_to_outer) == (place.root, True)
    assert declared.to_json()["outer"] == str(place.root)


async def test_a_directory_in_the_place_of_its_pack_yaml_is_refused(place: Place) -> None:
    (place.root / ".grex/pack.yaml").mkdir(parents=True)
    with pytest.raises(ManifestError, match="is a directory, and has to be a file"):
        await init(InitRequest(place.root), place.settings())
