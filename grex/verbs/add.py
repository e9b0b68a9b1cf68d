"""`grex add`: clones a repository, declares it in the root's pack.yaml, and syncs it with what lies below it.

The clone comes first: what cannot be cloned is never declared, and a failed one leaves nothing behind. A clone that
then cannot be declared is taken away again, unless somebody has worked in it. A kill between clone and declaration
leaves a checkout that grex knows to be its own and reports as undeclared; the same `add` again adopts it.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from grex.engine import ROOT, CheckoutOptions, CheckoutOutcome, Checkouts, Hiding, Session, Settings, survey
from grex.engine.exclusive import exclusive
from grex.engine.places import missing_directories
from grex.engine.survey import open_graph
from grex.engine.withdrawal import withdraw_clone
from grex.errors import ConfigError, GrexError, ManifestError, PackError, UsageError
from grex.fs import canonical
from grex.git import observe
from grex.manifest import Value, edit_root, insert_child
from grex.names import (
    PACK_YAML,
    InvalidUrlError,
    PackUrl,
    check_pack_path,
    check_ref,
    clean,
    fold_key,
    parse_url,
    redact,
)
from grex.pack import PackSpec, parse_pack_spec
from grex.verbs.sync import SyncReport, SyncRequest, sync_session

if TYPE_CHECKING:
    from grex.verbs.documents import AddDocument

__all__ = ["AddReport", "AddRequest", "add"]


class AddRequest(Struct, frozen=True):
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


class AddReport(Struct, frozen=True):
    """What was added, and the sync that followed."""

    path: str
    url: str
    sync: SyncReport

    @property
    def exit_code(self) -> int:
        """The sync's."""
        return self.sync.exit_code

    def to_json(self) -> AddDocument:
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

    Tiers: all, in order. Cancellation, as any failure: before the declaration is written, nothing is left; then the
    pack is declared, and the next sync does the rest.

    Raises:
        UsageError: the URL, the path or the ref is refused, or something is declared there already.
        PackError: it could not be cloned, or would collide with another pack.
    """
    session = Session.open(request.root, settings)
    url = _checked_url(request.url, session.base)
    path = _checked_path(request.path if request.path is not None else url.default_name)
    if request.ref is not None and (wrong := check_ref(request.ref)) is not None:
        raise UsageError(f"{request.ref!r} is no ref: it {wrong}", hint="Give a branch, a tag or a full commit id.")
    async with exclusive(session):
        declaration = _Declaration(session, request, url, path)
        cloned = await _clone_and_declare(session, declaration, trust_url=request.trust_url)
        try:
            report = await sync_session(
                session,
                SyncRequest(root=session.layout.root, packs=(path,), no_install=request.no_install),
                brought={} if cloned is None else {path: cloned},
            )
        except GrexError as error:
            error.hint = _joined(f"{path} is cloned and declared; `grex sync` does the rest.", error.hint)
            raise
    return AddReport(path, url.redacted, report)


async def _clone_and_declare(session: Session, declaration: _Declaration, *, trust_url: bool) -> CheckoutOutcome | None:
    """Do all of it, or none; gives what became of the checkout.

    Trust is given before the declaration is written: a trust file that cannot be written must not leave a pack that is
    declared and will not install.
    """
    made = missing_directories(canonical(session.layout.pack_dir(declaration.path)))
    before = observe(session.layout.pack_dir(declaration.path)).kind
    has_new_trust = False
    try:
        outcome = await _clone(session, declaration)
        has_new_trust = trust_url and session.trust.add(session.trust_key(declaration.url))
        await _declare(session, declaration)
        return outcome  # noqa: TRY300 - what follows undoes it
    except BaseException as failure:
        if has_new_trust:
            with contextlib.suppress(ConfigError):
                session.trust.revoke(session.trust_key(declaration.url))
        left = withdraw_clone(session, declaration.node, made) if before in ("absent", "empty") else None
        if left is not None and isinstance(failure, GrexError):
            failure.hint = _joined(
                f"{declaration.path} is cloned but not declared, and was left there: {left}. "
                "The same `grex add` again goes on with it.",
                failure.hint,
            )
        raise


def _joined(first: str, second: str | None) -> str:
    return first if not second else f"{first} {second[:1].upper()}{second[1:]}"


class _Declaration:
    """The entry that is to be added, and what the root's pack.yaml looks like with it."""

    def __init__(self, session: Session, request: AddRequest, url: PackUrl, path: str) -> None:
        self.url = url
        self.path = path
        self.ref = request.ref
        platform = session.settings.platform
        known = survey(session.layout, platform, check_type=session.check_type)
        declared = known.graph.nodes.get(path)
        if declared is not None:
            raise UsageError(
                f"{path} is declared already, at {declared.first.place}",
                hint="Give another PATH, or `grex sync` to bring what is declared.",
            )
        alike = [node for node in known.nodes() if fold_key(node.path) == fold_key(path)]
        if alike:
            raise UsageError(
                f"{path} differs only in case or Unicode form from {alike[0].path}, declared at {alike[0].first.place}",
                hint="Give another PATH: on many file systems they are one directory.",
            )
        self._count = len(known.root_spec.children)
        self._child: dict[str, Value] = {"url": request.url}
        if path != url.default_name:
            self._child["path"] = path
        if request.ref is not None:
            self._child["ref"] = request.ref
        if request.groups:
            self._child["groups"] = list(request.groups)
        # The edit is tried before anything is cloned, on the text as it is now.
        spec = self.parse(self.edit(session.layout.pack_yaml.read_text(encoding="utf-8")).encode())
        graph = open_graph(session.layout, spec, wanted={path})
        graph.declare(ROOT, spec)
        self.node = graph.nodes[path]
        if not self.node.is_active:
            raise UsageError(
                f"{path} would be inactive here: {', '.join(request.groups)} off",
                hint=f"`grex sync -g {request.groups[0]}` turns the group on; then run this again.",
            )
        verdict = graph.verdict(self.node)
        if verdict is not None:
            raise verdict

    def edit(self, text: str) -> str:
        """The root's pack.yaml with the new child, all else as it was."""
        return insert_child(text, self._child, file=PACK_YAML)

    def parse(self, data: bytes) -> PackSpec:
        """The checked result of an edit.

        Raises:
            ManifestError: it is not what was meant; nothing may be written.
        """
        spec = parse_pack_spec(data, file=PACK_YAML, is_root=True)
        if len(spec.children) != self._count + 1:
            raise ManifestError(f"{PACK_YAML} was changed while the pack was being added", hint="Run `grex add` again.")
        return spec

    def check(self, data: bytes) -> None:
        """Refuse a result that is not what was meant."""
        self.parse(data)


