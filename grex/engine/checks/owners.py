"""Checkouts in which git refuses to work because they belong to somebody else (`safe.directory`)."""

from __future__ import annotations

import os

from grex.engine.checks.finding import Finding
from grex.engine.checks.ground import Ground
from grex.errors import GrexError
from grex.git import CheckoutState
from grex.names import shown_argument

__all__ = ["check_owners", "is_refused_for_owner"]


async def check_owners(ground: Ground) -> list[Finding]:
    """Checkouts of another owner that git was not told to trust: grex looks at them, and every git command fails."""
    findings: list[Finding] = []
    for path, state in ground.all_checkouts():
        if await is_refused_for_owner(ground, path, state):
            findings.append(
                Finding(
                    code="owner",
                    severity="error",
                    subject=path,
                    text=f"git refuses to work in {path}, because it belongs to another user",
                    why="Every fetch, checkout and push there fails",
                    hint="If you trust that user: "
                    f"`git config --global --add safe.directory {shown_argument(str(state.real))}`; else `chown` it.",
                    pack=path,
                    exit_code=4,
                )
            )
    return findings


async def is_refused_for_owner(ground: Ground, path: str, state: CheckoutState) -> bool:
    """Whether git refuses a checkout for its owner; git is only asked where that is another user."""
    try:
        owners = {place.stat().st_uid for place in (state.real, state.dirs.own)}
    except OSError:
        return False
    if owners == {os.geteuid()}:
        return False
    try:
        await ground.session.git_for(path).run(["rev-parse", "--git-dir"], cwd=state.real)
    except GrexError as error:
        return "dubious ownership" in error.message
    return False
