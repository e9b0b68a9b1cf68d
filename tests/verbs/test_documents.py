"""Every verb's real `--json` output, on success and on failure, against the types that `grex schema` publishes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ConfigDict, TypeAdapter, with_config

from grex.cli.app import run
from grex.verbs import documents
from grex.verbs.documents import DOCUMENTS
from tests.support.git_server import GitServer
from tests.support.workspace import pack_yaml

NESTED = [name for name in dir(documents) if name.endswith(("Object", "Document"))]


@pytest.fixture(autouse=True, scope="module")
def strict() -> None:
    """No key may be there that the types do not name."""
    for name in NESTED:
        with_config(ConfigDict(extra="forbid", strict=True))(getattr(documents, name))


def checked(verb: str, text: str) -> dict[str, Any]:
    """The document, after it passed for the verb's type."""
    document = json.loads(text)
    TypeAdapter(DOCUMENTS[verb]).validate_json(text)
    assert isinstance(document, dict)
    return document


class Terminal:
    """`grex ... --json` in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def grex(self, verb: str, *arguments: str, expect: int = 0, document: str | None = None) -> dict[str, Any]:
        self.capsys.readouterr()
        code = run([verb, "--json", *arguments])
        out, err = self.capsys.readouterr()
        assert code == expect, out + err
        assert err == ""
        found = checked(document or verb, out)
        assert (found["error"]["exit_code"] if document == "error" else found["exit_code"]) == code
        return found


@pytest.fixture
def terminal(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    (tmp_path / "ws").mkdir()
    monkeypatch.chdir(tmp_path / "ws")
    return Terminal(capsys)


def test_every_document_of_a_workspace_is_what_its_type_says(terminal: Terminal, tmp_path: Path) -> None:
    """One workspace through its verbs.

    - made, empty, twice;
    - a pack added, with an action that is trusted by that;
    - synced, planned, with a failing, an untrusted, a missing and a conflicting pack.
    """
    server = GitServer(tmp_path / "up")
    server.create("tool", {".grex/pack.yaml": pack_yaml("tool", "declarative", actions=[{"exec": {"cmd": ["true"]}}])})
    server.create("plain", {"p": "1\n"})
    assert terminal.grex("init")["created"]
    assert not terminal.grex("init")["created"]
    assert terminal.grex("status")["clean"]
    assert terminal.grex("ls")["packs"] == []
    added = terminal.grex("add", server.url("tool"))
    assert added["sync"]["packs"][0]["install"]["status"] == "installed"
    assert terminal.grex("add", server.url("nowhere"), expect=4, document="error")["error"]["code"].startswith("pack.")
    root = Path(".grex/pack.yaml")
    children = [
        {"url": server.url("tool"), "path": "other", "ref": "no-such"},
        {"url": server.url("plain"), "path": "p"},
        {"url": server.url("tool"), "path": "tool"},
    ]
    root.write_text(pack_yaml("root", children=children))
    terminal.grex("trust", "--revoke", f"file://{server.path('tool')}")
    assert [pack["status"] for pack in terminal.grex("run", "exec", expect=4)["packs"]] == ["untrusted"]
    planned = terminal.grex("sync", "--dry-run")
    assert {pack["status"] for pack in planned["packs"]} == {"planned", "unchanged"}
    found = terminal.grex("sync", expect=4)
    assert {pack["path"]: pack["status"] for pack in found["packs"]} == {
        "other": "failed",
        "p": "cloned",
        "tool": "unchanged",
    }
    assert {pack["present"] for pack in terminal.grex("ls")["packs"]} == {True, False}
    Path("p/p").write_text("mine")
    assert terminal.grex("status", "--fail-on-drift", expect=7)["packs"][1]["edited"] == 1
    assert terminal.grex("locks")["held"] == []
    assert terminal.grex("run", "exce", expect=2, document="error")["error"]["hint"]
    for arguments, status in ((["--dry-run"], "planned"), ([], "torn-down")):
        assert [pack["status"] for pack in terminal.grex("teardown", *arguments)["packs"]] == [status]
    assert terminal.grex("teardown", "nobody", expect=2, document="error")
    root.write_text("nonsense")
    assert terminal.grex("sync", expect=3, document="error")["error"]["details"]["problems"]
    assert terminal.grex("status", expect=3, document="error")["error"]["hint"]


def test_the_verbs_over_packs_are_documents_too(terminal: Terminal, tmp_path: Path) -> None:
    server = GitServer(tmp_path / "up")
    server.create("tool", {"p": "1\n"})
    terminal.grex("init")
    terminal.grex("add", server.url("tool"))
    assert terminal.grex("path", "tool")["path"] == str(tmp_path / "ws/tool")
    assert terminal.grex("exec", "--", "sh", "-c", "echo said; exit 3", expect=4)["packs"][0]["stdout"] == "said\n"
    server.commit("tool", {"p": "2\n"})
    assert terminal.grex("fetch")["packs"][0]["news"][0]["commits"] == 1
    assert terminal.grex("switch", "-c", "topic")["packs"][0]["status"] == "created"
    assert terminal.grex("switch", "nowhere", expect=2, document="error")["error"]["hint"]
    terminal.grex("exec", "--", "git", "commit", "--quiet", "--allow-empty", "-m", "mine")
    assert terminal.grex("push", expect=4)["packs"][0]["code"] == "no-upstream"
    terminal.grex("exec", "--", "git", "branch", "--quiet", "--set-upstream-to=origin/main")
    assert terminal.grex("push", "--dry-run", expect=4)["packs"][0]["code"] == "diverged"


def test_what_goes_to_the_trash_and_comes_back_are_documents_too(terminal: Terminal, tmp_path: Path) -> None:
    server = GitServer(tmp_path / "up")
    server.create("plain", {"p": "1\n"})
    terminal.grex("init")
    terminal.grex("add", server.url("plain"))
    Path("plain/p").write_text("mine")
    assert [pack["status"] for pack in terminal.grex("rm", "plain", expect=4)["packs"]] == ["kept"]
    assert [pack["status"] for pack in terminal.grex("rm", "plain", "--force")["packs"]] == ["removed"]
    (listed,) = terminal.grex("doctor", "--trash")["trash"]
    assert terminal.grex("doctor", "--restore", listed["trash"])["restored"][0]["is_declared_again"]
    assert terminal.grex("doctor", "--restore", listed["trash"], expect=2, document="error")
    root = Path(".grex/pack.yaml")
    root.write_text(pack_yaml("root"))
    assert [pack["code"] for pack in terminal.grex("sync", "--prune", expect=4)["pruned"]] == ["edited"]
    assert terminal.grex("doctor", "--keep-days", "0")["swept"] == []
    assert [one["code"] for one in terminal.grex("doctor")["findings"]] == ["undeclared"]
    Path("grex.lock.jsonl").write_text("{")
    mended = terminal.grex("doctor", "--fix", "--compact")
    assert [one["finding"]["code"] for one in mended["mended"]] == ["lockfile-damaged"]
    assert 0 < mended["compaction"]["lines_after"] <= mended["compaction"]["lines_before"]


def test_trust_is_shown_given_and_refused(terminal: Terminal) -> None:
    terminal.grex("init")
    assert terminal.grex("trust") == {
        "schema": "grex.trust/1",
        "prefixes": ["."],
        "changed": False,
        "prefix": None,
        "covers": [],
        "exit_code": 0,
    }
    assert terminal.grex("trust", "https://host.example/team/")["changed"]
    assert not terminal.grex("trust", "https://host.example/team")["changed"]
    assert terminal.grex("trust", "--revoke", "https://host.example/x", expect=2, document="error")
    assert terminal.grex("trust", "--revoke", expect=2, document="error")


@pytest.mark.parametrize("verb", ["sync", "status", "ls", "locks", "trust", "teardown", "doctor"])
def test_outside_of_a_workspace_each_verb_says_so(terminal: Terminal, verb: str) -> None:
    assert terminal.grex(verb, expect=2, document="error")["error"]["code"] == "usage.not-a-workspace"


def test_the_plugins_are_a_document_of_their_own(terminal: Terminal) -> None:
    assert {one["status"] for one in terminal.grex("plugins")["plugins"]} == {"ok"}


def test_a_wrong_option_is_an_error_document(terminal: Terminal) -> None:
    assert terminal.grex("sync", "--nonesuch", expect=2, document="error")["error"]["code"] == "usage.invalid"


def test_the_demo_is_a_document_with_its_two_syncs_and_its_tree(terminal: Terminal) -> None:
    found = terminal.grex("demo", "here")
    assert [pack["status"] for pack in found["first"]["packs"]].count("cloned") == 12
    moved = [pack["path"] for pack in found["second"]["packs"] if pack["status"] == "moved"]
    assert moved == [found["pushed"]] == ["services/web"]
    assert {pack["path"] for pack in found["tree"]["packs"]} >= {"libs/common", "robots/arm/driver"}
    again = terminal.grex("demo", "here")
    assert again["upstreams"] == found["upstreams"] == 12


def test_the_demo_does_not_build_over_what_is_somebodys(terminal: Terminal) -> None:
    Path("mine").mkdir()
    Path("mine/notes").write_text("mine")
    assert "no earlier demo" in terminal.grex("demo", "mine", expect=2, document="error")["error"]["message"]
    assert Path("mine/notes").read_text() == "mine"


@pytest.mark.parametrize("verb", sorted(DOCUMENTS))
def test_a_schema_is_printed_for_every_document(capsys: pytest.CaptureFixture[str], verb: str) -> None:
    assert run(["schema", verb]) == 0
    assert json.loads(capsys.readouterr().out)["type"] == "object"


def test_a_schema_of_nothing_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["schema", "nonesuch"]) == 2
    assert "One of: add, " in capsys.readouterr().err


def test_the_documents_of_import_export_and_freeze_are_what_their_types_say(terminal: Terminal, tmp_path: Path) -> None:
    """Out of a file and out of the disk; refused, planned, brought, changed, left out."""
    server = GitServer(tmp_path / "up")
    server.create("a", {"f": "1\n"})
    terminal.grex("init")
    file = tmp_path / "x.repos"
    file.write_text(f"repositories: {{a: {{type: git, url: '{server.url('a')}', version: main}}}}")
    assert terminal.grex("import", "--dry-run", str(file))["sync"] is None
    assert terminal.grex("import", str(file))["sync"]["packs"][0]["status"] == "cloned"
    assert terminal.grex("import", "-g", "g", str(file))["changed"][0]["keys"] == ["groups"]
    Path("alone/.git").mkdir(parents=True)
    assert terminal.grex("import", "--scan")["skipped"][0]["path"] == "alone"
    file.write_text("repositories: {b: {type: hg, url: x}}")
    assert terminal.grex("import", str(file), expect=3, document="error")["error"]["details"]["problems"]
    assert "revision: main" in terminal.grex("export", "--format", "west")["text"]
    assert terminal.grex("export", "--format", "vcs", "-o", "x", "--frozen")["file"] == str(Path("x").resolve())
    assert list(terminal.grex("freeze")["pins"]) == ["a"]
