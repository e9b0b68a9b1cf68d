"""One exit code of many failures, and one JSON shape of each."""

from __future__ import annotations

import itertools

import pytest

from grex.errors import (
    ActionError,
    GrexError,
    LockBusyError,
    LockfileError,
    LockTimeoutError,
    ManifestError,
    PackError,
    PluginError,
    UsageError,
)
from grex.verbs.report import exit_code_of, failure_json


@pytest.mark.parametrize(
    ("errors", "code"),
    [
        ([], 0),
        ([PackError("x")], 4),
        ([ActionError("x"), PluginError("x")], 8),
        ([ActionError("x"), PluginError("x"), LockfileError("x")], 3),
        ([ManifestError("x"), PackError("x")], 3),
        ([LockTimeoutError("x")], 4),
        ([LockBusyError("x"), PluginError("x")], 8),
        ([GrexError("x")], 4),
        ([UsageError("x")], 2),
        ([UsageError("x"), PackError("x")], 4),
    ],
)
def test_three_comes_before_eight_before_four_and_lock_trouble_of_a_pack_is_four(
    errors: list[GrexError], code: int
) -> None:
    for order in itertools.permutations(errors):
        assert exit_code_of(order) == code


def test_a_failure_has_a_code_a_sentence_a_hint_and_its_facts() -> None:
    error = PackError("a is broken", hint="Mend it.", details={"path": "a"})
    assert failure_json(error) == {
        "code": "pack.failed",
        "exit_code": 4,
        "message": "a is broken",
        "hint": "Mend it.",
        "details": {"path": "a"},
    }
    assert failure_json(PackError("x"))["hint"] is None
