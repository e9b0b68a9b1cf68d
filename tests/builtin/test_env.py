"""`env`: what a shell reads back, whose block is whose, and what is left of the file afterwards."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest

from grex.builtin.actions import env as env_module
from grex.builtin.actions.env import Env
from grex.builtin.pack_types.declarative import Declarative
from grex.builtin.shells import Dialect, assignment
from grex.errors import ActionError
from grex.plugin import Done, Exec
from grex.plugin import Env as Arguments
from grex.plugin.testing import RecordingActionContext, RecordingContext, perform, would
from tests.support.attributes import set_attribute

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Both event loops, for processes run here."""
    return str(request.param)


ENV = Env()
EDITOR = Arguments(name="EDITOR", value="vim")


T0 = 1_600_000_000_123_456_789

HARD = {
    "quotes": "it's \"so\" `date` $(date) ''' \"\"",
    "dollars": "$HOME ${HOME} $$ $1 %HOME% !! ~ * ? [a] {a,b}",
    "newlines": "one\ntwo\n\n\nfour\n",
    "only a newline": "\n",
    "backslashes": "\\ \\\\ \\n \\' \\",
    "both": "a\\\n'b'\\n\n\\c",
    "a marker": "x\n# <<< grex: EDITOR of the pack tools (id 0000000000000000) <<<\n# >>> grex: made",
    "carriage returns": "a\r\nb\r",
    "control characters": "\x01\x1b[31m\t\x7f",
    "not utf-8": os.fsdecode(b"\xff\xfe\xc3 caf\xe9"),
    "unicode": "Ünïcödé 🌱 日本語 e\u0301",
    "empty": "",
    "spaces": "  a  b  ",
    "percent": "%s %b %% %n",
    "dash": "-n -e",
    "begins with a quote": "'",
}
SHELLS: tuple[tuple[Dialect, str], ...] = (
    ("sh", "sh"),
    ("sh", "dash"),
    ("sh", "bash"),
    ("bash", "bash"),
    ("zsh", "zsh"),
    ("fish", "fish"),
)


@pytest.fixture
def rc(context: RecordingContext) -> Path:
    """The startup file of the user's shell, with a line of the user's in it, and old."""
    context.environ = {**context.environ, "SHELL": "/bin/bash"}
    file = context.home / ".bashrc"
    file.write_bytes(b"alias ll='ls -l'\n")
    os.utime(file, ns=(T0, T0))
    return file


def facts(done: Done) -> Mapping[str, Any]:
    assert done.undo is not None
    return done.undo


def state(file: Path) -> tuple[bytes, int, int]:
    status = file.stat()
    return file.read_bytes(), status.st_mode, status.st_mtime_ns


async def install(ctx: RecordingActionContext, arguments: Arguments = EDITOR) -> Done:
    """As a run does it: what was done is in the log."""
    return await perform(ENV, arguments, ctx)


def actions_of(context: RecordingContext, path: str = "tools", **changes: Any) -> RecordingActionContext:
    """What the `env` actions of a pack are given in another run."""
    run = context.of(context.make_pack(path), "env")
    for name, value in changes.items():
        setattr(run, name, value)
    return run


@pytest.fixture
def run(context: RecordingContext, rc: Path) -> RecordingActionContext:
    return actions_of(context)


# --- what comes back


@pytest.mark.parametrize("name", HARD)
@pytest.mark.parametrize(("dialect", "shell"), SHELLS, ids=[f"{dialect} in {shell}" for dialect, shell in SHELLS])
def test_a_shell_reads_back_every_byte(dialect: Dialect, shell: str, name: str, tmp_path: Path) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed")
    value = os.fsencode(HARD[name])
    script = tmp_path / "rc"
    script.write_bytes(assignment(dialect, "GOT", value) + b"\n")
    assert script.read_bytes().count(b"\n") == 1
    show = "import os, sys; sys.stdout.buffer.write(os.environb[b'GOT'])"
    line = f'. "$1"; exec "$2" -c "{show}"' if dialect != "fish" else f'source $argv[1]; exec $argv[2] -c "{show}"'
    names = ["name"] if dialect != "fish" else []
    flags = {"zsh": ["-f"], "fish": ["--no-config"]}.get(shell, [])
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LC_ALL": "C.UTF-8", **library_path()}
    done = subprocess.run(
        [program, *flags, "-c", line, *names, str(script), sys.executable],
        capture_output=True,
        env=environ,
        check=False,
    )
    assert done.stdout == value, done.stderr


