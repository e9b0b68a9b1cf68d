"""One way to build git commands: nothing runs, nothing leaks in, nothing is asked, and failures say why."""

from __future__ import annotations

import os
from pathlib import Path

import anyio
import pytest

from grex.errors import FetchError
from grex.git import GitCommand, GitError, GitProgress, GitRunner, RefNotFoundError, git_environment
from grex.git.command import require_sha
from grex.git.errors import AnotherGitError, explain_failure
from grex.git.progress import ProgressParser
from tests.support.backend import PlainHold, is_free
from tests.support.git_server import GitServer, git
from tests.support.processes import alive, wait_for_file

pytestmark = pytest.mark.anyio


def test_git_variables_of_the_caller_are_dropped_but_for_transport_and_configuration() -> None:
    kept = ["GIT_SSH", "GIT_SSH_COMMAND", "GIT_ASKPASS", "GIT_SSL_CAINFO", "GIT_CONFIG_GLOBAL"]
    dropped = [
        "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_CONFIG_COUNT", "GIT_TRACE",
        "GIT_CONFIG_PARAMETERS", "GIT_NAMESPACE", "GIT_EXEC_PATH", "GIT_TEMPLATE_DIR", "GIT_EXTERNAL_DIFF",
    ]  # fmt: skip
    caller = {
        "PATH": "/bin",
        "HOME": "/home/x",
        "HTTPS_PROXY": "http://proxy",
        "SSH_AUTH_SOCK": "/agent",
        "LC_ALL": "de_DE.UTF-8",
        **dict.fromkeys(kept, "kept"),
        **dict.fromkeys(dropped, "dropped"),
    }
    environment = git_environment(caller)
    assert "dropped" not in environment.values()
    assert [name for name, value in environment.items() if value == "kept"] == kept
    assert environment["PATH"] == "/bin"
    assert environment["HTTPS_PROXY"] == "http://proxy"
    assert environment["SSH_AUTH_SOCK"] == "/agent"
    assert environment["LC_ALL"] == "C"
    assert environment["GIT_TERMINAL_PROMPT"] == "0"
    assert environment["GIT_ALLOW_PROTOCOL"] == "https:http:ssh:git:file"


def test_a_caller_who_allows_fewer_transports_keeps_that() -> None:
    assert git_environment({"GIT_ALLOW_PROTOCOL": "ssh:https:ext"})["GIT_ALLOW_PROTOCOL"] == "https:ssh"


async def test_the_config_of_the_repository_cannot_make_git_run_something(
    runner: GitRunner, backend: PlainHold, tmp_path: Path
) -> None:
    repository = tmp_path / "repository"
    git(tmp_path, "init", "--quiet", str(repository))
    trap = repository / "trap"
    trap.write_text(f"#!/bin/sh\necho $0 >> {tmp_path}/ran\n")
    trap.chmod(0o755)
    hooks = repository / "hooks"
    hooks.mkdir()
    for hook in ("post-checkout", "reference-transaction", "post-index-change", "pre-commit"):
        (hooks / hook).symlink_to(trap)
    git(repository, "config", "core.hooksPath", str(hooks))
    git(repository, "config", "core.fsmonitor", str(trap))
    await runner.run(["checkout", "-b", "other"], cwd=repository, write=backend)
    await runner.run(["add", "--all"], cwd=repository, write=backend)
    await runner.run(["status", "--porcelain"], cwd=repository)
    assert not (tmp_path / "ran").exists()
    git(repository, "status")  # the trap itself works
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize("url", ["ext::sh -c 'touch ran'", "fd::7"])
async def test_a_transport_that_runs_a_program_is_refused(runner: GitRunner, tmp_path: Path, url: str) -> None:
    git(tmp_path, "config", "--file", "config", "protocol.allow", "always")
    loose = GitRunner({**os.environ, "GIT_CONFIG_GLOBAL": str(tmp_path / "config")})
    for one in (runner, loose):
        with pytest.raises(GitError, match=r"transport '(ext|fd)' not allowed") as raised:
            await one.run(["ls-remote", "--", url], cwd=tmp_path)
        assert raised.value.hint == "Use an https, ssh, git or file URL."
    assert not (tmp_path / "ran").exists()


async def test_a_damaged_checkout_does_not_make_git_act_on_the_repository_around_it(
    runner: GitRunner, tmp_path: Path
) -> None:
    git(tmp_path, "init", "--quiet")
    inner = tmp_path / "pack"
    inner.mkdir()
    with pytest.raises(GitError, match="not a git repository"):
        await runner.run(["status"], cwd=inner)
    link = tmp_path / "elsewhere" / "link"
    link.parent.mkdir()
    link.symlink_to(inner)
    with pytest.raises(GitError, match="not a git repository"):
        await runner.run(["status"], cwd=link)


