"""A log that is lost: what of it can be known from the checkouts, and is written again.

What a checkout says of itself: its completion record (where it comes from, at which ref, to which commit and branch it
was brought), and the mark in its repository's configuration that grex cloned it. Both have to be there: an adopted
checkout has a record as well and is its owner's, and of such ones the log never said anything. So the log gets `add`
and `sync` for each, and knows again which checkouts may be pruned.

What was *installed* is known from nowhere else. The next sync installs everything again, and that is safe because no
action asks the log before it believes its eyes: what is right already is left as it is, and a file that was changed
since is refused like a stranger's, or moved aside where the action says `backup`. What is found in place is not
recorded as done, so a teardown does not take it away: it was not seen being made.

A link to a checkout elsewhere is left out: whose it is, its own workspace knows.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from grex.engine.checks.finding import Finding, plural
from grex.engine.checks.ground import Ground
from grex.engine.places import misplaced
from grex.git import CheckoutState, CompletionRecord, observe
from grex.git.soundness import was_cloned
from grex.manifest import Event, Folded, add_event, fold, sync_event
from grex.names import InvalidUrlError, PackUrl, parse_url

__all__ = ["check_lost_log", "fix_lost_log"]


class _Own(Struct, frozen=True):
    """A checkout of grex's of which the log does not say so."""

    path: str
    url: PackUrl
    record: CompletionRecord


async def check_lost_log(ground: Ground) -> list[Finding]:
    """Checkouts that grex has made and of which the log does not know."""
    if ground.folded is None or ground.busy:
        return []
    own = [one.path for one in _unrecorded(ground, ground.folded)]
    if not own:
        return []
    checkouts = plural(len(own), "checkout")
    if ground.log.size_bytes:
        return [
            Finding(
                code="log-incomplete",
                severity="warning",
                subject="grex.jsonl",
                text=f"the log does not know {checkouts} that grex has cloned here: {', '.join(own[:3])}"
                f"{', ...' if len(own) > 3 else ''}",  # noqa: PLR2004 - as sliced
                why="They are never pruned, and `grex rm` takes them for somebody else's",
                fix="records them again",
            )
        ]
    return [
        Finding(
            code="log-lost",
            severity="error",
            subject="grex.jsonl",
            text=f"the log is {'empty' if ground.log.is_there else 'gone'}, and {checkouts} of grex's "
            f"{'is' if len(own) == 1 else 'are'} there",
            why="Nobody knows any more which checkouts may be pruned, and what a teardown has to take back",
            fix="records these checkouts again; what was installed cannot be known: the next sync installs again, and "
            "what is in place already stays and is not taken back by a teardown",
            hint="Better still, bring the file back from a backup, if there is one.",
        )
    ]


def _unrecorded(ground: Ground, folded: Folded) -> Iterator[_Own]:
    """The checkouts of grex's that the log neither knows as such nor has let go."""
    declared = {} if ground.found is None else {node.path: node.url for node in ground.found.graph.ordered()}
    locked = {path: _parsed(ground, line.url) for path, line in ground.lines.items()}
    for path, url in sorted({**locked, **declared}.items()):
        known = folded.packs.get(path)
        if url is None or path in folded.removed or (known is not None and known.owned):
            continue
        if misplaced(ground.root, path) is not None:
            continue
        state = observe(ground.session.layout.pack_dir(path))
        if state.record is not None and _is_ours(state, url):
            yield _Own(path, url, state.record)


def _parsed(ground: Ground, text: str) -> PackUrl | None:
    try:
        return parse_url(text, relative_to=ground.root)
    except InvalidUrlError:
        return None


def _is_ours(state: CheckoutState, url: PackUrl) -> bool:
    return (
        state.kind == "checkout"
        and not state.is_symlink
        and state.record is not None
        and state.record.url == url.identity
        and was_cloned(state.dirs)
    )


async def fix_lost_log(ground: Ground, finding: Finding) -> str:
    """Write what the checkouts say of themselves. Tier: MANIFEST."""
    session = ground.session
    async with session.holds.manifest_exclusive("log") as hold:
        own = list(_unrecorded(ground, fold(session.log.read().events)))
        events: list[Event] = []
        for one in own:
            events.append(add_event(one.path, url=one.url.redacted, ref=one.record.ref, owned=True))
            events.append(sync_event(one.path, sha=one.record.sha, branch=one.record.branch))
        session.log.append(events, hold=hold)
    again = "; the next `grex sync` installs again" if finding.code == "log-lost" else ""
    return f"{plural(len(own), 'checkout')} recorded{again}"
