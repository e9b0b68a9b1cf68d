"""Which packs PACK arguments, filters and groups come to, in a walk and in the verbs that only look."""

from __future__ import annotations

from pathlib import Path

import pytest

from grex.cli.render import status as status_text
from grex.engine import Session, survey
from grex.engine.choosing import Chosen, choose
from grex.errors import UsageError
from grex.verbs.ls import ListRequest, ls
from grex.verbs.run import RunRequest, run
from grex.verbs.teardown import TeardownRequest, teardown
from tests.support.git_server import GitServer, git
from tests.support.moulds import cast
from tests.support.place import Place, by_path
from tests.support.workspace import pack_yaml

pytestmark = pytest.mark.anyio

MKDIR = [{"mkdir": {"path": "out"}}]


@pytest.fixture
def anyio_backend() -> str:
    """One loop: nothing here waits for anything but git and a lock that is free."""
    return "asyncio"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def server(tmp_path: Path) -> GitServer:
    return GitServer(tmp_path / "up")


@pytest.fixture
def declared(place: Place, server: GitServer) -> Place:
    """`app` (meta) owns `app/core` (declarative, group dev) and `app/docs` (plain); `tool` is declarative."""
    build(place, server)
    return place


def build(place: Place, server: GitServer) -> None:
    server.create("core", {".grex/pack.yaml": pack_yaml("core", "declarative", actions=MKDIR), "f": "1\n"})
    server.create("docs", {"f": "1\n"})
    server.create("tool", {".grex/pack.yaml": pack_yaml("tool", "declarative", actions=MKDIR)})
    children = [
        {"url": "../up/core.git", "path": "core", "groups": ["dev"]},
        {"url": "../up/docs.git", "path": "docs"},
    ]
    server.create("app", {".grex/pack.yaml": pack_yaml("app", children=children)})
    place.declare({"url": server.url("app")}, {"url": server.url("tool")})


