"""A verb or an option that there is not: the one that was probably meant is named."""

from __future__ import annotations

import pytest

from grex.cli.app import run


@pytest.mark.parametrize(
    ("typed", "said", "meant"),
    [
        (["statsu"], "grex has no verb 'statsu'", "Did you mean 'status'?"),
        (["list"], "grex has no verb 'list'", "Did you mean 'ls'?"),
        (["merge-drivr"], "grex has no verb 'merge-drivr'", "`grex --help` and `grex VERB --help` list what there is."),
        (["sync", "--dryrun"], "grex sync has no option --dryrun", "Did you mean '--dry-run'?"),
        (["sync", "--failfast"], "grex sync has no option --failfast", "Did you mean '--fail-fast'?"),
        (["status", "--FETCH"], "grex status has no option --FETCH", "Did you mean '--fetch'?"),
        (["status", "--hepl"], "grex status has no option --hepl", "Did you mean '--help'?"),
        (["--jsn", "status"], "grex has no option --jsn", "Did you mean '--json'?"),
        (["cache"], "grex cache needs a verb: ls or gc", "`grex cache --help` says what each one does."),
        (["fork"], "grex fork needs DIR", "`grex fork --help` says what that is, and what there is."),
        (["sync", "--xyzzy"], "grex sync has no option --xyzzy", "`grex sync --help` lists those it has."),
    ],
)
def test_the_nearest_name_is_said(capsys: pytest.CaptureFixture[str], typed: list[str], said: str, meant: str) -> None:
    assert run(typed) == 2
    assert capsys.readouterr().err == f"grex: {said}\n  hint: {meant}\n"


def test_what_else_is_wrong_is_said_as_the_framework_says_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["graph", "--format", "svg"]) == 2
    assert "'svg' is not one of" in capsys.readouterr().err
