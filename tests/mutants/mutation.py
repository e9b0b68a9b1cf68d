"""One deliberate mistake: where it is made, what it breaks, and which test must notice."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["Edit", "Mutation", "MutationError"]


class MutationError(Exception):
    """A mutation does not fit the code any more."""


@dataclass(frozen=True, slots=True)
class Edit:
    """The exact text to find in a file, once, and what stands there instead."""

    file: str
    found: str
    replacement: str

    def applied_to(self, text: str) -> str:
        """The text of the file with the mistake in it.

        Raises:
            MutationError: the text to replace is not there exactly once, or nothing would change.
        """
        times = text.count(self.found)
        if times != 1:
            raise MutationError(f"{self.file} has the text to replace {times} times instead of once:\n{self.found}")
        mutated = text.replace(self.found, self.replacement)
        if mutated == text:
            raise MutationError(f"{self.file}: the replacement changes nothing:\n{self.found}")
        return mutated


@dataclass(frozen=True, slots=True)
class Mutation:
    """A mistake that a test must notice.

    Attributes:
        name: What was done wrong, in a few words joined by hyphens.
        promise: The promise of `docs/concurrency.md` that it breaks.
        test: The node id of the test that must fail. Of a parametrised one without a bracket, at least one case.
        edits: What is changed.
        in_torture: Whether the torture of the locks must find it too, which knows nothing of what was done wrong.
    """

    name: str
    promise: str
    test: str
    edits: tuple[Edit, ...]
    in_torture: bool = False

    def render(self, root: Path) -> dict[str, str]:
        """The files that change, relative to `root`, with their new text.

        Raises:
            MutationError: an edit does not fit, or the result is no Python.
        """
        texts: dict[str, str] = {}
        for edit in self.edits:
            path = root / edit.file
            if edit.file not in texts and not path.is_file():
                raise MutationError(f"{self.name}: there is no file {edit.file}")
            texts[edit.file] = edit.applied_to(texts.get(edit.file) or path.read_text("utf-8"))
        for file, text in texts.items():
            try:
                compile(text, file, "exec")
            except SyntaxError as error:
                raise MutationError(f"{self.name}: {file} is no Python any more: {error}") from error
        return texts