@pytest.fixture
def synced(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The same, synced."""
    return cast("choosing", build, tmp_path, tmp_path_factory)[0]


def fresh(place: Place) -> Session:
    session = place.session()
    session.reread()
    return session


async def chosen(place: Place, *packs: str, filters: tuple[str, ...] = ()) -> Chosen:
    session = fresh(place)
    return await choose(session, survey(session.layout, "linux"), packs, filters)


@pytest.mark.parametrize(
    ("packs", "filters", "paths"),
    [
        ((), (), ["app", "app/core", "app/docs", "tool"]),
        (("app",), (), ["app", "app/core", "app/docs"]),
        (("app",), ("type:declarative",), ["app/core"]),
        ((), ("type:declarative",), ["app/core", "tool"]),
        ((), ("group:dev", "tool"), ["app/core", "tool"]),
        (("app", "tool"), ("!group:dev,!**/docs",), ["app", "tool"]),
        ((), ("type:plain",), ["app/docs"]),
    ],
)
async def test_arguments_mean_packs_with_what_is_below_and_filters_narrow_that(
    synced: Place, packs: tuple[str, ...], filters: tuple[str, ...], paths: list[str]
) -> None:
    assert sorted((await chosen(synced, *packs, filters=filters)).paths) == paths


async def test_changed_is_another_commit_than_the_locked_one_or_an_edit(synced: Place) -> None:
    """A new file that git does not track is no edit of the pack."""
    assert (await chosen(synced, filters=("changed",))).paths == set()
    (synced / "app/core/f").write_text("mine\n")
    (synced / "tool/new").write_text("mine\n")
    git(synced / "app/docs", "commit", "--quiet", "--allow-empty", "-m", "mine")
    assert sorted((await chosen(synced, filters=("changed",))).paths) == ["app/core", "app/docs"]
    assert sorted((await chosen(synced, filters=("!changed",))).paths) == ["app", "tool"]


@pytest.mark.parametrize(
    ("packs", "text", "hint"),
    [
        ((), "aap", "packs app, app/core, app/docs, tool"),
        ((), "type:mate", "types declarative, meta, plain"),
        ((), "group:dve", "groups dev"),
        (("tool",), "type:meta", "types declarative"),
    ],
)
async def test_a_filter_that_no_pack_can_be_of_is_refused_with_what_there_is(
    synced: Place, packs: tuple[str, ...], text: str, hint: str
) -> None:
    with pytest.raises(UsageError) as caught:
        await synced.sync(*packs, filters=(text,))
    assert caught.value.message == f"{'none of these packs' if packs else 'no pack'} is of --filter '{text}'"
    assert caught.value.hint == f"There are the {hint}."


async def test_that_nothing_is_changed_is_an_answer_and_no_mistake(synced: Place) -> None:
    """For every verb, where a misspelt path is exit 2 for all but those that only look."""
    report = await synced.sync(filters=("changed",))
    assert (report.exit_code, report.packs, report.notes) == (0, (), ("no pack is of --filter 'changed'",))
    settings = synced.settings()
    torn = await teardown(TeardownRequest(synced.root, filters=("changed,tool",)), settings)
    assert (torn.exit_code, torn.packs, torn.notes) == (0, (), ("no pack is of --filter 'changed,tool'",))
    ran = await run(RunRequest(synced.root, filters=("changed",), name="mkdir"), settings)
    assert (ran.exit_code, ran.packs, ran.notes) == (0, (), ("no pack is of --filter 'changed'",))
    with pytest.raises(UsageError):
        await synced.sync(filters=("changed,nothing",))
    looked = await synced.status(filters=("nothing",))
    assert (looked.exit_code, looked.packs, looked.notes) == (0, (), ("no pack is of --filter 'nothing'",))
    listed = await ls(ListRequest(synced.root, filters=("nothing",)), settings)
    assert (listed.exit_code, listed.packs, listed.notes) == (0, (), ("no pack is of --filter 'nothing'",))


async def test_a_look_at_packs_of_a_mistyped_group_is_told_which_one_was_meant(synced: Place) -> None:
    looked = await synced.status(filters=("group:dve",))
    assert looked.notes == ("no pack is of --filter 'group:dve' (did you mean 'dev'?)",)
    assert status_text(looked).startswith("No pack was chosen.\n")  # and not that all of none is clean


async def test_the_verbs_that_take_packs_take_filters(synced: Place) -> None:
    settings = synced.settings()
    assert {pack.path for pack in (await synced.status(filters=("group:dev",))).packs} == {"app/core"}
    assert {pack.path for pack in (await ls(ListRequest(synced.root, ("app",)), settings)).packs} == {
        "app",
        "app/core",
        "app/docs",
    }
    assert {pack.path for pack in (await ls(ListRequest(synced.root, filters=("type:meta",)), settings)).packs} == {
        "app"
    }
    ran = await run(RunRequest(synced.root, filters=("tool",), name="mkdir"), settings)
    assert {pack.path for pack in ran.packs} == {"tool"}
    torn = await teardown(TeardownRequest(synced.root, filters=("**/core",)), settings)
    assert {pack.path for pack in torn.packs} == {"app/core"}
    assert (synced / "tool/out").is_dir()


# -- in a walk ---------------------------------------------------------------------------------------------------------


async def test_a_filter_brings_only_what_it_matches_and_passes_through_what_lies_above(
    synced: Place, server: GitServer
) -> None:
    for name in ("app", "core", "docs", "tool"):
        server.commit(name, {"news": "1\n"})
    packs = by_path(await synced.sync(filters=("app/core",)))
    assert {path: pack.status for path, pack in packs.items()} == {"app/core": "moved"}


async def test_a_pack_that_the_walk_finds_below_a_chosen_one_is_judged_too(declared: Place) -> None:
    """Nothing is cloned yet, so only the root's children are known; nothing but the path can be told of the others."""
    packs = by_path(await declared.sync(filters=("app", "**/docs", "group:dev,type:plain")))
    assert set(packs) == {"app", "app/docs"}
    assert not (declared / "app/core").exists()
    assert set(by_path(await declared.sync(filters=("group:dev",)))) == {"app/core"}


async def test_an_absent_pack_above_a_match_that_the_lockfile_knows_is_brought(
    declared: Place, server: GitServer
) -> None:
    await declared.sync()
    for name in ("app", "tool"):
        (declared / name).rename(declared.root.parent / f"away-{name}")
    packs = by_path(await declared.sync(filters=("**/docs",)))
    assert {path: pack.status for path, pack in packs.items()} == {"app": "cloned", "app/docs": "cloned"}
    assert not (declared / "app/core").exists()
    assert not (declared / "tool").exists()


async def test_the_type_of_a_pack_that_was_never_cloned_is_not_guessed(declared: Place) -> None:
    with pytest.raises(UsageError) as caught:
        await declared.sync(filters=("type:meta",))
    assert "A filter does not choose 2 packs: no type is known of what was never cloned." in (caught.value.hint or "")
    with pytest.raises(UsageError):
        await declared.sync(filters=("!type:meta",))
    report = await declared.sync(filters=("!type:meta", "tool"))
    assert set(by_path(report)) == {"tool"}
    assert report.notes == ("a filter does not choose app: no type is known of what was never cloned",)


async def test_a_filtered_sync_keeps_the_lines_of_all_others(synced: Place, server: GitServer) -> None:
    before = synced.locked()
    old = git(synced / "tool", "rev-parse", "HEAD")
    news = server.commit("tool", {"news": "1\n"})
    lines = (synced / "grex.lock.jsonl").read_text()
    await synced.sync(filters=("type:declarative",))
    assert synced.locked() == before
    assert (synced / "grex.lock.jsonl").read_text() == lines.replace(old, news)


async def test_locked_demands_lines_only_of_what_was_chosen(synced: Place, server: GitServer) -> None:
    server.create("other", {"f": "1\n"})
    text = (synced / ".grex/pack.yaml").read_text()
    (synced / ".grex/pack.yaml").write_text(text + f'  - {{"url": "{server.url("other")}"}}\n')
    assert by_path(await synced.sync(filters=("tool",), locked=True))["tool"].status == "unchanged"
