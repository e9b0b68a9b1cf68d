"""`grex run KIND` where two packs want one place: nothing is run of those that it asks about, and all else is."""

from __future__ import annotations

from pathlib import Path

import pytest

from grex.errors import ClaimError
from grex.verbs.run import RunReport, RunRequest, run
from tests.support.git_server import GitServer
from tests.support.place import Place
from tests.support.workspace import pack_yaml

pytestmark = pytest.mark.anyio

COPY: dict[str, object] = {"copy": {"src": "f", "dst": "~/rc"}}
LINK: dict[str, object] = {"symlink": {"src": "f", "dst": "~/rc"}}


@pytest.fixture
def anyio_backend() -> str:
    """One event loop: what is asked here does not depend on it."""
    return "asyncio"


async def brought(base: Path, *, trusted: str = "", groups: str = "", **actions: list[dict[str, object]]) -> Place:
    """A workspace with packs, of which a sync without installs has brought all."""
    server = GitServer(base / "server")
    place = Place(base, trust=(server.url(trusted) if trusted else server.root.as_uri(),))
    for name, declared in actions.items():
        text = pack_yaml(name, "declarative", actions=declared)
        server.create(name, {".grex/pack.yaml": text, "f": f"{name}'s\n"})
    place.declare(*({"url": server.url(name)} for name in actions))
    await place.sync(no_install=True)
    if groups:
        place.declare(*({"url": server.url(name), "groups": [name]} for name in actions))
        (place / ".grex/local.yaml").write_text(f"groups: {groups}\n")
    return place


async def ran(place: Place, name: str, **keys: object) -> tuple[dict[str, str], RunReport]:
    report = await run(RunRequest(root=place.root, name=name, **keys), place.settings())  # type: ignore[arg-type]  # as a test gives them
    return {pack.path: pack.status for pack in report.packs}, report


async def test_two_packs_that_copy_to_one_place_are_both_refused_and_told_where(tmp_path: Path) -> None:
    """One of them is inside a `when` that holds."""
    place = await brought(
        tmp_path,
        a=[COPY],
        b=[{"when": {"none_of": [{"os": "windows"}], "actions": [COPY]}}],
        c=[{"copy": {"src": "f", "dst": "~/c"}}],
    )
    statuses, report = await ran(place, "copy")
    assert statuses == {"a": "failed", "b": "failed", "c": "ran"}
    errors = [pack.error for pack in report.packs if pack.error is not None]
    assert all(isinstance(error, ClaimError) for error in errors)
    assert f"two packs want {place.home}/rc: a at a/.grex/pack.yaml:" in errors[0].message
    assert sorted(path.name for path in place.home.iterdir()) == ["c"]
    assert (await ran(place, "copy", packs=("a",)))[0] == {"a": "failed"}
    assert (await ran(place, "copy", dry_run=True))[0]["a"] == "failed"


async def test_a_when_that_does_not_hold_claims_nothing(tmp_path: Path) -> None:
    place = await brought(tmp_path, a=[COPY], b=[{"when": {"os": "windows", "actions": [COPY]}}])
    assert (await ran(place, "copy"))[0] == {"a": "ran", "b": "unchanged"}
    assert (place.home / "rc").read_text() == "a's\n"


async def test_what_another_kind_of_action_wants_counts_and_claims_of_other_kinds_alone_do_not(tmp_path: Path) -> None:
    """`a` copies where `b` links; both make one directory, which is shared; `d` links where `b` does."""
    mkdir: dict[str, object] = {"mkdir": {"path": "~/made"}}
    place = await brought(tmp_path, a=[COPY, mkdir], b=[LINK, mkdir], d=[LINK])
    assert (await ran(place, "copy"))[0] == {"a": "failed"}
    assert (await ran(place, "mkdir"))[0] == {"a": "ran", "b": "unchanged"}


async def test_a_pack_that_nobody_trusts_keeps_no_other_from_its_place(tmp_path: Path) -> None:
    place = await brought(tmp_path, trusted="b", a=[COPY], b=[COPY])
    assert (await ran(place, "copy"))[0] == {"a": "failed", "b": "ran"}


async def test_a_pack_that_is_off_here_claims_nothing(tmp_path: Path) -> None:
    place = await brought(tmp_path, groups="['!a']", a=[COPY], b=[COPY])
    assert (await ran(place, "copy"))[0] == {"b": "ran"}


async def test_what_a_pack_has_installed_and_given_up_is_not_taken(tmp_path: Path) -> None:
    server = GitServer(tmp_path / "server")
    place = Place(tmp_path, trust=(server.root.as_uri(),))
    server.create("a", {".grex/pack.yaml": pack_yaml("a", "declarative", actions=[COPY]), "f": "a's\n"})
    server.create("b", {".grex/pack.yaml": pack_yaml("b", "declarative"), "f": "b's\n"})
    place.declare(*({"url": server.url(name)} for name in "ab"))
    await place.sync()
    for name, actions in (("a", [{"mkdir": {"path": "~/d"}}]), ("b", [COPY])):
        server.commit(name, {".grex/pack.yaml": pack_yaml(name, "declarative", actions=actions)})
    await place.sync(no_install=True)
    statuses, report = await ran(place, "copy")
    assert statuses == {"b": "failed"}
    assert "a, which has installed it and does not want it any more" in str(report.packs[0].error)
    assert (place.home / "rc").read_text() == "a's\n"
