"""`exec`: each of its arguments, and what becomes of its processes."""

from __future__ import annotations

import math
import os
import threading
from pathlib import Path
from typing import Any

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread
import pytest

from grex.builtin.actions.exec import Exec
from grex.builtin.pack_types.declarative import Declarative
from grex.errors import ActionError
from grex.plugin import Exec as Arguments
from grex.plugin.testing import RecordingActionContext, RecordingContext, perform, would

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Both event loops, for processes run here."""
    return str(request.param)


EXEC = Exec()


def shell(line: str | None, **others: Any) -> Arguments:
    return Arguments(shell=True, cmd_shell=line, **others)  # noqa: S604 - the argument of that name is what is tested


# --- the command


async def test_a_command_runs_in_the_pack_without_a_shell(ctx: RecordingActionContext) -> None:
    done = await perform(EXEC, Arguments(cmd=("touch", "a b", "$$HOME;x")), ctx)
    assert sorted(path.name for path in ctx.pack.root.iterdir()) == ["$HOME;x", ".git", "a b"]
    assert done.changed
    assert done.irreversible
    assert done.undo is None
    assert done.text == "exec touch 'a b' '$$HOME;x'"


async def test_variables_in_the_command_are_expanded_to_one_argument(context: RecordingContext) -> None:
    context.environ = {**context.environ, "NAME": "two words; rm -rf x"}
    ctx = context.of(context.make_pack())
    await perform(EXEC, Arguments(cmd=("touch", "${NAME}")), ctx)
    assert (ctx.pack.root / "two words; rm -rf x").exists()


async def test_a_shell_line_reaches_the_shell_as_it_is_written(ctx: RecordingActionContext) -> None:
    await perform(EXEC, shell('set -- one; printf \'%s %s %%\' "$1" "$GREX_PACK_NAME" > out'), ctx)
    assert (ctx.pack.root / "out").read_text() == "one tools %"


async def test_a_program_of_the_pack_is_found_from_its_directory(ctx: RecordingActionContext) -> None:
    program = ctx.pack.root / "install"
    program.write_text("#!/bin/sh\necho done > out\n")
    program.chmod(0o755)
    await perform(EXEC, Arguments(cmd=("./install",)), ctx)
    assert (ctx.pack.root / "out").read_text() == "done\n"


async def test_a_program_that_does_not_exist_is_an_error_of_the_action(ctx: RecordingActionContext) -> None:
    with pytest.raises(ActionError, match="no-such-program"):
        await perform(EXEC, Arguments(cmd=("no-such-program",)), ctx)


async def test_a_variable_that_is_not_set_is_an_error_and_nothing_runs(ctx: RecordingActionContext) -> None:
    with pytest.raises(ActionError, match="NOT_SET"):
        await perform(EXEC, Arguments(cmd=("touch", "out", "$NOT_SET")), ctx)
    assert not (ctx.pack.root / "out").exists()


# --- cwd, env, creates


async def test_cwd_is_relative_to_the_pack(ctx: RecordingActionContext) -> None:
    (ctx.pack.root / "sub").mkdir()
    await perform(EXEC, shell("pwd > here", cwd="sub"), ctx)
    assert (ctx.pack.root / "sub/here").read_text().strip() == str(ctx.pack.root / "sub")


async def test_an_absolute_cwd_is_taken_as_it_is(ctx: RecordingActionContext) -> None:
    await perform(EXEC, shell("touch here", cwd="~"), ctx)
    await perform(EXEC, shell("touch there", cwd="$GREX_WORKSPACE"), ctx)
    assert (ctx.home / "here").exists()
    assert (ctx.workspace / "there").exists()


@pytest.mark.parametrize("cwd", ["..", "sub/../..", "../tools-evil", "out", "out/deep"])
async def test_a_relative_cwd_that_leads_out_of_the_pack_is_refused(
    cwd: str, ctx: RecordingActionContext, tmp_path: Path
) -> None:
    (ctx.workspace / "tools-evil").mkdir()
    (tmp_path / "deep").mkdir()
    (ctx.pack.root / "out").symlink_to(tmp_path)
    for call in (would, perform):
        with pytest.raises(ActionError, match="leads out of the pack tools"):
            await call(EXEC, Arguments(cmd=("true",), cwd=cwd), ctx)


async def test_a_cwd_that_is_missing_is_named(ctx: RecordingActionContext) -> None:
    with pytest.raises(ActionError, match=f"its directory {ctx.pack.root}/absent does not exist"):
        await perform(EXEC, Arguments(cmd=("true",), cwd="absent"), ctx)


async def test_env_is_added_to_the_environment_with_its_variables_expanded(ctx: RecordingActionContext) -> None:
    await perform(EXEC, shell('echo "$DIR $HOME" > out', env={"DIR": "${GREX_PACK_NAME}/bin"}), ctx)
    assert (ctx.pack.root / "out").read_text() == f"tools/bin {ctx.home}\n"


@pytest.mark.parametrize("kind", ["file", "directory", "dangling link"])
async def test_what_it_creates_keeps_it_from_running(kind: str, ctx: RecordingActionContext) -> None:
    created = ctx.pack.root / "made"
    arguments = Arguments(cmd=("touch", "ran"), creates="$GREX_PACK_PATH/made")
    assert await would(EXEC, arguments, ctx) == "exec touch ran"
    match kind:
        case "file":
            created.touch()
        case "directory":
            created.mkdir()
        case _:
            created.symlink_to("/nowhere")
    assert await would(EXEC, arguments, ctx) is None
    done = await perform(EXEC, arguments, ctx)
    assert not done.changed
    assert not (ctx.pack.root / "ran").exists()


async def test_doing_it_twice_with_creates_is_doing_it_once(ctx: RecordingActionContext) -> None:
    arguments = shell("echo x >> out", creates="out")
    assert (await perform(EXEC, arguments, ctx)).changed
    assert not (await perform(EXEC, arguments, ctx)).changed
    assert (ctx.pack.root / "out").read_text() == "x\n"
    assert ctx.notes == []


async def test_a_command_that_does_not_create_what_it_says_is_noted(ctx: RecordingActionContext) -> None:
    await perform(EXEC, Arguments(cmd=("true",), creates="out"), ctx)
    assert ctx.notes == ["exec true: succeeded and did not create out, so it will run again"]


async def test_a_plan_runs_nothing(ctx: RecordingActionContext) -> None:
    assert await would(EXEC, Arguments(cmd=("touch", "out")), ctx) == "exec touch out"
    assert not (ctx.pack.root / "out").exists()


# --- failures


async def test_a_failure_says_how_it_ended_and_what_it_said_is_told_apart(ctx: RecordingActionContext) -> None:
    with pytest.raises(ActionError, match=r"^exec .* exited with code 3$") as caught:
        await perform(EXEC, shell("echo progress; echo it broke >&2; exit 3"), ctx)
    assert caught.value.details == {"output": "progress\nit broke", "returncode": 3}
    assert caught.value.hint is not None


async def test_a_death_by_signal_is_named(ctx: RecordingActionContext) -> None:
    with pytest.raises(ActionError, match="was ended by SIGKILL"):
        await perform(EXEC, shell("kill -9 $$"), ctx)


async def test_the_error_has_the_last_two_kib_cut_between_two_characters(ctx: RecordingActionContext) -> None:
    with pytest.raises(ActionError) as caught:
        await perform(
            EXEC, shell("i=0; while [ $i -lt 3000 ]; do printf '日'; i=$((i+1)); done >&2; echo end >&2; false"), ctx
        )
    output = caught.value.details["output"]
    assert output == "日" * ((2048 - len("end\n")) // 3) + "end"
    assert len(caught.value.message) < 400


async def test_standard_output_fills_the_room_that_standard_error_leaves(ctx: RecordingActionContext) -> None:
    with pytest.raises(ActionError) as caught:
        await perform(EXEC, shell("head -c 5000 /dev/zero | tr '\\0' x; echo why >&2; false"), ctx)
    assert caught.value.details["output"] == "x" * (2048 - len("why\n")) + "\nwhy"


async def test_output_reaches_the_error_without_escapes_and_credentials(ctx: RecordingActionContext) -> None:
    with pytest.raises(ActionError) as caught:
        await perform(EXEC, shell("printf '\\033[31mred\\007 https://u:secret@host/x\\n' >&2; false"), ctx)
    assert caught.value.details["output"] == "red https://***@host/x"
    assert "secret" not in str(caught.value)
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("line", ["exit 3", "sleep 60"])
async def test_on_fail_decides_what_a_failure_means(line: str, ctx: RecordingActionContext) -> None:
    def arguments(on_fail: Any) -> Arguments:
        return shell(line, on_fail=on_fail, timeout_s=0.2, undo=("true",))

    with pytest.raises(ActionError):
        await perform(EXEC, arguments("error"), ctx)
    assert ctx.notes == []
    ignored = await perform(EXEC, arguments("ignore"), ctx)
    assert ignored.changed
    assert ignored.undo is not None
    assert ctx.notes == []
    assert (await perform(EXEC, arguments("warn"), ctx)).changed
    (note,) = ctx.notes
    assert note.startswith("exec ")


async def test_a_command_that_takes_too_long_is_ended(ctx: RecordingActionContext) -> None:
    with pytest.raises(ActionError, match=r"within 0\.1 seconds"):
        await perform(EXEC, Arguments(cmd=("sleep", "60"), timeout_s=0.1), ctx)


async def test_a_cancelled_command_ends_with_its_whole_group(ctx: RecordingActionContext) -> None:
    """Cancel a command that has children.

    - the command and a grandchild keep a FIFO open, and ignore TERM;
    - the grandchild says that it runs, and the command is cancelled;
    - the FIFO comes to its end only when the last process that has it open is gone.
    """
    fifo = ctx.pack.root / "fifo"
    os.mkfifo(fifo)
    read: list[str] = []
    running = anyio.Event()
    token = anyio.lowlevel.current_token()

    def listen() -> None:
        with fifo.open() as pipe:
            read.append(pipe.readline())
            anyio.from_thread.run_sync(running.set, token=token)
            read.append(pipe.read())

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    line = "trap '' TERM; exec 3> fifo; (echo running >&3; while :; do sleep 60; done) & wait"
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(perform, EXEC, shell(line), ctx)
        await running.wait()
        tasks.cancel_scope.cancel()
    with anyio.fail_after(30):
        await anyio.to_thread.run_sync(listener.join, abandon_on_cancel=True)
    assert read == ["running\n", ""]


# --- undo


async def test_undo_runs_the_undo_command_in_the_same_place(context: RecordingContext) -> None:
    context.environ = {**context.environ, "TOKEN": "s3cret"}
    ctx = context.of(context.make_pack())
    (ctx.pack.root / "sub").mkdir()
    arguments = Arguments(
        cmd=("touch", "out"), cwd="sub", env={"T": "$TOKEN"}, undo=("/bin/sh", "-c", 'echo "$$T" > undone'), timeout_s=5
    )
    done = await perform(EXEC, arguments, ctx)
    assert not done.irreversible
    assert done.undo is not None
    assert "s3cret" not in str(done.undo)
    await EXEC.undo(done.undo, ctx)
    assert (ctx.pack.root / "sub/undone").read_text() == "s3cret\n"


async def test_undo_sees_in_a_later_run_what_env_actions_had_set(tmp_path: Path) -> None:
    text = """\
