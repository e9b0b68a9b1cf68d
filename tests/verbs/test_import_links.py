"""copyfile and linkfile: files that the root makes between its packs, by a sync, as often as their sources change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from grex.errors import ManifestError
from grex.verbs.import_packs import ImportReport, ImportRequest, import_packs
from grex.workspace import ROOT_TRUST
from tests.support.git_server import GitServer
from tests.support.loops import trio_among_the_slow  # noqa: F401 - a fixture
from tests.support.place import Place

pytestmark = pytest.mark.anyio


@pytest.fixture
def server(tmp_path: Path) -> GitServer:
    server = GitServer(tmp_path / "up")
    server.create("a", {"root.mk": "1\n", "tools/$HOME.sh": "x\n"})
    server.create("b", {"f": "1\n"})
    return server


@pytest.fixture
def ready(place: Place) -> Place:
    place.declare()
    return place


def manifest(place: Place, server: GitServer, inside: str, *, groups: str = "") -> Path:
    file = place.root.parent / "default.xml"
    file.write_text(
        f'<manifest><remote name="up" fetch="{server.root.as_uri()}"/><default remote="up" revision="main"/>'
        f'<project name="a.git" path="build/a" groups="{groups}">{inside}</project>'
        '<project name="b.git" path="b"/></manifest>'
    )
    return file


async def run(place: Place, file: Path, **request: Any) -> ImportReport:
    return await import_packs(ImportRequest(place.root, file, **request), place.settings())


LINKS = '<copyfile src="root.mk" dest="top/Makefile"/><linkfile src="tools/$HOME.sh" dest="run.sh"/>'


async def test_a_sync_makes_them_and_follows_their_sources(ready: Place, server: GitServer) -> None:
    """The root becomes declarative. A new version upstream is copied by the next sync, though the root is as it was."""
    report = await run(ready, manifest(ready, server, LINKS))
    assert report.exit_code == 0, report.to_json()
    assert report.plan.new_type == "declarative"
    assert (ready / "top/Makefile").read_text() == "1\n"
    assert (ready / "run.sh").resolve() == (ready / "build/a/tools/$HOME.sh").resolve()
    server.commit("a", {"root.mk": "2\n"})
    assert (await ready.sync()).exit_code == 0
    assert (ready / "top/Makefile").read_text() == "2\n"
    text = (ready / ".grex/pack.yaml").read_text()
    again = await run(ready, manifest(ready, server, LINKS))
    assert (again.plan.is_empty, (ready / ".grex/pack.yaml").read_text()) == (True, text)


async def test_a_copy_that_somebody_changed_is_theirs(ready: Place, server: GitServer) -> None:
    await run(ready, manifest(ready, server, LINKS))
    (ready / "top/Makefile").write_text("mine\n")
    server.commit("a", {"root.mk": "2\n"})
    report = await ready.sync()
    assert report.exit_code == 4
    assert (ready / "top/Makefile").read_text() == "mine\n"


async def test_a_link_into_another_checkout_needs_trust_in_the_root(ready: Place, server: GitServer) -> None:
    inside = '<linkfile src="root.mk" dest="b/linked.mk"/><linkfile src="." dest="all"/>'
    report = await run(ready, manifest(ready, server, inside))
    assert report.exit_code == 4
    assert not (ready / "b/linked.mk").exists()
    ready.session().trust.add(ROOT_TRUST)
    for _ in range(2):
        assert (await ready.sync()).exit_code == 0
        assert (ready / "b/linked.mk").read_text() == "1\n"
        assert (ready / "all/root.mk").read_text() == "1\n"


async def test_a_link_of_a_pack_in_groups_waits_until_the_pack_is_there(ready: Place, server: GitServer) -> None:
    file = manifest(ready, server, LINKS, groups="g")
    await run(ready, file, no_sync=True)
    text = (ready / ".grex/pack.yaml").read_text()
    start = text.index("  - url: ")
    end = text.index("  - url: ", start + 1)
    child, without = text[start:end], text[:start] + text[end:]
    (ready / ".grex/pack.yaml").write_text(without)
    assert (await ready.sync()).exit_code == 0
    assert not (ready / "top").exists()
    (ready / ".grex/pack.yaml").write_text(without.replace("children:\n", f"children:\n{child}"))
    assert (await ready.sync()).exit_code == 0
    assert (ready / "top/Makefile").read_text() == "1\n"
    assert (ready / "run.sh").is_symlink()


async def test_another_source_takes_the_place_of_the_old_action(ready: Place, server: GitServer) -> None:
    await run(ready, manifest(ready, server, LINKS), no_sync=True)
    report = await run(ready, manifest(ready, server, LINKS.replace('"root.mk"', '"other.mk"')), no_sync=True)
    assert len(report.plan.new_links) == len(report.plan.old_links) == 1
    text = (ready / ".grex/pack.yaml").read_text()
    assert "build/a/other.mk" in text
    assert "build/a/root.mk" not in text


@pytest.mark.parametrize(
    ("inside", "type_", "told"),
    [
        (LINKS, "scripted", "default.xml:1:"),
        ('<copyfile src="f" dest="x"/><linkfile src="g" dest="x"/>', "meta", "'x' is made twice"),
        ('<copyfile src="f" dest="b"/>', "meta", "'b' is the place of a pack"),
        ('<copyfile src="f" dest=".git/hooks/x"/>', "meta", "git or grex keeps for itself"),
    ],
)
async def test_what_cannot_be_made_is_refused_before_anything_is_written(
    ready: Place, server: GitServer, inside: str, type_: str, told: str
) -> None:
    ready.declare(type=type_)
    before = (ready / ".grex/pack.yaml").read_text()
    with pytest.raises(ManifestError) as caught:
        await run(ready, manifest(ready, server, inside), name="default.xml")
    assert told in caught.value.message
    assert (ready / ".grex/pack.yaml").read_text() == before


async def test_the_place_of_a_pack_that_is_declared_already_is_refused_too(ready: Place, server: GitServer) -> None:
    await run(ready, manifest(ready, server, ""), no_sync=True)
    with pytest.raises(ManifestError, match="'B' is the place of a pack"):
        await run(ready, manifest(ready, server, '<copyfile src="f" dest="B"/>'))
