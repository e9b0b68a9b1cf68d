"""Turns groups on and off on this machine: what `-g` asks for, kept in `.grex/local.yaml`.

The file is edited as a person would: comments and overrides stay, a word is replaced where it stands. The new text is
parsed before it is written and must say what the old one said with exactly this change. It is durable before the sync
that it was given with begins, so that a sync that fails or is killed is gone on with by a plain `grex sync`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from grex.engine.session import Session
from grex.errors import ConfigError, ManifestError, UsageError
from grex.fs import replace_file
from grex.manifest import ManifestWriteHold, edit_root, insert_item, remove_child, replace_item
from grex.manifest.yaml_text import render_value
from grex.names import GROUP_NAME_HINT, clean, is_group_name, suggest
from grex.pack import Local, parse_local, read_local_all
from grex.workspace import Layout

__all__ = ["forget", "parse_group_choices", "turn", "unknown_groups"]

_LOCAL_YAML = ".grex/local.yaml"


def parse_group_choices(texts: Iterable[str]) -> dict[str, bool]:
    """What the values of `-g` ask for: NAME turns a group on, !NAME turns it off.

    Raises:
        UsageError: one is no name, or a group is to be both.
    """
    choices: dict[str, bool] = {}
    for text in texts:
        name, is_on = text.removeprefix("!"), not text.startswith("!")
        if not is_group_name(name):
            raise UsageError(
                f"{clean(text, 80)!r} is no group: a name has {GROUP_NAME_HINT}",
                hint="`-g NAME` turns a group on, `-g '!NAME'` turns it off.",
            )
        if choices.setdefault(name, is_on) != is_on:
            raise UsageError(f"the group {name!r} cannot be turned on and off at once", hint="Give one of the two.")
    return choices


def unknown_groups(names: Iterable[str], known: Collection[str]) -> list[str]:
    """A warning for each of these groups that no child has, with the name that was probably meant."""
    found: list[str] = []
    for name in sorted(set(names) - set(known)):
        meant = f" ({suggest(name, known)})" if known else ""
        found.append(f"no child that is known here has the group {name!r}{meant}")
    return found


async def turn(session: Session, choices: Mapping[str, bool]) -> bool:
    """Write down which groups are on on this machine, durably. Tier: MANIFEST, exclusive and briefly.

    Cancellation: the old file or the new one is there.

    Returns:
        Whether the file had to be written.

    Raises:
        ConfigError: `.grex/local.yaml` is refused as it is.
        ManifestError: it cannot be edited or written; nothing was changed.
    """
    async with session.holds.manifest_exclusive("groups") as hold:
        return _write(session.layout, choices, hold)


async def forget(session: Session, names: Collection[str]) -> None:
    """Say nothing about these groups any more, after it was found that there are none of these names. Tier: MANIFEST.

    Cancellation: the old file or the new one is there.

    Raises:
        ConfigError: `.grex/local.yaml` is refused as it is.
        ManifestError: it cannot be edited or written; nothing was changed.
    """
    async with session.holds.manifest_exclusive("groups") as hold:
        before = read_local_all(session.layout.root)
        wanted = {entry.name: entry.is_on for entry in before.groups if entry.name not in names}
        if len(wanted) < len(before.groups):
            edit_root(
                session.layout.local_yaml,
                lambda text: _without(text, before, names),
                hold=hold,
                check=_says(wanted, before),
            )


def _without(text: str, before: Local, names: Collection[str]) -> str:
    for index in reversed([index for index, entry in enumerate(before.groups) if entry.name in names]):
        text = remove_child(text, index, file=_LOCAL_YAML, section="groups")
    return text


def _says(wanted: Mapping[str, bool], before: Local) -> Callable[[bytes], None]:
    """A check that a text says this of the groups, and else what was said before."""

    def check(data: bytes) -> None:
        try:
            after = parse_local(data)
        except ConfigError as error:
            raise _not_editable(str(error)) from error
        if {entry.name: entry.is_on for entry in after.groups} != wanted or _plain(after) != _plain(before):
            raise _not_editable("the change would change something else too")

    return check


def _write(layout: Layout, choices: Mapping[str, bool], hold: ManifestWriteHold) -> bool:
    path = layout.local_yaml
    before = read_local_all(layout.root)
    said = {entry.name: entry.is_on for entry in before.groups}
    wanted = {**said, **choices}
    if wanted == said:
        return False
    check = _says(wanted, before)
    if path.exists():
        return edit_root(path, lambda text: _edited(text, before, choices), hold=hold, check=check)
    data = _edited("", before, choices).encode()
    check(data)
    try:
        replace_file(path, data)
    except OSError as error:
        raise ManifestError(
            f"{path}: the file cannot be written: {error.strerror or error}",
            hint="Check the directory and the disk, then run the command again.",
        ) from error
    return True


def _edited(text: str, before: Local, choices: Mapping[str, bool]) -> str:
    """The text as a person would edit it: a word replaced where it stands, a new one behind the last."""
    places = [entry.name for entry in before.groups]
    for name, is_on in choices.items():
        word = name if is_on else f"!{name}"
        if name in places:
            text = replace_item(text, places.index(name), word, file=_LOCAL_YAML, section="groups")
        elif _says_nothing(text):
            text += f"{'' if not text or text.endswith(chr(10)) else chr(10)}groups:\n  - {render_value(word)}\n"
            places.append(name)
        else:
            text = insert_item(text, word, file=_LOCAL_YAML, section="groups")
            places.append(name)
    return text


def _says_nothing(text: str) -> bool:
    """Whether there are only comments and blank lines, which YAML does not take for a mapping."""
    return all(not line.strip() or line.lstrip().startswith("#") for line in text.splitlines())


def _plain(local: Local) -> Sequence[tuple[str, str | None, str | None]]:
    return [(one.path, one.url, one.ref) for one in local.overrides]


def _not_editable(reason: str) -> ManifestError:
    return ManifestError(
        f"{_LOCAL_YAML}: the file cannot be edited: {reason}", hint="Edit the file by hand; nothing was written."
    )
