"""The registry: grex's own entries first, everybody else's by the same mechanism, and clear words when it fails."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from grex.errors import (
    PluginError,
    PluginLoadError,
    UnknownActionError,
    UnknownFetcherError,
    UnknownPackTypeError,
    UnknownPredicateError,
)
from grex.plugin import API_VERSION, ActionArguments, ActionType, Fetcher, PackType, PredicateType, Registry
from grex.plugin.registry import ACTIONS_GROUP, FETCHERS_GROUP, PACK_TYPES_GROUP, PREDICATES_GROUP
from grex.plugin.shipped import SHIPPED

GOOD = """
from grex.plugin import Outcome, PackType


class Good(PackType):
    name = "good"

    async def install(self, ctx, pack):
        return Outcome("unchanged")


class Demanding(Good):
    def __init__(self, argument):
        pass


thing = object()
"""

Install = Callable[[str, str, Mapping[str, str]], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Put a distribution on the path: its name, the source of its module, its entry points `group:name -> value`."""

    def put(name: str, source: str, entries: Mapping[str, str]) -> None:
        site = tmp_path / f"site-{name}"
        info = site / f"{name.replace('-', '_')}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        lines = [f"[{key.partition(':')[0]}]\n{key.partition(':')[2]} = {value}\n" for key, value in entries.items()]
        (info / "entry_points.txt").write_text("".join(lines))
        module = f"{name.replace('-', '_')}_module"
        (site / f"{module}.py").write_text(source)
        monkeypatch.syspath_prepend(site)
        monkeypatch.delitem(sys.modules, module, raising=False)

    return put


def types(name: str) -> str:
    return f"{PACK_TYPES_GROUP}:{name}"


@pytest.mark.parametrize("name", ["declarative", "meta", "plain", "scripted"])
def test_the_pack_types_that_ship_with_grex_are_found(name: str) -> None:
    found = Registry().pack_type(name)
    assert isinstance(found, PackType)
    assert found.name == name


@pytest.mark.parametrize("name", ["exec", "mkdir", "require", "symlink", "when"])
def test_the_actions_that_ship_with_grex_are_found_and_name_their_arguments(name: str) -> None:
    found = Registry().action(name)
    assert isinstance(found, ActionType)
    assert found.name == name
    assert issubclass(found.arguments, ActionArguments)
    assert found.arguments.action == name


def test_every_name_of_a_group_is_known() -> None:
    assert {"declarative", "meta", "plain", "scripted"} <= set(Registry().names(PACK_TYPES_GROUP))
    assert {"exec", "mkdir", "require", "symlink", "when"} <= set(Registry().names(ACTIONS_GROUP))
    assert "hook" not in Registry().names(ACTIONS_GROUP)


def test_a_plugin_is_loaded_once_and_then_kept(install: Install) -> None:
    install("grex-good", GOOD, {types("good"): "grex_good_module:Good"})
    registry = Registry()
    assert registry.pack_type("good").name == "good"
    assert registry.pack_type("good") is registry.pack_type("good")


def test_a_name_of_our_own_costs_no_scan_of_what_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda **_: pytest.fail("scanned"))
    assert Registry().pack_type("declarative").name == "declarative"


def test_nobody_replaces_a_name_that_ships_with_grex(install: Install) -> None:
    install("grex-evil", GOOD, {types("declarative"): "grex_evil_module:Good"})
    assert type(Registry().pack_type("declarative")).__module__ == "grex.builtin.pack_types.declarative"


def test_an_unknown_name_is_an_error_that_says_what_was_meant(install: Install) -> None:
    install("grex-good", GOOD, {types("dotty"): "grex_good_module:Good"})
    with pytest.raises(UnknownPackTypeError, match="no plugin registers the pack type 'doty'") as type_error:
        Registry().pack_type("doty")
    assert type_error.value.hint == ("Did you mean 'dotty'? Known here: declarative, dotty, meta, plain, scripted.")
    with pytest.raises(UnknownActionError, match="no plugin registers the action 'simlink'") as action_error:
        Registry().action("simlink")
    assert action_error.value.hint is not None
    assert action_error.value.hint.startswith("Did you mean 'symlink'?")


def test_an_unknown_name_near_to_nothing_lists_what_there_is() -> None:
    with pytest.raises(UnknownPackTypeError) as caught:
        Registry().pack_type("zzz")
    assert caught.value.hint is not None
    assert caught.value.hint.startswith("Install the plugin that brings it, or use one of: declarative, ")


def test_a_pack_type_is_no_action() -> None:
    with pytest.raises(UnknownActionError):
        Registry().action("declarative")


@pytest.mark.parametrize(
    ("source", "value", "reason"),
    [
        ("import not_there", ":Good", "cannot be imported: ModuleNotFoundError: No module named 'not_there'"),
        ("raise RuntimeError('broken')", ":Good", "cannot be imported: RuntimeError: broken"),
        ("raise SystemExit(3)", ":Good", "cannot be imported: SystemExit: 3"),
        ("class Good(", ":Good", "cannot be imported: SyntaxError"),
        (GOOD, ":Absent", "cannot be imported: AttributeError"),
        (GOOD, ":thing", "is not a PackType"),
        ("Good = dict", ":Good", "is not a PackType"),
        (GOOD, ":Demanding", "cannot be created: TypeError"),
    ],
)
def test_a_plugin_that_does_not_load_is_one_error_that_names_its_distribution(
    source: str, value: str, reason: str, install: Install
) -> None:
    install("grex-broken", source, {types("broken"): f"grex_broken_module{value}"})
    registry = Registry()
    with pytest.raises(PluginLoadError) as caught:
        registry.pack_type("broken")
    assert f"'broken' of grex-broken (grex_broken_module{value}) {reason}" in str(caught.value)
    assert caught.value.hint is not None
    assert "grex-broken" in caught.value.hint
    assert registry.pack_type("plain").name == "plain"  # and nobody else suffers