async def test_reading_leaves_optional_locks_alone_and_writing_inherits_the_lock(
    runner: GitRunner, backend: PlainHold, tmp_path: Path
) -> None:
    git(tmp_path, "init", "--quiet")
    alias = "alias.look=!echo $GIT_OPTIONAL_LOCKS; ls -l /proc/self/fd | grep -c backend.lock; true"
    assert (await runner.run(["look"], cwd=tmp_path, config=[alias])).stdout == b"0\n0\n"
    assert (await runner.run(["look"], cwd=tmp_path, config=[alias], write=backend)).stdout == b"\n1\n"


async def test_writing_without_the_lock_is_a_bug_that_is_told(
    runner: GitRunner, backend: PlainHold, tmp_path: Path
) -> None:
    backend.die()
    with pytest.raises(RuntimeError, match="without the BACKEND lock"):
        await runner.run(["init"], cwd=tmp_path, write=backend)
    assert not (tmp_path / ".git").exists()


async def test_the_lock_outlives_us_as_long_as_git_writes(tmp_path: Path, backend: PlainHold) -> None:
    git(tmp_path, "init", "--quiet")
    runner = GitRunner(os.environ)
    alias = "alias.slow=!echo $$ > pid; until [ -e go ]; do sleep 0.01; done; true"
    async with anyio.create_task_group() as tasks:

        async def slow() -> None:
            await runner.run(["slow"], cwd=tmp_path, write=backend, config=[alias])

        tasks.start_soon(slow)
        await wait_for_file(tmp_path / "pid")
        backend.die()  # as if we had been killed
        assert not is_free(backend.path)
        (tmp_path / "go").touch()
    assert is_free(backend.path)


async def test_each_command_is_reported_without_credentials(
    runner: GitRunner, commands: list[GitCommand], backend: PlainHold, tmp_path: Path
) -> None:
    await runner.run(["init", "--quiet"], cwd=tmp_path, write=backend)
    with pytest.raises(GitError):
        await runner.run(["ls-remote", "--", "ext::https://user:secret@host/x"], cwd=tmp_path)
    init, ls_remote = commands
    assert (init.argv, init.cwd, init.write, init.returncode) == (("git", "init", "--quiet"), tmp_path, True, 0)
    assert init.pid
    assert 0 < init.start_ns < init.end_ns <= ls_remote.start_ns
    assert ls_remote.argv[-1] == "ext::https://***@host/x"
    assert (ls_remote.write, ls_remote.returncode) == (False, 128)


async def test_a_cancelled_command_is_reported_and_leaves_no_process(
    runner: GitRunner, commands: list[GitCommand], tmp_path: Path
) -> None:
    git(tmp_path, "init", "--quiet")
    async with anyio.create_task_group() as tasks:

        async def slow() -> None:
            await runner.run(["slow"], cwd=tmp_path, config=["alias.slow=!echo $$ > pid; sleep 600; true"])

        tasks.start_soon(slow)
        await wait_for_file(tmp_path / "pid")
        while not (pid := (tmp_path / "pid").read_text()):  # noqa: ASYNC110 - made, but not yet written
            await anyio.sleep(0.005)
        tasks.cancel_scope.cancel()
    assert not alive(int(pid))
    assert [(command.returncode, command.pid) for command in commands] == [(None, None)]


