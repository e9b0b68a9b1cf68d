"""`grex import --scan`: checkouts that lie there are declared as they lie, and adopted with every edit left as is."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from grex.errors import UsageError
from grex.verbs.import_packs import ImportReport, ImportRequest, import_packs
from tests.support.git_server import GitServer, git
from tests.support.loops import trio_among_the_slow  # noqa: F401 - a fixture
from tests.support.place import Place, by_path
from tests.support.workspace import pack_yaml

pytestmark = pytest.mark.anyio


@pytest.fixture
def server(tmp_path: Path) -> GitServer:
    server = GitServer(tmp_path / "up")
    server.create("a", {"f": "1\n", "g": "1\n"})
    server.tag("a", "v1")
    server.commit("a", {"g": "2\n"})
    return server


@pytest.fixture
def ready(place: Place) -> Place:
    place.declare()
    return place


def clone(place: Place, server: GitServer, path: str, *, name: str = "a") -> Path:
    (place / path).parent.mkdir(parents=True, exist_ok=True)
    git(place.root, "clone", "--quiet", server.url(name), path)
    return place / path


async def scan(place: Place, start: Path | None = None, **request: Any) -> ImportReport:
    return await import_packs(ImportRequest(place.root, start, scan=True, **request), place.settings())


async def test_checkouts_are_declared_where_they_lie_and_every_edit_stays(ready: Place, server: GitServer) -> None:
    """One of each kind, edited, adopted by the sync that follows: HEAD, edits and untracked files stay."""
    following = clone(ready, server, "Deep/x.y/following")
    at_a_tag = clone(ready, server, "at_tag")
    git(at_a_tag, "checkout", "--quiet", "v1")
    own_branch = clone(ready, server, "own")
    git(own_branch, "switch", "--quiet", "-c", "mine")
    behind = clone(ready, server, "Deep/x.y/following/behind")
    git(behind, "reset", "--quiet", "--hard", "v1")
    checkouts = [following, at_a_tag, own_branch, behind]
    for checkout in checkouts:
        (checkout / "f").write_text("mine\n")
        (checkout / "new").write_text("mine\n")
    old = git(at_a_tag, "rev-parse", "HEAD")
    new = git(following, "rev-parse", "HEAD")
    report = await scan(ready, groups=("found",))
    assert [(pack.path, pack.url, pack.ref, pack.groups) for pack in report.plan.added] == [
        ("Deep/x.y/following", server.url("a"), "main", ("found",)),
        ("Deep/x.y/following/behind", server.url("a"), "main", ("found",)),
        ("at_tag", server.url("a"), old, ("found",)),
        ("own", server.url("a"), new, ("found",)),
    ]
    assert report.exit_code == 0
    assert report.sync is not None
    assert {path: pack.status for path, pack in by_path(report.sync).items()} == {
        "Deep/x.y/following": "unchanged",
        "Deep/x.y/following/behind": "moved",
        "at_tag": "unchanged",
        "own": "unchanged",
    }
    for checkout in checkouts:
        assert (checkout / "f").read_text() == "mine\n"
        assert (checkout / "new").read_text() == "mine\n"
    assert git(own_branch, "symbolic-ref", "--short", "HEAD") == "mine"
    assert git(at_a_tag, "rev-parse", "HEAD") == old
    assert ready.locked() == ["Deep/x.y/following", "Deep/x.y/following/behind", "at_tag", "own"]
    again = await scan(ready, groups=("found",))
    assert (again.plan.is_empty, again.plan.unchanged) == (True, ())
    status = await ready.status()
    assert {pack.path: pack.states for pack in status.packs}["Deep/x.y/following"] == ("edited", "untracked")


async def test_what_cannot_be_declared_is_told_with_the_reason_and_the_others_are_taken(
    ready: Place, server: GitServer
) -> None:
    for name in ("empty", "alone", "upstream"):
        git(ready.root, "init", "--quiet", name)
    for name in ("alone", "upstream"):
        git(ready / name, "commit", "--quiet", "--allow-empty", "-m", "x")
    git(ready / "upstream", "remote", "add", "up", server.url("a"))
    secret = clone(ready, server, "secret")
    git(secret, "remote", "set-url", "origin", "https://me:hunter2@h.invalid/a")
    (ready / "broken/.git").mkdir(parents=True)
    clone(ready, server, "Nul.x")
    clone(ready, server, "fine")
    report = await scan(ready)
    assert [pack.path for pack in report.plan.added] == ["fine"]
    assert "hunter2" not in str(report.to_json())
    reasons = dict(report.skipped)
    assert sorted(reasons) == ["Nul.x", "alone", "broken", "empty", "secret", "upstream"]
    assert reasons["alone"] == "it has no remote"
    assert reasons["upstream"] == "it has no remote `origin`, only up"
    assert reasons["empty"] == "nothing is committed there, or its HEAD cannot be read"
    assert "credentials" in reasons["secret"]
    assert "device name" in reasons["Nul.x"]


async def test_submodules_links_and_what_packs_declare_themselves_are_left_out(
    ready: Place, server: GitServer, tmp_path: Path
) -> None:
    server.create(
        "outer", {".grex/pack.yaml": pack_yaml("outer", children=[{"url": server.url("a"), "path": "child"}])}
    )
    outer = clone(ready, server, "outer", name="outer")
    clone(ready, server, "outer/child")
    super_ = clone(ready, server, "super")
    git(super_, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", server.url("a"), "sub")
    git(tmp_path, "clone", "--quiet", server.url("a"), "elsewhere")
    (ready / "link").symlink_to(tmp_path / "elsewhere")
    report = await scan(ready, no_sync=True)
    assert [pack.path for pack in report.plan.added] == ["outer", "super"]
    assert report.skipped == (("super/sub", "it is a submodule of the repository around it"),)
    assert (outer / "child/f").exists()


async def test_only_what_lies_below_the_given_directory_is_looked_at(ready: Place, server: GitServer) -> None:
    clone(ready, server, "here/x")
    shutil.copytree(ready / "here/x", ready / "there/y")
    report = await scan(ready, ready / "there", dry_run=True)
    assert [pack.path for pack in report.plan.added] == ["there/y"]
    with pytest.raises(UsageError, match="no directory of the workspace"):
        await scan(ready, ready.root.parent)


async def test_other_remotes_are_declared_too(ready: Place, server: GitServer) -> None:
    checkout = clone(ready, server, "x")
    git(checkout, "remote", "add", "fork", "https://h.invalid/fork")
    report = await scan(ready, dry_run=True)
    assert dict(report.plan.added[0].remotes) == {"fork": "https://h.invalid/fork"}
