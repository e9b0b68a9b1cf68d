"""The `meta` pack type: a pack that owns others and has nothing of its own to install."""

from __future__ import annotations

from grex.plugin import Context, Outcome, Pack, PackType

__all__ = ["Meta"]


class Meta(PackType):
    """Owns children, which the engine walks; itself it does nothing.

    `teardown` is the inherited one: a pack that was `declarative` yesterday may have left something to take back.
    """

    name = "meta"
    takes_actions = False

    def has_install(self, pack: Pack) -> bool:
        """No: its children are packs of their own."""
        del pack
        return False

    def needs_trust(self, ctx: Context, pack: Pack) -> tuple[str, ...]:
        """Nothing."""
        del ctx, pack
        return ()

    def teardown_needs_trust(self, ctx: Context, pack: Pack) -> tuple[str, ...]:
        """What is undone from the log."""
        return ctx.undo_needs_trust(pack)

    async def install(self, ctx: Context, pack: Pack) -> Outcome:
        """Leave everything as it is."""
        del ctx, pack
        return Outcome("unchanged")
