"""The action: planned, done, done again, changed by hand, taken back; first alone, then by the real grex."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Served, tar_gz
from grex_archive.action import Archive, ArchiveArguments

from grex.errors import ActionError
from grex.plugin.testing import RecordingContext, TemporaryWorkspace, perform, would

pytestmark = pytest.mark.anyio

ARCHIVE = Archive()
MakeArchive = Callable[[bytes], tuple[str, str]]
FILES = {"top/bin/tool": "#!/bin/sh\n", "top/doc/readme": "read me\n"}


def tree(root: Path) -> dict[str, str]:
    """The files below a directory, without the marker."""
    return {
        path.relative_to(root).as_posix(): path.read_text()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name != ".grex-archive.json"
    }


@pytest.fixture
def context(tmp_path: Path) -> RecordingContext:
    return RecordingContext(tmp_path)


@pytest.fixture
def arguments(make_archive: MakeArchive) -> ArchiveArguments:
    url, sha256 = make_archive(tar_gz(FILES))
    return ArchiveArguments(url=url, sha256=sha256, dst="~/deep/opt/tool", strip=1)


async def test_it_unpacks_once_and_takes_everything_away_again(
    context: RecordingContext, arguments: ArchiveArguments
) -> None:
    ctx = context.of(context.make_pack())
    dst = context.home / "deep/opt/tool"
    assert await would(ARCHIVE, arguments, ctx) == f"unpack {dst}"
    assert list(context.home.iterdir()) == []

    done = await perform(ARCHIVE, arguments, ctx)
    assert tree(dst) == {"bin/tool": "#!/bin/sh\n", "doc/readme": "read me\n"}
    assert not (await perform(ARCHIVE, arguments, ctx)).changed
    assert await ARCHIVE.drift(arguments, ctx) is None

    for _ in range(2):
        await ARCHIVE.undo(done.undo or {}, ctx)
        assert list(context.home.iterdir()) == []
    assert context.leftovers() == []


async def test_it_claims_its_directory_and_asks_for_trust(
    context: RecordingContext, arguments: ArchiveArguments
) -> None:
    ctx = context.of(context.make_pack())
    assert ARCHIVE.claims(arguments, ctx) == (str(context.home / "deep/opt/tool"),)
    assert ARCHIVE.needs_trust(arguments, ctx) == (f"unpack {arguments.sha256[:12]}... into ~/deep/opt/tool",)


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [({"sha256": "abc"}, "archive.sha256 has 64 hexadecimal digits"), ({"strip": -1}, "archive.strip is at least 0")],
)
def test_arguments_that_cannot_be_meant_are_told(changed: dict[str, Any], sentence: str) -> None:
    arguments = ArchiveArguments(**{"url": "file:///x", "sha256": "0" * 64, "dst": "a", **changed})
    assert ARCHIVE.check(arguments) == sentence


async def test_what_somebody_changed_is_told_kept_by_an_undo_and_moved_aside_by_force(
    context: RecordingContext, arguments: ArchiveArguments
) -> None:
    ctx = context.of(context.make_pack())
    done = await perform(ARCHIVE, arguments, ctx)
    dst = context.home / "deep/opt/tool"
    (dst / "doc/readme").write_text("mine")

    assert await ctx.drift(arguments, using=ARCHIVE) == f"unpack {dst}: it was changed by hand"
    with pytest.raises(ActionError, match="changed by hand"):
        await perform(ARCHIVE, arguments, ctx)
    await ARCHIVE.undo(done.undo or {}, ctx)
    assert ctx.notes == [f"{dst} stays: it was changed since it was unpacked"]
    assert (dst / "doc/readme").read_text() == "mine"

    ctx.force = True
    forced = await perform(ARCHIVE, arguments, ctx)
    assert tree(dst)["doc/readme"] == "read me\n"
    (backup,) = dst.parent.glob("tool.grex-bak.*")
    assert (backup / "doc/readme").read_text() == "mine"
    await ARCHIVE.undo(forced.undo or {}, ctx)
    assert (dst / "doc/readme").read_text() == "mine"
    assert context.leftovers() == []


async def test_another_version_takes_the_place_of_the_first(
    context: RecordingContext, arguments: ArchiveArguments, make_archive: MakeArchive
) -> None:
    ctx = context.of(context.make_pack())
    await perform(ARCHIVE, arguments, ctx)
    url, sha256 = make_archive(tar_gz({"top/new": "2"}))
    newer = ArchiveArguments(url=url, sha256=sha256, dst=arguments.dst, strip=1)
    done = await perform(ARCHIVE, newer, ctx)
    assert done.irreversible
    assert tree(context.home / "deep/opt/tool") == {"new": "2"}
    assert [path.name for path in (context.home / "deep/opt").iterdir()] == ["tool"]


async def test_a_step_that_fails_leaves_the_version_before(
    context: RecordingContext, arguments: ArchiveArguments, make_archive: MakeArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last rename is refused: the version before has been moved aside by then."""
    ctx = context.of(context.make_pack())
    await perform(ARCHIVE, arguments, ctx)
    url, sha256 = make_archive(tar_gz({"top/new": "2"}))
    rename = Path.rename

    def refuse(self: Path, target: Any) -> Path:
        if Path(target).name == "tool" and (self / "new").exists():
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(ActionError, match="No space left on device"):
        await perform(ARCHIVE, ArchiveArguments(url=url, sha256=sha256, dst=arguments.dst, strip=1), ctx)
    assert tree(context.home / "deep/opt/tool") == {"bin/tool": "#!/bin/sh\n", "doc/readme": "read me\n"}
    assert context.leftovers() == []


