"""Groups: what is on and who says so, what an inactive pack is spared, and what `-g` writes down."""

from __future__ import annotations

from pathlib import Path

import pytest

from grex.engine.groups import Groups, GroupSetting, read_groups
from grex.engine.turning import parse_group_choices, turn, unknown_groups
from grex.errors import ConfigError, ManifestError, PackError, UsageError
from grex.pack import read_local, read_local_all
from grex.verbs.doctor import DoctorRequest, doctor
from grex.verbs.ls import ListRequest, ls
from grex.verbs.rm import RmRequest, rm
from grex.verbs.teardown import TeardownRequest, teardown
from grex.workspace import Layout
from tests.support.git_server import GitServer, git
from tests.support.place import Place, by_path
from tests.support.workspace import pack_yaml

pytestmark = pytest.mark.anyio


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


# -- what is on --------------------------------------------------------------------------------------------------------


def off(*names: str) -> Groups:
    return Groups({name: GroupSetting(name, is_on=False, origin="here") for name in names})


@pytest.mark.parametrize(
    ("groups", "is_active"), [((), True), (("a",), False), (("a", "c"), True), (("a", "b"), False), (("c",), True)]
)
def test_a_child_is_active_when_one_of_its_groups_is_on_or_it_has_none(
    groups: tuple[str, ...], is_active: bool
) -> None:
    assert off("a", "b").is_active(groups) == is_active


