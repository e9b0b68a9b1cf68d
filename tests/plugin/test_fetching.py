"""What stands around every fetcher: the hash, the limits, what is kept, and that nothing is left of what failed."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import ClassVar

import anyio
import pytest

from grex.errors import FetchError, GrexError, PluginError, UnknownFetcherError
from grex.fs import TEMP_PREFIX
from grex.plugin import FetchContext, Fetcher
from grex.plugin.fetching import FETCHED, sweep_fetches
from grex.plugin.testing import RecordingActionContext, RecordingContext

pytestmark = pytest.mark.anyio

CONTENT = b"content"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
URL = "https://ann:s3cret@host.example/file?token=s3cret"
Brings = Callable[[Path, FetchContext], Awaitable[None]]


class Fake(Fetcher):
    """A fetcher that does what a test says."""

    name: ClassVar[str] = "https"

    def __init__(self, brings: Brings | None = None) -> None:
        self.asked: list[str] = []
        self.brings = brings

    async def fetch(self, url: str, into: Path, ctx: FetchContext) -> None:
        self.asked.append(url)
        if self.brings is not None:
            await self.brings(into, ctx)
        else:
            into.write_bytes(CONTENT)


def opened(tmp_path: Path, fetcher: Fetcher | None = None, *, offline: bool = False) -> RecordingActionContext:
    context = RecordingContext(tmp_path, plugins=[] if fetcher is None else [fetcher], offline=offline)
    return context.of(context.make_pack())


def kept(ctx: RecordingActionContext) -> list[str]:
    directory = ctx.workspace / ".grex/state" / FETCHED
    return sorted(path.name for path in directory.iterdir()) if directory.is_dir() else []


async def refused(ctx: RecordingActionContext, url: str = URL, sha256: str = SHA256, **limits: float) -> GrexError:
    """The error of a fetch that leaves nothing behind and tells no secret."""
    with pytest.raises(GrexError) as caught:
        await ctx.fetch(url, sha256=sha256, label="file", **limits)  # type: ignore[arg-type] # a size may be any number
    assert kept(ctx) == []
    assert "s3cret" not in f"{caught.value.message} {caught.value.hint} {caught.value.details}"
    return caught.value


async def test_what_was_fetched_is_kept_under_its_hash_and_not_fetched_again(tmp_path: Path) -> None:
    fetcher = Fake()
    ctx = opened(tmp_path, fetcher)
    for sha256 in (SHA256, SHA256.upper()):
        path = await ctx.fetch(URL, sha256=sha256, label="file")
        assert path == ctx.workspace / ".grex/state" / FETCHED / SHA256
        assert path.read_bytes() == CONTENT
        assert stat.S_IMODE(path.stat().st_mode) == 0o444
    assert fetcher.asked == [URL]
    assert kept(ctx) == [SHA256]


@pytest.mark.parametrize("damage", ["other bytes", "a link", "a directory of that name is no file"])
async def test_a_kept_file_that_is_not_what_it_was_is_not_given(tmp_path: Path, damage: str) -> None:
    fetcher = Fake()
    ctx = opened(tmp_path, fetcher)
    path = await ctx.fetch(URL, sha256=SHA256, label="file")
    path.chmod(0o644)
    if damage == "other bytes":
        path.write_bytes(b"changed")
    elif damage == "a link":
        (tmp_path / "elsewhere").write_bytes(CONTENT)
        path.unlink()
        path.symlink_to(tmp_path / "elsewhere")
    else:
        path.unlink()
        path.mkdir()
        assert (await _error(ctx)).message.startswith("https://***@host.example/file?token=*** could not be kept")
        return
    again = await ctx.fetch(URL, sha256=SHA256, label="file")
    assert (again.is_symlink(), again.read_bytes(), len(fetcher.asked)) == (False, CONTENT, 2)


async def _error(ctx: RecordingActionContext) -> FetchError:
    with pytest.raises(FetchError) as caught:
        await ctx.fetch(URL, sha256=SHA256, label="file")
    return caught.value


async def test_other_bytes_than_were_asked_for_are_thrown_away(tmp_path: Path) -> None:
    error = await refused(opened(tmp_path, Fake()), sha256="0" * 64)
    assert error.message == (
        f"https://***@host.example/file?token=*** has the SHA-256 {SHA256}, and {'0' * 64} was asked for"
    )


async def test_a_fetch_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    async def hangs(into: Path, ctx: FetchContext) -> None:
        into.write_bytes(b"begun")
        await anyio.sleep_forever()

    error = await refused(opened(tmp_path, Fake(hangs)), timeout_s=0.05)
    assert "did not come within 0.05 s" in error.message


async def test_a_file_that_becomes_too_large_is_stopped_while_it_comes(tmp_path: Path) -> None:
    async def endless(into: Path, ctx: FetchContext) -> None:
        into.write_bytes(b"x" * 11)
        await anyio.sleep_forever()

    error = await refused(opened(tmp_path, Fake(endless)), limit_bytes=10, timeout_s=20)
    assert "is larger than the 10 bytes" in error.message


async def test_a_file_that_is_too_large_in_the_end_is_refused(tmp_path: Path) -> None:
    error = await refused(opened(tmp_path, Fake()), limit_bytes=len(CONTENT) - 1)
    assert "is larger than" in error.message


async def test_a_size_that_is_told_before_is_refused_before(tmp_path: Path) -> None:
    async def tells(into: Path, ctx: FetchContext) -> None:
        ctx.expect(ctx.limit_bytes)
        ctx.expect(ctx.limit_bytes + 1)
        raise AssertionError("it went on")

    assert "is larger than" in (await refused(opened(tmp_path, Fake(tells)), limit_bytes=10)).message


@pytest.mark.parametrize("made", ["nothing", "link", "directory"])
async def test_what_is_no_file_is_not_taken(tmp_path: Path, made: str) -> None:
    async def makes(into: Path, ctx: FetchContext) -> None:
        if made == "link":
            into.symlink_to("/etc/passwd")
        elif made == "directory":
            into.mkdir()

    error = await refused(opened(tmp_path, Fake(makes)))
    assert error.message.startswith("the fetcher brought no file for https://***@")


async def test_a_fetcher_that_raises_is_a_failure_of_the_plugin_without_secrets(tmp_path: Path) -> None:
    async def fails(into: Path, ctx: FetchContext) -> None:
        into.write_bytes(b"begun")
        raise ValueError(f"cannot read {URL}")

    error = await refused(opened(tmp_path, Fake(fails)))
    assert isinstance(error, PluginError)
    assert error.message.startswith("the fetcher 'https' raised ValueError: cannot read https://***@host.example/file")


async def test_what_a_fetcher_tells_is_told_without_secrets(tmp_path: Path) -> None:
    async def fails(into: Path, ctx: FetchContext) -> None:
        raise FetchError(f"{URL} is gone", hint=f"Look at {URL}.")

    error = await refused(opened(tmp_path, Fake(fails)))
    assert error.message == "https://***@host.example/file?token=*** is gone"


async def test_a_cancelled_fetch_leaves_nothing(tmp_path: Path) -> None:
    begun = anyio.Event()

    async def waits(into: Path, ctx: FetchContext) -> None:
        into.write_bytes(b"begun")
        begun.set()
        await anyio.sleep_forever()

    ctx = opened(tmp_path, Fake(waits))
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:

            async def fetch() -> None:
                await ctx.fetch(URL, sha256=SHA256, label="file")

            tasks.start_soon(fetch)
            await begun.wait()
            assert len(kept(ctx)) == 1
            tasks.cancel_scope.cancel()
    assert kept(ctx) == []


async def test_two_that_want_the_same_file_at_once_both_get_it(tmp_path: Path) -> None:
    both, found = [anyio.Event(), anyio.Event()], []
    fetcher = Fake()

    async def meets(into: Path, ctx: FetchContext) -> None:
        both[len(fetcher.asked) - 1].set()
        for event in both:
            await event.wait()
        into.write_bytes(CONTENT)

    fetcher.brings = meets
    ctx = opened(tmp_path, fetcher)

    async def fetch() -> None:
        found.append(await ctx.fetch(URL, sha256=SHA256, label="file"))

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(fetch)
            tasks.start_soon(fetch)
    assert [path.read_bytes() for path in found] == [CONTENT, CONTENT]
    assert kept(ctx) == [SHA256]


async def test_a_fetch_whose_directory_is_swept_away_begins_again(tmp_path: Path) -> None:
    fetcher = Fake()

    async def swept_once(into: Path, ctx: FetchContext) -> None:
        if len(fetcher.asked) == 1:
            sweep_fetches(into.parent.parent)
        into.write_bytes(CONTENT)

    fetcher.brings = swept_once
    ctx = opened(tmp_path, fetcher)
    assert (await ctx.fetch(URL, sha256=SHA256, label="file")).read_bytes() == CONTENT
    assert len(fetcher.asked) == 2


async def test_one_that_is_swept_away_again_and_again_is_given_up(tmp_path: Path) -> None:
    async def swept(into: Path, ctx: FetchContext) -> None:
        sweep_fetches(into.parent.parent)

    error = await refused(opened(tmp_path, Fake(swept)))
    assert "somebody removes what is being fetched" in error.message


def test_the_sweep_takes_what_is_temporary_and_follows_no_link(tmp_path: Path) -> None:
    directory = tmp_path / FETCHED
    for name in (f"{TEMP_PREFIX}1", "0" * 64):
        (directory / name).mkdir(parents=True)
        (directory / name / "file").touch()
    sweep_fetches(directory)
    assert [path.name for path in directory.iterdir()] == ["0" * 64]
    (tmp_path / "elsewhere" / f"{TEMP_PREFIX}2").mkdir(parents=True)
    (tmp_path / "link").symlink_to("elsewhere")
    sweep_fetches(tmp_path / "link")
    sweep_fetches(tmp_path / "absent")
    assert (tmp_path / "elsewhere" / f"{TEMP_PREFIX}2").is_dir()


async def test_a_link_in_the_place_where_files_are_kept_is_not_followed(tmp_path: Path) -> None:
    ctx = opened(tmp_path, Fake())
    (tmp_path / "elsewhere").mkdir()
    (ctx.workspace / ".grex").mkdir()
    (ctx.workspace / ".grex/state").symlink_to(tmp_path / "elsewhere")
    error = await refused(ctx)
    assert error.message.startswith(f"{ctx.workspace}/.grex/state is a symbolic link")
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("gopher://host.example/x", "no plugin fetches URLs of the scheme 'gopher'"),
        ("/srv/x.tar", "/srv/x.tar is no URL"),
        ("http://host.example/x", "http to another machine can be read and changed on the way"),
    ],
)
async def test_an_address_that_nobody_may_fetch_is_told(tmp_path: Path, url: str, said: str) -> None:
    class Http(Fake):
        name: ClassVar[str] = "http"

    error = await refused(opened(tmp_path, Http()), url=url)
    assert said in error.message
    if isinstance(error, UnknownFetcherError):
        assert error.hint is not None
        assert error.hint.endswith("known here: file.")


@pytest.mark.parametrize("host", ["127.0.0.1:80", "localhost", "[::1]:8080"])
async def test_http_to_this_machine_is_allowed(tmp_path: Path, host: str) -> None:
    class Http(Fake):
        name: ClassVar[str] = "http"

    ctx = opened(tmp_path, Http())
    assert (await ctx.fetch(f"http://{host}/x", sha256=SHA256, label="x")).read_bytes() == CONTENT


async def test_a_hash_that_is_none_is_told_before_anything_is_asked(tmp_path: Path) -> None:
    fetcher = Fake()
    assert "is no SHA-256" in (await refused(opened(tmp_path, fetcher), sha256="abc")).message
    assert fetcher.asked == []


async def test_offline_gives_what_is_kept_and_asks_nobody(tmp_path: Path) -> None:
    fetcher = Fake()
    assert "--offline forbids it" in (await refused(opened(tmp_path, fetcher, offline=True))).message
    path = await opened(tmp_path, fetcher).fetch(URL, sha256=SHA256, label="file")
    assert await opened(tmp_path, fetcher, offline=True).fetch(URL, sha256=SHA256, label="file") == path
    assert len(fetcher.asked) == 1


async def test_the_file_fetcher_copies_a_regular_file_of_this_machine_and_nothing_else(tmp_path: Path) -> None:
    ctx = opened(tmp_path)
    source = tmp_path / "a b"
    source.write_bytes(CONTENT)
    (tmp_path / "link").symlink_to(source)
    for wrong in ("file://host.example/x", (tmp_path / "link").as_uri(), tmp_path.as_uri(), "file:x"):
        assert isinstance(await refused(ctx, url=wrong), FetchError)
    assert (await ctx.fetch(source.as_uri(), sha256=SHA256, label="x")).read_bytes() == CONTENT
    assert source.exists()
