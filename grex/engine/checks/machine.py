"""What the workspace stands on: lock files, settings, trust, permissions, git, the file system."""

from __future__ import annotations

import os
from pathlib import Path

from msgspec.structs import replace

from grex.engine.checks.finding import Finding, of_error
from grex.engine.checks.ground import Ground
from grex.engine.graph import ROOT
from grex.engine.lock_files import find_lock_files
from grex.errors import ConfigError, GrexError
from grex.git.soundness import OLDEST_GIT, git_version
from grex.locks import Tier, inspect_locks
from grex.locks.file_system import why_polled
from grex.locks.inotify import why_no_instance
from grex.workspace import read_config

_DEFAULTS = "No verb but doctor runs, and it has looked as if nothing were set there"

__all__ = ["check_locks", "check_machine", "check_settings"]


async def check_locks(ground: Ground) -> list[Finding]:
    """Lock files that cannot be used, and records that dead processes left in others."""
    layout = ground.session.layout
    places = find_lock_files(layout, ground.session.settings.platform).places
    findings: list[Finding] = []
    for info in inspect_locks(places):
        shown = ground.shown(info.path)
        if info.problem is not None:
            pack = (
                _pack_of(info.tier, info.path.parent.relative_to(layout.root).as_posix())
                if (info.path.is_relative_to(layout.root))
                else None
            )
            findings.append(
                Finding(
                    code="lock-file",
                    severity="error",
                    subject=shown,
                    text=f"the lock file {shown} cannot be used: {info.problem}",
                    why="Nothing that needs the lock runs",
                    hint="Check who owns it: whoever uses the workspace has to be able to write it. If something else "
                    "stands there, move that elsewhere.",
                    pack=pack,
                    exit_code=4 if info.tier in (Tier.PACK, Tier.BACKEND) else 3,
                )
            )
        elif info.exists and info.held is False and info.holder is not None:
            findings.append(
                Finding(
                    code="lock-record",
                    severity="note",
                    subject=shown,
                    text=f"a process that died has left its name in {shown}",
                    why="Harmless: the kernel has freed the lock, and the next holder overwrites it",
                )
            )
    return findings


def _pack_of(tier: Tier, directory: str) -> str | None:
    return directory if tier is Tier.PACK and directory != ROOT else None


async def check_settings(ground: Ground) -> list[Finding]:
    """The configuration of the user and of the workspace, and what this user trusts."""
    refused = list(ground.session.settings.refused)
    read_config(ground.root, None, refused=refused)  # a front end that reads none of it may have called
    findings: list[Finding] = []
    for error in {error.message: error for error in refused}.values():
        told = of_error(error, code="configuration", subject=".grex/config.toml", why=_DEFAULTS)
        for one in told:
            file, _, place = one.subject.partition(".toml")
            findings.append(replace(one, subject=f"{ground.shown(Path(f'{file}.toml'))}{place}"))
    try:
        ground.session.trust.prefixes()
    except ConfigError as error:
        why = "What packs would run cannot be judged, so nothing is installed"
        findings += of_error(error, code="trust", subject=str(ground.session.trust.path), why=why)
    return findings


async def check_machine(ground: Ground) -> list[Finding]:
    """Permissions, the version of git, and what the file system and the kernel can do for those who wait."""
    findings: list[Finding] = []
    if not os.access(ground.root, os.W_OK):
        findings.append(
            Finding(
                code="read-only",
                severity="note",
                subject=".",
                text="this user may not write into the workspace",
                why="Only verbs that look work here",
            )
        )
    try:
        version = await git_version(ground.session.git_for(ROOT), ground.root)
    except GrexError as error:
        return [*findings, *of_error(error, code="git", subject="git", why="Nothing can be cloned or moved")]
    if version < OLDEST_GIT:
        findings.append(
            Finding(
                code="git",
                severity="error",
                subject="git",
                text=f"git is {version[0]}.{version[1]}",
                why="It does not know options that grex uses",
                hint=f"Install git {OLDEST_GIT[0]}.{OLDEST_GIT[1]} or newer, and check PATH.",
                exit_code=4,
            )
        )
    polled = why_polled(ground.root)
    if polled is not None:
        findings.append(
            Finding(
                code="polling",
                severity="note",
                subject=".",
                text=f"waits for locks are polled here, because {polled}",
                why="They are as exclusive as ever, but waiters of different processes may not be served in order",
            )
        )
    elif (why := why_no_instance()) is not None:
        findings.append(
            Finding(
                code="inotify",
                severity="note",
                subject="inotify",
                text=f"this user cannot watch any more files: {why}",
                why="Waits for locks are polled until others are done",
                hint="Raise fs.inotify.max_user_instances, or end programs that watch many files.",
            )
        )
    return findings
