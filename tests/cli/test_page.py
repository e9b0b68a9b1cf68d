"""The page of a graph as text: nothing of a repository is markup in it, nothing is loaded, and what a trace gives it.

What a person sees of it is looked at in `test_page_in_browser.py`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from grex.cli.app import run
from grex.cli.render.page import graph_html, read_timeline
from grex.errors import UsageError
from grex.progress import ChromeTrace, HolderSeen, Slice
from grex.verbs.graph import GraphDependency, GraphPack, GraphReport

HOSTILE = "</script><script>alert(1)</script></script x</script/<script <!--<b>&amp;\u2028\udcff' \" @SCRIPT@ @DATA@"


def hostile() -> GraphReport:
    pack = GraphPack(HOSTILE, HOSTILE, "plain", HOSTILE, HOSTILE, "present", (HOSTILE,), (".",), drift=(HOSTILE,))
    return GraphReport(Path("/w"), HOSTILE, "meta", (pack,), (GraphDependency(HOSTILE, HOSTILE, None),), (HOSTILE,))


class Elements(HTMLParser):
    """The elements of a page with their attributes, and the text of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.cdata_elem:
            self.texts.append((str(self.cdata_elem), data))


def data_of(page: str) -> Any:
    begin, end = page.index('id="data">') + len('id="data">'), page.rindex("</script>\n<script>")
    assert not set("<>&") & set(page[begin:end])  # the parsers of browsers end a script at more than `</script>`
    return json.loads(page[begin:end])


def test_what_packs_are_called_is_data_and_never_markup() -> None:
    page = graph_html(hostile())
    harmless = graph_html(GraphReport(Path("/w"), "root", "meta", ()))
    assert Elements(page).found == Elements(harmless).found
    assert "alert(1)" not in re.sub(r'id="data">.*?</script>', "", page, flags=re.DOTALL)
    page.encode("ascii")
    found = data_of(page)["graph"]
    assert found["name"] == HOSTILE
    assert found["packs"][0]["url"] == HOSTILE


