"""The mistakes, all of them."""

from __future__ import annotations

from tests.mutants.mistakes_of_holds import HOLDS
from tests.mutants.mistakes_of_waits import WAITS
from tests.mutants.mutation import Mutation

__all__ = ["MUTATIONS"]

MUTATIONS: tuple[Mutation, ...] = (*HOLDS, *WAITS)
"""Each of them breaks one promise, and each is killed by the test that it names."""
