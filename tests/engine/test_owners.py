"""What a pack has done at a place that another one had given up is spared by the teardown of that other one.

Every story begins in the same way: pack `a` installs something, names it no longer, and the user takes it away, so the
place is free; then pack `b` installs what cannot be told from it.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from grex.engine.teardown import TeardownOutcome
from grex.verbs.sync import SyncRequest
from grex.verbs.teardown import TeardownRequest, teardown
from grex.verbs.update import UpdateRequest, update
from tests.support.git_server import GitServer
from tests.support.place import Place, by_path
from tests.support.sandbox import snapshot
from tests.support.workspace import pack_yaml

pytestmark = pytest.mark.anyio

OTHER = {"mkdir": {"path": "~/other"}}


@pytest.fixture
def anyio_backend() -> str:
    """One event loop: what is asked here does not depend on it."""
    return "asyncio"


class Packs:
    """Packs that are declared and installed one after the other, in a home with one file of the user's."""

    def __init__(self, base: Path) -> None:
        self.server = GitServer(base / "server")
        self.place = Place(base, trust=(self.server.root.as_uri(), "."))
        self.home = self.place.home
        (self.home / "mine").write_text("the user's\n")
        self.start = snapshot(self.home)
        self.known: list[str] = []

    async def install(self, *, force: bool = False, b_needs_a: bool = False, **actions: Mapping[str, object]) -> None:
        """Let packs declare one action each, and bring all packs up to date."""
        for name, action in actions.items():
            needs = {"depends_on": ["a"]} if b_needs_a and name == "b" else {}
            text = pack_yaml(name, "declarative", actions=[action], **needs)
            files = {".grex/pack.yaml": text, "f": "the same\n"}
            (self.server.commit if name in self.known else self.server.create)(name, files)
        self.known += [name for name in actions if name not in self.known]
        self.place.declare(*({"url": self.server.url(name)} for name in self.known))
        report = await update(UpdateRequest(SyncRequest(self.place.root), force=force), self.place.settings())
        assert [
            pack.install.error for pack in by_path(report.sync).values() if pack.install and pack.install.error
        ] == []

    async def teardown(self, *packs: str, dry_run: bool = False) -> TeardownOutcome | None:
        report = await teardown(TeardownRequest(self.place.root, packs, dry_run=dry_run), self.place.settings())
        assert report.exit_code == 0
        return report.packs[0] if len(report.packs) == 1 else None


@pytest.fixture
def packs(tmp_path: Path) -> Packs:
    return Packs(tmp_path)


def copy(dst: str) -> Mapping[str, object]:
    return {"copy": {"src": "f", "dst": dst}}


async def test_a_copy_that_another_pack_has_made_since_stays(packs: Packs) -> None:
    await packs.install(a=copy("~/rc"))
    await packs.install(a=OTHER)
    (packs.home / "rc").unlink()
    await packs.install(b=copy("~/rc"))
    note = f"{packs.home}/rc stays: b has installed it since"
    told = await packs.teardown("a", dry_run=True)
    assert told is not None
    assert told.changes == (f"undo mkdir {packs.home}/other",)
    assert told.notes == (note,)
    done = await packs.teardown("a")
    assert done is not None
    assert done.notes == (note,)
    assert (packs.home / "rc").read_text() == "the same\n"
    await packs.teardown("b")
    assert snapshot(packs.home) == packs.start


async def test_an_earlier_version_of_the_copy_does_not_take_it_away_either(packs: Packs) -> None:
    """The undo of the first version takes away whatever the pack has had there."""
    await packs.install(a=copy("~/rc"))
    packs.server.commit("a", {"g": "another version\n"})
    await packs.install(a={"copy": {"src": "g", "dst": "~/rc"}})
    await packs.install(a=OTHER)
    (packs.home / "rc").unlink()
    await packs.install(b=copy("~/rc"))
    await packs.teardown("a")
    assert (packs.home / "rc").read_text() == "the same\n"


async def test_a_link_to_the_same_file_that_another_pack_has_made_since_stays(packs: Packs) -> None:
    shared = packs.place.root.parent / "shared"
    shared.write_text("everybody's\n")
    link = {"symlink": {"src": str(shared), "dst": "~/rc"}}
    await packs.install(a=link)
    await packs.install(a=OTHER)
    (packs.home / "rc").unlink()
    await packs.install(b=link)
    await packs.teardown("a")
    assert (packs.home / "rc").readlink() == shared
    await packs.teardown("b")
    assert snapshot(packs.home) == packs.start


