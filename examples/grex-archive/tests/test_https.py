"""The fetcher: over HTTPS with checked certificates, without telling secrets, and ended at once when not wanted."""

from __future__ import annotations

import time
from pathlib import Path

import anyio
import pytest
from conftest import Served
from grex_archive.https import Https

from grex.errors import FetchError
from grex.plugin.testing import RecordingActionContext, RecordingContext

pytestmark = pytest.mark.anyio


@pytest.fixture
def context(tmp_path: Path, server: Served) -> RecordingContext:
    return RecordingContext(tmp_path, environ={"SSL_CERT_FILE": str(server.certificate)}, plugins=[Https()])


@pytest.fixture
def ctx(context: RecordingContext) -> RecordingActionContext:
    return context.of(context.make_pack())


async def test_it_brings_the_bytes_of_the_hash_once(server: Served, ctx: RecordingActionContext) -> None:
    url, sha256 = server.put("/a?x=1", b"content")
    for _ in range(2):
        assert (await ctx.fetch(url, sha256=sha256, label="a")).read_bytes() == b"content"
    assert [path for path, _ in server.seen] == ["/a?x=1"]


async def test_it_follows_redirections_with_secrets_for_the_first_host_only(
    server: Served, ctx: RecordingActionContext
) -> None:
    url, sha256 = server.put("/real", b"content")
    server.pages["/moved"] = "/moved/again"
    server.pages["/moved/again"] = url.replace("127.0.0.1", "localhost")
    first = f"{server.url}/moved".replace("https://", "https://ann:s%20cret@")
    assert (await ctx.fetch(first, sha256=sha256, label="a")).read_bytes() == b"content"
    assert server.seen == [
        ("/moved", "Basic YW5uOnMgY3JldA=="),
        ("/moved/again", "Basic YW5uOnMgY3JldA=="),
        ("/real", None),
    ]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/absent", "the server says 404"),
        ("/round", "leads on and on"),
        ("/plain", "leads to http://example.invalid/x"),
    ],
)
async def test_what_cannot_be_had_is_told_without_secrets(
    path: str, said: str, server: Served, ctx: RecordingActionContext, context: RecordingContext
) -> None:
    server.pages |= {"/round": "/round", "/plain": "http://example.invalid/x"}
    url = f"{server.url}{path}".replace("https://", "https://ann:secret@")
    with pytest.raises(FetchError) as caught:
        await ctx.fetch(url, sha256="0" * 64, label="a")
    assert said in caught.value.message
    assert "secret" not in f"{caught.value.message} {caught.value.hint} {caught.value.details}"
    assert context.leftovers() == []


async def test_a_certificate_that_nobody_vouches_for_is_refused(server: Served, tmp_path: Path) -> None:
    context = RecordingContext(tmp_path, plugins=[Https()])
    url, sha256 = server.put("/a", b"content")
    with pytest.raises(FetchError, match=r"(?i)certificate"):
        await context.of(context.make_pack()).fetch(url, sha256=sha256, label="a")
    assert server.seen == []


async def test_a_cancel_ends_it_though_the_server_says_nothing_and_leaves_nothing(
    server: Served, ctx: RecordingActionContext, context: RecordingContext
) -> None:
    server.put("/stall", b"x" * 100)
    ended_s = 0.0
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:

            async def cancel() -> None:
                await anyio.to_thread.run_sync(server.stalled.wait, 60)
                nonlocal ended_s
                ended_s = time.monotonic()
                scope.cancel()

            tasks.start_soon(cancel)
            await ctx.fetch(f"{server.url}/stall", sha256="0" * 64, label="a")
    assert scope.cancelled_caught
    assert time.monotonic() - ended_s < 10  # the patience with a silent server is thirty seconds
    assert context.leftovers() == []