schema_version: "1"
name: p
type: declarative
actions:
  - env: {name: B, value: "$TOKEN", scope: session}
  - env: {name: A, value: "$B-a", scope: session}
  - env: {name: A, value: "$A-b", scope: session}
  - exec: {cmd: [touch, $A], undo: [rm, $A]}
"""
    context = RecordingContext(tmp_path, environ={"TOKEN": "s3cret"})
    pack = context.make_pack("p", pack_yaml=text)
    await Declarative().install(context, pack)
    assert (pack.root / "s3cret-a-b").exists()
    assert "s3cret" not in str([one.done.undo for one in context.log["p"]])
    await Declarative().teardown(context, pack)
    assert not (pack.root / "s3cret-a-b").exists()


async def test_an_undo_command_that_fails_is_an_error(ctx: RecordingActionContext) -> None:
    done = await perform(EXEC, Arguments(cmd=("true",), undo=("/bin/sh", "-c", "echo no >&2; exit 4")), ctx)
    assert done.undo is not None
    with pytest.raises(ActionError, match=r"\(undo\) exited with code 4$") as caught:
        await EXEC.undo(done.undo, ctx)
    assert caught.value.details["output"] == "no"


@pytest.mark.parametrize(
    "undo",
    [
        {},
        {"argv": []},
        {"argv": ["true"], "timeout_s": "5"},
        {"argv": ["true"], "timeout_s": 0},
        {"argv": ["true"], "timeout_s": 5, "cwd": 1},
        {"argv": ["true"], "timeout_s": 5, "env": {"GREX_HELD": ""}},
        {"argv": ["true"], "timeout_s": 5, "env": ["x"]},
    ],
)
async def test_undo_data_that_do_cannot_have_written_is_refused(
    undo: dict[str, Any], ctx: RecordingActionContext
) -> None:
    with pytest.raises(ActionError, match="the recorded undo"):
        await EXEC.undo(undo, ctx)


# --- checks, trust


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (Arguments(), "exec needs a command"),
        (Arguments(cmd=("",)), "exec needs a command"),
        (shell(None, cmd=("a",)), "exec with `shell: true` takes its command from `cmd_shell`"),
        (shell(None), "exec with `shell: true` takes its command from `cmd_shell`"),
        (shell(""), "exec with `shell: true` takes its command from `cmd_shell`"),
        (
            shell("b", cmd=("a",)),
            "exec with `shell: true` takes its command from `cmd_shell`",
        ),
        (Arguments(cmd=("a",), cmd_shell="b"), "exec takes `cmd_shell` only together with `shell: true`"),
        (Arguments(cmd_shell="b"), "exec takes `cmd_shell` only together with `shell: true`"),
        (Arguments(cmd=("a",), undo=("",)), "exec has an `undo` without a program"),
        (Arguments(cmd=("a",), timeout_s=0), "exec needs a `timeout_s` of more than 0 seconds"),
        (Arguments(cmd=("a",), timeout_s=-1), "exec needs a `timeout_s` of more than 0 seconds"),
        (Arguments(cmd=("a",), timeout_s=math.nan), "exec needs a `timeout_s` of more than 0 seconds"),
        (Arguments(cmd=("a",), timeout_s=math.inf), "exec needs a `timeout_s` of more than 0 seconds"),
        (Arguments(cmd=("a",), env={"": "x"}), "exec cannot set a variable named ''"),
        (Arguments(cmd=("a",), env={"A=B": "x"}), "exec cannot set a variable named 'A=B'"),
        (Arguments(cmd=("a",), env={"grex_held": ""}), "exec cannot set grex_held"),
        (Arguments(cmd=("a", "b\0")), "exec cannot pass a NUL character"),
        (Arguments(cmd=("a",), env={"A": "\0"}), "exec cannot pass a NUL character"),
        (Arguments(cmd=("a",), undo=("a\0",)), "exec cannot pass a NUL character"),
        (shell("a\0"), "exec cannot pass a NUL character"),
    ],
)
def test_arguments_that_cannot_be_meant_are_refused_before_anything_runs(arguments: Arguments, reason: str) -> None:
    answer = EXEC.check(arguments)
    assert answer is not None
    assert answer.startswith(reason)


@pytest.mark.parametrize("arguments", [Arguments(cmd=("a",)), shell("a"), Arguments(cmd=("a",), env={"A": "b"})])
def test_one_command_is_what_exec_wants(arguments: Arguments) -> None:
    assert EXEC.check(arguments) is None


def test_trust_is_asked_for_the_command_lines_as_they_are_declared(ctx: RecordingActionContext) -> None:
    arguments = Arguments(cmd=("make", "in stall", "$TOKEN"), undo=("make", "uninstall"))
    assert EXEC.needs_trust(arguments, ctx) == ("exec make 'in stall' '$TOKEN'", "exec make uninstall (undo)")
    assert EXEC.needs_trust(shell("curl x | sh\n\x1b[2K"), ctx) == ("exec curl x | sh ",)
