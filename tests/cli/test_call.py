"""One call: options before and after the verb, what is wrong with them, and errors as one sentence."""

from __future__ import annotations

import json
import pwd
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace
from typer.core import TyperGroup
from typer.main import get_command

from grex.cli.app import VERBS, _app_for, app_with, run
from grex.cli.call import Call
from grex.cli.execution import explain
from grex.cli.interrupts import endings
from grex.errors import GrexError, LockDeadlockError, LockfileError, PackError, PackSpecError, UsageError
from grex.locks import file_system
from grex.pack import parse_pack_spec
from grex.verbs.init import InitRequest
from grex.verbs.report import first_error
from tests.support.lock_holder import LockHolder

XTERM = {"TERM": "xterm", "COLUMNS": "80"}

Grex = Callable[..., tuple[int, str, str]]


@pytest.fixture
def grex(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Grex:
    """`grex ...` in an empty directory: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run(list(arguments))
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.mark.parametrize("verb", VERBS)
def test_a_command_line_is_put_together_for_the_one_command_that_comes_first(verb: str) -> None:
    group = get_command(_app_for([verb, "--help"]))
    assert isinstance(group, TyperGroup)
    assert list(group.commands) == [verb]


@pytest.mark.parametrize(
    "arguments", [["--json", "ls"], ["-C", "ls", "sync"], ["stauts", "ls"], ["--help", "ls"], [""]]
)
def test_where_no_command_comes_first_all_are_known(arguments: list[str]) -> None:
    group = get_command(_app_for(arguments))
    assert isinstance(group, TyperGroup)
    assert list(group.commands) == list(VERBS)
    assert "dry_run" in {option.name for option in group.commands["sync"].params}


@pytest.mark.parametrize("arguments", [["--help"], ["-h"]])
def test_the_list_of_verbs_is_the_same_without_their_options(arguments: list[str], grex: Grex) -> None:
    listed, whole = get_command(_app_for(arguments)), get_command(app_with(VERBS))
    assert isinstance(listed, TyperGroup)
    assert isinstance(whole, TyperGroup)
    assert not any(command.params for command in listed.commands.values())
    told = [
        {name: (one.get_short_help_str(), one.hidden) for name, one in group.commands.items()}
        for group in (listed, whole)
    ]
    assert told[0] == told[1]
    assert grex("--help")[1] == grex("help")[1]


def test_a_mistyped_command_is_recognised(grex: Grex) -> None:
    code, _, err = grex("stauts", "ls")
    assert code == 2
    assert "Did you mean 'status'" in err


@pytest.mark.parametrize("arguments", [("--json", "ls"), ("ls", "--json"), ("--json", "ls", "--json")])
def test_json_may_stand_before_and_after_the_verb(grex: Grex, arguments: tuple[str, ...]) -> None:
    grex("init", "--quiet")
    code, out, err = grex(*arguments)
    assert (code, err) == (0, "")
    assert json.loads(out)["schema"] == "grex.ls/1"


def test_a_workspace_may_be_named_before_and_after_the_verb_and_by_the_environment(
    grex: Grex, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        grex("init", name)
    for arguments in (
        ("--workspace", "one", "ls"),
        ("ls", "--workspace", "one"),
        ("--workspace", "two", "ls", "--workspace", "one"),
    ):
        code, out, _ = grex("--json", *arguments)
        assert (code, json.loads(out)["workspace"]) == (0, str(tmp_path / "one"))
    monkeypatch.setenv("GREX_WORKSPACE", "two")
    assert json.loads(grex("ls", "--json")[1])["workspace"] == str(tmp_path / "two")
    assert json.loads(grex("ls", "--json", "--workspace", "one")[1])["workspace"] == str(tmp_path / "one")


@pytest.mark.parametrize(
    ("option", "other"),
    [
        (Call(as_json=True), Call()),
        (Call(quiet=True), Call()),
        (Call(workspace=Path("/a")), Call(workspace=Path("/b"))),
        (Call(jobs=1), Call(jobs=2)),
        (Call(no_wait=True), Call()),
        (Call(lock_timeout_s=0.0), Call(lock_timeout_s=2.0)),
        (Call(trace=Path("a")), Call(trace=Path("b"))),
    ],
)
def test_every_option_counts_on_either_side_of_the_verb_and_more_after_it(option: Call, other: Call) -> None:
    nothing = Call(environ={})
    wanted = replace(option, verb="sync", environ={})
    assert nothing.joined(replace(option, verb="sync")) == wanted
    assert replace(option, environ={}).joined(Call(verb="sync")) == wanted
    assert replace(other, environ={}).joined(replace(option, verb="sync")) == wanted


@pytest.mark.parametrize("seconds", ["nan", "inf", "-inf", "-1", "1e400", "x", ""])
def test_a_lock_timeout_that_is_no_length_of_time_is_refused_before_anything_is_done(grex: Grex, seconds: str) -> None:
    """Also while no lock is held: a limit that is accepted then is a traceback, or no limit, once it matters."""
    grex("init", "--quiet")
    for arguments in (("sync", "--lock-timeout", seconds), ("--lock-timeout", seconds, "sync")):
        code, out, err = grex(*arguments)
        sentence = f"grex: Invalid value for '--lock-timeout': '{seconds}' is not a number of seconds, 0 or more."
        assert (code, out, err.splitlines()[0]) == (2, "", sentence)


@pytest.mark.parametrize("verb", ["status", "ls"])
def test_verbs_that_only_read_take_the_options_of_waiting_before_and_after_the_verb(
    grex: Grex, tmp_path: Path, verb: str
) -> None:
    grex("init", "--quiet")
    with LockHolder("writer", tmp_path) as holder:
        assert holder.ask("take") == "held"
        for option, code, says in (
            (("--no-wait",), "lock.busy", "is locked by"),
            (("--lock-timeout", "0"), "lock.timeout", "did not come free within 0 s"),
        ):
            for arguments in ((*option, verb), (verb, *option)):
                exit_code, out, _ = grex("--json", *arguments)
                error = json.loads(out)["error"]
                assert (exit_code, error["code"]) == (5, code)
                assert says in error["message"]
                assert f"pid {holder.pid} " in error["message"]


@pytest.mark.invariant("L5")
@pytest.mark.filterwarnings("default::grex.errors.LockFallbackWarning")
@pytest.mark.parametrize("options", [(), ("--quiet",)])
def test_a_wait_that_is_polled_is_warned_of_in_one_line(
    grex: Grex, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, options: tuple[str, ...]
) -> None:
    grex("init", "--quiet")
    file_system.forget_abilities()
    without = file_system.Abilities(tickets=False, watch=False, why_not="the file system is of type nfs4")
    monkeypatch.setattr(file_system, "_find_out", lambda _: without)
    with LockHolder("workspace", tmp_path) as holder:
        assert holder.ask("take") == "held"
        code, _, err = grex("sync", "--lock-timeout", "0.2", *options)
    file_system.forget_abilities()
    warned = [line for line in err.splitlines() if "is polled every" in line]
    assert code == 5
    assert len(warned) == (0 if options else 1)
    assert all(line.startswith("grex: warning: the lock ") and "nfs4" in line for line in warned)


@pytest.mark.parametrize("text", ["0", "-1", "two", "1.5", "²", "9" * 5000])
def test_a_wrong_grex_jobs_is_a_mistake_of_the_caller(grex: Grex, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    grex("init")
    monkeypatch.setenv("GREX_JOBS", text)
    code, out, err = grex("sync")
    assert (code, out) == (2, "")
    assert err.startswith("grex: GREX_JOBS is ")
    assert "  hint: " in err


def test_jobs_of_the_command_line_win_over_the_environment(grex: Grex, monkeypatch: pytest.MonkeyPatch) -> None:
    grex("init")
    monkeypatch.setenv("GREX_JOBS", "nonsense")
    assert grex("sync", "--jobs", "1")[0] == 0


def test_no_wait_and_a_timeout_exclude_each_other(grex: Grex) -> None:
    grex("init")
    code, out, err = grex("sync", "--no-wait", "--lock-timeout", "5")
    assert (code, out) == (2, "")
    assert err == "grex: --no-wait and --lock-timeout exclude each other\n  hint: Give one of them.\n"


@pytest.mark.parametrize(
    "arguments",
    [("sync", "--nonesuch"), ("--nonesuch", "sync"), ("nonesuch",), ("sync", "--jobs", "0"), ("sync", "--jobs", "x"),
     ("add",), ("sync", "--lock-timeout", "-1"), ("schema",)],
)  # fmt: skip
def test_a_call_that_cannot_be_read_is_one_sentence_and_exit_2(grex: Grex, arguments: tuple[str, ...]) -> None:
    code, out, err = grex(*arguments)
    assert (code, out) == (2, "")
    lines = err.splitlines()
    assert lines[0].startswith("grex: ")
    assert lines[-1].startswith("  hint: ")
    assert len(lines) == 2
    assert "Usage:" not in err


def test_the_same_with_json_is_an_error_object_on_standard_output(grex: Grex) -> None:
    code, out, err = grex("sync", "--nonesuch", "--json")
    error = json.loads(out)["error"]
    assert (code, err, error["exit_code"], error["code"]) == (2, "", 2, "usage.invalid")


def test_a_trace_that_cannot_be_written_is_said_before_the_run(grex: Grex) -> None:
    grex("init")
    code, _, err = grex("sync", "--trace", "nowhere/trace.json")
    assert code == 2
    assert "the trace file nowhere/trace.json cannot be written: No such file or directory" in err


def test_a_trace_is_json_when_the_run_is_over(grex: Grex, tmp_path: Path) -> None:
    grex("init")
    assert grex("sync", "--trace", "trace.json")[0] == 0
    assert json.loads((tmp_path / "trace.json").read_text())


def test_version_and_help_need_no_workspace(grex: Grex) -> None:
    assert grex("--version")[0] == 0
    code, out, _ = grex("sync", "--help")
    assert code == 0
    assert "--dry-run" in out


def test_errors_of_a_task_group_come_out_as_the_first_of_them() -> None:
    one, other = PackError("b"), LockfileError("a")
    group = BaseExceptionGroup("", [ExceptionGroup("", [one]), other])
    assert first_error(group) is other
    assert first_error(BaseExceptionGroup("", [one, KeyError("bug")])) is None
    assert first_error(BaseExceptionGroup("", [PackError("z"), one])) is one


def test_every_problem_of_a_file_is_a_line_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(PackSpecError) as caught:
        parse_pack_spec(
            b'schema_version: "1"\nname: X\ntype: 3\nnonsense: 1\n', file="a/.grex/pack.yaml", is_root=False
        )
    assert explain(caught.value, as_json=False) == 4
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("grex: a/.grex/pack.yaml:2:7: ")
    assert [line.split(": ")[0] for line in lines[1:]] == [
        "  hint",
        "  a/.grex/pack.yaml:3:7",
        "    hint",
        "  a/.grex/pack.yaml:4:1",
        "    hint",
    ]
    assert "{" not in "".join(lines)
    problems = LockfileError("no", details={"problems": ["one", "two"]})
    explain(problems, as_json=False)
    assert capsys.readouterr().err == "grex: no\n  two\n"


def test_the_chain_of_a_wait_that_would_never_end_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    error = LockDeadlockError("no", chain=["pid 1 holds it", "pid 2 wants it"], hint="Try y.")
    assert explain(error, as_json=False) == 5
    assert capsys.readouterr().err == "grex: no\n  pid 1 holds it\n  pid 2 wants it\n  hint: Try y.\n"


def test_an_error_says_where_and_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    error: GrexError = UsageError("there is no x", hint="Try y.")
    assert explain(error, as_json=False) == 2
    assert capsys.readouterr() == ("", "grex: there is no x\n  hint: Try y.\n")
    assert explain(error, as_json=True) == 2
    out, err = capsys.readouterr()
    assert err == ""
    assert json.loads(out)["error"]["message"] == "there is no x"


def test_trust_of_one_run_comes_from_options_and_environment(tmp_path: Path) -> None:
    call = Call(verb="sync", trust=("https://a.example/x",), environ={"HOME": str(tmp_path)})
    assert call.settings(tmp_path, lambda event: None).trust == ("https://a.example/x",)
    assert InitRequest(tmp_path).gitignore is False


def test_a_relative_url_starts_where_the_person_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ws/.grex").mkdir(parents=True)
    (tmp_path / "ws/.grex/pack.yaml").write_text('schema_version: "1"\nname: ws\ntype: meta\n')
    (tmp_path / "ws/sub").mkdir()
    monkeypatch.chdir(tmp_path / "ws/sub")
    call = Call()
    assert call.from_here("../../up.git") == "../up.git"
    assert call.from_here("./up.git") == "./sub/up.git"
    assert call.from_here("https://host/x") == "https://host/x"
    assert call.from_here("/abs/x") == "/abs/x"


def test_no_arguments_show_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 0
    assert "Usage: grex" in capsys.readouterr().out


def test_a_hangup_that_is_to_be_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        assert signal.SIGHUP in endings()
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        assert signal.SIGHUP not in endings()
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("arguments", [("ls",), ("sync",), ("init",), ("init", "x"), ("demo", "x"), ("add", "./x")])
def test_a_current_directory_that_is_gone_is_one_sentence(
    grex: Grex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    code, out, err = grex(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("grex: the current directory cannot be found: ")


def test_a_user_without_a_home_is_told_and_no_directory_called_tilde_is_made(
    grex: Grex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(uid: int) -> None:
        raise KeyError(uid)

    for name in ("HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    code, _, err = grex("init")
    assert code == 2
    assert "no home directory" in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("home", ["", "rel", "./~"])
def test_a_home_that_is_somewhere_else_in_each_directory_is_refused(
    grex: Grex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: str
) -> None:
    monkeypatch.setenv("HOME", home)
    code, _, err = grex("init")
    assert code == 2
    assert f"HOME is {home!r}, no absolute path" in err
    assert list(tmp_path.iterdir()) == []


def test_the_list_of_verbs_cuts_no_sentence_off(grex: Grex) -> None:
    code, out, _ = grex("--help")
    listed = out.partition("Commands:\n")[2].splitlines()
    assert code == 0
    assert len(listed) > 5
    assert [line for line in listed if not line.endswith(".") or line.endswith("...")] == []


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (Call(verb="sync", environ=XTERM), True),
        (Call(verb="status", environ=XTERM), False),
        (Call(verb="exec", environ=XTERM), False),
        (Call(verb="sync", quiet=True, environ=XTERM), False),
        (Call(verb="sync", as_json=True, environ=XTERM), False),
        (Call(verb="sync", environ={"TERM": "dumb", "COLUMNS": "80"}), False),
        (Call(verb="sync", environ={"COLUMNS": "80"}), False),
    ],
)
def test_there_is_a_live_view_of_long_runs_where_somebody_watches(
    call: Call, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not call.has_view  # standard error is no terminal here
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert call.has_view is expected
