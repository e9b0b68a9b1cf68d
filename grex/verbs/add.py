"""`grex add`: clones a repository, declares it in the root's pack.yaml, and syncs it with what lies below it.

The clone comes first: what cannot be cloned is never declared, and a failed one leaves nothing behind. A kill between
clone and declaration leaves a checkout that grex knows to be its own and reports as undeclared; the same `add` again
adopts it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grex.engine import CheckoutOptions, Checkouts, Graph, Hiding, Session, Settings
from grex.engine.survey import read_overrides, read_root_spec, survey
from grex.errors import GrexError, ManifestError, PackError, PackSpecError, UsageError
from grex.manifest import added, edit_root, insert_child
from grex.names import PACK_YAML, InvalidUrlError, check_pack_path, check_ref, parse_url
from grex.pack import parse_pack_spec
from grex.verbs.sync import SyncReport, SyncRequest, sync_session

__all__ = ["AddReport", "AddRequest", "add"]


@dataclass(frozen=True, slots=True)
class AddRequest:
    """What to add.

    Attributes:
        root: the workspace.
        url: the repository's URL or path, as typed.
        path: where it goes, relative to the workspace root; None for the last segment of the URL.
        ref: branch, tag or full SHA; None for the remote's HEAD.
        groups: the groups it belongs to.
        no_install: leave the install phase out.
        trust_url: whether naming the URL here is this user's word that its author is trusted.
    """

    root: Path
    url: str
    path: str | None = None
    ref: str | None = None
    groups: tuple[str, ...] = ()
    no_install: bool = False
    trust_url: bool = False


@dataclass(frozen=True, slots=True)
class AddReport:
    """What was added, and the sync that followed."""

    path: str
    url: str
    sync: SyncReport

    @property
    def exit_code(self) -> int:
        """The sync's."""
        return self.sync.exit_code

    def to_json(self) -> dict[str, Any]:
        """The document of `--json`."""
        return {
            "schema": "grex.add/1",
            "path": self.path,
            "url": self.url,
            "exit_code": self.exit_code,
            "sync": self.sync.to_json(),
        }


async def add(request: AddRequest, settings: Settings) -> AddReport:
    """Add a pack.

    Tiers: all, in order. Cancellation: a clone under way leaves nothing; the declaration is written whole or not.

    Raises:
        UsageError: the URL, the path or the ref is refused, or something is declared there already.
        PackError: it could not be cloned, or would collide with another pack.
    """
    session = Session.open(request.root, settings)
    layout = session.layout
    try:
        url = parse_url(request.url, relative_to=layout.root)
    except InvalidUrlError as error:
        raise UsageError(str(error), hint=error.hint or "Give an https, ssh or file URL, or a path.") from error
    path = _checked_path(request.path if request.path is not None else url.default_name)
    if request.ref is not None and (wrong := check_ref(request.ref)) is not None:
        raise UsageError(f"{request.ref!r} is no ref: {wrong}", hint="Give a branch, a tag or a full commit id.")
    async with session.exclusive():
        root_spec = read_root_spec(layout, settings.platform)
        known = survey(layout, settings.platform)
        declared = known.graph.nodes.get(path)
        if declared is not None:
            raise UsageError(
                f"{path} is declared already, at {declared.first.place}",
                hint="Give another PATH, or `grex sync` to bring what is declared.",
            )
        text = (layout.root / PACK_YAML).read_bytes()
        child: dict[str, str | list[str]] = {"url": request.url}
        if path != url.default_name:
            child["path"] = path
        if request.ref is not None:
            child["ref"] = request.ref
        if request.groups:
            child["groups"] = list(request.groups)

        def edited(before: str) -> str:
            return insert_child(before, child, file=PACK_YAML)

        def check(data: bytes) -> None:
            again = parse_pack_spec(data, file=PACK_YAML, is_root=True, platform=settings.platform)
            if len(again.children) != len(root_spec.children) + 1:
                raise ManifestError(
                    f"{PACK_YAML} could not be edited safely", hint="Add the child by hand, then `grex sync`."
                )

        try:
            new_spec = parse_pack_spec(
                edited(text.decode()).encode(), file=PACK_YAML, is_root=True, platform=settings.platform
            )
        except PackSpecError as error:
            raise UsageError(error.message, hint=error.hint, details=error.details) from error
        graph = Graph(layout.root, read_overrides(layout, new_spec))
        graph.declare(".", new_spec)
        node = graph.nodes[path]
        _refuse_verdict(graph.verdict(node))
        hiding = Hiding(layout)
        hiding.hide([path])
        outcome = await Checkouts(session, CheckoutOptions(), hiding).bring(node)
        if outcome.is_failure:
            error = outcome.error or PackError(f"{path} was not added: {outcome.text}", hint=outcome.hint)
            raise error
        async with session.holds.manifest_exclusive(path) as hold:
            edit_root(layout.root / PACK_YAML, edited, hold=hold, check=check)
            session.log.append([added(path, url=url.redacted, ref=request.ref)], hold=hold)
            session.reread()
        if request.trust_url:
            session.trust.add(url.identity)
        report = await sync_session(
            session, SyncRequest(root=layout.root, packs=(path,), no_install=request.no_install)
        )
    return AddReport(path, url.redacted, report)


def _checked_path(path: str) -> str:
    cleaned = path.removeprefix("/").removeprefix("./").rstrip("/")
    wrong = check_pack_path(cleaned)
    if wrong is not None:
        raise UsageError(f"{path!r} is no pack path: {wrong}", hint="Give a path inside the workspace, such as libs/x.")
    return cleaned


def _refuse_verdict(verdict: GrexError | None) -> None:
    if verdict is not None:
        raise verdict
