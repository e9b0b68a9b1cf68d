"""The `dotfiles` pack type: every file under `files/` becomes a link in the user's home."""

from __future__ import annotations

from grex.plugin import Context, Outcome, Pack, PackType, Symlink

__all__ = ["Dotfiles"]


class Dotfiles(PackType):
    """Links `<pack>/files/**` to the same places under `$HOME`."""

    name = "dotfiles"

    async def install(self, ctx: Context, pack: Pack) -> Outcome:
        """Make the links that are missing; links that are right stay as they are."""
        files = pack.root / "files"
        async with ctx.hold(pack) as hold:  # workspace (if not yet held), permit, pack lock
            for src in sorted(files.rglob("*")):
                if src.is_file():
                    await hold.run(Symlink(src=src, dst=ctx.home / src.relative_to(files)))
            return hold.outcome()

    async def teardown(self, ctx: Context, pack: Pack) -> Outcome:
        """Take away the links that `install` made."""
        async with ctx.hold(pack) as hold:
            await hold.undo()
            return hold.outcome()
