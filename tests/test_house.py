"""The house rules that no tool checks: public names, error codes, documents that must keep up with the code."""

from __future__ import annotations

import ast
import importlib
import json
import pkgutil
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from pydantic import TypeAdapter

import grex
from grex.errors import GrexError
from grex.verbs.documents import DOCUMENTS
from tests.support.workspace import Workspace

TOP = Path(__file__).parent.parent
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(grex.__path__, "grex.")
    if module.name not in ("grex.__main__", "grex.git.credential_helper")
)

NOT_FOR_A_CALL = {
    "http.client",
    "importlib.metadata",  # 15 ms: no call looks for plugins unless a pack wants one
    "mcp",
    "mcp_types",
    "multiprocessing",
    "portalocker",
    "pydantic",
    "rich",
    "sqlite3",
    "tomllib",
    "trio",
    "typer.rich_utils",
    "urllib.request",
    "xml",
}
"""What no short call has a use for: it crept in once, or is a fifth of a call by itself."""

NOT_FOR_A_LOOK = NOT_FOR_A_CALL | {
    "asyncio",  # 30 ms with what anyio has for it; a look waits for nothing
    "filelock",  # 8 ms; a look takes only the lock that is shared
    "grex.builtin.actions.copy",
    "grex.cli.commands.packs",
    "grex.cli.live",
    "grex.cli.pager",
    "grex.engine.checkout",
    "grex.engine.cloning",
    "grex.engine.recovery",
    "grex.engine.walker",
    "grex.locks.inspection",
    "grex.locks.obstacle",
    "grex.manifest.edit",
    "grex.plugin.actions",
    "grex.plugin.fetching",
    "grex.plugin.testing",
    "grex.verbs.documents",
    "grex.verbs.sync",
    "ssl",
}
NOT_FOR_THE_COMMAND_LINE = NOT_FOR_A_LOOK | {"grex.engine", "grex.git", "grex.locks", "grex.pack", "hashlib", "yaml"}


def errors() -> list[type[GrexError]]:
    for name in MODULES:
        importlib.import_module(name)
    found: list[type[GrexError]] = []
    waiting: list[type[GrexError]] = [GrexError]
    while waiting:
        one = waiting.pop()
        found.append(one)
        waiting.extend(one.__subclasses__())
    return [one for one in found if one.__module__.startswith("grex.")]


@pytest.mark.parametrize("name", MODULES)
def test_all_is_sorted_and_names_what_is_public(name: str) -> None:
    module = importlib.import_module(name)
    if not hasattr(module, "__all__"):
        pytest.fail(f"{name} has no __all__")
    listed = list(module.__all__)
    assert len(set(listed)) == len(listed)
    for one in listed:
        assert hasattr(module, one), one
    tree = ast.parse(Path(module.__file__ or "").read_text(encoding="utf-8"))
    defined = {
        node.name
        for node in tree.body
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_")
    }
    assert defined <= set(listed), sorted(defined - set(listed))


@pytest.mark.parametrize("name", MODULES)
def test_every_module_says_what_it_is_for(name: str) -> None:
    assert (importlib.import_module(name).__doc__ or "").strip()


def test_error_codes_are_unique_and_documented_with_their_exit_code() -> None:
    documented = dict(
        re.findall(r"^\| `([a-z.-]+)` \| (\d+) \|", (TOP / "docs/reference/exit-codes.md").read_text(), re.MULTILINE)
    )
    found: dict[str, type[GrexError]] = {}
    for error in errors():
        assert error.__name__.endswith("Error")
        assert error.code not in found or not error.__dict__.get("code"), f"{error.code} stands for two errors"
        found.setdefault(error.code, error)
    assert documented == {code: str(error.exit_code) for code, error in found.items()}


def test_every_dependency_has_its_line() -> None:
    project = tomllib.loads((TOP / "pyproject.toml").read_text())
    wanted = {
        re.split(r"[<>=!~\[; ]", entry)[0]
        for entry in (*project["project"]["dependencies"], *project["dependency-groups"]["dev"])
    }
    text = (TOP / "docs/dependencies.md").read_text()
    assert {name for name in wanted if f"`{name}`" not in text} == set()


def test_changelog_fragments_are_named_as_the_changelog_wants_them() -> None:
    fragments = [path.name for path in (TOP / "docs/changes").iterdir() if path.name != ".gitkeep"]
    assert fragments
    kinds = "added|changed|fixed|removed|security"
    assert [name for name in fragments if not re.fullmatch(rf"\+?[a-z0-9-]+\.({kinds})\.md", name)] == []


def test_links_between_documents_lead_somewhere() -> None:
    pages = (TOP / "README.md", *sorted((TOP / "docs").rglob("*.md")))
    links = [
        (page, target)
        for page in pages
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    ]
    broken = [f"{page.relative_to(TOP)}: {target}" for page, target in links if not (page.parent / target).exists()]
    assert broken == []


def test_only_arguments_of_actions_are_dataclasses() -> None:
    """One costs half a millisecond in every call that imports it; a `msgspec.Struct` a fiftieth of that."""
    using = {
        name
        for name in MODULES
        if re.search(
            r"^@dataclass", Path(importlib.import_module(name).__file__ or "").read_text(encoding="utf-8"), re.MULTILINE
        )
    }
    assert using == {"grex.builtin.actions.hook", "grex.plugin.actions", "grex.plugin.arguments"}


