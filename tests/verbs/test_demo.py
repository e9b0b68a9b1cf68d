"""`grex demo`: needs only git, keeps nothing of its trust, and replaces only an earlier demo."""

from __future__ import annotations

from pathlib import Path

import pytest

from grex.errors import UsageError
from grex.verbs.demo import DemoRequest, demo
from tests.support.place import Place
from tests.support.unprivileged import unprivileged_directory

pytestmark = pytest.mark.anyio


async def test_a_demo_shows_three_levels_a_diamond_and_what_a_push_changes(place: Place, tmp_path: Path) -> None:
    report = await demo(DemoRequest(tmp_path / "demo"), place.settings())
    assert report.exit_code == 0
    shared = next(pack for pack in report.tree.packs if pack.path == "libs/common")
    assert shared.parents == ("services/api", "services/web")
    assert (tmp_path / "demo/workspace/robots/arm/driver/driver.py").exists()
    assert (tmp_path / "demo/workspace/services/api/setup.log").read_text() == "set up api\n"
    assert [pack.path for pack in report.second.packs if pack.status == "moved"] == [report.pushed]


async def test_the_trust_of_a_demo_ends_with_it(place: Place, tmp_path: Path) -> None:
    await demo(DemoRequest(tmp_path / "demo"), place.settings())
    stored = "".join(path.read_text() for path in place.defaults.state_dir.rglob("*.json"))
    assert "upstream" not in stored


@pytest.mark.parametrize("what", ["file", "directory", "link"])
async def test_what_is_somebodys_is_left_alone(place: Place, tmp_path: Path, what: str) -> None:
    target = tmp_path / "mine"
    real = tmp_path / "real"
    real.mkdir()
    (real / "notes").write_text("mine")
    (real / ".grex-demo").touch()
    if what == "file":
        target.write_text("mine")
    elif what == "directory":
        target.mkdir()
        (target / "notes").write_text("mine")
    else:
        target.symlink_to(real)
    with pytest.raises(UsageError, match="is no earlier demo"):
        await demo(DemoRequest(target), place.settings())
    assert (real / "notes").exists()
    assert target.exists()


async def test_a_place_that_cannot_be_written_to_is_refused_in_one_sentence(place: Place) -> None:
    with unprivileged_directory() as mine:
        mine.chmod(0o500)
        with pytest.raises(UsageError, match=r"the demo in .* cannot be made: Permission denied"):
            await demo(DemoRequest(mine / "demo"), place.settings())
