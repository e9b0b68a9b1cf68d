"""`grex diff`: what is different between two lockfiles, and what the repositories of the packs know about it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from grex.cli import render
from grex.engine.comparing import compare_locks
from grex.errors import GrexError, UsageError
from grex.git import observe
from grex.git.history import MOST_SUBJECTS, read_history
from grex.manifest import LockLine
from grex.names.compare import compare_link
from grex.verbs.diff import DiffReport, DiffRequest, PackDiff, diff
from tests.support.git_server import GitServer, git
from tests.support.place import Place, by_path

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """One loop: a diff waits for nothing but git."""
    return "asyncio"


async def differ(place: Place, between: str | None = None, *packs: str, here: Path | None = None) -> DiffReport:
    return await diff(DiffRequest(place.root, between, packs, here=here), place.settings())


def lines(report: DiffReport) -> list[str]:
    return render.diff(report).splitlines()


@pytest.fixture
async def committed(place: Place, server: GitServer) -> Place:
    """A workspace in a repository, with two packs that are locked and committed as v1."""
    for name in ("tool", "lib"):
        server.create(name, {"t": f"{name}\n"})
    place.declare({"url": server.url("tool"), "path": "tool"}, {"url": server.url("lib"), "path": "lib"})
    await place.sync()
    git(place.root, "init", "--quiet")
    git(place.root, "add", "grex.lock.jsonl", ".grex/pack.yaml")
    git(place.root, "commit", "--quiet", "-m", "lock")
    git(place.root, "tag", "v1")
    return place


async def test_a_pack_that_moved_on_has_old_and_new_with_subjects_and_the_rest_is_counted(
    committed: Place, server: GitServer
) -> None:
    assert lines(await differ(committed)) == ["Diff HEAD..: no pack is different."]
    old = git(committed / "tool", "rev-parse", "HEAD")
    new = ""
    for number in range(MOST_SUBJECTS + 2):
        new = server.commit("tool", {"t": f"{number}\n"}, message=f"number {number}\n\nnot the subject")
    synced = by_path(await committed.sync())["tool"]
    assert f"main {old[:10]}..{new[:10]} (14 commits)" in synced.line()
    report = await differ(committed)
    assert lines(report)[0] == f"changed      tool: main {old[:10]}..{new[:10]} (14 commits)"
    assert lines(report)[1].endswith("> number 13")
    assert lines(report)[-2:] == ["             and 2 more", "Diff HEAD..: 1 pack: 1 changed."]
    found = report.to_json()["packs"][0]
    assert found["commits"] == synced.to_json()["commits"]
    assert (found["old"], found["new"], found["commits"]) == (old, new, found["commits"])
    assert found["commits"] is not None
    assert (found["commits"]["added"], len(found["commits"]["subjects"])) == (14, MOST_SUBJECTS)
    git(committed.root, "commit", "--quiet", "-am", "again")
    assert lines(await differ(committed)) == ["Diff HEAD..: no pack is different."]
    for between in ("v1", "v1..", "v1..HEAD"):
        assert [pack.change.kind for pack in (await differ(committed, between)).packs] == ["changed"]
    assert [pack.change.path for pack in (await differ(committed, "v1..", "lib")).packs] == []
    assert [pack.change.path for pack in (await differ(committed, "v1..", "tool")).packs] == ["tool"]
    back = await differ(committed, "HEAD..v1")
    assert lines(back)[0].endswith("(14 taken back)")
    assert lines(back)[1].endswith("< number 13")


async def test_a_rewritten_branch_shows_what_is_gone_and_what_is_there(committed: Place, server: GitServer) -> None:
    server.commit("tool", {"t": "2\n"}, message="rewritten", amend=True)
    await committed.sync()
    told = lines(await differ(committed))
    assert told[0].endswith("(1 commit, 1 taken back)")
    assert sorted(line.strip() for line in told[1:3]) == ["< change", "> rewritten"]


async def test_added_removed_moved_and_newly_declared_packs_are_told_apart(committed: Place, server: GitServer) -> None:
    server.create("new", {"n": "1\n"})
    server.tag("tool", "v1")
    (committed / "lib").rename(committed / "moved")
    committed.declare(
        {"url": server.url("lib"), "path": "moved"},
        {"url": server.url("tool"), "path": "tool", "ref": "v1"},
        {"url": server.url("new"), "path": "new"},
    )
    await committed.sync()
    told = "\n".join(lines(await differ(committed)))
    assert "moved        lib -> moved: main at " in told
    assert "added        new: main at " in told
    assert "changed      tool: v1 at " in told
    assert "ref: HEAD -> v1" in told
    assert "branch: main -> none" in told
    assert "3 packs: 1 changed, 1 moved, 1 added." in told
    assert "removed      new: was main at " in "\n".join(lines(await differ(committed, "../ws/grex.lock.jsonl..v1")))


async def test_a_lockfile_may_be_a_file_from_where_the_person_is(committed: Place, tmp_path: Path) -> None:
    (tmp_path / "old.jsonl").write_text("")
    (tmp_path / "below").mkdir()
    for between, kind in (("../old.jsonl..", "added"), ("../old.jsonl..v1", "added"), ("v1..../old.jsonl", "removed")):
        report = await differ(committed, between, here=tmp_path / "below")
        assert {pack.change.kind for pack in report.packs} == {kind}, between
    (tmp_path / "old.jsonl").write_text("nonsense\n")
    with pytest.raises(GrexError, match=r"old\.jsonl:1:"):
        await differ(committed, "old.jsonl", here=tmp_path)


async def test_commits_that_are_not_here_are_said_to_be_so_and_nobody_is_asked(
    committed: Place, server: GitServer
) -> None:
    far = server.commit("tool", {"t": "2\n"})
    lockfile = committed / "grex.lock.jsonl"
    here = git(committed / "tool", "rev-parse", "HEAD")
    lockfile.write_text(lockfile.read_text().replace(here, far))
    assert "(commits not fetched)" in lines(await differ(committed))[0]
    (committed / "tool").rename(committed.root.parent / "away")
    assert "(not cloned here)" in lines(await differ(committed))[0]


async def test_a_clone_that_was_cut_off_in_between_does_not_count_what_it_cannot(
    place: Place, server: GitServer
) -> None:
    server.create("tool", {"t": "1\n"})
    place.declare({"url": server.url("tool"), "path": "tool", "depth": 1})
    await place.sync()
    new = ""
    for number in range(2, 5):
        new = server.commit("tool", {"t": f"{number}\n"})
    pack = observe(place / "tool")
    assert pack.head_sha is not None
    git(place / "tool", "fetch", "--quiet", "--depth=1", "origin", "main")
    runner = place.session().git_for("tool")
    assert await read_history(runner, pack.real, pack.dirs, pack.head_sha, new) is None
    git(place / "tool", "fetch", "--quiet", "--unshallow", "origin", "main")
    whole = await read_history(runner, pack.real, pack.dirs, pack.head_sha, new)
    assert whole is not None
    assert whole.added == 3


@pytest.mark.parametrize("wrong", ["nonesuch..", "--output=x", "v1..nonesuch", "a..b..c", "HEAD:x", ":grex.lock.jsonl"])
async def test_a_range_that_is_none_is_refused(committed: Place, wrong: str) -> None:
    with pytest.raises(UsageError) as caught:
        await differ(committed, wrong)
    assert caught.value.hint
    assert not (committed / "x").exists()


async def test_outside_of_a_repository_lockfiles_can_be_compared_and_revisions_not(place: Place) -> None:
    place.declare()
    with pytest.raises(UsageError, match="in no git repository"):
        await differ(place)
    (place / "grex.lock.jsonl").write_text("")
    assert (await differ(place, "grex.lock.jsonl")).packs == ()


def line(path: str, url: str = "https://github.com/o/r", sha: str = "1" * 40, ref: str | None = None) -> LockLine:
    return LockLine(path, url, ref, "main", sha, "plain", (".",))


def test_of_several_checkouts_of_one_url_only_the_same_commit_tells_what_moved() -> None:
    old = {one.path: one for one in (line("a"), line("b", sha="2" * 40))}
    new = {one.path: one for one in (line("c", sha="2" * 40), line("d", sha="3" * 40), line("e", sha="4" * 40))}
    found = [(one.kind, one.path, one.old.path if one.old else None) for one in compare_locks(old, new)]
    assert found == [("removed", "a", "a"), ("moved", "c", "b"), ("added", "d", None), ("added", "e", None)]


@pytest.mark.parametrize(
    ("url", "link"),
    [
        ("https://github.com/o/r.git", "https://github.com/o/r/compare/A...B"),
        ("git@github.com:o/r.git", "https://github.com/o/r/compare/A...B"),
        ("ssh://git@gitlab.example.org:2222/g/sub/r.git/", "https://gitlab.example.org/g/sub/r/-/compare/A...B"),
        ("https://me:secret@codeberg.org/o/r", "https://codeberg.org/o/r/compare/A...B"),
        ("https://github.com/o/a)b c", None),
        ("https://host.example/o/r", None),
        ("file:///github/o/r", None),
        ("../o/r", None),
    ],
)
def test_a_forge_has_a_page_for_two_commits(url: str, link: str | None) -> None:
    found = compare_link(url, "A", "B")
    assert found == link or (link is None and found is not None and not re.search(r"[ )(]", found))
    assert "secret" not in (found or "")


def test_markdown_shows_what_others_wrote_as_text() -> None:
    evil = "[x](http://e) `b` *c* <img> @team #12 | ~d~"
    from grex.engine.comparing import Change  # noqa: PLC0415 - one use
    from grex.git.history import History, HistoryCommit  # noqa: PLC0415 - one use
    from grex.verbs.diff import Side  # noqa: PLC0415 - one use

    change = Change("changed", line("a_b*"), line("a_b*", sha="2" * 40))
    history = History(2, 0, (HistoryCommit("3" * 40, evil),))
    report = DiffReport(
        Path("/w"), Side("revision", "v_1", "4" * 40), Side("disk", "disk"), (PackDiff(change, history),)
    )
    told = render.diff_markdown(report)
    assert "- **a\\_b\\***: [" in told
    assert f"](https://github.com/o/r/compare/{'1' * 40}...{'2' * 40})" in told
    assert "### Changed\n" in told
    assert "\\[x\\](http://e) \\`b\\` \\*c\\* \\<img\\> @\u200bteam #\u200b12 \\| \\~d\\~" in told
    assert "*and 1 more*" in told
    for text in (told, render.diff(report)):
        assert text.count("\n") < 12


def test_the_format_is_chosen_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from grex.cli.app import run  # noqa: PLC0415 - one use

    monkeypatch.chdir(tmp_path)
    assert run(["init", "--quiet"]) == 0
    (tmp_path / "old.jsonl").write_text("")

    def said(*arguments: Any) -> str:
        capsys.readouterr()
        assert run(["diff", "old.jsonl..", *arguments]) == 0
        return capsys.readouterr().out

    assert said() == "Diff old.jsonl..: no pack is different.\n"
    assert said("--format", "markdown").startswith("## Packs: no pack is different\n")
    assert '"schema": "grex.diff/1"' in said("--format", "json") == said("--json")