def library_path() -> dict[str, str]:
    """A shell that was unpacked and not installed needs it."""
    return {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}


async def test_the_shell_that_reads_the_file_has_the_variable(run: RecordingActionContext, rc: Path) -> None:
    await install(run, Arguments(name="GREETING", value="it's $$5\nand `more`"))
    done = await anyio.run_process(
        ["bash", "--rcfile", str(rc), "-i", "-c", 'printf %s "$GREETING"; alias ll'],
        env={"PATH": os.environ["PATH"], "HOME": str(run.home)},
    )
    assert done.stdout == b"it's $5\nand `more`alias ll='ls -l'\n"


# --- which file


@pytest.mark.parametrize(
    ("environ", "file"),
    [
        ({"SHELL": "/usr/local/bin/bash"}, ".bashrc"),
        ({"SHELL": "/bin/zsh"}, ".zshrc"),
        ({"SHELL": "/bin/zsh", "ZDOTDIR": "{home}/zsh"}, "zsh/.zshrc"),
        ({"SHELL": "/bin/zsh", "ZDOTDIR": "zsh"}, ".zshrc"),
        ({"SHELL": "/usr/bin/fish"}, ".config/fish/conf.d/grex.fish"),
        ({"SHELL": "/usr/bin/fish", "XDG_CONFIG_HOME": "{home}/conf"}, "conf/fish/conf.d/grex.fish"),
        ({"SHELL": "/bin/ksh"}, ".profile"),
        ({}, ".profile"),
    ],
)
async def test_the_file_is_that_of_the_users_shell_and_goes_with_the_block(
    environ: dict[str, str], file: str, context: RecordingContext
) -> None:
    given = {name: value.format(home=context.home) for name, value in environ.items()}
    context.environ = {**context.environ, **given}
    run = actions_of(context)
    done = await install(run)
    assert b"EDITOR" in (context.home / file).read_bytes()
    await ENV.undo(facts(done), run)
    await ENV.undo(facts(done), run)  # a second time changes nothing
    assert list(context.home.iterdir()) == []


async def test_a_file_that_was_made_for_two_blocks_goes_with_the_last_one_in_any_order(
    context: RecordingContext,
) -> None:
    for order in ((0, 1), (1, 0)):
        runs = [actions_of(context, name) for name in ("tools", "more")]
        undos = [facts(await install(each)) for each in runs]
        for number in order:
            await ENV.undo(undos[number], runs[number])
        assert list(context.home.iterdir()) == []


async def test_a_file_that_was_made_and_then_written_to_stays_with_what_was_written(
    context: RecordingContext,
) -> None:
    run = actions_of(context)
    done = await install(run)
    profile = context.home / ".profile"
    profile.write_bytes(b"mine first\n" + profile.read_bytes() + b"mine\n")
    await ENV.undo(facts(done), run)
    assert profile.read_bytes() == b"mine first\nmine\n"


# --- the block


async def test_the_block_is_put_behind_what_is_there_and_taken_out_exactly(
    run: RecordingActionContext, rc: Path
) -> None:
    rc.chmod(0o640)
    before = state(rc)
    done = await install(run)
    begin, line, end = rc.read_bytes().removeprefix(before[0]).decode().splitlines()
    assert line == "export EDITOR='vim'"
    assert begin.startswith("# >>> grex: EDITOR of the pack tools (id ")
    assert end.startswith("# <<< grex: EDITOR of the pack tools (id ")
    assert rc.stat().st_mode == before[1]
    assert done.text == f"env EDITOR in {rc}"
    await ENV.undo(facts(done), run)
    await ENV.undo(facts(done), run)
    assert state(rc) == before
    assert sorted(path.name for path in run.home.iterdir()) == [".bashrc"]


async def test_doing_it_twice_is_doing_it_once(run: RecordingActionContext, rc: Path) -> None:
    assert await would(ENV, EDITOR, run) == f"env EDITOR in {rc}"
    before = state(rc)
    await install(run)
    after = state(rc)
    assert after != before
    again = await perform(ENV, EDITOR, run)
    assert (again.changed, again.undo) == (False, None)
    assert state(rc) == after


