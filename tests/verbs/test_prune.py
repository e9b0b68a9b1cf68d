"""`grex sync --prune`: what nobody declares any more goes, if it is nobody's loss; all else is said and stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from grex.errors import UsageError
from grex.verbs.sync import SyncReport
from tests.support.git_server import git
from tests.support.removal import Nest, facts
from tests.support.workspace import pack_yaml

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """The loop makes no difference here; locks have their own tests on both."""
    return "asyncio"


def undeclare_all(nest: Nest) -> None:
    nest.yaml.write_text('schema_version: "1"\nname: root\ntype: meta\n')


def pruned(report: SyncReport) -> dict[str, str]:
    return {pack.path: pack.code or pack.status for pack in report.pruned}


async def test_without_prune_they_are_only_reported(nest: Nest) -> None:
    undeclare_all(nest)
    before = facts(nest / "libs")
    report = await nest.place.sync()
    assert (report.exit_code, report.undeclared) == (0, ("libs/tool", "libs/tool/deps/inner", "other"))
    assert facts(nest / "libs") == before
    assert nest.in_trash() == []


async def test_clean_ones_of_ours_go_and_every_record_agrees(nest: Nest) -> None:
    undeclare_all(nest)
    report = await nest.place.sync(prune=True)
    assert report.exit_code == 0
    assert set(pruned(report).values()) == {"removed"}
    assert nest.there() == nest.logged() == set(nest.place.locked()) == set()
    again = await nest.place.sync(prune=True)
    assert (again.pruned, again.undeclared, again.exit_code) == ((), (), 0)
    assert (await nest.doctor(*nest.in_trash())).exit_code == 0
    assert nest.there() == nest.logged() == {"libs/tool", "libs/tool/deps/inner", "other"}


async def test_one_that_stays_keeps_those_around_it_and_no_other(nest: Nest) -> None:
    undeclare_all(nest)
    git(nest / "libs/tool/deps/inner", "commit", "--quiet", "--allow-empty", "-m", "mine")
    before = facts(nest / "libs")
    report = await nest.place.sync(prune=True)
    assert report.exit_code == 4
    assert pruned(report) == {"libs/tool/deps/inner": "unpushed", "libs/tool": "holds-pack", "other": "removed"}
    assert report.undeclared == ("libs/tool", "libs/tool/deps/inner")
    assert facts(nest / "libs") == before
    assert nest.logged() == {"libs/tool", "libs/tool/deps/inner"}


async def test_only_the_inner_one_goes_where_only_that_is_undeclared(nest: Nest) -> None:
    nest.server.commit("tool", {".grex/pack.yaml": pack_yaml("tool")})
    report = await nest.place.sync(prune=True)
    assert pruned(report) == {"libs/tool/deps/inner": "removed"}
    assert nest.there() == {"libs/tool", "other"}


async def test_a_declared_pack_inside_keeps_an_undeclared_one(nest: Nest) -> None:
    nest.yaml.write_text(
        'schema_version: "1"\nname: root\ntype: meta\nchildren:\n'
        "  - {url: ../up/inner.git, path: libs/tool/deps/inner}\n"
    )
    report = await nest.place.sync(prune=True)
    assert pruned(report) == {"libs/tool": "holds-pack", "other": "removed"}
    assert nest.there() == {"libs/tool", "libs/tool/deps/inner"}


async def test_nothing_goes_while_what_is_declared_is_not_known(nest: Nest) -> None:
    """The tool cannot be read, so nobody knows whether it still declares the inner one."""
    (nest / "libs/tool/.grex/pack.yaml").write_text("no: [pack")
    nest.yaml.write_text("".join(line for line in nest.yaml.read_text().splitlines(True) if "{url: " not in line))
    report = await nest.place.sync(prune=True)
    assert report.exit_code == 4
    assert report.pruned == ()
    assert any("nothing was pruned" in note for note in report.notes)
    assert nest.there() == {"libs/tool", "libs/tool/deps/inner", "other"}


async def test_what_a_pack_has_installed_is_taken_back_before_it_goes(nest: Nest) -> None:
    home = nest.place.home
    command = {"cmd": ["mkdir", f"{home}/made"], "creates": f"{home}/made", "undo": ["rmdir", f"{home}/made"]}
    nest.server.commit("other", {".grex/pack.yaml": pack_yaml("other", "declarative", actions=[{"exec": command}])})
    await nest.sync(ask_trust=trust_all)
    undeclare_all(nest)
    (home / "made/full").touch()
    report = await nest.place.sync(prune=True)
    assert pruned(report)["other"] == "teardown-failed"
    assert nest.there() == nest.logged() == {"other"}
    (home / "made/full").unlink()
    assert (await nest.place.sync(prune=True)).exit_code == 0
    assert nest.there() == nest.logged() == set()
    assert not (home / "made").exists()


async def test_a_place_that_becomes_free_can_be_taken_by_another_pack_in_the_same_run(nest: Nest) -> None:
    made = [{"mkdir": {"path": f"{nest.place.home}/made"}}]
    linked = [{"symlink": {"src": "o", "dst": f"{nest.place.home}/made"}}]
    nest.server.commit("other", {".grex/pack.yaml": pack_yaml("other", "declarative", actions=made)})
    await nest.sync(ask_trust=trust_all)
    nest.server.create("next", {"o": "", ".grex/pack.yaml": pack_yaml("next", "declarative", actions=linked)})
    nest.yaml.write_text('schema_version: "1"\nname: root\ntype: meta\nchildren:\n  - {url: ../up/next.git}\n')
    report = await nest.place.sync(prune=True, ask_trust=trust_all)
    assert report.exit_code == 0
    assert (nest.place.home / "made").is_symlink()


async def test_a_dry_run_says_what_would_go(nest: Nest) -> None:
    undeclare_all(nest)
    (nest / "other/o").write_text("edited")
    before = facts(nest.place.root)
    report = await nest.place.sync(prune=True, dry_run=True)
    assert pruned(report) == {"libs/tool": "trash", "libs/tool/deps/inner": "trash", "other": "edited"}
    assert facts(nest.place.root) == before


async def test_prune_takes_no_pack(nest: Nest) -> None:
    with pytest.raises(UsageError, match="takes no PACK"):
        await nest.place.sync("other", prune=True)


async def test_a_link_is_pruned_and_its_target_stays(nest: Nest, tmp_path: Path) -> None:
    (nest / "other").rename(tmp_path / "elsewhere")
    (nest / "other").symlink_to(tmp_path / "elsewhere")
    undeclare_all(nest)
    assert pruned(await nest.place.sync(prune=True))["other"] == "unlinked"
    assert (tmp_path / "elsewhere/.git").is_dir()


async def trust_all(steps: object) -> list[str]:
    del steps
    return ["file:///"]
