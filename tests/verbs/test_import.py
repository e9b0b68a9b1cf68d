"""`grex import FILE`: everything is judged first, then declared in one edit, then brought."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from grex.errors import FetchError, GrexError, ManifestError, UsageError
from grex.pack import parse_pack_spec
from grex.verbs.import_packs import ImportReport, ImportRequest, import_packs
from tests.support.git_server import GitServer, git
from tests.support.loops import trio_among_the_slow  # noqa: F401 - a fixture
from tests.support.place import Place, by_path
from tests.support.workspace import pack_yaml

pytestmark = pytest.mark.anyio

ROOT = """\
# Ours, by hand.
schema_version: "1"
name: root
type: meta   # for now

children:
  # the first one
  - url: {own}
    path: Own   # ours
    groups: [mine]
x-team: {{owner: us}}
"""


@pytest.fixture
def server(tmp_path: Path) -> GitServer:
    """One repository under several names."""
    server = GitServer(tmp_path / "up")
    server.create("own", {"f": "1\n", "dir/tool.sh": "#!/bin/sh\n"})
    server.tag("own", "v1")
    for name in ("a", "b", "c"):
        shutil.copytree(server.path("own"), server.path(name))
    return server


@pytest.fixture
def ready(place: Place, server: GitServer) -> Place:
    (place / ".grex").mkdir()
    (place / ".grex/pack.yaml").write_text(ROOT.format(own=server.url("own")))
    return place


def root_yaml(place: Place) -> str:
    return (place / ".grex/pack.yaml").read_text()


async def run(place: Place, file: Path | None, **request: Any) -> ImportReport:
    return await import_packs(ImportRequest(place.root, file, **request), place.settings())


async def refused(place: Place, file: Path | None, **request: Any) -> GrexError:
    before = {path: path.read_bytes() for path in place.root.rglob("*") if path.is_file() and ".git" not in path.parts}
    with pytest.raises(GrexError) as caught:
        await run(place, file, **request)
    for path, content in before.items():
        assert path.read_bytes() == content
    assert not (place / "grex.lock.jsonl").exists()
    return caught.value


def repos(place: Place, server: GitServer, **packs: str | None) -> Path:
    file = place.root.parent / "x.repos"
    listed = {
        path: {"type": "git", "url": server.url(path[-1]), **({"version": ref} if ref else {})}
        for path, ref in packs.items()
    }
    file.write_text(json.dumps({"repositories": listed}))
    return file


async def test_what_a_manifest_lists_is_declared_below_what_is_there_and_brought(
    ready: Place, server: GitServer
) -> None:
    before = root_yaml(ready)
    file = repos(ready, server, **{"x_Y/lib.a": "v1", "x_Y/lib.a/in/b": None, "c": "main"})
    report = await run(ready, file, groups=("g",))
    assert report.exit_code == 0
    assert [pack.path for pack in report.plan.added] == ["x_Y/lib.a", "x_Y/lib.a/in/b", "c"]
    head, tail = before.split("x-team", 1)
    after = root_yaml(ready)
    assert after.startswith(head)
    assert after.endswith("x-team" + tail)
    assert after.removeprefix(head).removesuffix("x-team" + tail).splitlines() == [
        f"  - url: {server.url('a')}",
        "    path: x_Y/lib.a",
        "    ref: v1",
        "    groups: [g]",
        f"  - url: {server.url('b')}",
        "    path: x_Y/lib.a/in/b",
        "    groups: [g]",
        f"  - url: {server.url('c')}",
        "    ref: main",
        "    groups: [g]",
    ]
    assert report.sync is not None
    assert {path: pack.status for path, pack in by_path(report.sync).items()} == dict.fromkeys(
        ["Own", "c", "x_Y/lib.a", "x_Y/lib.a/in/b"], "cloned"
    )
    assert git(ready / "x_Y/lib.a", "status", "--porcelain") == ""
    again = await run(ready, file, groups=("g",))
    assert root_yaml(ready) == after
    assert again.plan.is_empty
    assert again.plan.unchanged == ("x_Y/lib.a", "x_Y/lib.a/in/b", "c")


async def test_a_changed_file_changes_url_and_ref_adds_groups_and_removes_nothing(
    ready: Place, server: GitServer
) -> None:
    await run(ready, repos(ready, server, a="v1", b=None), no_sync=True)
    changed = repos(ready, server, a="main", c=None).read_text().replace('"c"', '"b"', 1)
    file = ready.root.parent / "x.repos"
    file.write_text(changed)
    report = await run(ready, file, groups=("new",), no_sync=True)
    assert [(one.path, dict(one.changes), dict(one.before)) for one in report.plan.changed] == [
        ("a", {"ref": "main", "groups": ["new"]}, {"ref": "v1"}),
        ("b", {"url": server.url("c"), "path": "b", "groups": ["new"]}, {"url": server.url("b")}),
    ]
    assert report.plan.absent == ("Own",)
    spec = parse_pack_spec(root_yaml(ready).encode(), file="f", is_root=True)
    assert [(child.path, child.url, child.ref, child.groups) for child in spec.children] == [
        ("Own", server.url("own"), None, ("mine",)),
        ("a", server.url("a"), "main", ("new",)),
        ("b", server.url("c"), None, ("new",)),
    ]
    assert "path: Own   # ours" in root_yaml(ready)


async def test_another_spelling_of_the_same_url_is_no_change(ready: Place, server: GitServer) -> None:
    await run(ready, repos(ready, server, a="refs/heads/main"), no_sync=True)
    file = ready.root.parent / "y.repos"
    url = server.url("a").removesuffix(".git")
    file.write_text(f"repositories: {{a: {{type: git, url: '{url}', version: main}}}}")
    assert (await run(ready, file, no_sync=True)).plan.is_empty


async def test_a_dry_run_says_what_would_be_declared_and_writes_nothing(ready: Place, server: GitServer) -> None:
    before = sorted(ready.root.rglob("*"))
    text = root_yaml(ready)
    report = await run(ready, repos(ready, server, a="v1"), dry_run=True)
    assert [pack.path for pack in report.plan.added] == ["a"]
    assert (sorted(ready.root.rglob("*")), root_yaml(ready), report.sync) == (before, text, None)


async def test_no_sync_declares_and_brings_nothing(ready: Place, server: GitServer) -> None:
    report = await run(ready, repos(ready, server, a="v1"), no_sync=True)
    assert (report.sync, report.exit_code) == (None, 0)
    assert "path: a" not in root_yaml(ready)
    assert server.url("a") in root_yaml(ready)
    assert not (ready / "a").exists()


async def test_every_problem_is_told_at_once_and_nothing_is_written(ready: Place) -> None:
    file = ready.root.parent / "x.repos"
    file.write_text("repositories:\n  a: {type: hg, url: https://h/a}\n  con: {type: git, url: 'ext::x'}\n")
    error = await refused(ready, file, name="x.repos")
    assert isinstance(error, ManifestError)
    assert error.exit_code == 3
    assert error.message.startswith("x.repos:2:3: 'a' is a repository of type 'hg' (and 2 more problems)")
    assert [(one["line"], one["column"]) for one in error.details["problems"]] == [(2, 3), (3, 3), (3, 25)]


async def test_what_another_pack_declares_otherwise_is_refused_and_the_same_is_left_to_it(
    ready: Place, server: GitServer
) -> None:
    child = {"url": server.url("a"), "path": "in", "ref": "v1"}
    server.create("meta", {".grex/pack.yaml": pack_yaml("meta", children=[child])})
    ready.declare({"url": server.url("meta")})
    await ready.sync()
    (ready / "grex.lock.jsonl").unlink()
    file = ready.root.parent / "x.repos"
    for version, name in (("main", "a"), ("v1", "b")):
        file.write_text(f"repositories: {{meta/in: {{type: git, url: '{server.url(name)}', version: {version}}}}}")
        error = await refused(ready, file, name="x.repos")
        assert error.message.startswith("x.repos:1:16: 'meta/in' is declared at meta/.grex/pack.yaml:")
    file.write_text(f"repositories: {{meta/in: {{type: git, url: '{server.url('a')}', version: v1}}}}")
    assert (await run(ready, file, no_sync=True)).plan.unchanged == ("meta/in",)


async def test_a_path_that_differs_only_in_case_from_a_declared_one_is_refused(ready: Place, server: GitServer) -> None:
    file = repos(ready, server, own="v1")
    file.write_text(file.read_text().replace("n.git", "own.git"))
    assert "'own' differs only in case or Unicode form from 'Own'" in (await refused(ready, file)).message


async def test_groups_that_are_off_are_written_into_the_configuration_beside_what_is_there(
    ready: Place, server: GitServer
) -> None:
    (ready / ".grex/config.toml").write_text("# ours\n[sync]\njobs = 2\n")
    file = ready.root.parent / "west.yml"
    project = f"{{name: a, url: '{server.url('a')}', revision: v1, groups: [opt]}}"
    file.write_text(f"manifest:\n  group-filter: [-opt, -more]\n  projects: [{project}]\n")
    for _ in range(2):
        report = await run(ready, file, no_sync=True)
        assert report.groups_off == ("more", "opt")
        text = (ready / ".grex/config.toml").read_text()
        assert text == '# ours\n[sync]\njobs = 2\n\n[groups]\noff = ["more", "opt"]\n'


async def test_packs_of_groups_that_are_off_are_declared_and_not_brought(ready: Place, server: GitServer) -> None:
    file = ready.root.parent / "west.yml"
    projects = [
        f"{{name: a, url: '{server.url('a')}', revision: v1, groups: [opt]}}",
        f"{{name: b, url: '{server.url('b')}', revision: v1, groups: [opt, on]}}",
    ]
    file.write_text(f"manifest:\n  group-filter: [-opt]\n  projects: [{', '.join(projects)}]\n")
    for unchanged in ((), ("a", "b")):
        report = await run(ready, file)
        assert (report.exit_code, report.plan.unchanged) == (0, unchanged)
        assert ready.locked() == ["Own", "b"]
    assert not (ready / "a").exists()


async def test_what_a_project_imports_is_fetched_at_its_revision(ready: Place, server: GitServer) -> None:
    """The imported manifest is read at a tag and at a commit, though the branch has another one by now."""
    inner = f"manifest:\n  projects: [{{name: b, url: '{server.url('b')}', revision: v1}}]\n"
    sha = server.commit("own", {"west.yml": inner})
    server.tag("own", "w1")
    server.commit("own", {"west.yml": "manifest: {projects: [{name: never}]}"})
    for revision in ("w1", sha):
        file = ready.root.parent / "west.yml"
        project = f"{{name: z, url: '{server.url('own')}', revision: {revision}, import: {{path-prefix: deps}}}}"
        file.write_text(f"manifest:\n  projects: [{project}]\n")
        report = await run(ready, file, dry_run=True)
        assert [(pack.path, pack.ref) for pack in report.plan.added] == [("deps/z", revision), ("deps/b", "v1")]


async def test_an_import_that_cannot_be_fetched_says_where_it_stands(ready: Place, server: GitServer) -> None:
    file = ready.root.parent / "west.yml"
    project = f"{{name: z, url: '{server.url('own')}', revision: never, import: true}}"
    file.write_text(f"manifest:\n  projects: [{project}]\n")
    error = await refused(ready, file, name="west.yml")
    assert isinstance(error, FetchError)
    assert error.message.startswith("west.yml:2:")
    assert "never" in error.message


async def test_the_manifests_own_repository_is_adopted_where_it_lies(ready: Place, server: GitServer) -> None:
    server.commit("own", {"west.yml": f"manifest: {{projects: [{{name: a, url: '{server.url('a')}', revision: v1}}]}}"})
    git(ready.root, "clone", "--quiet", server.url("own"), "app")
    (ready / "app/f").write_text("mine\n")
    report = await run(ready, ready / "app/west.yml")
    assert [(pack.path, pack.url, pack.ref) for pack in report.plan.added] == [
        ("app", server.url("own"), "main"),
        ("a", server.url("a"), "v1"),
    ]
    assert report.exit_code == 0
    assert (ready / "app/f").read_text() == "mine\n"


async def test_a_client_of_repo_is_imported_with_its_includes_and_local_manifests(
    ready: Place, server: GitServer
) -> None:
    manifests = GitServer(ready.root.parent / "m")
    manifests.create(
        "manifests",
        {
            "default.xml": '<manifest><remote name="up" fetch="../up"/><default remote="up" revision="main"/>'
            '<project name="a.git" path="a"/><project name="b.git" path="b"/><include name="more/x.xml"/></manifest>',
            "more/x.xml": '<manifest><project name="c.git" path="c" revision="refs/tags/v1"/></manifest>',
        },
    )
    (ready / ".repo/local_manifests").mkdir(parents=True)
    git(ready / ".repo", "clone", "--quiet", manifests.url("manifests"), "manifests")
    (ready / ".repo/manifest.xml").write_text('<manifest><include name="default.xml"/></manifest>')
    (ready / ".repo/local_manifests/l.xml").write_text('<manifest><remove-project name="b.git"/></manifest>')
    for file in (ready / ".repo", ready / ".repo/manifest.xml", ready / ".repo/manifests/default.xml"):
        report = await run(ready, file, dry_run=True)
        assert [(pack.path, pack.url, pack.ref) for pack in report.plan.added] == [
            ("a", server.url("a"), "main"),
            ("c", server.url("c"), "refs/tags/v1"),
        ]


async def test_manifest_url_says_where_a_downloaded_manifest_came_from(ready: Place, server: GitServer) -> None:
    file = ready.root.parent / "default.xml"
    file.write_text(
        '<manifest><remote name="up" fetch=".."/><default remote="up" revision="main"/>'
        '<project name="up/a.git" path="a"/></manifest>'
    )
    assert "--manifest-url" in str((await refused(ready, file)).hint)
    report = await run(ready, file, dry_run=True, manifest_url=f"file://{ready.root.parent}/m/manifest.git")
    assert [pack.url for pack in report.plan.added] == [server.url("a")]


async def test_a_token_in_the_origin_of_the_manifests_clone_goes_into_no_url(ready: Place, tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "m")
    git(tmp_path / "m", "remote", "add", "origin", "https://me:hunter2@h.invalid/team/manifest")
    (tmp_path / "m/default.xml").write_text(
        '<manifest><remote name="up" fetch=".."/><project name="a" remote="up" revision="r"/></manifest>'
    )
    report = await run(ready, tmp_path / "m/default.xml", dry_run=True)
    assert [pack.url for pack in report.plan.added] == ["https://h.invalid/a"]


async def test_submodules_of_a_superproject_elsewhere_come_at_their_commits(ready: Place, server: GitServer) -> None:
    head = git(server.work("own"), "rev-parse", "HEAD")
    superproject = make_superproject(ready.root.parent / "super", server)
    report = await run(ready, superproject / ".gitmodules", groups=("g",))
    assert [(pack.path, pack.url, pack.ref) for pack in report.plan.added] == [("libs/a", server.url("a"), head)]
    assert git(ready / "libs/a", "rev-parse", "HEAD") == head
    branches = await run(ready, superproject / ".gitmodules", branches=True, no_sync=True)
    assert [dict(one.changes) for one in branches.plan.changed] == [{"ref": "main"}]


def make_superproject(path: Path, server: GitServer) -> Path:
    git(path.parent, "init", "--quiet", str(path))
    git(path, "remote", "add", "origin", server.url("super"))
    url = server.url("a")
    git(path, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", "-b", "main", url, "libs/a")
    git(path, "config", "-f", ".gitmodules", "submodule.libs/a.url", "../a.git")
    git(path, "add", ".gitmodules")
    git(path, "commit", "--quiet", "-m", "super")
    return path


async def test_submodules_of_the_workspace_itself_are_declared_and_the_way_on_is_said(
    place: Place, server: GitServer
) -> None:
    """One path cannot have two owners: what git tracks there has to go first, and then the checkout is adopted."""
    shutil.rmtree(place.root)
    make_superproject(place.root, server)
    place.declare()
    (place / "libs/a/f").write_text("mine\n")
    report = await run(place, place / ".gitmodules")
    assert (report.exit_code, report.sync) == (3, None)
    assert report.blocked is not None
    assert "git rm --cached libs/a" in str(report.blocked.hint)
    git(place.root, "rm", "--quiet", "--cached", "libs/a")
    synced = await place.sync()
    assert synced.exit_code == 0
    assert (place / "libs/a/f").read_text() == "mine\n"


@pytest.mark.parametrize(
    ("name", "text", "request_", "told"),
    [
        ("x.txt", "hello", {}, "cannot be recognised"),
        ("x.repos", None, {}, "cannot be read"),
        ("x.repos", "", {"format_name": "svn"}, "'svn' is no format"),
        ("x.repos", "", {"groups": ("a b",)}, "cannot be the name of a group"),
        ("x.repos", "", {"scan": True, "format_name": "vcs"}, "--scan and --format exclude each other"),
        ("x.repos", "", {"manifest_url": "ext::x"}, "--manifest-url: "),
    ],
)
async def test_what_cannot_be_meant_is_refused(
    ready: Place, name: str, text: str | None, request_: dict[str, Any], told: str
) -> None:
    file = ready.root.parent / name
    if text is not None:
        file.write_text(text)
    error = await refused(ready, file, **request_)
    assert isinstance(error, UsageError)
    assert told in error.message


async def test_a_format_that_is_given_wins_over_the_name(ready: Place, server: GitServer) -> None:
    file = ready.root.parent / "list.json"
    file.write_text(f"repositories: {{a: {{type: git, url: '{server.url('a')}'}}}}")
    assert (await run(ready, file, format_name="vcs", dry_run=True)).format_name == "vcs"
    assert "is not JSON" in (await refused(ready, file)).message