async def test_a_plan_changes_nothing(run: RecordingActionContext, rc: Path) -> None:
    before = state(rc)
    await would(ENV, EDITOR, run)
    assert state(rc) == before
    assert len(list(run.home.iterdir())) == 1


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no newline at the end",
        b"carriage\r\nreturns\r\n",
        b"\xff\xfe not utf-8 \xe9\n",
        b"\n\n\n",
        b"form\x0cfeed\x1cand\x85others\n",
        b"# >>> grex: not one of ours\n# <<< grex\n",
        b"nul\0byte\n",
    ],
)
async def test_every_other_byte_stays_and_comes_back(content: bytes, run: RecordingActionContext, rc: Path) -> None:
    rc.write_bytes(content)
    os.utime(rc, ns=(T0, T0))
    before = state(rc)
    first, second = await install(run), await install(run, Arguments(name="PAGER", value="less"))
    assert rc.read_bytes().startswith(content)
    assert rc.read_bytes().count(b"\nexport ") == 2
    for done in (second, first):
        await ENV.undo(facts(done), run)
    assert state(rc) == before


async def test_the_newline_that_was_missing_goes_with_the_last_block_in_any_order(
    context: RecordingContext, run: RecordingActionContext, rc: Path
) -> None:
    other = actions_of(context, "more")
    for order in ((0, 1), (1, 0)):
        rc.write_bytes(b"no newline")
        undos = [facts(await install(run)), facts(await install(other))]
        for number in order:
            await ENV.undo(undos[number], (run, other)[number])
        assert rc.read_bytes() == b"no newline"


async def test_a_newline_that_the_user_wrote_meanwhile_stays(run: RecordingActionContext, rc: Path) -> None:
    rc.write_bytes(b"no newline")
    done = await install(run)
    rc.write_bytes(rc.read_bytes().replace(b"no newline\n", b"no newline\nmine\n"))
    await ENV.undo(facts(done), run)
    assert rc.read_bytes() == b"no newline\nmine\n"


async def test_a_link_of_a_dotfile_manager_stays_a_link(run: RecordingActionContext, rc: Path) -> None:
    kept = run.home / "dotfiles"
    kept.mkdir()
    rc.rename(kept / "bashrc")
    rc.symlink_to("dotfiles/bashrc")
    before = state(kept / "bashrc")
    done = await install(run)
    assert rc.is_symlink()
    assert b"EDITOR" in (kept / "bashrc").read_bytes()
    await ENV.undo(facts(done), run)
    assert state(kept / "bashrc") == before
    assert rc.is_symlink()


async def test_a_file_that_changed_meanwhile_keeps_its_own_time(run: RecordingActionContext, rc: Path) -> None:
    done = await install(run)
    rc.write_bytes(b"newer\n" + rc.read_bytes())
    await ENV.undo(facts(done), run)
    assert rc.read_bytes() == b"newer\nalias ll='ls -l'\n"
    assert rc.stat().st_mtime_ns != T0


@pytest.mark.parametrize("kind", ["directory", "fifo"])
async def test_something_that_is_no_file_is_an_error(kind: str, run: RecordingActionContext, rc: Path) -> None:
    rc.unlink()
    rc.mkdir() if kind == "directory" else os.mkfifo(rc)
    with pytest.raises(ActionError, match=f"env EDITOR in {rc}"):
        await perform(ENV, EDITOR, run)


async def test_blocks_of_other_packs_and_workspaces_are_left_alone(
    context: RecordingContext, run: RecordingActionContext, rc: Path, tmp_path: Path
) -> None:
    first = await install(run)
    other = actions_of(context, "more")
    (tmp_path / "w2").mkdir()
    third = actions_of(context, workspace=tmp_path / "w2", recorded=lambda: ())
    undos = [facts(await install(other, Arguments(name="EDITOR", value="nano")))]
    undos.append(facts(await perform(ENV, Arguments(name="EDITOR", value="emacs"), third)))
    assert [line for line in rc.read_text().splitlines() if line.startswith("export")] == [
        "export EDITOR='vim'",
        "export EDITOR='nano'",
        "export EDITOR='emacs'",
    ]
    await ENV.undo(facts(first), run)
    assert [line for line in rc.read_text().splitlines() if line.startswith("export")] == [
        "export EDITOR='nano'",
        "export EDITOR='emacs'",
    ]


