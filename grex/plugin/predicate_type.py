"""What a predicate implements (`PredicateType`), and what it is given (`PredicateContext`).

A predicate is a question about the machine that `require` and `when` ask: `{cmd_available: git}`. Its name stands in
the pack.yaml, and below it one value of any form, of which only the predicate knows what it means. `check` judges the
value before anything of any pack is done, `holds` looks. Both only look, and answer at once: they are asked while the
pack is held, and more than once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Protocol

from grex.pack import PlainData
from grex.plugin.surroundings import Surroundings
from grex.plugin.values import API_VERSION, Pack

__all__ = ["PredicateContext", "PredicateType"]


class PredicateContext(Surroundings, Protocol):
    """What a predicate may use; an `ActionContext` is one."""

    @property
    def pack(self) -> Pack:
        """The pack that is being looked after."""

    @property
    def environ(self) -> Mapping[str, str]:
        """The variables of the caller, what earlier actions of the pack exported, `GREX_PACK_NAME` and its like."""

    def expand(self, text: str) -> str:
        """The text with its variables replaced.

        Raises:
            ActionError: a variable is not set; the message has its name and offset.
        """

    def path(self, text: str | Path) -> Path:
        """The absolute path: variables and a leading `~` expanded, relative ones joined to the pack."""


class PredicateType(ABC):
    """The implementation of a predicate; one instance serves all packs, so it keeps no state."""

    name: ClassVar[str]
    api_version: ClassVar[int] = API_VERSION
    platforms: ClassVar[tuple[str, ...]] = ()
    """Where it can answer; empty: everywhere. On another platform it is not asked and counts as unsupported."""

    def check(self, value: PlainData) -> str | None:
        """Why this value cannot be meant, in one sentence, or None; looks at nothing but the value.

        Args:
            value: as the pack.yaml has it: text, a number, true or false, None, a list, or a mapping.
        """
        del value
        return None

    @abstractmethod
    def holds(self, value: PlainData, ctx: PredicateContext) -> bool:
        """Whether it is so now. Asked only where the platform is one of `platforms`, with a value that `check` passed.

        Raises:
            ActionError: it cannot be found out, because a variable is not set for example.
        """
