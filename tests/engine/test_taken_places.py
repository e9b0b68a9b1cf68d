"""A place that one pack has given up and not taken back: no other takes it over, and the error says what makes room.

If the newcomer moved away what is there, as if it were the user's, each of the two teardowns would take the other's for
something foreign: what the user had there at first would stay a backup, and a link of ours would stay for ever.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from grex.errors import ClaimError, GrexError
from grex.verbs.sync import SyncReport, SyncRequest
from grex.verbs.teardown import TeardownRequest, teardown
from grex.verbs.update import UpdateRequest, update
from tests.support.git_server import GitServer
from tests.support.place import Place, by_path
from tests.support.sandbox import snapshot
from tests.support.workspace import pack_yaml

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """One event loop: what is asked here does not depend on it."""
    return "asyncio"


class Two:
    """Two packs, `a` and `b`, with one action each, in a home where something of the user's is in every place."""

    def __init__(self, base: Path) -> None:
        self.server = GitServer(base / "server")
        self.place = Place(base, trust=(self.server.root.as_uri(),))
        for name in ("x", "y"):
            (self.place.home / name).write_text(f"the user's {name}\n")
        (self.place.home / "old").mkdir()
        self.start = snapshot(self.place.home)

    def declare(self, **actions: dict[str, object]) -> None:
        is_new = not (self.place.root / ".grex").exists()
        for name, action in actions.items():
            text = pack_yaml(name, "declarative", actions=[action])
            (self.server.create if is_new else self.server.commit)(name, {".grex/pack.yaml": text, "f": f"{name}'s\n"})
        if is_new:
            self.place.declare(*({"url": self.server.url(name)} for name in actions))

    async def update(self, *, force: bool = False) -> dict[str, GrexError | None]:
        report: SyncReport = (
            await update(UpdateRequest(SyncRequest(self.place.root), force=force), self.place.settings())
        ).sync
        return {
            path: None if pack.install is None else pack.install.error
            for path, pack in by_path(report).items()
            if path in ("a", "b")
        }

    async def teardown(self, *packs: str) -> None:
        report = await teardown(TeardownRequest(self.place.root, packs), self.place.settings())
        assert report.exit_code == 0

    def names(self) -> dict[str, str]:
        """Whose file each place gives."""
        return {name: (self.place.home / name).read_text() for name in ("x", "y")}


def symlink(dst: str) -> dict[str, object]:
    return {"symlink": {"src": "f", "dst": f"~/{dst}", "backup": True}}


def copy(dst: str) -> dict[str, object]:
    return {"copy": {"src": "f", "dst": f"~/{dst}", "backup": True}}


@pytest.fixture
def two(tmp_path: Path) -> Two:
    return Two(tmp_path)


@pytest.mark.parametrize("force", [False, pytest.param(True, marks=pytest.mark.slow)])
async def test_packs_that_swap_their_places_are_refused_until_they_are_torn_down(two: Two, force: bool) -> None:
    two.declare(a=symlink("x"), b=symlink("y"))
    await two.update()
    installed = snapshot(two.place.home)
    two.declare(a=symlink("y"), b=symlink("x"))
    for _ in range(2):
        refused = await two.update(force=force)
        for path, other, place in (("a", "b", "y"), ("b", "a", "x")):
            error = refused[path]
            assert isinstance(error, ClaimError)
            assert error.message == (
                f"{path} wants {two.place.home}/{place} at {path}/.grex/pack.yaml:5:6, and {other}, which has installed"
                " it and does not want it any more, has not taken it back"
            )
            assert error.hint == "`grex teardown a b`, then `grex sync`, which installs what they name now."
        assert snapshot(two.place.home) == installed
    await two.teardown("a", "b")
    assert snapshot(two.place.home) == two.start
    assert await two.update() == {"a": None, "b": None}
    assert two.names() == {"x": "b's\n", "y": "a's\n"}
    await two.teardown()
    assert snapshot(two.place.home) == two.start


@pytest.mark.slow
@pytest.mark.parametrize(
    ("given_up", "wanted"),
    [
        (symlink("x"), copy("x")),
        (copy("x"), symlink("x")),
        ({"rmdir": {"path": "~/old"}}, {"mkdir": {"path": "~/old"}}),
        ({"mkdir": {"path": "~/made/deep"}}, symlink("made")),
    ],
)
async def test_what_one_pack_has_given_up_goes_to_the_other_after_a_teardown_of_the_first_alone(
    two: Two, given_up: dict[str, object], wanted: dict[str, object]
) -> None:
    two.declare(a=given_up, b=symlink("y"))
    await two.update()
    two.declare(a={"mkdir": {"path": "~/elsewhere"}}, b=wanted)
    refused = await two.update()
    assert refused["a"] is None
    assert "`grex teardown a`" in ((refused["b"] and refused["b"].hint) or "")
    await two.teardown("a")
    assert await two.update() == {"a": None, "b": None}
    await two.teardown()
    assert snapshot(two.place.home) == two.start


async def test_a_place_that_is_as_before_is_given_up_whatever_the_log_says(two: Two) -> None:
    (two.place.home / "x").unlink()
    two.declare(a=symlink("x"), b=symlink("y"))
    await two.update()
    two.declare(a={"mkdir": {"path": "~/made"}}, b=symlink("x"))
    assert (await two.update())["b"] is not None
    (two.place.home / "x").unlink()
    assert await two.update() == {"a": None, "b": None}
    assert (two.place.home / "x").read_text() == "b's\n"


async def test_a_pack_takes_over_its_own_places_and_one_that_is_gone_keeps_what_it_had(two: Two) -> None:
    two.declare(a=symlink("x"), b=symlink("y"))
    await two.update()
    two.declare(a=copy("x"))
    assert (await two.update())["a"] is None
    two.place.declare({"url": two.server.url("b")})
    shutil.rmtree(two.place / "a")
    two.declare(b=symlink("x"))
    error = (await two.update())["b"]
    assert error is not None
    assert "`grex teardown a`" in (error.hint or "")
    await two.teardown("a")
    assert await two.update() == {"b": None}
    await two.teardown()
    assert snapshot(two.place.home) == two.start
