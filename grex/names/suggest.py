"""Which name was probably meant by one that is unknown."""

from __future__ import annotations

from collections.abc import Collection

__all__ = ["suggest"]

_LONGEST = 40  # comparing is quadratic in the length, and nobody mistypes a name of this length by a letter


def suggest(word: str, known: Collection[str]) -> str:
    """Return a hint: the known name that is nearest to a mistyped one, or all of them where none is near."""
    # Imported here because the usual run, one without a mistake, has no use for it.
    from difflib import get_close_matches  # noqa: PLC0415 - see above

    near = get_close_matches(word.lower(), sorted(known), n=1, cutoff=0.6) if len(word) <= _LONGEST else []
    return f"did you mean '{near[0]}'?" if near else f"known: {', '.join(sorted(known))}"
