"""The packs as they stand on this disk, for verbs that work on what is there and bring nothing.

What a pack may run goes by the repository that its checkout came from, which is not always the one that is declared:
the declaration may have changed since, or be gone. The completion record inside the git directory says it best, as no
pack and no workspace can ship one; then the declaration, then the log.
"""

from __future__ import annotations

from msgspec import Struct, field

from grex.engine.graph import ROOT
from grex.engine.installable import Present
from grex.engine.places import look_at
from grex.engine.session import Session
from grex.engine.survey import Survey
from grex.errors import GrexError, PackError
from grex.git import CheckoutState
from grex.names import InvalidUrlError, PackUrl, parse_url
from grex.pack import PackSpec, read_pack_spec

__all__ = ["Standing", "stand"]


class Standing(Struct):
    """The packs that can be worked on, why others cannot be, and those of which only the log tells.

    Attributes:
        present: by path; among them those in `gone`, without a spec.
        refused: why a pack that is there cannot be worked on.
        gone: the packs without a checkout.
        unrecorded: why those that no sync has finished cannot be trusted for what is declared.
    """

    present: dict[str, Present] = field(default_factory=dict)
    refused: dict[str, GrexError] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    unrecorded: dict[str, GrexError] = field(default_factory=dict)


def stand(session: Session, found: Survey) -> Standing:
    """Look at every pack that is declared or that the log knows. Takes no lock, writes nothing, starts nothing."""
    standing = Standing(present={ROOT: Present(ROOT, found.root_spec, "", None)})
    for path in sorted({*found.graph.nodes, *session.folded.packs} - {ROOT}):
        try:
            _look(session, found, path, standing)
        except OSError as error:
            standing.refused[path] = PackError(f"{path}: {error.strerror or error}", hint="Check its files.")
        except GrexError as error:
            standing.refused[path] = error
    return standing


def _look(session: Session, found: Survey, path: str, standing: Standing) -> None:
    error = found.errors.get(path)
    if error is not None:
        raise error
    root = session.layout.pack_dir(path)
    state = found.states.get(path)
    state = look_at(root) if state is None else state
    url = _source(session, found, path, state)
    identity, trust_key = ("", "") if url is None else (url.identity, session.trust_key(url))
    if state.kind != "checkout":
        standing.gone.add(path)
        standing.present[path] = Present(path, None, "", identity, trust_key)
        return
    if state.note is not None:
        raise PackError(
            f"{path}: an interrupted run left its checkout between two commits",
            hint="`grex sync --no-install` mends it; then run this again.",
        )
    if state.record is None:
        standing.unrecorded[path] = PackError(
            f"{path} was not checked out by grex, so nobody knows whether it is what is declared",
            hint="`grex sync` looks at it, and takes it over if it is.",
        )
    node = found.graph.nodes.get(path)
    spec: PackSpec | None = node.spec if node is not None else None
    if node is None or not node.is_active:  # nobody declares it, or it was not walked
        spec = read_pack_spec(
            root, is_root=False, platform=session.settings.platform, display=path, check_type=session.check_type
        )
    standing.present[path] = Present(path, spec, state.head_sha or "", identity, trust_key)


def _source(session: Session, found: Survey, path: str, state: CheckoutState) -> PackUrl | None:
    """The repository that the checkout came from, as far as anything says it."""
    node, record = found.graph.nodes.get(path), session.folded.packs.get(path)
    known = [] if node is None else [node.url]
    logged = None if record is None or record.url is None else _parsed(session, record.url)
    known += [] if logged is None else [logged]
    if state.record is None:
        return known[0] if known else None
    # The record has no user of ssh, whom the other two may know.
    fitting = [url for url in known if url.identity == state.record.url]
    return fitting[0] if fitting else _parsed(session, state.record.url)


def _parsed(session: Session, text: str) -> PackUrl | None:
    try:
        return parse_url(text, relative_to=session.base)
    except InvalidUrlError:
        return None
