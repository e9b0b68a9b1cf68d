"""The hooks of scripted packs: which file, how it is started, and what it may not be."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from grex.builtin.actions import hook as module
from grex.builtin.actions.hook import HookAction, HookArguments, hook_file
from grex.errors import ActionError
from grex.plugin.testing import RecordingActionContext, RecordingContext, perform, would

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Both event loops, for processes run here."""
    return str(request.param)


HOOK = HookAction()
SETUP = HookArguments(hook="setup")


def write_hook(ctx: RecordingActionContext, text: str, name: str = "setup.sh", mode: int = 0o755) -> Path:
    path = ctx.pack.root / ".grex/hooks" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


async def test_a_hook_that_is_not_there_is_no_change(ctx: RecordingActionContext) -> None:
    assert await would(HOOK, SETUP, ctx) is None
    assert not (await perform(HOOK, SETUP, ctx)).changed
    assert HOOK.needs_trust(SETUP, ctx) == ()


async def test_a_hook_runs_in_the_root_of_its_pack_and_knows_it(ctx: RecordingActionContext) -> None:
    write_hook(ctx, "#!/bin/sh\npwd > out; echo $GREX_PACK_NAME $GREX_PACK_OS $GREX_WORKSPACE >> out\n")
    done = await perform(HOOK, SETUP, ctx)
    assert done.changed
    assert done.irreversible
    assert done.text == "hook .grex/hooks/setup.sh"
    assert (ctx.pack.root / "out").read_text() == f"{ctx.pack.root}\ntools linux {ctx.workspace}\n"


async def test_an_executable_hook_chooses_its_interpreter(ctx: RecordingActionContext) -> None:
    write_hook(ctx, "#!/bin/cat\nI am not for a shell\n")
    assert (await perform(HOOK, SETUP, ctx)).changed


@pytest.mark.parametrize(("text", "mode"), [("#!/bin/cat\necho hi > out", 0o644), ("echo hi > out", 0o755)])
async def test_a_hook_without_mode_bit_or_interpreter_is_run_by_the_shell(
    text: str, mode: int, ctx: RecordingActionContext
) -> None:
    write_hook(ctx, text, mode=mode)
    await perform(HOOK, SETUP, ctx)
    assert (ctx.pack.root / "out").read_text() == "hi\n"


async def test_a_plan_names_the_hook_and_does_not_run_it(ctx: RecordingActionContext) -> None:
    write_hook(ctx, "touch out")
    assert await would(HOOK, SETUP, ctx) == "hook .grex/hooks/setup.sh"
    assert not (ctx.pack.root / "out").exists()


async def test_a_hook_that_fails_says_why(ctx: RecordingActionContext) -> None:
    write_hook(ctx, "echo missing tool >&2; exit 2")
    with pytest.raises(ActionError) as caught:
        await perform(HOOK, SETUP, ctx)
    place = f"{ctx.pack.path}/.grex/hooks/setup.sh"
    assert caught.value.message == f"{place}: the hook exited with code 2"
    assert caught.value.details == {"output": "missing tool", "returncode": 2, "file": place}


async def test_a_hook_has_a_time_limit(ctx: RecordingActionContext, monkeypatch: pytest.MonkeyPatch) -> None:
    assert module.TIMEOUT_S == 600
    monkeypatch.setattr(module, "TIMEOUT_S", 0.1)
    write_hook(ctx, "sleep 60")
    with pytest.raises(ActionError, match=r"within 0\.1 seconds"):
        await perform(HOOK, SETUP, ctx)


async def test_a_hook_may_be_a_link_to_another_file_of_the_pack(ctx: RecordingActionContext) -> None:
    write_hook(ctx, "touch out", name="sync.sh")
    (ctx.pack.root / ".grex/hooks/setup.sh").symlink_to("sync.sh")
    await perform(HOOK, SETUP, ctx)
    assert (ctx.pack.root / "out").exists()


@pytest.mark.parametrize("link", [".grex/hooks/setup.sh", ".grex/hooks", ".grex"])
async def test_a_hook_that_is_a_link_out_of_the_pack_is_refused(
    link: str, ctx: RecordingActionContext, tmp_path: Path
) -> None:
    theirs = tmp_path / "theirs"
    (theirs / "hooks").mkdir(parents=True)
    for name in ("setup.sh", "hooks/setup.sh"):
        (theirs / name).write_text("touch $GREX_PACK_PATH/out")
    path = ctx.pack.root / link
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(
        {"setup.sh": theirs / "setup.sh", "hooks": theirs / "hooks", ".grex": theirs}[path.name],
        target_is_directory=True,
    )
    assert HOOK.needs_trust(SETUP, ctx) == ("hook .grex/hooks/setup.sh",)
    for call in (would, perform):
        with pytest.raises(ActionError, match="is a link that leads out of the pack tools"):
            await call(HOOK, SETUP, ctx)
    assert not (ctx.pack.root / "out").exists()


@pytest.mark.parametrize("kind", ["directory", "fifo", "dangling link", "loop"])
async def test_a_hook_that_is_no_file_is_refused_without_waiting(kind: str, ctx: RecordingActionContext) -> None:
    path = ctx.pack.root / ".grex/hooks/setup.sh"
    path.parent.mkdir(parents=True)
    match kind:
        case "directory":
            path.mkdir()
        case "fifo":
            os.mkfifo(path)
        case "loop":
            path.symlink_to("setup.sh")
        case _:
            path.symlink_to("absent")
    with pytest.raises(ActionError, match=r"\.grex/hooks/setup\.sh: the hook cannot be read"):
        await perform(HOOK, SETUP, ctx)


async def test_windows_has_hooks_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = RecordingContext(tmp_path, platform="windows")
    ctx = context.of(context.make_pack())
    write_hook(ctx, "#!/bin/sh")
    assert hook_file(ctx.pack, "setup", "windows") is None
    script = write_hook(ctx, "Write-Output hi", name="setup.ps1")
    asked: list[tuple[str, ...]] = []

    async def run_process(argv: tuple[str, ...], **_: object) -> None:
        asked.append(argv)
        raise ActionError("not on this machine")

    monkeypatch.setattr(ctx, "run_process", run_process)
    with pytest.raises(ActionError, match="not on this machine"):
        await perform(HOOK, SETUP, ctx)
    assert asked == [("powershell", "-NoProfile", "-ExecutionPolicy", "Bypass", "-File", str(script))]
