"""The pack type, first without a workspace, then run by the real grex. `python -m unittest` is all that it needs."""

from __future__ import annotations

import json
import tempfile
import unittest
from pathlib import Path

from grex_dotfiles import Dotfiles

from grex.errors import ActionError
from grex.plugin import Pack
from grex.plugin.testing import RecordingContext, TemporaryWorkspace

FILES = {"files/.vimrc": "set number\n", "files/.config/tool/rc": "x = 1\n"}
DOTFILES = Dotfiles()


def links(home: Path) -> dict[str, Path]:
    return {str(path.relative_to(home)): path.readlink() for path in home.rglob("*") if path.is_symlink()}


class WithoutAWorkspace(unittest.IsolatedAsyncioTestCase):
    """What it does to one pack."""

    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.context = RecordingContext(Path(directory.name))
        self.home = self.context.home

    def make_pack(self) -> Pack:
        pack = self.context.make_pack("dots", type="dotfiles")
        for name, text in FILES.items():
            (pack.root / name).parent.mkdir(parents=True, exist_ok=True)
            (pack.root / name).write_text(text)
        return pack

    async def test_it_links_every_file_once_and_takes_the_links_away_again(self) -> None:
        pack = self.make_pack()
        outcome = await DOTFILES.install(self.context, pack)
        assert outcome.status == "changed"
        assert links(self.home) == {name.removeprefix("files/"): pack.root / name for name in FILES}
        assert (await DOTFILES.update(self.context, pack)).status == "unchanged"
        await DOTFILES.teardown(self.context, pack)
        assert list(self.home.iterdir()) == []

    async def test_a_file_in_the_way_fails_the_pack_and_takes_back_the_links_before_it(self) -> None:
        (self.home / ".vimrc").write_text("mine")
        with self.assertRaisesRegex(ActionError, r"\.vimrc"):
            await DOTFILES.install(self.context, self.make_pack())
        assert [path.name for path in self.home.iterdir()] == [".vimrc"]
        assert (self.home / ".vimrc").read_text() == "mine"


class Installed(unittest.TestCase):
    """What users see."""

    def test_it_is_found_trusted_and_run_by_a_real_sync(self) -> None:
        with TemporaryWorkspace() as workspace:
            workspace.add_pack("dots", {"type": "dotfiles"}, FILES)
            told = workspace.sync(expect=4, trust=False)
            assert "pack type dotfiles" in json.dumps(told.document)
            assert (workspace.root / "dots/files/.vimrc").exists()
            assert links(workspace.home) == {}

            workspace.sync()
            made = {name.removeprefix("files/"): workspace.root / "dots" / name for name in FILES}
            assert links(workspace.home) == made
            before = {name: (workspace.home / name).lstat().st_ino for name in made}
            workspace.sync()
            assert {name: (workspace.home / name).lstat().st_ino for name in made} == before


if __name__ == "__main__":
    unittest.main()