def test_this_machine_wins_over_the_workspace_and_every_setting_says_where_it_comes_from(place: Place) -> None:
    place.declare()
    (place / ".grex/config.toml").write_text('[groups]\noff = ["docs", "ci"]\n')
    (place / ".grex/local.yaml").write_text('groups:\n  - docs\n  - "!big"\n')
    groups = read_groups(Layout(place.root))
    told = {name: (setting.is_on, setting.origin) for name, setting in groups.settings.items()}
    assert told == {
        "ci": (False, ".grex/config.toml"),
        "docs": (True, ".grex/local.yaml:2:5"),
        "big": (False, ".grex/local.yaml:3:5"),
    }
    assert groups.is_on("never-said")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("groups: docs\n", "1:9: groups is a list, and this is text."),
        ("groups: [a b]\n", "1:10: a group cannot be 'a b'."),
        ("groups: [a, '!a']\n", "1:13: the group 'a' is named a second time."),
        ("groups: [1]\n", "1:10: a group is text, and this is a number."),
    ],
)
def test_a_mistake_in_the_local_groups_is_named_with_its_place(place: Place, text: str, problem: str) -> None:
    place.declare()
    (place / ".grex/local.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_groups(Layout(place.root))
    assert caught.value.message == f".grex/local.yaml:{problem}"


def test_choices_are_names_with_or_without_a_bang() -> None:
    assert parse_group_choices(["docs", "!ci", "docs"]) == {"docs": True, "ci": False}


@pytest.mark.parametrize("texts", [["a b"], [""], ["!"], ["a", "!a"]])
def test_a_choice_that_is_no_name_or_contradicts_itself_is_refused(texts: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        parse_group_choices(texts)
    assert caught.value.hint


def test_a_group_that_no_child_has_is_told_with_the_one_that_was_meant() -> None:
    assert unknown_groups(["dosc", "ci"], {"docs", "ci"}) == [
        "no child that is known here has the group 'dosc' (did you mean 'docs'?)"
    ]


# -- what is written down ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "choices", "after"),
    [
        (None, {"docs": True}, "groups:\n  - docs\n"),
        (None, {"docs": True, "ci": False}, 'groups:\n  - docs\n  - "!ci"\n'),
        ("# mine\n", {"ci": False}, '# mine\ngroups:\n  - "!ci"\n'),
        ("# mine", {"ci": False}, '# mine\ngroups:\n  - "!ci"\n'),
        (
            "overrides: # why\n  - path: a\n    ref: dev # mine\n",
            {"docs": True},
            "overrides: # why\n  - path: a\n    ref: dev # mine\ngroups:\n  - docs\n",
        ),
        ("groups: [docs] # said\n", {"docs": False}, 'groups: ["!docs"] # said\n'),
        ("groups: [docs] # said\n", {"ci": True}, "groups: [docs, ci] # said\n"),
        (
            'groups:\n  # for the manual\n  - docs  # here\n  - "!ci"\nschema_version: "1"\n',
            {"ci": True, "x": True},
            'groups:\n  # for the manual\n  - docs  # here\n  - ci\n  - x\nschema_version: "1"\n',
        ),
        ("groups: []\n", {"docs": True}, "groups:\n  - docs\n"),
        ("{groups: [a]}\n", {"b": False}, '{groups: [a, "!b"]}\n'),
        ("groups:\r\n- a\r\n", {"b": True}, "groups:\r\n- a\r\n- b\r\n"),
    ],
)
async def test_a_choice_is_written_as_a_person_would_and_all_else_stays(
    place: Place, before: str | None, choices: dict[str, bool], after: str
) -> None:
    place.declare()
    file = place / ".grex/local.yaml"
    if before is not None:
        file.write_bytes(before.encode())
    overrides = read_local(place.root)
    assert await turn(place.session(), choices)
    assert file.read_bytes().decode() == after
    assert [(one.path, one.ref) for one in read_local(place.root)] == [(one.path, one.ref) for one in overrides]
    assert choices.items() <= {one.name: one.is_on for one in read_local_all(place.root).groups}.items()
    status = file.stat()
    assert not await turn(place.session(), choices), "what is said already is not written again"
    assert (file.stat().st_mtime_ns, file.stat().st_ino) == (status.st_mtime_ns, status.st_ino)


@pytest.mark.parametrize("text", ["- a\n", "groups: docs\n", "groups: [|\n"])
async def test_a_file_that_cannot_be_edited_stays_as_it_is(place: Place, text: str) -> None:
    place.declare()
    (place / ".grex/local.yaml").write_text(text)
    with pytest.raises((ConfigError, ManifestError)):
        await turn(place.session(), {"docs": True})
    assert (place / ".grex/local.yaml").read_text() == text


# -- what an inactive pack is spared -----------------------------------------------------------------------------------


@pytest.fixture
def grouped(place: Place, server: GitServer) -> Place:
    """`docs` is in a group that is off; it owns `docs/deep`. `tool` has no group."""
    server.create("tool", {"f": "1\n"})
    server.create("deep", {"f": "1\n"})
    children = [{"url": server.url("deep"), "path": "deep"}]
    server.create("docs", {".grex/pack.yaml": pack_yaml("docs", children=children)})
    place.declare({"url": server.url("tool")}, {"url": server.url("docs"), "groups": ["docs"]})
    (place / ".grex/config.toml").write_text('[groups]\noff = ["docs"]\n')
    return place


async def test_a_pack_whose_groups_are_off_is_not_brought_and_is_no_drift(grouped: Place) -> None:
    assert set(by_path(await grouped.sync())) == {"tool"}
    assert not (grouped / "docs").exists()
    report = await grouped.status()
    assert {pack.path: pack.states for pack in report.packs} == {"docs": ("inactive",), "tool": ()}
    assert report.is_clean
    listed = {pack.path: pack.is_active for pack in (await ls(ListRequest(grouped.root), grouped.settings())).packs}
    assert listed == {"docs": False, "tool": True}
    assert set(by_path(await grouped.sync(locked=True))) == {"tool"}


async def test_what_was_asked_for_once_stays_in_force(grouped: Place) -> None:
    assert set(by_path(await grouped.sync(groups=("docs",)))) == {"docs", "docs/deep", "tool"}
    assert set(by_path(await grouped.sync())) == {"docs", "docs/deep", "tool"}
    assert (grouped / ".grex/local.yaml").read_text() == "groups:\n  - docs\n"


async def test_a_dry_run_plans_with_a_group_and_writes_nothing(grouped: Place) -> None:
    assert set(by_path(await grouped.sync(groups=("docs",), dry_run=True))) == {"docs", "tool"}
    assert not (grouped / ".grex/local.yaml").exists()


async def test_a_pack_that_is_there_when_its_group_is_turned_off_is_left_as_it_is(
    grouped: Place, server: GitServer
) -> None:
    """With everything below it: not moved, not undeclared, and the lockfile keeps the lines."""
    await grouped.sync(groups=("docs",))
    lines = (grouped / "grex.lock.jsonl").read_text()
    excluded = (grouped / "docs/.git/info/exclude").read_text()
    head = git(grouped / "docs", "rev-parse", "HEAD")
    server.commit("docs", {"new": "1\n"})

    report = await grouped.sync(groups=("!docs",))

    assert set(by_path(report)) == {"tool"}
    assert report.undeclared == ()
    assert git(grouped / "docs", "rev-parse", "HEAD") == head
    assert (grouped / "grex.lock.jsonl").read_text() == lines
    assert (grouped / "docs/.git/info/exclude").read_text() == excluded
    states = {pack.path: pack.states for pack in (await grouped.status()).packs}
    assert states == {"docs": ("inactive",), "tool": ()}
    below = await grouped.status("docs/deep")
    assert [pack.states for pack in below.packs] == [("inactive",)]


async def test_another_parent_may_keep_a_pack_active_and_the_lockfile_says_the_same_on_every_machine(
    place: Place, server: GitServer
) -> None:
    server.create("common", {"f": "1\n"})
    shared = {"url": server.url("common"), "path": "/common"}
    server.create("api", {".grex/pack.yaml": pack_yaml("api", children=[{**shared, "groups": ["extra"]}])})
    server.create("web", {".grex/pack.yaml": pack_yaml("web", children=[shared])})
    server.create("lab", {".grex/pack.yaml": pack_yaml("lab", children=[shared])})
    place.declare({"url": server.url("api")}, {"url": server.url("web")}, {"url": server.url("lab"), "groups": ["lab"]})
    await place.sync()
    everything_on = (place / "grex.lock.jsonl").read_text()
    old = git(place / "common", "rev-parse", "HEAD")
    news = server.commit("common", {"f": "2\n"})

    report = await place.sync(groups=("!extra", "!lab"))

    assert by_path(report)["common"].new_sha == news
    after = (place / "grex.lock.jsonl").read_text()
    assert after == everything_on.replace(old, news)


async def test_a_declaration_in_a_group_that_is_off_is_in_nobodys_way(place: Place, server: GitServer) -> None:
    """It wants another ref at the same path, which would be a conflict; and another spelling, which would be one."""
    server.create("common", {"f": "1\n"})
    server.tag("common", "v1")
    shared = {"url": server.url("common"), "path": "/common"}
    server.create("api", {".grex/pack.yaml": pack_yaml("api", children=[{**shared, "ref": "v1", "groups": ["old"]}])})
    server.create("web", {".grex/pack.yaml": pack_yaml("web", children=[shared])})
    place.declare(
        {"url": server.url("api")},
        {"url": server.url("web")},
        {"url": server.url("common"), "path": "Common", "groups": ["old"]},
    )
    assert (await place.sync(dry_run=True)).exit_code == 0, "nobody knows of it yet"
    report = await place.sync(groups=("!old",))
    assert report.exit_code == 0, report
    assert by_path(report)["common"].branch == "main"
    assert (await place.sync(groups=("old",))).exit_code == 4


async def test_a_pack_inside_the_directory_of_an_inactive_one_does_not_wait_for_it(
    place: Place, server: GitServer
) -> None:
    server.create("outer", {"f": "1\n"})
    server.create("inner", {"f": "1\n"})
    place.declare(
        {"url": server.url("outer"), "path": "a", "groups": ["x"]}, {"url": server.url("inner"), "path": "a/in"}
    )
    assert set(by_path(await place.sync(groups=("!x",)))) == {"a/in"}
    assert {pack.path: pack.status for pack in (await place.sync(groups=("x",))).packs} == {
        "a": "cloned",
        "a/in": "unchanged",
    }


async def test_an_inactive_pack_cannot_be_asked_for_but_can_be_taken_back(place: Place, server: GitServer) -> None:
    server.create("docs", {".grex/pack.yaml": pack_yaml("docs", "declarative", actions=[{"mkdir": {"path": "out"}}])})
    place.declare({"url": server.url("docs"), "groups": ["docs"]})
    await place.sync()
    assert (place / "docs/out").is_dir()
    await place.sync(groups=("!docs",))
    with pytest.raises(UsageError, match="docs is inactive here: its group docs is off") as caught:
        await place.sync("docs")
    assert "grex sync -g docs" in (caught.value.hint or "")
    report = await teardown(TeardownRequest(place.root, ("docs",)), place.settings())
    assert [(pack.path, pack.status) for pack in report.packs] == [("docs", "torn-down")]


async def test_a_group_is_written_down_before_the_sync_begins(grouped: Place, server: GitServer) -> None:
    """So that whatever ends the sync, the next one goes on with it."""
    server.path("docs").rename(server.root / "away")
    report = await grouped.sync(groups=("docs", "dosc"))
    assert report.exit_code == 4
    assert report.notes[0] == "no child that is known here has the group 'dosc' (did you mean 'docs'?)"
    (server.root / "away").rename(server.path("docs"))
    assert by_path(await grouped.sync())["docs"].status == "cloned"


async def test_a_choice_of_a_group_that_no_pack_has_is_not_kept_once_all_are_known(grouped: Place) -> None:
    """A typo would be a choice for ever; and the file is as it was, with what was chosen before and beside it."""
    local = grouped / ".grex/local.yaml"
    local.write_text("# mine\ngroups:\n  - '!other'   # since May\noverrides: []\n")
    report = await grouped.sync(groups=("docs", "dosc", "!tol"))
    assert "no child that is known here has the group 'dosc' (did you mean 'docs'?)" in report.notes
    assert "the choice of dosc, tol was not kept" in report.notes
    assert local.read_text() == "# mine\ngroups:\n  - '!other'   # since May\n  - docs\noverrides: []\n"
    local.unlink()
    await grouped.sync(groups=("dosc",))
    assert not [entry.name for entry in read_local_all(grouped.root).groups]


async def test_what_is_inactive_is_not_pruned_and_can_be_removed_with_what_it_owns(grouped: Place) -> None:
    """Brought while its group was on; off again, it and what it declares are still declared."""
    await grouped.sync(groups=("docs",))
    report = await grouped.sync(groups=("!docs",), prune=True)
    assert (report.exit_code, report.pruned, report.undeclared) == (0, (), ())
    assert (grouped / "docs/deep/.git").is_dir()
    with pytest.raises(PackError, match="docs/deep is declared by docs, which is inactive here"):
        await rm(RmRequest(grouped.root, ("docs/deep",)), grouped.settings())
    removed = await rm(RmRequest(grouped.root, ("docs",)), grouped.settings())
    assert [(pack.path, pack.status) for pack in removed.packs] == [("docs", "removed"), ("docs/deep", "removed")]
    assert grouped.locked() == ["tool"]
    assert (await grouped.sync(prune=True)).pruned == ()


@pytest.mark.parametrize("by_url", [False, True])
async def test_a_dependency_on_an_inactive_pack_says_which_group_brings_it(
    place: Place, server: GitServer, *, by_url: bool
) -> None:
    needs = server.url("guide") if by_url else "guide"
    server.create("needy", {".grex/pack.yaml": pack_yaml("needy", "declarative", depends_on=[needs])})
    server.create("guide", {"g": "1\n"})
    guide = {"url": server.url("guide"), "groups": ["docs", "big"]}
    place.declare({"url": server.url("needy")}, guide)
    report = await place.sync(groups=("!docs", "!big"))
    (error,) = by_path(report)["needy"].failures
    assert error.message.endswith(
        f"needy depends on '{needs}', which is off here: guide is in the groups big, docs, which are all off"
    )
    assert error.hint == "`grex sync -g big` turns one of them on."
    (finding,) = [one for one in (await doctor(DoctorRequest(root=place.root), place.settings())).findings if one.pack]
    assert (finding.pack, finding.hint) == ("needy", error.hint)
    assert (await place.sync(groups=("docs",))).exit_code == 0