async def test_a_workspace_that_was_moved_goes_on_with_its_block(
    context: RecordingContext, run: RecordingActionContext, rc: Path, tmp_path: Path
) -> None:
    await install(run)
    (tmp_path / "moved").mkdir()
    moved = actions_of(context, workspace=tmp_path / "moved")
    assert await would(ENV, EDITOR, moved) is None


# --- a new value


async def test_a_new_value_replaces_the_line_where_it_stands_and_undo_puts_the_old_one_back(
    run: RecordingActionContext, rc: Path
) -> None:
    before = state(rc)
    first = await install(run)
    rc.write_bytes(rc.read_bytes() + b"mine\n")
    os.utime(rc, ns=(T0 + 5, T0 + 5))
    middle = state(rc)
    second = await install(run, Arguments(name="EDITOR", value="nano"))
    assert rc.read_bytes() == middle[0].replace(b"'vim'", b"'nano'").replace(sum_of(middle[0]), sum_of(rc.read_bytes()))
    await ENV.undo(facts(second), run)
    assert state(rc) == middle
    await ENV.undo(facts(first), run)
    assert rc.read_bytes() == before[0] + b"mine\n"


def sum_of(data: bytes) -> bytes:
    return data.split(b"sum ")[1][:16]


async def test_values_of_variables_are_not_in_the_log_and_an_old_line_is_made_again_from_them(
    context: RecordingContext, rc: Path
) -> None:
    context.environ = {**context.environ, "TOKEN": "s3cret"}
    run = actions_of(context)
    await install(run, Arguments(name="AUTH", value="Bearer $TOKEN"))
    second = await install(run, Arguments(name="AUTH", value="Basic $TOKEN"))
    assert "s3cret" not in str(context.log)
    await ENV.undo(facts(second), run)
    assert b"export AUTH='Bearer s3cret'" in rc.read_bytes()


async def test_an_old_line_whose_variables_have_changed_is_not_made_up(context: RecordingContext, rc: Path) -> None:
    context.environ = {**context.environ, "TOKEN": "old"}
    await install(actions_of(context), Arguments(name="AUTH", value="$TOKEN"))
    context.environ = {**context.environ, "TOKEN": "new"}
    run = actions_of(context)
    second = await install(run, Arguments(name="AUTH", value="$TOKEN"))
    with pytest.raises(ActionError, match=r"the earlier value of env AUTH cannot be put back.*the new one stays"):
        await ENV.undo(facts(second), run)
    assert b"export AUTH='new'" in rc.read_bytes()


# --- edited by hand


class KilledError(BaseException):
    """Nothing of grex goes on after this."""


def die(*_: object, **__: object) -> None:
    raise KilledError


def edit(rc: Path, old: bytes, new: bytes) -> bytes:
    data = rc.read_bytes()
    assert old in data
    rc.write_bytes(data.replace(old, new))
    return rc.read_bytes()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"'vim'", b"'vim -u NONE'"),
        (b"export EDITOR='vim'\n", b""),
        (b"export EDITOR='vim'\n", b"export EDITOR='vim'\nexport MORE=1\n"),
        (b"\n", b"\r\n"),
        (b", sum ", b", sum 0"),
    ],
)
async def test_a_block_that_was_edited_by_hand_is_an_error_and_force_keeps_the_file(
    old: bytes, new: bytes, context: RecordingContext, run: RecordingActionContext, rc: Path
) -> None:
    done = await install(run)
    rc.chmod(0o600)
    edited = edit(rc, old, new)
    os.utime(rc, ns=(T0, T0))
    before = state(rc)
    for call in (would, perform):
        with pytest.raises(ActionError, match=rf"{rc}:2: the block was edited by hand") as caught:
            await call(ENV, EDITOR, run)
        assert "--force" in (caught.value.hint or "")
    assert state(rc) == before
    await ENV.undo(facts(done), run)
    assert state(rc) == before
    assert run.notes == [f"the block of env EDITOR in {rc}:2 stays: it was edited by hand"]
    forced = actions_of(context, force=True)
    forced_done = await install(forced)
    (backup,) = (path for path in run.home.iterdir() if path != rc)
    assert state(backup) == before
    assert backup.name in forced_done.text
    assert b"export EDITOR='vim'\n" in rc.read_bytes()
    assert edited != rc.read_bytes()
    await ENV.undo(facts(forced_done), run)  # a run that failed later
    assert state(rc) == before
    assert list(run.home.iterdir()) == [rc]