@pytest.mark.parametrize("name", [name for name in MODULES if hasattr(importlib.import_module(name), "_LATER")])
def test_what_a_room_imports_later_is_there_and_is_no_module_of_it(name: str) -> None:
    """A name that is a module as well would be the function or the module, as it happens."""
    room = importlib.import_module(name)
    modules = {module.name for module in pkgutil.iter_modules(room.__path__)}
    assert modules.isdisjoint(room._LATER)
    for later, module in room._LATER.items():
        assert later in room.__all__
        assert getattr(room, later) is getattr(importlib.import_module(f"{name}.{module}"), later)


def test_every_document_type_gives_a_schema() -> None:
    for verb, document in DOCUMENTS.items():
        schema = TypeAdapter(document).json_schema()
        assert schema["type"] == "object", verb
        if verb != "error":
            assert schema["properties"]["schema"]["const"] == f"grex.{verb}/1"


def told_by(*arguments: str, cwd: Path = TOP, counting: str = "") -> tuple[set[str], list[str]]:
    """The modules that a call loads, and what the list `made` has after it, which `counting` may fill."""
    code = (
        f"import sys; sys.argv = ['grex', *sys.argv[1:]]; made = []\n{counting}"
        "from grex.__main__ import main\n"
        "try:\n    main()\nexcept SystemExit as leaving:\n    assert not leaving.code\n"
        "import json; print('\\n' + json.dumps([sorted(sys.modules), made]), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], cwd=cwd, check=True, capture_output=True, text=True)
    loaded, made = json.loads(done.stderr.strip().splitlines()[-1])
    return set(loaded), made


def test_the_version_is_answered_before_anything_heavy_is_imported() -> None:
    loaded, _ = told_by("--version")
    assert {name for name in loaded if name.partition(".")[0] == "grex"} == {"grex", "grex.__main__"}
    assert loaded & (NOT_FOR_THE_COMMAND_LINE | {"anyio", "inspect", "msgspec", "pathlib", "typer", "typing"}) == set()


@pytest.mark.parametrize("arguments", [("--help",), ("completion", "bash")])
def test_the_help_and_completion_import_no_verb(arguments: tuple[str, ...]) -> None:
    loaded, _ = told_by(*arguments)
    assert {"typer", "grex.cli.commands.packs"} < loaded
    assert not any(name.startswith("grex.verbs.") for name in loaded)
    assert loaded & (NOT_FOR_THE_COMMAND_LINE - {"grex.cli.commands.packs"}) == set()


@pytest.mark.parametrize("verb", ["ls", "path", "graph", "config"])
def test_a_short_look_imports_only_itself(tmp_path: Path, verb: str) -> None:
    Workspace(tmp_path).grex("init")
    loaded, _ = told_by(verb, cwd=tmp_path / "ws")
    assert f"grex.verbs.{verb}" in loaded
    assert loaded & (NOT_FOR_A_LOOK | {"grex.builtin", "grex.verbs.status"}) == set()


def test_a_status_of_nothing_imports_neither_what_changes_things_nor_what_makes_classes_slowly(tmp_path: Path) -> None:
    """A call of any verb costs what it imports."""
    Workspace(tmp_path).grex("init")
    counting = (
        "import dataclasses; process = dataclasses._process_class\n"
        "dataclasses._process_class = lambda cls, *how: made.append(cls.__module__) or process(cls, *how)\n"
    )
    loaded, made = told_by("status", cwd=tmp_path / "ws", counting=counting)
    assert "grex.verbs.status" in loaded
    assert loaded & NOT_FOR_A_LOOK == set()
    ours = [module for module in made if module.startswith("grex.")]
    assert ours == ["grex.plugin.arguments"]  # the base of what plugin authors write


def test_a_command_over_packs_imports_nothing_that_brings_packs(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    workspace.grex("init")
    subprocess.run(["git", "init", "--quiet", workspace.root], check=True)
    loaded, _ = told_by("exec", ".", "--", "true", cwd=tmp_path / "ws")
    assert {"asyncio", "filelock", "grex.process.child"} < loaded
    assert loaded & (NOT_FOR_A_LOOK - {"asyncio", "filelock", "ssl"} | {"grex.builtin"}) == set()


def test_every_public_module_of_the_project_names_no_machine() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=TOP, capture_output=True, text=True, check=False)
    if tracked.returncode != 0:
        pytest.skip("not a git checkout")
    home = str(Path.home())
    bad = [
        name
        for name in tracked.stdout.splitlines()
        if (TOP / name).is_file() and (str(TOP).encode() + b"/") in (TOP / name).read_bytes()
    ]
    assert bad == [], home


@pytest.mark.parametrize("name", MODULES)
def test_a_hint_is_a_sentence(name: str) -> None:
    """It begins with a capital, or with what one types, and its end, as in `Give another path.`, has a period."""
    path = importlib.import_module(name).__file__
    assert path is not None
    wrong: list[str] = []
    for node in ast.walk(ast.parse(Path(path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.keyword) and node.arg == "hint":
            text = _text_of(node.value)
            if text and (text[0].islower() or not text.endswith((".", "?"))):
                wrong.append(f"{node.lineno}: {text}")
    assert wrong == []


def _text_of(node: ast.expr) -> str:
    """A text as far as it is constant, with `{}` for what is not."""
    if isinstance(node, ast.JoinedStr):
        return "".join(_text_of(part) or "{}" for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def test_only_what_serves_loads_the_sdk_of_the_server() -> None:
    names = [name for name in MODULES if not name.startswith("grex.mcp") or name in ("grex.mcp", "grex.mcp.clients")]
    code = f"import importlib, sys\nfor name in {names!r}: importlib.import_module(name)\nprint('mcp' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=TOP)
    assert done.stdout == "False\n"
