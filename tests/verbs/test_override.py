"""`grex override`: something is said over what others declare, and the pack follows."""

from __future__ import annotations

from typing import Any

import pytest

from grex.errors import PackError, UsageError
from grex.verbs.override import OverrideReport, OverrideRequest, override
from tests.support.git_server import git
from tests.support.removal import Nest, facts

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """One is enough here: what waits and what is cancelled is shown on both where the locks are."""
    return "asyncio"


INNER = "libs/tool/deps/inner"


async def over(nest: Nest, pack: str | None = None, **request: Any) -> OverrideReport:
    return await override(OverrideRequest(root=nest.place.root, pack=pack, **request), nest.place.settings())


async def done(nest: Nest, pack: str, **request: Any) -> OverrideReport:
    report = await over(nest, pack, **request)
    assert report.exit_code == 0, report
    return report


async def test_a_pack_that_another_one_declares_follows_and_goes_back(nest: Nest) -> None:
    nest.server.commit("inner", {"i": "2\n"}, branch="next", start="main")
    before = nest.yaml.read_text()
    report = await done(nest, "inner", ref="next")
    assert (nest / INNER / "i").read_text() == "2\n"
    assert nest.yaml.read_text() == before + f"overrides:\n  - path: {INNER}\n    ref: next\n"
    assert [(one.key, one.old, one.new) for one in report.changes] == [("ref", None, "next")]
    await done(nest, "inner", remove=True)
    assert (nest / INNER / "i").read_text() == "1\n"
    assert "next" not in nest.yaml.read_text()


async def test_of_this_machine_it_stands_in_a_file_that_is_made_and_wins(nest: Nest) -> None:
    nest.server.commit("inner", {"i": "2\n"}, branch="next", start="main")
    nest.server.commit("inner", {"i": "3\n"}, branch="other", start="main")
    before = nest.yaml.read_text()
    await done(nest, "inner", ref="next", is_local=True)
    local = nest / ".grex/local.yaml"
    assert local.read_text() == f'schema_version: "1"\noverrides:\n  - path: {INNER}\n    ref: next\n'
    assert nest.yaml.read_text() == before
    report = await done(nest, "inner", ref="other")
    assert (nest / INNER / "i").read_text() == "2\n"
    assert any("local.yaml" in note for note in report.notes)
    await done(nest, "inner", remove=True, is_local=True)
    assert (nest / INNER / "i").read_text() == "3\n"


async def test_comments_and_groups_of_this_machines_file_stay(nest: Nest) -> None:
    local = nest / ".grex/local.yaml"
    local.write_text("# mine\ngroups: [docs]   # wanted\n")
    await done(nest, "inner", ref="main", is_local=True)
    assert local.read_text().startswith("# mine\ngroups: [docs]   # wanted\n")
    local.write_text("# nothing yet")
    await done(nest, "inner", ref="main", is_local=True)
    text = f'# nothing yet\nschema_version: "1"\noverrides:\n  - path: {INNER}\n    ref: main\n'
    assert local.read_text() == text


async def test_one_that_is_there_keeps_what_is_not_said_anew(nest: Nest) -> None:
    url = nest.server.url("inner")
    await done(nest, "inner", ref="main")
    await done(nest, "inner", url=url)
    assert nest.yaml.read_text().endswith(f"overrides:\n  - path: {INNER}\n    ref: main\n    url: {url}\n")


async def test_another_repository_takes_the_place_of_a_clean_checkout_and_of_no_other(nest: Nest) -> None:
    nest.server.create("foreign", {"f": "1\n"})
    (nest / INNER / "mine").write_text("untracked\n")
    with pytest.raises(PackError, match="another repository"):
        await over(nest, "inner", url=nest.server.url("foreign"))
    assert "overrides" not in nest.yaml.read_text()
    (nest / INNER / "mine").unlink()
    report = await done(nest, "inner", url=nest.server.url("foreign"))
    assert report.readdressed.address == "different"
    assert (nest / INNER / "f").read_text() == "1\n"
    assert len(nest.in_trash()) == 1


async def test_without_a_pack_all_are_listed_with_their_place_and_what_they_touch(nest: Nest) -> None:
    assert (await over(nest)).overrides == ()
    nest.yaml.write_text(
        nest.yaml.read_text() + f"overrides:\n  - {{path: {INNER}, ref: main}}\n  - {{path: nowhere, ref: main}}\n"
    )
    (nest / ".grex/local.yaml").write_text(f"overrides:\n  - path: {INNER}\n    ref: main\n")
    before = facts(nest.place.root)
    listed = (await over(nest)).to_json()["overrides"]
    assert [(one["path"], one["is_local"], one["is_in_force"], one["touches_a_pack"]) for one in listed] == [
        (INNER, False, False, True),
        (INNER, True, True, True),
        ("nowhere", False, True, False),
    ]
    lines = nest.yaml.read_text().splitlines()
    assert listed[0]["place"].split(":")[:2] == [".grex/pack.yaml", str(len(lines) - 1)]
    assert listed[1]["place"].split(":")[:2] == [".grex/local.yaml", "2"]
    assert facts(nest.place.root) == before


async def test_one_that_touches_no_pack_can_be_taken_away(nest: Nest) -> None:
    before = nest.yaml.read_text()
    nest.yaml.write_text(before + "overrides:\n  - path: nowhere\n    ref: main\n")
    report = await done(nest, "nowhere", remove=True)
    assert report.sync is None
    assert nest.yaml.read_text() == before + "overrides: []\n"


async def test_without_a_sync_and_in_a_dry_run_the_pack_stays(nest: Nest) -> None:
    nest.server.commit("inner", {"i": "2\n"}, branch="next", start="main")
    before = facts(nest.place.root)
    report = await done(nest, "inner", ref="next", dry_run=True)
    assert [one.new for one in report.changes] == ["next"]
    assert facts(nest.place.root) == before
    assert (await done(nest, "inner", ref="next", no_sync=True)).sync is None
    assert git(nest / INNER, "rev-parse", "--abbrev-ref", "HEAD") == "main"


async def test_a_conflict_that_it_would_make_or_settle_is_judged_before_it_is_written(nest: Nest) -> None:
    """A diamond: both wishes are one again once an override says which."""
    entry = f"  - url: {nest.server.url('inner')}\n    path: {INNER}\n    ref: main\n"
    nest.yaml.write_text(nest.yaml.read_text() + entry)
    assert (await nest.place.sync()).exit_code == 4
    await done(nest, INNER, ref="main")
    assert (await nest.place.sync()).exit_code == 0


@pytest.mark.parametrize(
    ("pack", "request_", "said"),
    [
        ("inner", {}, "nothing is to be said"),
        ("inner", {"remove": True, "ref": "x"}, "--remove excludes"),
        ("inner", {"remove": True}, "has no override for"),
        ("inner", {"ref": "-x"}, "is no ref"),
        ("nowhere", {"ref": "x"}, "there is no pack"),
        (".", {"ref": "x"}, "nobody's child"),
        (None, {"ref": "x"}, "no PACK is given"),
    ],
)
async def test_what_makes_no_sense_is_refused(
    nest: Nest, pack: str | None, request_: dict[str, Any], said: str
) -> None:
    before = nest.yaml.read_text()
    with pytest.raises(UsageError, match=said):
        await over(nest, pack, **request_)
    assert nest.yaml.read_text() == before
