"""A policy that could not be kept is refused where it is made, and not when somebody has to wait."""

from __future__ import annotations

import math

import pytest

from grex.locks import WaitPolicy


@pytest.mark.parametrize("timeout_s", [math.nan, -1.0, -math.inf])
def test_a_limit_that_is_no_length_of_time_is_refused(timeout_s: float) -> None:
    with pytest.raises(ValueError, match="is none"):
        WaitPolicy(timeout_s=timeout_s)


@pytest.mark.parametrize("timeout_s", [None, 0.0, 1.5, math.inf])
def test_no_limit_no_wait_and_for_ever_are_limits(timeout_s: float | None) -> None:
    assert WaitPolicy(timeout_s=timeout_s).timeout_s == timeout_s