async def _clone(session: Session, declaration: _Declaration) -> CheckoutOutcome | None:
    hiding = Hiding(session.layout, session.holds)
    await hiding.hide([declaration.path])
    outcome = await Checkouts(session, CheckoutOptions(), hiding).bring(declaration.node)
    if outcome is not None and outcome.is_failure:
        raise outcome.error or PackError(f"{declaration.path} was not added: {outcome.text}", hint=outcome.hint)
    return outcome


async def _declare(session: Session, declaration: _Declaration) -> None:
    async with session.holds.manifest_exclusive(declaration.path) as hold:
        edit_root(session.layout.pack_yaml, declaration.edit, hold=hold, check=declaration.check)
        session.reread()


def _checked_url(text: str, workspace: Path) -> PackUrl:
    try:
        url = parse_url(text, relative_to=workspace)
    except InvalidUrlError as error:
        raise UsageError(str(error), hint=error.hint or "Give an https, ssh or file URL, or a path.") from error
    if redact(text) != text:
        raise UsageError(
            f"{clean(url.redacted)} holds credentials, and {PACK_YAML} is made to be committed",
            hint="Give the URL without them, and set up a credential helper (`git help credentials`) or an ssh key.",
        )
    return url


def _checked_path(path: str) -> str:
    cleaned = path.removeprefix("/").removeprefix("./").rstrip("/")
    wrong = check_pack_path(cleaned)
    if wrong is not None:
        raise UsageError(f"{path!r} is no pack path: {wrong}", hint="Give a path inside the workspace, such as libs/x.")
    return cleaned