async def test_a_timeout_is_an_error_of_the_asked_class(runner: GitRunner, tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    with pytest.raises(FetchError, match=r"^git slow of https://\*\*\*@host/x did not end within 0.2 seconds"):
        await runner.run(
            ["slow"],
            cwd=tmp_path,
            config=["alias.slow=!sleep 600"],
            timeout_s=0.2,
            error=FetchError,
            subject="https://u:p@host/x",
        )


async def test_a_missing_git_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(GitError, match="the program 'git-of-nobody' was not found") as raised:
        await GitRunner(os.environ, git="git-of-nobody").run(["status"], cwd=tmp_path)
    assert raised.value.hint == "Install git 2.34 or newer, and check PATH."
    with pytest.raises(GitError, match="No such file or directory"):
        await GitRunner(os.environ).run(["status"], cwd=tmp_path / "gone")


async def test_credentials_appear_in_no_error(runner: GitRunner, server: GitServer, tmp_path: Path) -> None:
    url = "http://user:geheim@127.0.0.1:1/repo.git?access_token=geheim"
    with pytest.raises(FetchError) as raised:
        await runner.run(["ls-remote", "--", url], cwd=tmp_path, subject=url, error=FetchError, timeout_s=30)
    error = raised.value
    assert "geheim" not in f"{error} {error!r} {error.hint} {error.details} {error.__dict__}"
    assert "127.0.0.1" in error.message
    assert error.hint is not None
    assert "--offline" in error.hint


@pytest.mark.parametrize(
    ("stderr", "kind", "reason", "hint"),
    [
        (b"fatal: could not read Username for 'https://h': terminal prompts disabled\n", FetchError,
         "could not read Username for 'https://h': terminal prompts disabled", "credential helper"),
        (b"ssh: Could not resolve hostname nowhere: Name or service not known\nfatal: Could not read\n", FetchError,
         "Could not resolve hostname nowhere: Name or service not known", "host's name"),
        (b"git@h: Permission denied (publickey).\r\nfatal: Could not read from remote repository.\n", FetchError,
         "Could not read from remote repository", "ssh agent"),
        (b"Host key verification failed.\r\nfatal: Could not read\n", FetchError, "Could not read", "known_hosts"),
        (b"remote: Repository not found.\nfatal: repository 'https://h/x/' not found\n", FetchError,
         "Repository not found", "check the url"),
        (b"fatal: Remote branch nope not found in upstream origin\n", RefNotFoundError,
         "Remote branch nope not found in upstream origin", "spelling"),
        (b"fatal: couldn't find remote ref refs/heads/x\n", RefNotFoundError,
         "couldn't find remote ref refs/heads/x", "spelling"),
        (b"error: file write error: No space left on device\nfatal: unable to write\n", FetchError,
         "file write error: No space left on device", "make room"),
        (b"fatal: Unable to create '/w/.git/index.lock': File exists.\n\nAnother git process\n", AnotherGitError,
         "Unable to create '/w/.git/index.lock': File exists", "git"),
        (b"Receiving objects:  10% (1/10)\rReceiving objects: 100%\nsomething odd\n", FetchError,
         "something odd", None),
        (b"remote: Enumerating objects: 6, done.\nReceiving objects:  66% (4/6)\rfatal: No space left on device\n",
         FetchError, "No space left on device", "make room"),
        (b"remote: Enumerating objects: 6, done.\nremote: Repository is being moved.\nfatal: early EOF\n", FetchError,
         "Repository is being moved", "try again"),
        (b"", FetchError, "git exited with code 9", None),
        (b"fatal: \x1b[31mred\x1b]0;t\x07 https://u:pw@h/x\n", FetchError, "red https://***@h/x", None),
        (b"fatal: detected dubious ownership in repository at '/x'\n", FetchError,
         "detected dubious ownership in repository at '/x'", "safe.directory"),
        (b"fatal: " + b"x" * 9999, FetchError, "x" * 299 + "\u2026", None),
    ],
)  # fmt: skip
def test_git_words_become_one_sentence_and_a_hint(
    stderr: bytes, kind: type[Exception], reason: str, hint: str | None
) -> None:
    error = explain_failure("git fetch of x", "git exited with code 9", stderr, error=FetchError)
    assert type(error) is kind
    assert error.message == f"git fetch of x failed: {reason}"
    assert error.hint is None if hint is None else hint in str(error.hint).lower()


async def test_paths_are_literal_and_options_cannot_be_smuggled_in(runner: GitRunner, tmp_path: Path) -> None:
    for url in ("--upload-pack=touch ran", "-u touch ran"):
        with pytest.raises(GitError):
            await runner.run(["ls-remote", "--", url], cwd=tmp_path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("text", ["main", "HEAD", "-x", "0" * 39, "g" * 40, "0" * 40 + "\n"])
def test_only_full_object_ids_pass_for_commits(text: str) -> None:
    with pytest.raises(ValueError, match="not a full object id"):
        require_sha(text)


def test_progress_is_read_from_pieces_cut_anywhere() -> None:
    stream = (
        b"Cloning into 'x'...\nremote: Counting objects:  50% (1/2)        \r"
        b"remote: Counting objects: 100% (2/2), done.\n"
        b"remote: Evil words:  10% (1/10)\nReceiving objects:   0% (0/7)\rReceiving objects:   0% (0/7)\r"
        b"Receiving objects:  50% (4/7), 800 bytes | 1.50 KiB/s\r"
        b"Receiving objects: 100% (7/7), 1.2 KiB | 3 MiB/s, done.\nUpdating files:  33% (1/3)\r"
    )
    for size in (1, 7, len(stream)):
        heard: list[GitProgress] = []
        parser = ProgressParser(heard.append)
        for start in range(0, len(stream), size):
            parser.feed(stream[start : start + size])
        assert heard == [
            GitProgress("counting", 50, 1, 2),
            GitProgress("counting", 100, 2, 2),
            GitProgress("receiving", 0, 0, 7),
            GitProgress("receiving", 50, 4, 7, 1536),
            GitProgress("receiving", 100, 7, 7, 3 << 20),
            GitProgress("checking out", 33, 1, 3),
        ]


def test_progress_without_line_ends_does_not_grow_in_memory() -> None:
    parser = ProgressParser(lambda progress: None)
    for _ in range(100):
        parser.feed(b"x" * 65536)
    assert len(parser._rest) <= 4096