OTHER_NAME = """
from dataclasses import dataclass
from typing import ClassVar
from grex.plugin import ActionArguments, ActionType


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments(ActionArguments):
    action: ClassVar[str] = "mkdir"
    path: str


class Good(ActionType):
    name = "make"
    arguments = Arguments

    async def plan(self, arguments, ctx):
        raise NotImplementedError

    async def do(self, arguments, planned, ctx):
        raise NotImplementedError

    async def undo(self, undo, ctx):
        raise NotImplementedError
"""


def test_an_action_whose_arguments_have_another_name_would_be_another_action(install: Install) -> None:
    install("grex-broken", OTHER_NAME, {f"{ACTIONS_GROUP}:make": "grex_broken_module:Good"})
    with pytest.raises(PluginLoadError, match="has arguments of the action 'mkdir', not 'make'"):
        Registry().action("make")


def test_a_name_that_two_distributions_claim_is_an_error_that_names_both(install: Install) -> None:
    for name in ("grex-one", "grex-two"):
        install(name, GOOD, {types("good"): f"{name.replace('-', '_')}_module:Good"})
    with pytest.raises(PluginLoadError, match="registered by more than one distribution") as caught:
        Registry().pack_type("good")
    assert "grex-one (grex_one_module:Good), grex-two (grex_two_module:Good)" in str(caught.value)
    assert caught.value.hint == "Uninstall all but one of them."


def test_the_same_distribution_seen_twice_is_no_conflict(install: Install, tmp_path: Path) -> None:
    install("grex-good", GOOD, {types("good"): "grex_good_module:Good"})
    sys.path.insert(0, sys.path[0])
    assert Registry().pack_type("good").name == "good"


def test_a_grex_that_is_not_installed_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", absent)
    with pytest.raises(PluginError, match="grex's own pack types are not registered in this environment"):
        Registry().pack_type("scripted")


def test_what_is_known_without_reading_anything_is_what_is_registered() -> None:
    entries = importlib.metadata.distribution("grex").entry_points
    registered = {(entry.group, entry.name): entry.value for entry in entries}
    assert registered.items() >= SHIPPED.items()


def test_nothing_that_is_installed_is_read_for_the_usual_types(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(name: str) -> None:
        raise AssertionError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", read)
    registry = Registry()
    assert registry.has("grex.pack_types", "plain")
    assert [registry.pack_type(name).name for name in ("meta", "plain")] == ["meta", "plain"]
    assert registry.pack_type("plain") is registry.pack_type("plain")


OTHERS = """
from grex.plugin import Fetcher, PredicateType


class Moon(PredicateType):
    name = "moon"

    def holds(self, value, ctx):
        return True


class Sftp(Fetcher):
    name = "sftp"

    async def fetch(self, url, into, ctx):
        pass
"""


def test_predicates_and_fetchers_are_found_like_everything_else(install: Install) -> None:
    install(
        "grex-good",
        OTHERS,
        {f"{PREDICATES_GROUP}:moon": "grex_good_module:Moon", f"{FETCHERS_GROUP}:sftp": "grex_good_module:Sftp"},
    )
    registry = Registry()
    assert isinstance(registry.predicate("moon"), PredicateType)
    assert isinstance(registry.fetcher("sftp"), Fetcher)
    assert isinstance(registry.predicate("os"), PredicateType)
    assert isinstance(registry.fetcher("file"), Fetcher)
    assert [registry.has(PREDICATES_GROUP, name) for name in ("moon", "os", "sun")] == [True, True, False]
    with pytest.raises(UnknownPredicateError, match="no plugin registers the predicate 'mood'") as predicate_error:
        registry.predicate("mood")
    assert (predicate_error.value.hint or "").startswith("Did you mean 'moon'?")
    with pytest.raises(UnknownFetcherError, match="no plugin fetches URLs of the scheme 'ftp'") as fetcher_error:
        registry.fetcher("ftp")
    assert (fetcher_error.value.hint or "").endswith("known here: file, sftp.")
    install("grex-wrong", OTHERS, {types("wrong"): "grex_wrong_module:Moon"})
    with pytest.raises(PluginLoadError, match="is not a PackType"):
        Registry().pack_type("wrong")


@pytest.mark.parametrize("name", ["cmd_available", "env_set", "os", "path_exists", "symlink_ok"])
def test_the_predicates_that_ship_with_grex_cost_no_scan(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda **_: pytest.fail("scanned"))
    registry = Registry()
    assert registry.has(PREDICATES_GROUP, name)
    assert registry.predicate(name).name == name
    assert registry.has(PREDICATES_GROUP, name)


@pytest.mark.parametrize("version", [0, API_VERSION + 1, "1"])
def test_a_plugin_for_another_version_of_the_api_is_refused_before_it_is_made(
    install: Install, version: object
) -> None:
    source = GOOD.replace('name = "good"', f'name = "good"; api_version = {version!r}; __init__ = None')
    install("grex-old", source, {types("old"): "grex_old_module:Good"})
    with pytest.raises(PluginLoadError) as caught:
        Registry().pack_type("old")
    assert f"is written for version {version} of the plugin API, and this grex has {API_VERSION}" in str(caught.value)
    assert caught.value.hint == "Install a version of grex-old that fits, or another grex."


def test_a_plugin_that_says_the_version_of_this_api_is_taken(install: Install) -> None:
    source = GOOD.replace('name = "good"', f'name = "good"; api_version = {API_VERSION}')
    install("grex-good", source, {types("good"): "grex_good_module:Good"})
    assert Registry().pack_type("good").name == "good"
