"""`grex graph`: the same graph as a tree and in the languages of other tools, whatever packs are called."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from grex.cli import render
from grex.cli.app import run
from grex.verbs.graph import GraphDependency, GraphPack, GraphReport, GraphRequest, graph
from tests.support.git_server import GitServer, git
from tests.support.place import Place
from tests.support.workspace import pack_yaml

pytestmark = pytest.mark.anyio

HOSTILE = 'a"b #1; <i>&amp;`c` %%{init}%% [x](y) \u00fc\u6f22 {end} --> |'


@pytest.fixture
def anyio_backend() -> str:
    """One loop: a graph waits for nothing."""
    return "asyncio"


@pytest.fixture
async def family(place: Place, server: GitServer) -> Place:
    """A diamond (a and b declare common), a pack that depends on common, one in a group that is off, one missing."""
    server.create("common", {".grex/pack.yaml": pack_yaml("common")})
    for name in ("a", "b"):
        child = {"url": server.url("common"), "path": "/libs/common"}
        server.create(name, {".grex/pack.yaml": pack_yaml(name, children=[child])})
    needs = pack_yaml("needy", depends_on=["common", "https://host.example/x"])
    server.create("needy", {".grex/pack.yaml": needs})
    place.declare(
        {"url": server.url("a"), "path": "a"},
        {"url": server.url("b"), "path": "b"},
        {"url": server.url("needy"), "path": "needy", "groups": ["ci", "dev"]},
    )
    await place.sync()
    place.declare(
        {"url": server.url("a"), "path": "a"},
        {"url": server.url("b"), "path": "b"},
        {"url": server.url("needy"), "path": "needy", "groups": ["ci", "dev"]},
        {"url": server.url("a"), "path": "later"},
    )
    return place


async def drawn(place: Place, *packs: str, filters: tuple[str, ...] = ()) -> GraphReport:
    return await graph(GraphRequest(place.root, packs, filters), place.settings())


async def test_the_tree_of_a_graph_shows_a_diamond_once_with_groups_states_and_needs(family: Place) -> None:
    report = await drawn(family)
    assert render.graph(report).splitlines() == [
        "root (meta)",
        "├── a  meta",
        "│   └── libs/common  meta",
        "├── b  meta",
        "│   └── libs/common (see above)",
        "├── later  plain, missing",
        "└── needy  meta [ci, dev]  needs libs/common, https://host.example/x (not in this workspace)",
    ]
    found = {pack["path"]: pack for pack in report.to_json()["packs"]}
    assert found["libs/common"]["parents"] == ["a", "b"]
    assert found["a"]["children"] == ["libs/common"]
    assert [one["to"] for one in report.to_json()["dependencies"]] == ["libs/common", None]


async def test_a_graph_says_where_each_checkout_is_and_what_disagrees_with_the_records(
    place: Place, server: GitServer
) -> None:
    server.create("moved", {"file": "1\n"})
    hooks = {".grex/hooks/setup.sh": "#!/bin/sh\n", ".grex/hooks/teardown.sh": "#!/bin/sh\n"}
    server.create("hooked", {".grex/pack.yaml": pack_yaml("hooked", "scripted"), **hooks})
    place.declare({"url": server.url("moved")}, {"url": server.url("hooked")})
    await place.sync()
    hooked, moved = (await drawn(place)).to_json()["packs"]
    assert hooked["hooks"] == ["setup.sh", "teardown.sh"]
    assert (moved["hooks"], moved["branch"], moved["drift"]) == ([], "main", [])
    assert moved["commit"] == moved["locked"] == git(place / "moved", "rev-parse", "HEAD")
    git(place / "moved", "commit", "--quiet", "--allow-empty", "--message=mine")
    (place / "moved/.git/MERGE_HEAD").write_text(f"{moved['commit']}\n")
    moved = (await drawn(place, "moved")).to_json()["packs"][0]
    assert moved["commit"] == git(place / "moved", "rev-parse", "HEAD") != moved["locked"]
    assert moved["commit"] is not None
    assert moved["locked"] is not None
    head = f"HEAD is {moved['commit'][:10]}, the lockfile says {moved['locked'][:10]}"
    assert moved["drift"] == [head, "a merge is not finished"]
    (place / "grex.lock.jsonl").write_text("no\n")
    report = await drawn(place)
    assert [pack.locked for pack in report.packs] == [None, None]
    assert report.notes[0].startswith("what is locked cannot be told: ")


async def test_a_part_of_a_graph_begins_at_the_pack_that_was_named(family: Place) -> None:
    assert render.graph(await drawn(family, "b")).splitlines() == ["b  meta", "  └── libs/common  meta"]
    assert [pack.path for pack in (await drawn(family, filters=("group:ci",))).packs] == ["needy"]
    told = render.graph_dot(await drawn(family, "needy"))
    assert "libs/common\\nnot shown" in told
    assert "n0 -> n1 [style=dashed];" in told


async def test_what_is_drawn_for_other_tools_is_the_same_graph_in_a_fixed_order(family: Place) -> None:
    report = await drawn(family)
    mermaid = render.graph_mermaid(report).splitlines()
    assert mermaid[0] == "flowchart LR"
    assert mermaid[1:3] == ['  n0["root<br/>meta"]', '  n1["a<br/>meta"]']
    assert [line.strip() for line in mermaid if "-->" in line] == [
        "n0 --> n1",
        "n0 --> n2",
        "n0 --> n3",
        "n1 --> n4",
        "n2 --> n4",
        "n0 --> n5",
    ]
    assert [line.strip() for line in mermaid if "-.->" in line] == ["n5 -.-> n4", "n5 -.-> n6"]
    assert "  class n3,n6 missing" in mermaid
    dot = render.graph_dot(report)
    assert re.findall(r"^  (n\d) -> (n\d)(.*);$", dot, re.MULTILINE)[-1] == ("n5", "n6", " [style=dashed]")
    assert render.graph_dot(await drawn(family)) == dot


def hostile() -> GraphReport:
    pack = GraphPack(HOSTILE, "n", "plain", "u", None, "inactive", (HOSTILE,), (".",))
    return GraphReport(Path("/w"), "root", "meta", (pack,), (GraphDependency(HOSTILE, 'x"\\', None),))


def test_a_label_of_mermaid_holds_no_markup_whatever_a_pack_is_called() -> None:
    told = render.graph_mermaid(hostile())
    labels = re.findall(r'^  n\d+\["([^"]*)"\]$', told, re.MULTILINE)
    assert len(labels) == 3
    shown = [re.sub(r"#(\d+);", lambda found: chr(int(found[1])), part) for part in labels[1].split("<br/>")]
    assert shown == [HOSTILE, f"plain, inactive [{HOSTILE}]"]
    assert all(re.fullmatch(r"(?:[^<>&`%\"#\[\]{}|;]|#\d+;|<br/>)*", label) for label in labels)


def test_a_label_of_dot_ends_at_its_own_quote() -> None:
    told = render.graph_dot(hostile())
    labels = re.findall(r'^  n\d+ \[label="((?:[^"\\]|\\.)*)"[^"]*\];$', told, re.MULTILINE)
    assert len(labels) == 3
    first = labels[1].split("\\n")[0]
    assert first.replace('\\"', '"').replace("&amp;", "&") == HOSTILE
    assert labels[2] == r"x\"\\\nnot in this workspace"


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
def test_graphviz_reads_what_is_written_for_it() -> None:
    done = subprocess.run(
        ["dot", "-Tplain"], input=render.graph_dot(hostile()), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def test_the_format_is_chosen_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["init", "--quiet", "--name", "mine"]) == 0

    def said(*arguments: str, expect: int = 0) -> str:
        capsys.readouterr()
        assert run(["graph", *arguments]) == expect
        return capsys.readouterr().out

    assert said() == "No packs are declared; `grex add URL` adds one.\n"
    assert said("--format", "mermaid") == 'flowchart LR\n  n0["mine<br/>meta"]\n'
    assert said("--format", "dot").startswith('digraph "mine" {\n')
    assert '"schema": "grex.graph/1"' in said("--format", "json") == said("--json")
    said("--format", "svg", expect=2)
