"""How the installation of each pack stands: due, allowed, failed, changed by hand, or as it should be.

Nothing is installed or written; plugins are asked what they would do, and whether what they did is still there.
"""

from __future__ import annotations

from msgspec import Struct

from grex.engine import ROOT, Installable, Present, RunContext, Session
from grex.engine.drift import look_for_drift
from grex.engine.install import examine_all, would_run
from grex.engine.lifecycle import asking, is_allowed, untrusted_error
from grex.engine.survey import Survey
from grex.errors import ClaimError, GrexError

__all__ = ["InstallStatus", "Installs"]


class InstallStatus(Struct, frozen=True):
    """How the installation of one pack stands; everything empty if it is as it should be."""

    states: tuple[str, ...] = ()
    told: tuple[str, ...] = ()
    tampered: tuple[str, ...] = ()
    hint: str | None = None
    error: GrexError | None = None


class Installs:
    """How the installations stand: which packs want one place is known of all of them at once."""

    def __init__(self, session: Session, found: Survey) -> None:
        self._session = session
        present = [Present(ROOT, found.root_spec, "", None)]
        for node in found.graph.active():
            state = found.states.get(node.path)
            if state is not None and state.kind == "checkout" and node.path not in found.errors:
                head = state.head_sha or ""
                present.append(Present(node.path, node.spec, head, node.url.identity, session.trust_key(node.url)))
        known, self._wrong = examine_all(session, RunContext(session, dry_run=True), present)
        self._known = {pack.path: pack for pack in known}

    async def judge(self, path: str) -> InstallStatus:
        """How one stands; what was changed by hand is looked for only where all else is as it should be."""
        wrong, pack = self._wrong.get(path), self._known.get(path)
        if wrong is not None and (pack is not None or isinstance(wrong, ClaimError)):
            return InstallStatus(("error",), (wrong.message,), error=wrong)
        if pack is None:
            # Sync says what is wrong with a declaration, and refuses it; here it is enough that nobody knows.
            return InstallStatus() if wrong is None else _unknown(wrong.message)
        if pack.state != "current":
            return await self._due(pack)
        drift = await look_for_drift(self._session, pack)
        if drift.unknown is not None:
            return _unknown(drift.unknown)
        if drift.tampered:
            count = len(drift.tampered)
            told = f"{count} {'thing' if count == 1 else 'things'} of its install changed by hand"
            return InstallStatus(("install-tampered",), (told,), drift.tampered)
        return InstallStatus()

    async def _due(self, pack: Installable) -> InstallStatus:
        """An install that a sync would run: whether it may, and how the last one ended."""
        record = self._session.folded.packs.get(pack.path)
        is_fork = self._session.fork is not None
        if is_fork and pack.state == "not-installed" and (record is None or record.failed is None):
            return InstallStatus()  # in a fork nothing is installed unless it is asked for
        would = self._not_allowed(pack)
        if would == () and (reason := await self._left_out(pack)) is not None:
            return InstallStatus(told=(f"left out: {reason}",))
        states: list[str] = [pack.state]
        told = ["not installed yet" if pack.state == "not-installed" else "install outdated"]
        hints: list[str] = []
        if record is not None and record.failed is not None:
            states.append("install-failed")
            told.append(f"the last install failed: {record.failed.why}")
            hints.append("Mend what it complains about, then sync again.")
        if would:
            refusal = untrusted_error(pack.path, would, pack.found.trusted_as, "sync again")
            states.append("untrusted")
            told.append(refusal.message.removeprefix(f"{pack.path} is "))
            hints.append(refusal.hint or "")
        if len(states) == 1:
            told[0] += f"; `grex sync{' --install' if is_fork else ''}` installs it"
        return InstallStatus(tuple(states), tuple(told), hint=" ".join(hints) or None)

    def _not_allowed(self, pack: Installable) -> tuple[str, ...] | None:
        """What the install would run without this user's leave; None where its type cannot say it: sync tells why."""
        try:
            with asking(self._session, pack.path, pack.found.spec):
                would = would_run(RunContext(self._session, dry_run=True), pack)
        except GrexError:
            return None
        return () if is_allowed(self._session, would, pack.found.trusted_as) else would

    async def _left_out(self, pack: Installable) -> str | None:
        """Why a sync would change nothing: the pack says itself (`require`) that it, or its rest, is not for here.

        Only a pack that may be installed is asked: a plugin's `install` may do more than look.
        """
        drift = await look_for_drift(self._session, pack, plans=True)
        return None if drift.tampered or drift.unknown is not None else drift.left_out


def _unknown(why: str) -> InstallStatus:
    return InstallStatus(("install-unknown",), (f"whether its install is as it was cannot be told: {why}",))