@pytest.mark.parametrize("when", ["do", "do without a file", "undo"])
async def test_what_somebody_saves_while_the_file_is_replaced_stays(
    context: RecordingContext, rc: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """It is saved after the new version is written beside it."""
    fsync = os.fsync

    def save_and_flush(fd: int) -> None:
        if not (rc.parent / "saved").exists():
            (rc.parent / "saved").touch()
            (rc.parent / "new").write_text("the user's\n")
            (rc.parent / "new").replace(rc)
        fsync(fd)

    actions = actions_of(context)
    done = await install(actions) if when == "undo" else None
    if when == "do without a file":
        rc.unlink()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", save_and_flush)
        with pytest.raises(ActionError, match=r"somebody has written to it meanwhile|file exists"):
            await (install(actions) if done is None else ENV.undo(facts(done), actions))
    assert rc.read_text() == "the user's\n"
    assert sorted(path.name for path in rc.parent.iterdir()) == [".bashrc", "saved"]


async def test_the_file_and_its_backup_have_the_extended_attributes_that_the_file_had(
    context: RecordingContext, rc: Path
) -> None:
    set_attribute(rc, b"mine")
    await install(actions_of(context))
    assert os.getxattr(rc, "user.note") == b"mine"
    rc.write_text(rc.read_text().replace("'vim'", "'emacs'"))
    await install(actions_of(context, force=True))
    (backup,) = rc.parent.glob(".bashrc.grex-bak.*")
    assert os.getxattr(backup, "user.note") == b"mine"


async def test_the_undo_of_a_forced_block_loses_nothing_that_was_written_since(
    context: RecordingContext, run: RecordingActionContext, rc: Path
) -> None:
    await install(run)
    edited = edit(rc, b"'vim'", b"'mine'")
    forced = actions_of(context, force=True)
    done = await install(forced)
    rc.write_bytes(rc.read_bytes() + b"later\n")
    await ENV.undo(facts(done), forced)
    assert rc.read_bytes() == b"alias ll='ls -l'\nlater\n"
    assert Path(facts(done)["backup"]).read_bytes() == edited


async def test_a_forced_block_that_was_killed_before_the_file_was_replaced_leaves_one_backup_in_the_end(
    context: RecordingContext, run: RecordingActionContext, rc: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was kept by the killed run is a copy of what is still there; what an earlier run has kept, is not."""
    await install(run)
    edited = edit(rc, b"'vim'", b"'mine'")
    os.utime(rc, ns=(T0, T0))
    await install(actions_of(context, force=True))
    rc.write_bytes(edited)  # the very same edit, at another time
    second = state(rc)
    forced = actions_of(context, force=True)
    planned = await ENV.plan(EDITOR, forced)
    assert planned is not None
    assert planned.undo is not None
    for broken in ("pathlib.Path.unlink", "os.utime", "os.replace"):
        with monkeypatch.context() as patch:
            patch.setattr(broken, die)
            with pytest.raises(KilledError):
                await ENV.do(EDITOR, planned, forced)
        forced.remember(ENV, planned.undo)
        assert state(rc) == second
        planned = await ENV.plan(EDITOR, forced)
        assert planned is not None
        assert planned.undo is not None
    await ENV.do(EDITOR, planned, forced)
    backups = sorted(run.home.glob(".bashrc.grex-bak.*"), key=lambda path: path.lstat().st_mtime_ns)
    assert [path.read_bytes() for path in backups] == [edited, edited]
    assert backups[0].lstat().st_mtime_ns == T0
    assert state(backups[1]) == second
    assert sorted(run.home.iterdir()) == sorted([rc, *backups])


@pytest.mark.parametrize(
    ("damage", "line", "reason"),
    [
        (lambda data: b"".join(data.splitlines(keepends=True)[:3]), 2, "a block of grex begins here that has no end"),
        (lambda data: data.replace(b"# >>> grex", b"# >> grex"), 4, "ends here that begins nowhere"),
        (lambda data: data + data[data.index(b"# >>>") :], 5, "begins here a second time"),
        (lambda data: data + data[data.index(b"# <<<") :], 5, "ends here a second time"),
    ],
)
async def test_markers_that_do_not_fit_together_are_an_error_with_their_line_and_change_nothing(
    damage: Any, line: int, reason: str, context: RecordingContext, run: RecordingActionContext, rc: Path
) -> None:
    done = await install(run)
    rc.write_bytes(damage(rc.read_bytes()))
    before = state(rc)
    for each in (run, actions_of(context, force=True)):
        with pytest.raises(ActionError, match=rf"{rc}:{line}: .*{reason}"):
            await perform(ENV, EDITOR, each)
        with pytest.raises(ActionError, match=rf"{rc}:{line}: .*{reason}"):
            await ENV.undo(facts(done), each)
    assert state(rc) == before


# --- failures


async def test_a_failed_run_leaves_the_file_as_it_was(context: RecordingContext, rc: Path) -> None:
    before = state(rc)
    pack = context.make_pack(actions=[EDITOR, Exec(cmd=("false",))])
    with pytest.raises(ActionError, match="exec false"):
        await Declarative().install(context, pack)
    assert state(rc) == before


async def test_a_full_disk_leaves_the_file_as_it_was(
    run: RecordingActionContext, rc: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = state(rc)
    monkeypatch.setattr(os, "write", full)
    with pytest.raises(ActionError, match=f"env EDITOR in {rc}: no space left on device"):
        await perform(ENV, EDITOR, run)
    assert state(rc) == before
    assert list(run.home.iterdir()) == [rc]


async def test_a_block_that_came_between_plan_and_do_is_kept(
    context: RecordingContext, run: RecordingActionContext, rc: Path
) -> None:
    other = actions_of(context, "more")
    planned = await ENV.plan(EDITOR, run)
    assert planned is not None
    await install(other, Arguments(name="PAGER", value="less"))
    between = state(rc)
    done = await ENV.do(EDITOR, planned, run)
    assert rc.read_bytes().startswith(between[0])
    await ENV.undo(facts(done), run)
    assert state(rc) == between


async def test_the_temporary_file_of_a_killed_run_is_taken_away_by_the_next_one(
    run: RecordingActionContext, rc: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException): ...

    def die(*_: object, **__: object) -> None:
        raise Killed

    planned = await ENV.plan(EDITOR, run)
    assert planned is not None
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", die)
        patch.setattr(Path, "unlink", die)
        with pytest.raises(Killed):
            await ENV.do(EDITOR, planned, run)
    assert len(list(run.home.iterdir())) == 2
    run.remember(ENV, planned.undo or {})
    await install(run)
    assert list(run.home.iterdir()) == [rc]


@pytest.mark.parametrize(
    "broken", [{}, {"file": "relative"}, {"id": "x"}, {"temp": "/etc/passwd"}, {"name": ""}, {"made": "x"}]
)
async def test_undo_data_that_do_cannot_have_written_is_refused(
    broken: dict[str, Any], run: RecordingActionContext, rc: Path
) -> None:
    done = await install(run)
    before = state(rc)
    with pytest.raises(ActionError, match="the recorded undo data cannot be used"):
        await ENV.undo({**facts(done), **broken} if broken else {}, run)
    assert state(rc) == before


# --- for the rest of the pack


@pytest.mark.parametrize("scope", ["user", "session"])
async def test_later_actions_of_the_pack_see_the_variable_in_every_run(
    scope: Any, context: RecordingContext, rc: Path
) -> None:
    see = Exec(cmd=("sh", "-c", 'printf %s "$$PLACE" >> seen'), cwd="$PLACE")
    pack = context.make_pack(actions=[Arguments(name="PLACE", value="$GREX_PACK_PATH/.git", scope=scope), see])
    for _ in range(2):
        await Declarative().install(context, pack)
    assert (pack.root / ".git/seen").read_text() == f"{pack.root}/.git" * 2


async def test_a_session_variable_is_no_change_has_no_undo_and_touches_no_file(
    run: RecordingActionContext, rc: Path
) -> None:
    before = state(rc)
    done = await install(run, Arguments(name="EDITOR", value="vim", scope="session"))
    assert (done.changed, done.undo) == (False, None)
    assert run.environ["EDITOR"] == "vim"
    assert state(rc) == before
    assert ENV.claims(Arguments(name="EDITOR", value="vim", scope="session"), run) == ()


async def test_a_plan_knows_the_variables_that_are_set_before(context: RecordingContext, rc: Path) -> None:
    context.dry_run = True
    pack = context.make_pack(
        actions=[Arguments(name="PLACE", value="x", scope="session"), Arguments(name="NEXT", value="$PLACE")]
    )
    await Declarative().install(context, pack)
    assert context.events == ["hold tools", f"plan env NEXT in {rc}", "release tools"]


# --- what is refused, and what is said


@pytest.mark.parametrize(
    ("name", "value"), [("", "x"), ("1A", "x"), ("A-B", "x"), ("A B", "x"), ("É", "x"), ("GREX_X", "x"), ("A", "\0")]
)
def test_a_variable_that_cannot_be_set_is_refused_before_anything_runs(name: str, value: str) -> None:
    assert (ENV.check(Arguments(name=name, value=value)) or "").startswith("env cannot set")
    assert ENV.check(EDITOR) is None


async def test_a_variable_that_is_not_set_is_an_error(run: RecordingActionContext, rc: Path) -> None:
    with pytest.raises(ActionError, match="NOT_SET"):
        await perform(ENV, Arguments(name="A", value="$NOT_SET"), run)


async def test_windows_has_no_startup_file(context: RecordingContext, rc: Path) -> None:
    run = actions_of(context, platform="windows")
    with pytest.raises(ActionError, match="Windows has no startup file"):
        await perform(ENV, EDITOR, run)
    assert not (await perform(ENV, Arguments(name="A", value="b", scope="session"), run)).changed


async def test_it_asks_for_trust_claims_the_variable_and_says_what_it_takes_back(
    run: RecordingActionContext, rc: Path
) -> None:
    assert ENV.needs_trust(EDITOR, run) == ("env EDITOR=vim (user)",)
    assert ENV.needs_trust(Arguments(name="A", value="$B", scope="session"), run) == ("env A=$B (session)",)
    assert ENV.claims(EDITOR, run) == ("variable EDITOR",)
    assert ENV.describe_undo(facts(await install(run))) == f"env EDITOR in {rc}"


async def test_drift_is_a_block_that_is_gone_or_edited_and_not_a_variable_with_another_value(
    context: RecordingContext, rc: Path
) -> None:
    context.environ = {**context.environ, "WHERE": "here"}
    arguments = Arguments(name="PLACE", value="$WHERE")
    run = actions_of(context)
    assert await ENV.drift(arguments, run) == f"env PLACE in {rc}: the block is gone"
    await install(run, arguments)
    context.environ = {**context.environ, "WHERE": "there"}
    again = actions_of(context)
    assert await ENV.drift(arguments, again) is None
    good = rc.read_bytes()
    edit(rc, b"'here'", b"'nowhere'")
    with pytest.raises(ActionError, match="edited by hand"):
        await ENV.drift(arguments, again)
    rc.write_bytes(good.replace(good[good.index(b"# >>>") :], b""))
    assert await ENV.drift(arguments, again) == f"env PLACE in {rc}: the block is gone"


async def test_a_teardown_after_an_edit_that_was_mended_leaves_no_block_and_keeps_the_edit_beside(
    context: RecordingContext, run: RecordingActionContext, rc: Path
) -> None:
    before = state(rc)
    first = await install(run)
    edited = edit(rc, b"'vim'", b"'mine'")
    second = await install(actions_of(context, force=True))
    teardown = actions_of(context, is_teardown=True)
    for done in (second, first):
        await ENV.undo(facts(done), teardown)
    assert state(rc) == before
    backup = Path(facts(second)["backup"])
    assert backup.read_bytes() == edited
    assert teardown.notes == [f"{backup} stays: it is {rc} as it was edited by hand"]


async def test_a_file_that_is_no_startup_file_by_its_size_is_refused(
    run: RecordingActionContext, rc: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(env_module, "_LARGEST_FILE", 4)
    with pytest.raises(ActionError, match="larger than 4 bytes"):
        await perform(ENV, EDITOR, run)
