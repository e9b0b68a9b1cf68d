"""The `dotfiles` pack type: every file under `files/` becomes a link in the user's home."""

from __future__ import annotations

from collections.abc import Iterator

from grex.plugin import Claim, Context, Outcome, Pack, PackType, Symlink

__all__ = ["Dotfiles"]


class Dotfiles(PackType):
    """Links `<pack>/files/**` to the same places under `$HOME`."""

    name = "dotfiles"

    def claims(self, ctx: Context, pack: Pack) -> tuple[Claim, ...]:
        """Every link, so that two packs that want one are refused before either is installed."""
        return tuple(Claim(str(link.dst), str(link.src)) for link in _links(ctx, pack))

    async def install(self, ctx: Context, pack: Pack) -> Outcome:
        """Make the links that are missing; links that are right stay as they are."""
        async with ctx.hold(pack) as hold:  # workspace (if not yet held), permit, pack lock
            for link in _links(ctx, pack):
                await hold.run(link)
            return hold.outcome()

    async def teardown(self, ctx: Context, pack: Pack) -> Outcome:
        """Take away the links that `install` made."""
        async with ctx.hold(pack) as hold:
            await hold.undo()
            return hold.outcome()


def _links(ctx: Context, pack: Pack) -> Iterator[Symlink]:
    files = pack.root / "files"
    for src in sorted(files.rglob("*")):
        if src.is_file():
            yield Symlink(src=src, dst=ctx.home / src.relative_to(files))
