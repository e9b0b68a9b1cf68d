"""`grex rm`: what goes, what stays, and that nothing is lost; on real checkouts, in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from grex.errors import ManifestError, PackError, UsageError
from grex.verbs.override import OverrideRequest, override
from grex.verbs.rm import RmReport
from tests.support.git_server import git
from tests.support.removal import Nest, facts
from tests.support.workspace import pack_yaml

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """The loop makes no difference here; locks have their own tests on both."""
    return "asyncio"


def status(report: RmReport) -> dict[str, str]:
    return {pack.path: pack.code or pack.status for pack in report.packs}


async def test_a_pack_goes_with_what_it_owns_and_every_record_agrees(nest: Nest) -> None:
    git(nest.place.root, "init", "--quiet")
    await nest.sync()
    exclude = nest / ".git/info/exclude"
    assert "/libs/tool" in exclude.read_text().splitlines()
    report = await nest.rm("tool")
    assert report.exit_code == 0
    assert status(report) == {"libs/tool": "removed", "libs/tool/deps/inner": "removed"}
    assert report.undeclared == ("libs/tool",)
    assert "tool" not in nest.yaml.read_text().replace("about the tool", "")
    assert nest.logged() == {"other"} == nest.there() == set(nest.place.locked())
    assert not (nest / "libs").exists()  # nor a lock file beside it
    assert "/libs/tool" not in exclude.read_text().splitlines()
    assert "/other" in exclude.read_text().splitlines()
    assert (await nest.place.status()).packs[0].states == ()
    before = sorted((nest / ".grex/trash").iterdir())
    again = await nest.place.sync()
    assert (again.undeclared, again.exit_code, again.lockfile_changed) == ((), 0, False)
    assert sorted((nest / ".grex/trash").iterdir()) == before


async def test_an_override_of_what_is_gone_is_told_with_what_takes_it_away(nest: Nest) -> None:
    nest.yaml.write_text(
        nest.yaml.read_text() + "overrides:\n  - {path: libs/tool, ref: main}\n  - {path: other, ref: main}\n"
    )
    (nest / ".grex/local.yaml").write_text("overrides:\n  - path: libs/tool/deps/inner\n    ref: main\n")
    await nest.sync()
    report = await nest.rm("tool")
    assert report.notes == (
        (
            "the override for libs/tool in .grex/pack.yaml touches no pack now; "
            "`grex override libs/tool --remove` takes it away"
        ),
        (
            "the override for libs/tool/deps/inner in .grex/local.yaml touches no pack now; "
            "`grex override libs/tool/deps/inner --remove --local` takes it away"
        ),
    )
    for pack, is_local in (("libs/tool", False), ("libs/tool/deps/inner", True)):
        request = OverrideRequest(root=nest.place.root, pack=pack, remove=True, is_local=is_local)
        await override(request, nest.place.settings())
    assert not [note for note in (await nest.place.sync()).notes if "override" in note]


async def test_comments_and_order_of_the_other_declarations_stay(nest: Nest) -> None:
    text = nest.yaml.read_text()
    await nest.rm("other")
    assert nest.yaml.read_text() == "".join(line for line in text.splitlines(True) if "{url: " not in line)


async def test_a_file_that_cannot_be_edited_is_refused_before_anything_is_moved(
    nest: Nest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(text: str, index: int, *, file: str) -> str:
        raise ManifestError(f"{file}: entry {index} of {len(text)} characters cannot be edited")

    monkeypatch.setattr("grex.verbs.undeclaring.remove_child", refuse)
    before = facts(nest / "libs")
    with pytest.raises(ManifestError, match="cannot be edited"):
        await nest.rm("tool")
    assert facts(nest / "libs") == before
    assert nest.there() == nest.logged() == nest.declared()


WORK: dict[str, Callable[[Path], object]] = {
    "edited": lambda pack: (pack / "i").write_text("mine\n"),
    "untracked": lambda pack: (pack / "new").write_text("mine\n"),
    "unpushed": lambda pack: git(pack, "commit", "--quiet", "--allow-empty", "-m", "mine"),
    "holds-repository": lambda pack: git(pack, "init", "--quiet", "mine"),
    "interrupted": lambda pack: (pack / ".git/grex/note.json").write_text(
        '{"v":1,"op":"refs","pack":"x","from":null,"to":null,"branch":null,"was_clean":true,"record":null}'
    ),
}


@pytest.mark.parametrize("code", WORK)
async def test_work_deep_down_keeps_all_that_was_named_with_it(code: str, nest: Nest) -> None:
    with (nest / "libs/tool/deps/inner/.git/info/exclude").open("a") as exclude:
        exclude.write("mine\n")
    WORK[code](nest / "libs/tool/deps/inner")
    before, text = facts(nest / "libs"), nest.yaml.read_text()
    report = await nest.rm("libs/tool", "other")
    assert report.exit_code == 4
    assert status(report) == {"libs/tool/deps/inner": code, "libs/tool": "holds-pack", "other": "not-reached"}
    assert facts(nest / "libs") == before
    assert nest.yaml.read_text() == text
    assert nest.there() == nest.logged() == {"libs/tool", "libs/tool/deps/inner", "other"}


async def test_by_force_work_goes_to_the_trash_whole(nest: Nest) -> None:
    WORK["edited"](nest / "libs/tool/deps/inner")
    WORK["unpushed"](nest / "libs/tool/deps/inner")
    before = facts(nest / "libs/tool/deps/inner")
    assert (await nest.rm("libs/tool", force=True)).exit_code == 0
    (inner,) = (nest / ".grex/trash").glob("*/libs/tool/deps/inner")
    assert facts(inner) == before


async def test_a_pack_that_another_one_declares_is_refused_with_the_file_and_line(nest: Nest) -> None:
    with pytest.raises(PackError, match=r"declared by libs/tool, at libs/tool/\.grex/pack\.yaml:5:5") as refused:
        await nest.rm("inner")
    assert "--prune" in (refused.value.hint or "")


async def test_one_that_both_declare_loses_the_roots_entry_only(nest: Nest) -> None:
    entry = "  - {url: ../up/inner.git, path: libs/tool/deps/inner}\n"
    nest.yaml.write_text(nest.yaml.read_text() + entry)
    await nest.sync()
    report = await nest.rm("inner")
    assert (report.exit_code, report.packs) == (0, ())
    assert report.undeclared == ("libs/tool/deps/inner",)
    assert "also declared at libs/tool/.grex/pack.yaml:5:5" in report.notes[0]
    assert nest.yaml.read_text().count("inner") == 0
    assert "libs/tool/deps/inner" in nest.there()
    assert '"parents":["libs/tool"]' in (nest / "grex.lock.jsonl").read_text().splitlines()[1]


async def test_a_declared_pack_inside_keeps_the_one_around_it_even_by_force(nest: Nest) -> None:
    entry = f'  - {{url: "{nest.server.url("inner")}", path: libs/tool/built/kept}}\n'
    nest.yaml.write_text(nest.yaml.read_text() + entry)
    await nest.sync()
    report = await nest.rm("tool", force=True)
    assert status(report) == {"libs/tool": "holds-pack", "libs/tool/deps/inner": "not-reached"}
    assert "libs/tool/built/kept" in report.packs[0].text
    assert "--keep-files" in (report.packs[0].hint or "")
    assert nest.there() == {"libs/tool", "libs/tool/deps/inner", "other"}


async def test_keep_files_forgets_and_touches_no_file(nest: Nest) -> None:
    WORK["edited"](nest / "libs/tool/deps/inner")
    before = facts(nest / "libs")
    report = await nest.rm("tool", keep_files=True)
    assert status(report) == {"libs/tool": "forgotten", "libs/tool/deps/inner": "forgotten"}
    assert facts(nest / "libs") == before
    assert nest.logged() == {"other"} == set(nest.place.locked())
    assert not (nest / ".grex/trash").exists()
    assert (await nest.place.sync()).undeclared == ()


async def test_a_checkout_of_the_users_own_is_kept_unless_it_is_forced(nest: Nest) -> None:
    nest.server.create("mine", {"m": "1\n"})
    git(nest.place.root, "clone", "--quiet", nest.server.url("mine"), "mine")
    nest.yaml.write_text(nest.yaml.read_text() + f'  - url: "{nest.server.url("mine")}"\n')
    await nest.sync()
    assert status(await nest.rm("mine")) == {"mine": "not-ours"}
    assert status(await nest.rm("mine", force=True)) == {"mine": "removed"}


async def test_a_link_goes_and_what_it_leads_to_stays(nest: Nest, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (nest / "other").rename(elsewhere)
    (nest / "other").symlink_to(elsewhere)
    (elsewhere / "o").write_text("an edit in it is nobody's loss\n")
    before = facts(elsewhere)
    assert status(await nest.rm("other")) == {"other": "unlinked"}
    assert facts(elsewhere) == before
    (stamp,) = nest.in_trash()
    assert (await nest.doctor(stamp)).exit_code == 0
    assert (nest / "other").readlink() == elsewhere
    assert facts(elsewhere) == before


async def test_a_work_tree_of_another_repository_is_refused_even_by_force(nest: Nest, tmp_path: Path) -> None:
    git(tmp_path, "clone", "--quiet", nest.server.url("other"), "main")
    await nest.rm("other")
    git(tmp_path / "main", "worktree", "add", "--quiet", "--detach", str(nest / "other"))
    nest.yaml.write_text(nest.yaml.read_text() + f'  - url: "{nest.server.url("other")}"\n')
    for force in (False, True):
        report = await nest.rm("other", force=force)
        assert status(report) == {"other": "linked-worktree"}
        assert "git worktree remove" in (report.packs[0].hint or "")
    assert git(nest / "other", "status", "--porcelain") == ""


async def test_what_is_no_checkout_stays_and_is_no_longer_declared(nest: Nest) -> None:
    await nest.rm("other")
    nest.yaml.write_text(nest.yaml.read_text() + f'  - url: "{nest.server.url("other")}"\n')
    (nest / "other").mkdir()
    (nest / "other/mine").write_text("mine")
    before = facts(nest / "other")
    report = await nest.rm("other", force=True)
    assert status(report) == {"other": "absent"}
    assert report.undeclared == ("other",)
    assert facts(nest / "other") == before  # no lock file either


async def test_a_dry_run_says_what_would_go_and_writes_nothing(nest: Nest) -> None:
    before = facts(nest.place.root)
    report = await nest.rm("tool", dry_run=True)
    assert status(report) == {"libs/tool": "trash", "libs/tool/deps/inner": "trash"}
    assert (await nest.rm("tool", dry_run=True, keep_files=True)).packs[0].code == "forget"
    WORK["edited"](nest / "libs/tool/deps/inner")
    assert (await nest.rm("tool", dry_run=True)).exit_code == 4
    before["libs/tool/deps/inner/i"] = facts(nest / "libs/tool/deps/inner")["i"]
    assert facts(nest.place.root) == before


async def test_an_undeclared_pack_of_ours_goes_by_its_name(nest: Nest) -> None:
    text = nest.yaml.read_text()
    nest.yaml.write_text("".join(line for line in text.splitlines(True) if "{url: " not in line))
    assert (await nest.place.sync()).undeclared == ("other",)
    assert status(await nest.rm("other")) == {"other": "removed"}
    assert nest.there() == nest.logged() == {"libs/tool", "libs/tool/deps/inner"}


async def test_the_root_is_no_pack_that_can_be_taken_out(nest: Nest) -> None:
    before = facts(nest.place.root)
    for how in ({}, {"force": True}, {"keep_files": True}):
        with pytest.raises(UsageError, match="the root is the workspace itself"):
            await nest.rm(".", "other", **how)
    assert facts(nest.place.root) == before


async def test_a_pack_that_is_nowhere_is_undeclared(nest: Nest) -> None:
    git(nest.place.root, "clone", "--quiet", nest.server.url("other"), "unrelated")
    nest.yaml.write_text(nest.yaml.read_text() + '  - url: "https://example.invalid/never.git"\n')
    assert status(await nest.rm("never")) == {"never": "absent"}
    with pytest.raises(UsageError):
        await nest.rm("never")
    with pytest.raises(UsageError):
        await nest.rm("unrelated")
    with pytest.raises(UsageError, match="--keep-files and --force"):
        await nest.rm("other", keep_files=True, force=True)


async def test_what_is_installed_is_taken_back_first_or_left_as_asked(nest: Nest) -> None:
    """The teardown of the inner pack cannot be done, so nothing goes until it is left out or mended."""
    home = nest.place.home
    command = {"cmd": ["mkdir", f"{home}/made"], "creates": f"{home}/made", "undo": ["rmdir", f"{home}/made"]}
    yaml = pack_yaml("inner", "declarative", actions=[{"exec": command}])
    nest.server.commit("inner", {".grex/pack.yaml": yaml})
    await nest.sync(ask_trust=trust_all)
    with pytest.raises(PackError, match="inner is installed, and how to take that back would be forgotten"):
        await nest.rm("tool", keep_files=True)
    (home / "made/full").touch()
    report = await nest.rm("tool", ask_trust=trust_all)
    assert report.exit_code == 4
    assert status(report)["libs/tool/deps/inner"] == "teardown-failed"
    assert "--skip-teardown" in (report.packs[1].hint or "")
    assert nest.there() == nest.logged() == {"libs/tool", "libs/tool/deps/inner", "other"}
    (home / "made/full").unlink()
    report = await nest.rm("tool", ask_trust=trust_all)
    assert report.exit_code == 0
    assert [(pack.path, pack.status) for pack in report.torn_down] == [("libs/tool/deps/inner", "torn-down")]
    assert not (home / "made").exists()


async def test_skip_teardown_leaves_what_is_installed(nest: Nest) -> None:
    actions = [{"mkdir": {"path": f"{nest.place.home}/made"}}]
    nest.server.commit("inner", {".grex/pack.yaml": pack_yaml("inner", "declarative", actions=actions)})
    await nest.sync(ask_trust=trust_all)
    assert (await nest.rm("tool", skip_teardown=True)).exit_code == 0
    assert (nest.place.home / "made").is_dir()
    assert nest.there() == {"other"}


async def trust_all(steps: object) -> list[str]:
    del steps
    return ["file:///"]
