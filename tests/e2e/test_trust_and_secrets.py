"""Trust and secrets: what the question offers, what is said where trust cannot be kept, what is never written."""

from __future__ import annotations

import io
import os
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from grex.cli.prompt import ask_for_trust
from grex.engine import InstallStep
from grex.errors import ConfigError
from grex.workspace import TrustStore
from tests.support.workspace import Workspace

pytestmark = pytest.mark.anyio


def _step(identity: str) -> InstallStep:
    return cast("InstallStep", SimpleNamespace(trust_key=identity, pack=SimpleNamespace(path="p"), needs_trust=("x",)))


async def _yes() -> str:
    return "y\n"


@pytest.mark.parametrize(
    ("identity", "prefix"),
    [
        ("https://host/team/x", "https://host/team"),
        ("https://host/x", "https://host/x"),
        ("ssh://host:2222/x", "ssh://host:2222/x"),
        ("file:///srv/git/x", "file:///srv/git"),
        ("file:///x", "file:///x"),
    ],
)
async def test_one_yes_never_trusts_a_whole_host(identity: str, prefix: str) -> None:
    assert await ask_for_trust([_step(identity)], _yes, io.StringIO()) == [prefix]


async def test_a_prefix_cannot_write_on_the_terminal() -> None:
    out = io.StringIO()
    await ask_for_trust([_step("https://host/\u202emaet/x")], _yes, out)
    assert "\u202e" not in out.getvalue()


@pytest.mark.skipif(os.name == "nt", reason="a file in place of a directory")
def test_trust_that_cannot_be_kept_is_an_error_with_a_next_step(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file\n")
    with pytest.raises(ConfigError, match=r"cannot be (read|written)") as caught:
        TrustStore(tmp_path / "state", tmp_path).add("https://host/team")
    assert caught.value.hint


@pytest.mark.parametrize("url", ["https://bob:s3cret@host.invalid/x", "https://host.invalid/x?access_token=s3cret"])
def test_add_does_not_write_credentials_into_the_declaration(tmp_path: Path, url: str) -> None:
    workspace = Workspace(tmp_path)
    workspace.declare()
    before = workspace.snapshot()
    run = workspace.grex("add", url, expect=2)
    assert "s3cret" not in run.stdout + run.stderr
    assert "holds credentials" in run.stderr
    assert workspace.snapshot() == before
