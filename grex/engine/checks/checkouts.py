"""The checkouts: whether each is the pack that is declared, was finished, and can be relied on."""

from __future__ import annotations

import os

import anyio

from grex.engine.checks.finding import Finding
from grex.engine.checks.ground import Ground
from grex.engine.graph import Node
from grex.errors import GrexError
from grex.git import CheckoutState, ask_head
from grex.git.soundness import broken_objects, is_partial, is_shallow, missing_alternates, origin_url
from grex.names import InvalidUrlError, clean, parse_url, redact, shown_argument

__all__ = ["check_checkouts", "check_objects"]


async def check_checkouts(ground: Ground) -> list[Finding]:
    """Records, HEAD, remotes, borrowed objects, history that is cut off."""
    findings: list[Finding] = []
    for node, state in ground.checkouts():
        if state.note is not None:
            continue  # it was interrupted, and is judged once that is settled
        findings += [*await _head(ground, node, state), *_repository(node, state), *_objects(node, state)]
    return findings


async def _head(ground: Ground, node: Node, state: CheckoutState) -> list[Finding]:
    why = "by git neither"
    if state.head == "unreadable":
        try:
            state = await ask_head(ground.session.git_for(node.path), state)
        except GrexError as error:
            why = error.message.rstrip(".")
    if state.head != "unreadable":
        return []
    return [
        Finding(
            code="head-unreadable",
            severity="error",
            subject=node.path,
            text=f"HEAD of {node.path} cannot be read: {clean(why, 300)}",
            why="Nobody knows which commit is checked out, so the pack is left alone",
            hint="`git fsck` in there says more; where nothing there is yours, move it away and sync again.",
            pack=node.path,
            exit_code=4,
        )
    ]


def _repository(node: Node, state: CheckoutState) -> list[Finding]:
    record, path = state.record, node.path
    origin = origin_url(state.dirs)
    is_origin = origin is not None and _identity(origin, state) == node.url.identity
    if (record is None or record.url != node.url.identity) and not is_origin:
        declared = clean(node.url.redacted)
        return [
            Finding(
                code="other-repository",
                severity="error",
                subject=path,
                text=f"the checkout at {path} is of {clean(redact(origin or 'no remote'))}, and {declared} is declared",
                why="A sync leaves it alone",
                hint=f"Move it away, or `grex sync {shown_argument(path)} --force` moves it to the trash; if it is the "
                "same repository under another address, `git remote set-url origin` there.",
                pack=path,
                exit_code=4,
            )
        ]
    if record is None:
        return [
            Finding(
                code="unfinished",
                severity="warning",
                subject=path,
                text=f"nothing says that the checkout of {path} was ever finished",
                why="The record of it is missing or damaged, and HEAD alone proves nothing",
                hint=f"`grex sync {shown_argument(path)}` looks at it and records it.",
                pack=path,
            )
        ]
    if not is_origin:
        return [
            Finding(
                code="remote-url",
                severity="warning",
                subject=path,
                text=f"origin of {path} is {clean(redact(origin or 'not set'))}, and {clean(node.url.redacted)} is "
                "declared",
                why="git fetch and git push of yours go elsewhere than grex's",
                hint=f"`git -C {shown_argument(path)} remote set-url origin {shown_argument(node.url.redacted)}`, if "
                "that was not meant.",
                pack=path,
            )
        ]
    return []


def _identity(url: str, state: CheckoutState) -> str | None:
    try:
        return parse_url(url, relative_to=state.real).identity
    except InvalidUrlError:
        return None


def _objects(node: Node, state: CheckoutState) -> list[Finding]:
    path, child = node.path, node.first.child
    findings = [
        Finding(
            code="alternates",
            severity="error",
            subject=path,
            text=f"{path} borrows objects from {clean(gone)}, which is not there",
            why="Commits and files of it cannot be read",
            hint="Bring that directory back; otherwise move the checkout away and sync again.",
            pack=path,
            exit_code=4,
        )
        for gone in missing_alternates(state.dirs)
    ]
    for is_so, is_declared, code, what, how in (
        (is_shallow(state.dirs), child.depth is not None, "shallow", "its history is cut off", "--unshallow"),
        (is_partial(state.dirs), child.filter is not None, "partial", "some of its objects were left out", "--refetch"),
    ):
        if is_so and not is_declared:
            findings.append(
                Finding(
                    code=code,
                    severity="note",
                    subject=path,
                    text=f"of {path} {what}, which is not declared",
                    why="What needs the rest asks the network, or fails",
                    hint=f"`git -C {shown_argument(path)} fetch {how}` brings the rest.",
                    pack=path,
                )
            )
    return findings


async def check_objects(ground: Ground) -> list[Finding]:
    """Every object that the refs need is looked for; only where that is asked for, because it takes its time."""
    if not ground.objects:
        return []
    limiter = anyio.CapacityLimiter(ground.session.settings.jobs or os.cpu_count() or 1)
    findings: dict[str, Finding] = {}

    async def one(path: str, state: CheckoutState) -> None:
        async with limiter:
            try:
                broken = await broken_objects(ground.session.git_for(path), state)
            except GrexError as error:
                broken = clean(error.message.rstrip("."), 300)
        if broken is not None:
            findings[path] = Finding(
                code="objects",
                severity="error",
                subject=path,
                text=f"objects of {path} are missing or damaged: {broken}",
                why="Commits that need them cannot be read, moved or pushed",
                hint="Push what can be pushed, move the checkout away, and sync again.",
                pack=path,
                exit_code=4,
            )

    async with anyio.create_task_group() as tasks:
        for path, state in ground.all_checkouts():
            tasks.start_soon(one, path, state)
    return [findings[path] for path in sorted(findings)]