def test_the_page_may_run_and_load_nothing_but_what_it_has() -> None:
    elements = Elements(graph_html(hostile()))
    (policy,) = [have["content"] for tag, have in elements.found if have.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None
    allowed = dict(part.split(" ", 1) for part in policy.split("; "))
    assert allowed["default-src"] == "'none'"
    texts = dict(elements.texts)  # of the scripts the last one is what runs, the first is the data
    for tag, directive in (("script", "script-src"), ("style", "style-src")):
        digest = base64.b64encode(hashlib.sha256(texts[tag].encode()).digest()).decode()
        assert allowed[directive] == f"'sha256-{digest}'"
    assert set(allowed) == {"default-src", "script-src", "style-src", "base-uri", "form-action"}
    for _, have in elements.found:
        assert not {"src", "href", "style"} & set(have)
        assert not any(name.startswith("on") for name in have)
    assert "innerHTML" not in texts["script"]
    assert "@import" not in texts["style"]
    assert "url(" not in texts["style"]


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """A wait for another process, and one for a permit."""
    path = tmp_path / "run.json"
    made = ChromeTrace(path, "grex sync")
    facts = {"tier": "PACK", "path": "/a"}
    made(HolderSeen("PACK", "/a", 7, "grex exec, pid 7", 2_000_000))
    made(Slice("wait PACK", "wait", "a", 1_000_000, 5_000_000, facts, "disk 1"))
    made(Slice("PACK (disk)", "lock", "a", 5_000_000, 6_000_000, facts, "disk 1"))
    made(Slice("wait PERMIT disk", "wait", "b", 1_000_000, 4_000_000, {"tier": "PERMIT", "path": "disk"}))
    made.close()
    return path


def test_a_timeline_has_the_tracks_slices_waits_and_arrows_of_the_trace(trace: Path) -> None:
    found = read_timeline(trace)
    assert [track["name"] for track in found["tracks"]] == ["workspace", "disk 1", "locks"]
    assert found["tracks"][2]["process"] == "grex exec, pid 7"
    assert [(one[0], one[1], one[2], one[3]) for one in found["slices"]] == [
        (1, 0, 4_000, "wait PACK"),
        (1, 4_000, 1_000, "PACK (disk)"),
        (2, 1_000, 3_000, "PACK held"),
    ]
    assert found["waits"] == [(0, 3_000, "wait PERMIT disk")]
    assert found["arrows"] == [(2, 3_999.999, 1, 3_999.999, "PACK handed over")]
    assert [mark[2] for mark in found["marks"]] == ["PACK is held by grex exec, pid 7"]


def test_a_trace_that_was_cut_is_shown_as_far_as_it_goes(trace: Path) -> None:
    whole, text = read_timeline(trace), trace.read_text()
    trace.write_text(text.rstrip().removesuffix("]"))
    assert read_timeline(trace) == whole
    trace.write_text(text[: text.index('"ph":"e"')])
    assert read_timeline(trace)["slices"] == whole["slices"]
    trace.write_text(json.dumps({"traceEvents": json.loads(text)}))
    assert read_timeline(trace) == whole


def test_what_has_not_the_shape_is_left_out() -> None:
    odd = [
        7,
        {"ph": "X"},
        {"ph": "X", "pid": "1", "tid": 2, "ts": 1},
        {"ph": "X", "pid": 1, "tid": 2, "ts": float("nan"), "dur": 1},
        {"ph": "X", "pid": 1, "tid": 2, "ts": True},
        {"ph": "f", "pid": 1, "tid": 2, "ts": 1, "id": 1},
        {"ph": "M", "pid": 1, "tid": 2, "name": "thread_sort_index", "args": {"sort_index": "x"}},
        {"ph": "X", "pid": 1, "tid": 2, "ts": 1, "dur": -1, "args": {"a": [], "b": 1, "c": float("inf")}, "name": 5},
    ]
    path = Path("odd.json")
    path.write_text(json.dumps(odd))
    found = read_timeline(path)
    assert found["slices"] == [(0, 0.0, 0.0, "5", "None", {"b": 1})]
    assert found["arrows"] == []
    json.loads(json.dumps(found, allow_nan=False))


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("text", ["", "{}", "7", "no", "[" * 100_000, '{"traceEvents": 1}'])
def test_what_is_no_trace_is_refused(text: str) -> None:
    Path("x").write_text(text)
    with pytest.raises(UsageError, match="x is no trace"):
        read_timeline(Path("x"))


def test_a_trace_that_cannot_be_read_is_said_with_its_reason() -> None:
    with pytest.raises(UsageError, match="the trace nowhere cannot be read: No such file"):
        read_timeline(Path("nowhere"))


def test_a_graph_is_written_to_a_file_in_every_format(trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["init", "--quiet", "--name", "mine"]) == 0
    capsys.readouterr()
    for form, begin in (
        ("tree", "No packs"),
        ("dot", "digraph"),
        ("mermaid", "flowchart"),
        ("json", "{"),
        ("html", "<!"),
    ):
        assert run(["graph", "--format", form]) == 0
        printed = capsys.readouterr().out
        Path("out").write_text("before")
        assert run(["graph", "--format", form, "--output", "out"]) == 0
        assert capsys.readouterr().out == "Written to out.\n"
        assert Path("out").read_text() == printed
        assert printed.startswith(begin)
    assert run(["graph", "--json", "--quiet", "-o", "out"]) == 0
    assert capsys.readouterr().out == ""
    assert json.loads(Path("out").read_text())["schema"] == "grex.graph/1"


def test_the_run_of_a_trace_is_in_the_page_and_the_trace_stays(trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Before the verb `--trace` means the same: a trace is looked at, and not written over."""
    assert run(["init", "--quiet", "--name", "mine"]) == 0
    before = trace.read_bytes()
    capsys.readouterr()
    for arguments in (["graph", "--trace", str(trace)], ["--trace", str(trace), "graph"]):
        assert run([*arguments, "--format", "html"]) == 0
        assert len(data_of(capsys.readouterr().out)["run"]["slices"]) == 3
        assert run(arguments) == 2
        assert "a trace is shown by --format html only" in capsys.readouterr().err
    assert trace.read_bytes() == before
    assert run(["graph", "--format", "html"]) == 0
    assert data_of(capsys.readouterr().out)["run"] is None


@pytest.mark.parametrize(
    ("path", "why"),
    [("nowhere/x", "No such file or directory"), (".", "not a regular file"), ("/dev/null", "not a regular file")],
)
def test_a_file_that_cannot_be_written_is_said(capsys: pytest.CaptureFixture[str], path: str, why: str) -> None:
    assert run(["init", "--quiet", "--name", "mine"]) == 0
    assert run(["graph", "-o", path]) == 2
    said = capsys.readouterr().err
    assert f"the file {path} cannot be written: {why}" in said
    assert "hint: " in said
