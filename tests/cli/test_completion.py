"""Completion: what shells really offer, and what it costs to ask."""

from __future__ import annotations

import os
import resource
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from grex.cli.app import run
from grex.cli.completing import complete
from grex.cli.completion import SHELLS, completion_script
from grex.cli.described import describe, every_verb
from tests.support.workspace import pack_yaml
from tests.test_house import told_by

LINE = '{"v":1,"path":"%s","url":"u","ref":null,"branch":"main","sha":"%s","type":"plain","parents":["."]}\n'


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Packs that are declared, and one that is only locked."""
    root = tmp_path / "ws"
    (root / ".grex").mkdir(parents=True)
    children = [
        {"url": "https://host.example/tool", "path": "tools/arm", "groups": ["ci", "robots"]},
        {"url": "https://host.example/api"},
        {"url": "https://host.example/x", "path": "it's a pack"},
    ]
    (root / ".grex/pack.yaml").write_text(pack_yaml("root", children=children))
    (root / "grex.lock.jsonl").write_text(LINE % ("tools/leg", "1" * 40))
    monkeypatch.chdir(root)
    return root


@pytest.mark.parametrize(
    ("kind", "prefix", "found"),
    [
        ("packs", "", ["api", "it's a pack", "tools/arm", "tools/leg"]),
        ("packs", "tools/", ["tools/arm", "tools/leg"]),
        ("packs", "le", ["leg"]),
        ("packs", "x/", []),
        ("groups", "", ["ci", "robots"]),
        ("groups", "r", ["robots"]),
        ("nonesuch", "", []),
    ],
)
def test_names_are_read_from_declarations(
    workspace: Path, capsys: pytest.CaptureFixture[str], kind: str, prefix: str, found: list[str]
) -> None:
    assert complete([kind, prefix]) == 0
    assert capsys.readouterr().out.splitlines() == found


def test_where_something_is_wrong_nothing_is_offered(
    workspace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (workspace / "grex.lock.jsonl").write_text("<<<<<<<\n")
    assert complete(["packs", ""]) == 0
    monkeypatch.chdir(workspace.parent)
    assert complete(["packs", ""]) == 0
    assert complete([]) == 0
    assert capsys.readouterr() == ("", "")


def test_asking_imports_no_framework_and_costs_less_than_a_tenth_of_a_second(workspace: Path) -> None:
    (workspace / "grex.lock.jsonl").write_text("".join(LINE % (f"p{number:03}", "1" * 40) for number in range(500)))
    loaded, _ = told_by("__complete", "packs", "p", cwd=workspace)
    assert "grex.cli.completing" in loaded
    assert loaded.isdisjoint(
        {"typer", "anyio", "pydantic", "filelock", "grex.cli.app", "grex.engine", "grex.locks", "hashlib"}
    )
    costs: list[float] = []
    done = None
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [sys.executable, "-m", "grex", "__complete", "packs", "p"], capture_output=True, check=True
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        costs.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert done is not None
    assert len(done.stdout.splitlines()) == 500
    assert min(costs) < 0.1


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """`grex` as it would be on the PATH."""
    file = tmp_path / "bin" / "grex"
    file.parent.mkdir()
    file.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m grex "$@"\n')
    file.chmod(0o755)
    return file


def bash(program: Path, *words: str) -> list[str]:
    """What bash offers for the last one of these words."""
    script = program.with_name("completion.bash")
    script.write_text(completion_script("bash"))
    line = " ".join(map(shlex.quote, ("grex", *words)))
    code = (
        f". {shlex.quote(str(script))}; [[ $(complete -p grex) == *'-F _grex grex' ]] || exit 9\n"
        f"COMP_WORDS=({line}); COMP_CWORD={len(words)}; COMP_LINE={shlex.quote(line)}; COMP_POINT=${{#COMP_LINE}}\n"
        "_grex grex; (( ${#COMPREPLY[@]} )) && printf '%s\\n' \"${COMPREPLY[@]}\"; true"
    )
    environ = os.environ | {
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    done = subprocess.run(
        ["bash", "--norc", "-c", code], env=environ, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout.splitlines()


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_bash_offers_verbs_options_values_packs_and_groups(workspace: Path, program: Path) -> None:
    assert bash(program, "sta") == ["status"]
    assert bash(program, "merge-") == []
    assert bash(program, "sync", "--dry") == ["--dry-run"]
    assert bash(program, "--json", "sync", "--fail") == ["--fail-fast"]
    assert bash(program, "graph", "--format", "m") == ["mermaid"]
    assert bash(program, "completion", "z") == ["zsh"]
    assert bash(program, "help", "swi") == ["switch"]
    assert bash(program, "cache", "") == [
        verb.words[1] for verb in every_verb(describe()) if verb.words[:-1] == ("cache",)
    ]
    assert bash(program, "status", "tools/") == ["tools/arm", "tools/leg"]
    assert bash(program, "status", "it") == ["it\\'s\\ a\\ pack"]
    assert bash(program, "sync", "-g", "r") == ["robots"]
    assert bash(program, "sync", "--jobs", "") == []
    assert "bash" in bash(program, "exec", "api", "--", "bas")


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_bash_asks_in_the_workspace_of_the_line(
    workspace: Path, program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workspace.parent)
    assert bash(program, "status", "a") == []
    assert bash(program, "--workspace", "ws", "status", "a") == ["api"]
    assert bash(program, "status", "--workspace", "ws", "a") == ["api"]


@pytest.mark.parametrize("shell", sorted(SHELLS))
def test_a_shell_that_is_there_reads_its_script(shell: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["completion", shell]) == 0
    script = tmp_path / "script"
    script.write_text(capsys.readouterr().out)
    assert "dry-run" in script.read_text()
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    done = subprocess.run([shell, "-n", str(script)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
def test_fish_offers_packs(workspace: Path, program: Path) -> None:
    script = program.with_name("grex.fish")
    script.write_text(completion_script("fish"))
    code = f"set PATH {program.parent} $PATH; source {script}; complete -C 'grex status tools/'"
    done = subprocess.run(["fish", "--no-config", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["tools/arm", "tools/leg"]


def test_a_shell_that_there_is_no_script_for_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["completion", "tcsh"]) == 2
    assert "'tcsh' is not one of" in capsys.readouterr().err


def test_help_shows_the_help_of_a_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["help", "sync"]) == 0
    told = capsys.readouterr().out
    assert run(["sync", "--help"]) == 0
    assert capsys.readouterr().out == told
    assert run(["help"]) == 0
    assert "Commands:" in capsys.readouterr().out
    assert run(["help", "snyc"]) == 2
    assert "Did you mean 'sync'?" in capsys.readouterr().err
