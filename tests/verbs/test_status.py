"""`grex status`: every state that a pack can be in, and exit 7 only where it was asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from grex.cli import render
from grex.errors import UsageError
from grex.git import observe
from grex.git.records import MoveNote, write_note
from grex.progress import Slice
from tests.support.git_server import GitServer, git
from tests.support.place import Place
from tests.support.workspace import pack_yaml

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """One loop: a status waits for nothing but git, whose room has tests on both."""
    return "asyncio"


@pytest.fixture
async def synced(place: Place, server: GitServer) -> Place:
    """A workspace with a pack on a branch, one at a tag, and nothing amiss."""
    server.create("tool", {"t": "1\n", "u": "1\n"})
    server.tag("tool", "v1")
    place.declare({"url": server.url("tool"), "path": "a"}, {"url": server.url("tool"), "path": "pin", "ref": "v1"})
    assert (await place.sync()).exit_code == 0
    return place


def commit(pack: Path, name: str = "t") -> None:
    (pack / name).write_text("mine\n")
    git(pack, "commit", "--quiet", "-am", "mine")


def behind(pack: Path, server: GitServer) -> None:
    server.commit("tool", {"t": "2\n"})
    git(pack, "fetch", "--quiet")


def diverged(pack: Path, server: GitServer) -> None:
    behind(pack, server)
    commit(pack, "u")


def conflicted(pack: Path, server: GitServer) -> None:
    behind(pack, server)
    commit(pack)
    git(pack, "merge", "origin/main", check=False)


def interrupted(pack: Path, server: GitServer) -> None:
    state = observe(pack)
    assert state.git_dir is not None
    assert state.head_sha is not None
    write_note(state.git_dir, MoveNote("checkout", "a", state.head_sha, state.head_sha, "main", was_clean=True))


CASES: dict[str, tuple[Callable[[Path, GitServer], object], set[str], str]] = {
    "edited": (lambda pack, _: (pack / "t").write_text("2\n"), {"edited"}, "1 edited"),
    "untracked": (lambda pack, _: (pack / "new").write_text("2\n"), {"untracked"}, "1 untracked"),
    "ahead": (lambda pack, _: commit(pack), {"ahead"}, "1 ahead"),
    "behind": (behind, {"behind"}, "1 behind"),
    "diverged": (diverged, {"diverged"}, "1 ahead, 1 behind"),
    "conflicted": (conflicted, {"conflicted", "diverged", "in-progress"}, "a merge is in progress"),
    "interrupted": (interrupted, {"interrupted"}, "an interrupted run; `grex sync` mends it"),
    "other branch": (lambda pack, _: git(pack, "switch", "-qc", "own"), {"wrong-ref"}, "on own, not on main"),
    "detached": (
        lambda pack, _: git(pack, "checkout", "-q", "--detach"),
        {"wrong-ref"},
        "on a detached HEAD, not on main",
    ),
}


async def test_a_clean_workspace_says_so(synced: Place) -> None:
    report = await synced.status(fail_on_drift=True)
    assert (report.is_clean, report.exit_code) == (True, 0)
    assert [(pack.path, pack.states, pack.text) for pack in report.packs] == [
        ("a", (), "clean"),
        ("pin", ("detached",), "detached at v1"),
    ]


@pytest.mark.parametrize("case", CASES)
async def test_what_a_user_did_is_told_and_drift_only_where_it_is_asked_for(
    synced: Place, server: GitServer, case: str
) -> None:
    make, states, text = CASES[case]
    make(synced / "a", server)
    found = await synced.state_of("a")
    assert set(found.states) == states
    assert text in found.text
    assert (await synced.status()).exit_code == 0
    assert (await synced.status(fail_on_drift=True)).exit_code == (0 if case == "behind" else 7)


async def test_what_upstream_has_beyond_the_lockfile_is_drift_only_where_it_was_asked_for(
    synced: Place, server: GitServer
) -> None:
    """`sync --locked` brings what the lockfile says, and that somebody pushes must not fail what comes after it."""
    server.commit("tool", {"t": "2\n"})
    git(synced / "a", "fetch", "--quiet")
    assert (await synced.sync(locked=True)).exit_code == 0
    report = await synced.status(fail_on_drift=True)
    assert (report.exit_code, report.is_drift, report.is_clean) == (0, False, False)
    assert "a  main  1 behind" in render.status(report).splitlines()[0]
    assert [(pack["path"], pack["drift"]) for pack in report.to_json()["packs"]] == [("a", False), ("pin", False)]
    assert (await synced.status(fail_on_drift=True, fetch=True)).exit_code == 7
    git(synced / "a", "reset", "--quiet", "--hard", "origin/main")  # now it is not what the lockfile says
    git(synced / "a", "update-ref", "refs/remotes/origin/main", "HEAD^")
    assert (await synced.status(fail_on_drift=True)).exit_code == 7


async def test_a_rewritten_upstream_is_no_drift_either_where_head_is_what_is_locked(
    synced: Place, server: GitServer
) -> None:
    pack = synced / "a"
    other = git(pack, "commit-tree", "-m", "other", "HEAD^{tree}")
    git(pack, "update-ref", "refs/remotes/origin/main", other)
    report = await synced.status(fail_on_drift=True)
    assert (report.packs[0].states, report.exit_code) == (("diverged",), 0)


async def test_a_pin_that_was_moved_or_put_on_a_branch_is_at_the_wrong_ref(synced: Place, server: GitServer) -> None:
    git(synced / "pin", "switch", "-qc", "own")
    assert "on branch own, not at v1" in (await synced.state_of("pin")).text
    git(synced / "pin", "checkout", "-q", "--detach")
    commit(synced / "pin")
    found = await synced.state_of("pin")
    assert (found.states, found.unpushed) == (("wrong-ref", "unpushed"), 1)
    assert "not at " in found.text


async def test_commits_that_no_remote_has_are_counted_until_one_has_them(synced: Place) -> None:
    git(synced / "a", "switch", "-qc", "mine")
    commit(synced / "a")
    git(synced / "a", "commit", "--quiet", "--allow-empty", "-m", "mine as well")
    found = await synced.state_of("a")
    assert (found.ahead, found.unpushed, found.text) == (0, 2, "on mine, not on main, 2 not pushed")
    git(synced / "a", "push", "-q", "origin", "mine:elsewhere")
    found = await synced.state_of("a")
    assert (found.unpushed, found.text) == (0, "on mine, not on main")


async def test_commits_that_nobody_else_has_are_told_and_are_no_drift(synced: Place) -> None:
    commit(synced / "a")
    git(synced / "a", "update-ref", "-d", "refs/remotes/origin/main")  # as a fetch that prunes does
    git(synced / "a", "update-ref", "refs/remotes/origin/old", "HEAD~1")
    found = await synced.state_of("a")
    assert (found.states, found.text) == (("unpushed",), "1 not pushed")
    assert not found.is_clean
    assert (await synced.status(fail_on_drift=True)).exit_code == 0


@pytest.mark.parametrize(
    ("pack", "before", "now"),
    [("pin", "v1", "v9"), ("pin", "v1", "1" * 40), ("pin", "v1", None), ("a", None, "devel"), ("a", None, "main")],
)
async def test_a_declaration_that_was_changed_is_drift_until_it_is_synced(
    synced: Place, server: GitServer, pack: str, before: str | None, now: str | None
) -> None:
    refs = {"a": None, "pin": "v1", pack: now}
    synced.declare(
        *({"url": server.url("tool"), "path": path} | ({"ref": ref} if ref else {}) for path, ref in refs.items())
    )
    found = await synced.state_of(pack)
    assert found.states == ("wrong-ref",)
    assert found.text == (
        f"declared at {now or 'its HEAD'}, and locked at {before or 'its HEAD'}; `grex sync` settles it"
    )
    assert (await synced.status(fail_on_drift=True)).exit_code == 7
    if now in ("main", None):
        await synced.sync()
        assert (await synced.status(fail_on_drift=True)).exit_code == 0


async def test_a_sync_that_changes_only_the_lockfile_says_so(synced: Place, server: GitServer) -> None:
    synced.declare({"url": server.url("tool"), "path": "a", "ref": "main"})
    report = await synced.sync()
    assert "lockfile     grex.lock.jsonl: 1 line changed (a), 1 line gone (pin)." in render.sync(report).splitlines()
    document = report.to_json()
    assert document["lockfile"] == {"added": [], "changed": ["a"], "removed": ["pin"]}
    again = await synced.sync()
    assert (again.to_json()["lockfile"], "grex.lock.jsonl" in render.sync(again)) == (None, False)


async def test_a_url_that_was_changed_is_drift_also_where_it_is_another_spelling(
    synced: Place, server: GitServer
) -> None:
    pin = {"url": server.url("tool"), "path": "pin", "ref": "v1"}
    synced.declare({"url": str(server.path("tool")), "path": "a"}, pin)
    assert "locked with" in (await synced.state_of("a")).text
    server.create("other", {"o": "1\n"})
    synced.declare({"url": server.url("other"), "path": "a"}, pin)
    assert (await synced.state_of("a")).states == ("wrong-ref",)


async def test_a_pack_that_is_missing_or_in_the_way_is_told(synced: Place) -> None:
    (synced / "a").rename(synced / "elsewhere")
    assert (await synced.state_of("a")).states == ("missing",)
    (synced / "a").mkdir()
    assert (await synced.state_of("a")).states == ("missing",)
    (synced / "a/notes").write_text("mine")
    assert (await synced.state_of("a")).states == ("in-the-way",)


async def test_a_checkout_that_grex_did_not_make_is_told(synced: Place) -> None:
    (synced / "a/.git/grex/checkout.json").unlink()
    found = await synced.state_of("a")
    assert found.states == ("wrong-ref",)
    assert "not checked out by grex from this URL" in found.text


async def test_a_rebase_that_was_begun_is_told(synced: Place) -> None:
    (synced / "a/.git/rebase-merge").mkdir()
    found = await synced.state_of("a")
    assert found.states == ("in-progress",)
    assert "rebase" in found.text


async def test_a_pack_that_nobody_declares_any_more_is_told(synced: Place, server: GitServer) -> None:
    synced.declare({"url": server.url("tool"), "path": "pin", "ref": "v1"})
    found = await synced.state_of("a")
    assert found.states == ("undeclared",)
    assert found.branch == "main"


async def test_an_install_that_was_never_run_or_has_changed_is_told(synced: Place, server: GitServer) -> None:
    text = pack_yaml("dirs", "declarative", actions=[{"mkdir": {"path": "made"}}])
    server.create("dirs", {".grex/pack.yaml": text, ".gitignore": "made/\n"})
    synced.declare({"url": server.url("dirs"), "path": "dirs"})
    await synced.sync(no_install=True)
    assert (await synced.state_of("dirs")).states == ("not-installed",)
    await synced.sync()
    assert (await synced.state_of("dirs")).states == ()
    synced.declare(type="declarative", actions=[{"mkdir": {"path": "made"}}])
    assert (await synced.state_of(".")).states == ("not-installed",)


async def test_a_pack_that_says_that_it_is_not_for_here_is_no_drift(synced: Place, server: GitServer) -> None:
    """It is as soon as a sync would do something: before its `require`, or because the condition holds by now."""
    skip = {"require": {"all_of": [{"path_exists": "here"}], "on_fail": "skip"}}
    for name, before in (("mac", []), ("half", [{"mkdir": {"path": "made"}}])):
        actions = [*before, skip, {"mkdir": {"path": "rest"}}]
        files = {".grex/pack.yaml": pack_yaml(name, "declarative", actions=actions), ".gitignore": "made/\nhere\n"}
        server.create(name, files)
    synced.declare(*({"url": server.url(name), "path": name} for name in ("mac", "half")))
    await synced.sync(no_install=True)
    assert (await synced.state_of("half")).states == ("not-installed",)
    mac = await synced.state_of("mac")
    assert (mac.is_drift, mac.text) == (False, "left out: require: path_exists here does not hold")
    await synced.sync()
    assert (await synced.state_of("half")).states == ()
    (synced / "mac/here").touch()
    assert (await synced.state_of("mac")).states == ("not-installed",)


async def test_a_pack_whose_declaration_is_wrong_is_an_error(synced: Place) -> None:
    (synced / "a/.grex").mkdir()
    (synced / "a/.grex/pack.yaml").write_text("nonsense")
    report = await synced.status(fail_on_drift=True)
    assert report.exit_code == 4
    assert (await synced.state_of("a")).states == ("error",)


async def test_a_pack_whose_actions_are_wrong_is_an_error_as_it_is_for_a_sync(synced: Place) -> None:
    synced.declare(type="declarative", actions=[{"mkdir": {"path": "made"}}, {"makedir": {"path": "a"}}])
    root = await synced.state_of(".")
    assert root.states == ("error",)
    assert ".grex/pack.yaml:" in root.text
    assert "makedir" in root.text
    assert (await synced.status()).exit_code == (await synced.sync()).exit_code != 0


async def test_a_pack_inside_another_is_no_untracked_file_of_it(synced: Place, server: GitServer) -> None:
    synced.declare({"url": server.url("tool"), "path": "a"}, {"url": server.url("tool"), "path": "a/in"})
    await synced.sync()
    assert (await synced.state_of("a")).states == ()


async def test_a_selection_shows_the_pack_with_what_lies_below_it(synced: Place, server: GitServer) -> None:
    server.create("meta", {".grex/pack.yaml": pack_yaml("meta", children=[{"url": server.url("tool"), "path": "in"}])})
    synced.declare({"url": server.url("tool"), "path": "a"}, {"url": server.url("meta"), "path": "m"})
    await synced.sync()
    assert [pack.path for pack in (await synced.status("m")).packs] == ["m", "m/in"]
    with pytest.raises(UsageError):
        await synced.status("nonesuch")


async def test_nothing_is_written_and_no_remote_is_asked(synced: Place, server: GitServer) -> None:
    server.path("tool").rename(server.root / "gone.git")

    def stamps() -> dict[str, int]:
        return {str(path): path.lstat().st_mtime_ns for path in synced.root.rglob("*") if path.suffix != ".lock"}

    before = stamps()
    assert (await synced.status()).is_clean
    assert stamps() == before


def scripted(name: str, hook: str) -> dict[str, str]:
    return {".grex/pack.yaml": pack_yaml(name, "scripted"), ".grex/hooks/setup.sh": hook}


async def test_an_install_that_is_not_trusted_says_what_it_would_run_and_how_to_trust_it(
    synced: Place, server: GitServer
) -> None:
    server.create("own", scripted("own", "true\n"))
    synced.declare({"url": server.url("own"), "path": "own"})
    assert (await synced.sync()).exit_code == 4
    found = await synced.state_of("own")
    assert set(found.states) == {"not-installed", "untrusted"}
    assert found.text == "not installed yet, not trusted to run: hook .grex/hooks/setup.sh"
    assert f"`grex trust {server.url('own')}`" in (found.hint or "")
    assert found.to_json()["hint"] == found.hint
    await synced.sync(settings={"trust": (server.url("own"),)})
    assert (await synced.state_of("own")).states == ()


async def test_an_install_that_failed_says_why_until_one_gets_through(synced: Place, server: GitServer) -> None:
    trusted = {"trust": (server.url("own"),)}
    server.create("own", scripted("own", "echo token=1 no disk >&2; exit 3\n"))
    synced.declare({"url": server.url("own"), "path": "own"})
    assert (await synced.sync(settings=trusted)).exit_code == 4
    synced.defaults = synced.settings(**trusted)
    found = await synced.state_of("own")
    assert found.states == ("not-installed", "install-failed")
    assert "last install failed: own/.grex/hooks/setup.sh: the hook exited with code 3: " in found.text
    assert "no disk" in found.text
    assert found.hint == "Mend what it complains about, then sync again."
    server.commit("own", {".grex/hooks/setup.sh": "true\n"})
    await synced.sync()
    assert (await synced.state_of("own")).states == ()


async def test_an_action_whose_plan_fails_is_a_failed_install_too(synced: Place) -> None:
    synced.declare(type="declarative", actions=[{"mkdir": {"path": "made/up"}}])
    (synced / "made").write_text("in the way")
    assert (await synced.sync(settings={"trust": (".",)})).exit_code == 4
    assert "install-failed" in (await synced.state_of(".")).states


async def test_a_dot_is_the_whole_workspace(synced: Place) -> None:
    assert await synced.status(".") == await synced.status()
    assert [pack.path for pack in (await synced.sync("./")).packs] == ["a", "pin"]
    assert [pack.path for pack in (await synced.sync("pin", ".")).packs] == ["a", "pin"]
    with pytest.raises(UsageError):
        await synced.sync(".", "nonesuch")


async def test_a_repository_made_around_packs_is_told_until_they_are_hidden_from_it(synced: Place) -> None:
    assert (await synced.status()).notes == ()
    git(synced.root, "init", "--quiet", "--initial-branch=trunk")
    (note,) = (await synced.status()).notes
    assert note.endswith("`git add .` would take the packs; `grex sync` hides them")
    await synced.sync()
    assert (await synced.status()).notes == ()
    git(synced.root, "add", ".")
    assert git(synced.root, "ls-files").split() == [".grex/pack.yaml", "grex.lock.jsonl"]


async def test_the_workspaces_own_repository_has_a_line(synced: Place, server: GitServer, tmp_path: Path) -> None:
    assert (await synced.status()).repository is None
    git(tmp_path, "init", "--quiet", "--bare", "own.git")
    git(synced.root, "init", "--quiet", "--initial-branch=trunk")
    assert render.status(await synced.status()).splitlines()[0] == "Workspace: on trunk."
    git(synced.root, "remote", "add", "origin", str(tmp_path / "own.git"))
    git(synced.root, "add", "grex.lock.jsonl", ".grex/pack.yaml")
    git(synced.root, "commit", "--quiet", "-m", "lock")
    git(synced.root, "push", "--quiet", "origin", "trunk")
    synced.seen.events.clear()
    assert render.status(await synced.status()).splitlines()[0] == "Workspace: on trunk."
    ran = [event for event in synced.seen.events if isinstance(event, Slice) and event.category == "git"]
    assert [event.args["cwd"] for event in ran] == [str(synced.root)]  # one for it, none for a clean pack
    git(synced.root, "commit", "--quiet", "--allow-empty", "-m", "mine")
    (synced / ".grex/pack.yaml").write_text((synced / ".grex/pack.yaml").read_text() + "# mine\n")
    report = await synced.status()
    assert render.status(report).splitlines()[0] == "Workspace: on trunk, 1 ahead, 1 edited."
    assert (report.is_clean, report.to_json()["repository"]) == (
        True,
        {
            "path": str(synced.root),
            "branch": "trunk",
            "sha": git(synced.root, "rev-parse", "HEAD"),
            "edited": 1,
            "ahead": 1,
            "behind": 0,
            "problem": None,
        },
    )
    assert (await synced.status("a")).repository is None


async def test_what_is_broken_comes_before_what_somebody_works_on(synced: Place, server: GitServer) -> None:
    urls = [{"url": server.url("tool"), "path": path} for path in ("a", "b", "c", "d")]
    synced.declare(*urls)
    await synced.sync()
    synced.declare(*urls, {"url": server.url("tool"), "path": "e"})
    (synced / "a/t").write_text("mine")
    commit(synced / "b", "u")
    (synced / "c/.grex").mkdir()
    (synced / "c/.grex/pack.yaml").write_text("nonsense")
    report = await synced.status()
    assert render.status(report, short=True).splitlines() == [
        "error c",
        "missing e",
        "undeclared pin",
        "ahead b",
        "edited a",
    ]
    told = render.status(report).splitlines()
    assert [told.index(next(line for line in told if line.startswith(pack))) for pack in "cea"] == sorted(
        told.index(next(line for line in told if line.startswith(pack))) for pack in "cea"
    )
    assert render.status(await synced.status("d"), short=True) == ""


async def test_a_fetch_before_the_look_shows_what_is_new_and_a_failed_one_hides_nothing(
    synced: Place, server: GitServer
) -> None:
    server.create("gone", {"g": "1\n"})
    synced.declare(
        {"url": server.url("tool"), "path": "a"},
        {"url": server.url("gone"), "path": "g"},
        {"url": server.url("tool"), "path": "pin", "ref": "v1"},
        {"url": server.url("tool"), "path": "later"},
    )
    await synced.sync("a", "g", "pin")
    server.commit("tool", {"t": "2\n"})
    server.path("gone").rename(server.path("away"))
    assert (await synced.state_of("a")).states == ()
    report = await synced.status(fetch=True)
    found = {pack.path: pack.states for pack in report.packs}
    assert found == {"a": ("behind",), "g": (), "later": ("missing",), "pin": ("detached",)}
    assert report.exit_code == 4
    told = render.status(report).splitlines()
    assert told[0].startswith("not fetched  g: ")
    fetched = report.to_json()["fetched"]
    assert fetched is not None
    assert [(one["path"], one["status"]) for one in fetched] == [("a", "fetched"), ("g", "failed"), ("pin", "fetched")]
    assert (await synced.status("pin", fetch=True)).exit_code == 0
    assert (await synced.status()).to_json()["fetched"] is None
