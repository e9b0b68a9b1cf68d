"""The `plain` pack type: a checkout and nothing more, also the type of a repository without a pack.yaml."""

from __future__ import annotations

from grex.plugin import Context, Outcome, Pack, PackType

__all__ = ["Plain"]


class Plain(PackType):
    """Is fetched and checked out; there is nothing to install.

    `teardown` is the inherited one: a pack that was `declarative` yesterday may have left something to take back.
    """

    name = "plain"
    takes_actions = False

    def has_install(self, pack: Pack) -> bool:
        """No."""
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