async def test_something_foreign_in_its_place_stays(context: RecordingContext, arguments: ArchiveArguments) -> None:
    dst = context.home / "deep/opt/tool"
    dst.mkdir(parents=True)
    (dst / "mine").touch()
    with pytest.raises(ActionError, match="something that was not unpacked is there"):
        await perform(ARCHIVE, arguments, context.of(context.make_pack()))
    assert [path.name for path in dst.iterdir()] == ["mine"]


def test_grex_fetches_unpacks_and_takes_away(server: Served, tmp_path: Path) -> None:
    """The whole life: over HTTPS, checked by hash, done again without a change, and gone after the next version."""
    url, sha256 = server.put("/tool.tar.gz", tar_gz(FILES))
    action = {"archive": {"url": url, "sha256": sha256, "dst": "~/tool", "strip": 1}}
    environ = {"SSL_CERT_FILE": str(server.certificate)}
    with TemporaryWorkspace(tmp_path / "ws", environ=environ) as workspace:
        workspace.add_pack("tool", {"type": "declarative", "actions": [action]})
        told = workspace.sync(expect=4, trust=False)
        assert f"unpack {sha256[:12]}... into ~/tool" in json.dumps(told.document)
        assert server.seen == []

        workspace.sync()
        assert tree(workspace.home / "tool") == {"bin/tool": "#!/bin/sh\n", "doc/readme": "read me\n"}
        assert (workspace.root / ".grex/state/fetched" / sha256).is_file()
        workspace.sync()
        assert [path for path, _ in server.seen] == ["/tool.tar.gz"]

        action["archive"]["sha256"] = "0" * 64
        action["archive"]["dst"] = "~/other"
        workspace.change_pack("tool", {"type": "declarative", "actions": [action]})
        failed = workspace.sync(expect=4)
        (error,) = [pack["install"]["error"] for pack in failed.packs.values() if pack["path"] == "tool"]
        assert f"has the SHA-256 {sha256}, and {'0' * 64} was asked for" in error["message"]
        assert error["details"]["file"] == "tool/.grex/pack.yaml"
        assert not (workspace.home / "other").exists()
        assert [path.name for path in (workspace.root / ".grex/state/fetched").iterdir()] == [sha256]
