"""The paths that actions work on: made absolute, judged, shown, and named in an error when the disk refuses.

`is_inside` carries a promise of trust: an action for which it says yes may run for a pack that nobody trusts, so it
answers for the moment of the question *and* for what the pack's other actions may do before the action runs:

* Every directory on the way is resolved, so a link in the checkout that leads out of it counts as outside, and a
  neighbour whose name merely begins like the pack's does too. The last segment is not resolved: nobody follows it.
* `..` counts as outside even where it comes back in. It is resolved against what is there when it is used, and an
  earlier action of the same pack may have put a link there by then. Without `..`, the links that a pack can make
  untrusted all lead to places inside it (`symlink` asks about its source as well), so no chain of them leads out.
* Names that git or grex keep for themselves are outside: a link at `.git/hooks/post-checkout` is a program that the
  user's next git command runs. So is a checkout inside the checkout, which is another pack's or the user's own.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from grex.errors import ActionError
from grex.names import check_pack_path, clean, redact
from grex.plugin import ActionArguments, ActionContext

__all__ = ["disk_error", "empty_path", "is_inside", "is_within", "resolve", "shown", "stays_in_pack"]

_SHOWN_CHARACTERS = 1000


def resolve(ctx: ActionContext, text: str | Path, what: str) -> Path:
    """The absolute path that an argument means.

    Args:
        ctx: expands variables and knows the pack.
        text: the argument.
        what: action and argument, for the message: `symlink dst`.

    Raises:
        ActionError: a variable is not set, or the text cannot be a path.
    """
    path = ctx.path(text)
    if "\0" in str(path):
        raise ActionError(f"{what} {shown(path)} holds a NUL character", hint="Take it out of the pack.yaml.")
    return path


def empty_path(arguments: ActionArguments, *names: str) -> str | None:
    """Why the arguments of these names cannot be meant, if one is empty, which would mean the pack itself; or None."""
    empty = [name for name in names if not str(getattr(arguments, name))]
    return f"{arguments.action} needs a {empty[0]} that is not empty" if empty else None


def shown(text: str | Path) -> str:
    """A path or a text from a pack on one line, without what acts on a terminal and without credentials."""
    return clean(redact(str(text)), _SHOWN_CHARACTERS)


def is_within(path: Path, root: Path) -> bool:
    """Whether the path, with every link in it resolved, is `root` or lies below it."""
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root))


def is_inside(path: Path, root: Path) -> bool:
    """Whether something made at `path` belongs to the checkout at `root` and to nobody else; see the module."""
    if ".." in path.parts:
        return False
    real_root = Path(os.path.realpath(root))
    real = Path(os.path.realpath(path.parent), path.name)
    if not real.is_relative_to(real_root):
        return False
    # The rules for paths of packs refuse more than the names that matter here (a colon, a leading dash). That only
    # means that such a path asks for trust, and saves a second list of reserved names.
    if check_pack_path(real.relative_to(real_root).as_posix()) is not None:
        return False
    below = [real, *real.parents]
    return not any(os.path.lexists(here / ".git") for here in below[: below.index(real_root)])


def stays_in_pack(src: Path, dst: Path, root: Path) -> bool:
    """Whether something made at `dst` of what is at `src` neither lies outside of the checkout nor comes from there."""
    return is_inside(dst, root) and ".." not in src.parts and is_within(src, root)


def disk_error(what: str, error: OSError) -> ActionError:
    """What the system refused, as an error of the action: `what` is the first half of the sentence."""
    reason = error.strerror or str(error)
    hint = "Look at what is there and at its permissions; the next sync tries again."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        hint = "Give yourself permission to write there, or choose another path in the pack.yaml."
    elif error.errno in (errno.ENOSPC, errno.EDQUOT):
        hint = "Free some space; the next sync goes on from here."
    return ActionError(f"{what}: {reason[:1].lower()}{reason[1:]}", hint=hint)
