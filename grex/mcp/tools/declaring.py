"""The tools that change what is declared: `add`, `rm`, `set`, `override`."""

from __future__ import annotations

from functools import partial

from grex.mcp.arguments import Argument
from grex.mcp.place import Place
from grex.mcp.tools.tool import DRY_RUN, LOCKING, Asking, Given, Tool

__all__ = ["ADD", "OVERRIDE", "RM", "SET"]

_PACK = "Its path from the workspace root, or its unique name."
_REF = Argument("ref", "text", "A branch, a tag or a full commit id.")
_NO_SYNC = Argument("no_sync", "flag", "Only write it; leave the pack as it is.")


def _add(place: Place, given: Given) -> Asking:
    from grex.verbs.add import AddRequest, add  # noqa: PLC0415 - only when called

    request = AddRequest(place.root, **given)  # without `trust_url`: that a client names a URL is not the user's word
    return Asking(request, partial(add, request))


ADD = Tool(
    name="add",
    verb="add",
    says=(
        "Clone a repository, declare it in pack.yaml and install it. "
        "What it would run needs the user's trust, which only `grex trust` in a terminal gives."
    ),
    document="add",
    ask=_add,
    arguments=(
        Argument("url", "text", "A URL or path that git can clone.", required=True),
        Argument("path", "text", "Where to put it, from the workspace root; as the URL ends if absent."),
        _REF,
        Argument("groups", "texts", "Groups it belongs to."),
        Argument("no_install", "flag", "Clone only; install nothing."),
    ),
    waiting=LOCKING,
    is_open_world=True,
)


def _rm(place: Place, given: Given) -> Asking:
    from grex.verbs.rm import RmRequest, rm  # noqa: PLC0415 - only when called

    request = RmRequest(place.root, **given)
    return Asking(request, partial(rm, request))


def _forced_rm(place: Place, given: Given) -> str | None:
    del place
    if not given["force"] or given["dry_run"] or given["keep_files"]:
        return None
    return "`rm` with `force` takes away packs with work that is nowhere else; they go to the trash"


RM = Tool(
    name="rm",
    verb="rm",
    says="Take packs out of the workspace, into the trash; one with work that is nowhere else is refused.",
    document="rm",
    ask=_rm,
    arguments=(
        Argument("packs", "texts", "Paths from the workspace root, or unique names.", required=True),
        Argument("keep_files", "flag", "Only forget: the declaration and the log; no file is touched."),
        Argument("skip_teardown", "flag", "Leave what the packs have installed as it is."),
        Argument("force", "flag", "Move to the trash also what has work in it that is nowhere else."),
        DRY_RUN,
    ),
    waiting=LOCKING,
    is_destructive=True,
    is_open_world=True,
    discards=_forced_rm,
)


def _set(place: Place, given: Given) -> Asking:
    from grex.verbs.set_pack import SetRequest, set_pack  # noqa: PLC0415 - only when called

    request = SetRequest(root=place.root, **given)
    return Asking(request, partial(set_pack, request))


SET = Tool(
    name="set",
    verb="set",
    says="Change what is declared of a pack, and bring it there.",
    document="set",
    ask=_set,
    arguments=(
        Argument("pack", "text", _PACK, required=True),
        _REF,
        Argument("no_ref", "flag", "Declare no ref: the remote's own choice."),
        Argument("url", "text", "Where it comes from; its checkout stays if it is the same repository."),
        Argument("path", "text", "Where it is to be, from the workspace root; it is moved there."),
        Argument("groups", "texts", "Groups it belongs to, and no others."),
        Argument("no_groups", "flag", "Declare no groups."),
        Argument("depth", "count", "How many commits of history a clone fetches.", least=1),
        _NO_SYNC,
        DRY_RUN,
    ),
    waiting=LOCKING,
    is_destructive=True,
    is_idempotent=True,
    is_open_world=True,
)


def _override(place: Place, given: Given) -> Asking:
    from grex.verbs.override import OverrideRequest, override  # noqa: PLC0415 - only when called

    request = OverrideRequest(root=place.root, **given)
    return Asking(request, partial(override, request))


OVERRIDE = Tool(
    name="override",
    verb="override",
    says="Say something over a declaration of another pack; without a pack, list the overrides.",
    document="override",
    ask=_override,
    arguments=(
        Argument("pack", "text", _PACK),
        _REF,
        Argument("url", "text", "Where it comes from."),
        Argument("remove", "flag", "Take the override away."),
        Argument("is_local", "flag", "On this machine only, in .grex/local.yaml, which is never committed."),
        _NO_SYNC,
        DRY_RUN,
    ),
    waiting=LOCKING,
    is_destructive=True,
    is_idempotent=True,
    is_open_world=True,
)
