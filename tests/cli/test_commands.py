"""An option that is taken reaches the request of its verb: what it does there, the tests of the verb show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from grex.cli.app import run as run_grex
from grex.engine import Settings
from grex.errors import UsageError
from grex.verbs import add, export, freeze, import_packs, run, sync, teardown, update


class _Seen(Exception):  # noqa: N818 - it is no error
    """Carries a request out of a command, whose verb is not run."""

    def __init__(self, request: Any) -> None:
        super().__init__()
        self.request = request


@pytest.fixture
def request_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The request that a command line comes to, in a workspace of its own."""
    monkeypatch.chdir(tmp_path)
    assert run_grex(["init", "--quiet"]) == 0

    async def verb(request: Any, settings: Settings) -> None:
        del settings
        raise _Seen(request)

    for module in (add, export, freeze, import_packs, run, sync, teardown, update):
        monkeypatch.setattr(module, module.__name__.rpartition(".")[2], verb)

    def call(*arguments: str) -> Any:
        try:
            run_grex(list(arguments))
        except _Seen as seen:
            return seen.request
        except BaseExceptionGroup as group:
            return next(error.request for error in group.exceptions if isinstance(error, _Seen))
        raise UsageError(f"no request came of {arguments}")

    return call


_STEPS = ("--dry-run", "--fail-fast")
_SYNCS = (*_STEPS, "--offline", "--no-install", "--install", "--keep-partial")
FLAGS = {
    "sync": (*_SYNCS, "--install", "--locked"),
    "update": (*_SYNCS, "--install", "--force"),
    "teardown": _STEPS,
    "run": _STEPS,
}


@pytest.mark.parametrize(("verb", "flag"), [(verb, flag) for verb, flags in FLAGS.items() for flag in flags])
def test_a_flag_is_a_field_of_the_request_and_is_off_unless_it_is_given(request_of: Any, verb: str, flag: str) -> None:
    field = flag.removeprefix("--").replace("-", "_")
    name = ["hook"] if verb == "run" else []

    def value(*given: str) -> bool:
        request = request_of(verb, *name, *given, "some-pack")
        wanted = request if hasattr(request, field) else request.sync
        packs = wanted.packs if hasattr(wanted, "packs") else request.sync.packs
        assert packs == ("some-pack",)
        return bool(getattr(wanted, field))

    assert value(flag)
    assert not value()


def test_add_hands_on_what_it_is_told_of_the_child(request_of: Any) -> None:
    request = request_of("add", "https://host.example/x", "libs/x", "--ref", "v1", "--group", "ci", "-g", "dev")
    assert (request.url, request.path, request.ref, request.groups) == (
        "https://host.example/x",
        "libs/x",
        "v1",
        ("ci", "dev"),
    )
    assert request_of("add", "https://host.example/x", "--no-install").no_install


def test_what_import_export_and_freeze_are_told_reaches_their_requests(request_of: Any, tmp_path: Path) -> None:
    plain = request_of("import", "sub/x.xml")
    assert (plain.file, plain.name, plain.scan) == (tmp_path / "sub/x.xml", "sub/x.xml", False)
    assert (plain.branches, plain.dry_run, plain.no_sync, plain.manifest_url) == (False, False, False, None)
    options = ["--format", "repo", "--group", "a", "-g", "b", "--manifest-url", "https://h/m", "--branches"]
    told = request_of("import", "x", *options, "--dry-run", "--no-sync")
    assert (told.format_name, told.groups, told.manifest_url) == ("repo", ("a", "b"), "https://h/m")
    assert (told.branches, told.dry_run, told.no_sync) == (True, True, True)
    assert (request_of("import", "--scan").scan, request_of("import", "--scan").file) == (True, None)
    exported = request_of("export", "--format", "west", "--output", "w.yml", "--frozen")
    assert (exported.format_name, exported.output, exported.frozen) == ("west", tmp_path / "w.yml", True)
    assert request_of("export", "--format", "vcs").output is None
    assert request_of("freeze", "--output", "p.yaml").output == tmp_path / "p.yaml"
    assert (request_of("freeze", "--write").write, request_of("freeze").write) == (True, False)
