"""The predicates that ship with grex: what their values may be, and when they hold."""

# ruff: noqa: E501 - the table holds whole messages; one cut in two cannot be searched for
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from grex.errors import ActionError, PackSpecError
from grex.plugin import Require
from grex.plugin.testing import RecordingContext, predicate
from tests.support.unprivileged import unprivileged_directory


def refused(tmp_path: Path, text: str) -> list[str]:
    """What is wrong with a pack.yaml that requires this, each with its line and column."""
    context = RecordingContext(tmp_path)
    pack_yaml = f'schema_version: "1"\nname: p\ntype: declarative\nactions:\n- require:\n    all_of:\n    - {text}\n'
    pack = context.make_pack("p", pack_yaml=pack_yaml)
    try:
        (arguments,) = context.actions(pack)
    except PackSpecError as error:
        return [
            f"{found['line']}:{found['column']}: {found['message']}{found['hint']}"
            for found in error.details["problems"]
        ]
    assert isinstance(arguments, Require)
    return []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("path_exists: ''", "7:20: path_exists is empty (write its value)"),
        ("path_exists: 7", "7:20: path_exists is text (write it in quotes)"),
        ("cmd_available: 7", "7:22: cmd_available is text (write it in quotes)"),
        ("env_set: [A]", "7:16: env_set is text (write it in quotes)"),
        ("os: []", "7:11: os is empty (known: linux, macos, windows)"),
        ("os: [linux, darwin]", "7:11: os cannot be 'darwin' (known: linux, macos, windows)"),
        ("os: windos", "7:11: os cannot be 'windos' (did you mean 'windows'?)"),
        ("os: [linux, 7]", "7:11: os is text (write it in quotes)"),
        ("symlink_ok: a", "7:19: symlink_ok is a mapping (write {src: ..., dst: ...})"),
        ("symlink_ok: {src: a}", "7:19: symlink_ok needs 'dst' (write {src: ..., dst: ...})"),
        ("symlink_ok: {src: a, dst: ''}", "7:19: symlink_ok.dst is empty (write its value)"),
        ("symlink_ok: {src: a, dst: b, dest: c}", "7:19: symlink_ok has no key 'dest' (did you mean 'dst'?)"),
        ("path_exist: a", "7:7: there is no predicate 'path_exist'Did you mean 'path_exists'?"),
    ],
)
def test_a_value_that_cannot_be_meant_is_refused_at_its_place(tmp_path: Path, text: str, problem: str) -> None:
    assert refused(tmp_path, text) == [problem]


@pytest.mark.parametrize(
    "text", ["path_exists: ~/a", "cmd_available: git", "env_set: A", "os: linux", "os: [macos, windows]", "symlink_ok: {dst: b, src: a}"]
)  # fmt: skip
def test_a_value_that_can_be_meant_is_taken(tmp_path: Path, text: str) -> None:
    assert refused(tmp_path, text) == []


@pytest.fixture
def context(tmp_path: Path) -> RecordingContext:
    """A machine with a file, a link to it, links to nothing and elsewhere, and a command."""
    context = RecordingContext(tmp_path, environ={"SET": "", "PATH": str(tmp_path / "bin")})
    root = context.make_pack().root
    (root / "file").touch()
    (context.home / "link").symlink_to(root / "file")
    (context.home / "chain").symlink_to("link")
    (context.home / "dangling").symlink_to(root / "absent")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/tool").write_text("#!/bin/sh\n")
    (tmp_path / "bin/tool").chmod(0o755)
    (tmp_path / "bin/data").touch(mode=0o644)
    return context


@pytest.mark.parametrize(
    ("kind", "value", "holds"),
    [
        ("path_exists", "file", True),
        ("path_exists", "absent", False),
        ("path_exists", "~/link", True),
        ("path_exists", "~/dangling", False),
        ("path_exists", "$GREX_PACK_PATH/file", True),
        ("cmd_available", "tool", True),
        ("cmd_available", "data", False),
        ("cmd_available", "absent", False),
        ("env_set", "SET", True),
        ("env_set", "UNSET", False),
        ("env_set", "GREX_PACK_NAME", True),
        ("os", "linux", True),
        ("os", ["macos", "linux"], True),
        ("os", "windows", False),
        ("os", ["macos", "windows"], False),
        ("symlink_ok", {"src": "file", "dst": "~/link"}, True),
        ("symlink_ok", {"src": "file", "dst": "~/chain"}, True),
        ("symlink_ok", {"src": "file", "dst": "file"}, False),
        ("symlink_ok", {"src": "other", "dst": "~/link"}, False),
        ("symlink_ok", {"src": "absent", "dst": "~/dangling"}, False),
        ("symlink_ok", {"src": "file", "dst": "~/absent"}, False),
    ],
)
def test_it_holds_exactly_when_it_is_so(context: RecordingContext, kind: str, value: Any, holds: bool) -> None:
    assert context.of(context.make_pack()).evaluate(predicate(kind, value)) is holds


def test_a_variable_that_is_not_set_is_an_error_with_its_offset(context: RecordingContext) -> None:
    with pytest.raises(ActionError, match="'NOWHERE' at offset 2 is not set"):
        context.of(context.make_pack()).evaluate(predicate("path_exists", "a/$NOWHERE"))


def test_what_may_not_be_looked_at_or_can_have_no_such_name_is_not_there() -> None:
    with unprivileged_directory() as directory:
        context = RecordingContext(directory)
        pack = context.make_pack()
        (context.home / "shut").mkdir(mode=0)
        for path in (f"{context.home}/shut/file", "n" * 300):
            assert context.of(pack).evaluate(predicate("path_exists", path)) is False