@pytest.mark.parametrize(
    "first", [{"mkdir": {"path": "~/box"}}, copy("~/box/rc"), {"symlink": {"src": "f", "dst": "~/box/rc"}}]
)
async def test_an_empty_directory_that_another_pack_has_made_since_stays(
    packs: Packs, first: Mapping[str, object]
) -> None:
    await packs.install(a=first)
    await packs.install(a=OTHER)
    shutil.rmtree(packs.home / "box")
    await packs.install(b={"mkdir": {"path": "~/box"}})
    await packs.teardown("a")
    assert (packs.home / "box").is_dir()
    await packs.teardown("b")
    assert snapshot(packs.home) == packs.start


async def test_a_file_of_another_packs_checkout_stays_though_a_link_leads_to_it_by_now(packs: Packs) -> None:
    await packs.install(a=copy("~/box/f"))
    await packs.install(a=OTHER)
    shutil.rmtree(packs.home / "box")
    await packs.install(b={"symlink": {"src": ".", "dst": "~/box"}})
    await packs.teardown("a")
    assert (packs.place / "b/f").read_text() == "the same\n"


@pytest.mark.parametrize("last", ["a", "b"])
async def test_the_place_is_the_last_ones_whoever_had_it_before(packs: Packs, last: str) -> None:
    """`a`, then `b`, then `a` again: what is there is taken back with `a`, and spared by `b`."""
    await packs.install(a=copy("~/rc"))
    await packs.install(a=OTHER)
    (packs.home / "rc").unlink()
    await packs.install(b=copy("~/rc"))
    await packs.install(b={"mkdir": {"path": "~/another"}})
    (packs.home / "rc").unlink()
    await packs.install(a=copy("~/rc"))
    if last == "a":
        await packs.teardown("b")
        assert (packs.home / "rc").exists()
    await packs.teardown("a")
    assert not (packs.home / "rc").exists()
    await packs.teardown()
    assert snapshot(packs.home) == packs.start


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a"), ("a b",)])
async def test_torn_down_in_any_order_nothing_is_left(packs: Packs, order: tuple[str, ...]) -> None:
    """Together, `b` comes first, for it depends on `a`: what it would have had is nobody's by then."""
    await packs.install(a=copy("~/box/rc"))
    shutil.rmtree(packs.home / "box")
    await packs.install(b={"mkdir": {"path": "~/box"}}, b_needs_a=len(order) == 1)
    await packs.install(force=True)
    assert (packs.home / "box/rc").exists()
    for names in order:
        await packs.teardown(*names.split())
    assert snapshot(packs.home) == packs.start


async def test_a_user_who_makes_a_file_of_his_own_at_a_place_that_was_given_up_keeps_no_pack_out_by_it(
    packs: Packs,
) -> None:
    await packs.install(a=copy("~/rc"))
    await packs.install(a=OTHER)
    (packs.home / "rc").write_text("the user's own\n")
    await packs.install(b={"copy": {"src": "f", "dst": "~/rc", "backup": True}})
    assert (packs.home / "rc").read_text() == "the same\n"
    await packs.teardown()
    assert (packs.home / "rc").read_text() == "the user's own\n"


async def test_a_place_that_the_root_has_left_is_made_free_by_hand_for_its_teardown_is_one_of_all_packs(
    packs: Packs,
) -> None:
    await packs.install(a={"mkdir": {"path": "~/unrelated"}})
    (packs.place / "f").write_text("the root's\n")
    child = {"url": packs.server.url("a")}
    (packs.home / "rc").write_text("the user's own\n")
    rc = {"copy": {"src": "f", "dst": "~/rc", "backup": True}}
    packs.place.declare(child, type="declarative", actions=[rc])
    await packs.place.sync()
    packs.place.declare(child, type="declarative", actions=[OTHER])
    text = pack_yaml("a", "declarative", actions=[rc])
    packs.server.commit("a", {".grex/pack.yaml": text})
    report = await update(UpdateRequest(SyncRequest(packs.place.root)), packs.place.settings())
    failed = by_path(report.sync)["a"].install
    assert failed is not None
    assert failed.error is not None
    assert failed.error.hint == (
        f"Take {packs.home}/rc away by hand, and give what is kept beside as `.grex-bak.` its name back, then"
        " `grex sync`, which installs what they name now."
    )
    (backup,) = packs.home.glob("rc.grex-bak.*")
    backup.replace(packs.home / "rc")
    assert (await packs.place.sync()).exit_code == 0
    assert (packs.home / "rc").read_text() == "the same\n"
    await packs.teardown()
    assert (packs.home / "rc").read_text() == "the user's own\n"
