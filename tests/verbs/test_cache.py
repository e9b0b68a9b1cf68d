"""`grex cache ls` and `grex cache gc`."""

from __future__ import annotations

import os
import time
from functools import partial
from pathlib import Path

import anyio
import pytest

from grex.cli.render import cache_gc as gc_text
from grex.cli.render import cache_ls as ls_text
from grex.errors import UsageError
from grex.git.mirror import mirror_for
from grex.locks import MirrorLock
from grex.names import parse_url
from grex.verbs.cache import CacheGcReport, CacheGcRequest, CacheLsReport, CacheLsRequest, cache_gc, cache_ls
from tests.support.git_server import GitServer
from tests.support.place import Place

DAY_S = 86400


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A workspace with the packs `one`, `two` and `three`, whose objects are in the cache."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Test")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "test@example.invalid")
    server = GitServer(tmp_path / "server")
    place = Place(tmp_path / "here", cache_dir=tmp_path / "cache")
    names = ("one", "three", "two")
    for name in names:
        server.create(name, {"f": name})
    place.declare(*({"url": server.url(name)} for name in names))
    anyio.run(place.sync)
    # `two` has two packs, and `three` was not used for a while.
    server.commit("two", {"f": "2"})
    anyio.run(place.sync)
    (tmp_path / "paths").write_text(
        "\n".join(str(mirror_for(tmp_path / "cache", parse_url(server.url(n)))) for n in names)
    )
    os.utime(mirrors(place)["three"] / "used", times=(time.time() - 40 * DAY_S,) * 2)
    return place


def mirrors(place: Place) -> dict[str, Path]:
    paths = (place.root.parents[1] / "paths").read_text().splitlines()
    return dict(zip(("one", "three", "two"), map(Path, paths), strict=True))


def ls(place: Place) -> CacheLsReport:
    return anyio.run(cache_ls, CacheLsRequest(), place.settings())


def gc(place: Place, keep_days: int = 30, *, dry_run: bool = False) -> CacheGcReport:
    return anyio.run(partial(cache_gc, CacheGcRequest(keep_days=keep_days, dry_run=dry_run), place.settings()))


def fates(report: CacheGcReport) -> dict[str, str]:
    return {(one.url or "damaged").rpartition("/")[2]: one.fate for one in report.mirrors}


def test_mirrors_are_listed_with_what_they_are_of_and_how_large(place: Place) -> None:
    (mirrors(place)["one"] / "grex.json").write_text("{")
    report = ls(place)
    found = report.to_json()["mirrors"]
    sizes = {(one["url"] or "damaged").rpartition("/")[2]: one["size_bytes"] for one in found}
    assert sorted(sizes) == ["damaged", "three.git", "two.git"]
    assert all((sizes[name] or 0) > 200 for name in ("three.git", "two.git"))
    text = ls_text(report)
    assert "damaged" in text
    assert "3 mirrors" in text


def test_what_was_not_used_goes_and_the_rest_is_packed(place: Place) -> None:
    assert fates(gc(place, dry_run=True)) == {"one.git": "kept", "three.git": "removed", "two.git": "kept"}
    assert mirrors(place)["three"].exists()
    report = gc(place)
    assert fates(report) == {"one.git": "kept", "three.git": "removed", "two.git": "packed"}
    assert not mirrors(place)["three"].exists()
    assert len(list(mirrors(place)["two"].glob("objects/pack/*.pack"))) == 1
    assert gc_text(report).endswith(".")
    assert fates(gc(place, keep_days=0)) == {"one.git": "removed", "two.git": "removed"}
    assert not anyio.run(place.state_of, "two").edited


def test_a_mirror_that_is_in_use_stays(place: Place) -> None:
    with MirrorLock.for_mirror(mirrors(place)["three"]).try_acquire():
        assert fates(gc(place))["three.git"] == "in-use"
    assert mirrors(place)["three"].exists()


def test_without_a_cache_it_says_how_to_have_one(place: Place) -> None:
    place.defaults = place.settings(cache_dir=None)
    with pytest.raises(UsageError, match="no cache is configured"):
        ls(place)
