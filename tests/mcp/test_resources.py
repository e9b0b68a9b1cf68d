"""Resources: the verbs' documents under addresses, and word of their changes."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp.shared.subscriptions import SUBSCRIPTION_ID_META_KEY as SUBSCRIPTION

from grex.errors import UsageError
from grex.mcp import watching
from grex.mcp.place import Place as ServedPlace
from grex.mcp.resources import LOCKS, WORKSPACE, Resource, pack_uri
from grex.mcp.watching import Watcher
from grex.verbs.locks import LocksRequest, locks
from grex.verbs.ls import ListRequest, ls
from grex.verbs.status import StatusRequest, status
from tests.support.git_server import git
from tests.support.lock_holder import LockHolder
from tests.support.mcp_client import Conversation, converse
from tests.support.place import Place

pytestmark = pytest.mark.anyio

ERAS = pytest.mark.parametrize("is_modern", [False, True], ids=["handshake", "modern"])


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks follow each other without a pause that a test would have to wait for."""
    monkeypatch.setattr(watching, "_PAUSE_S", 0.01)
    monkeypatch.setattr(Watcher.__init__, "__kwdefaults__", {"pause_s": 0.01})


async def read(client: Conversation, uri: str) -> dict[str, Any]:
    found = await client.result(await client.request("resources/read", uri=uri))
    (contents,) = found["contents"]
    assert (contents["uri"], contents["mimeType"]) == (uri, "application/json")
    document = json.loads(contents["text"])
    assert isinstance(document, dict)
    return document


@ERAS
async def test_what_is_listed_can_be_read_and_is_what_the_verbs_say(
    packs: Place, served: ServedPlace, is_modern: bool
) -> None:
    settings = packs.settings()
    async with converse(served, is_modern=is_modern) as client:
        listed = await client.result(await client.request("resources/list"))
        assert [one["uri"] for one in listed["resources"]] == [WORKSPACE, LOCKS]
        templates = await client.result(await client.request("resources/templates/list"))
        assert [one["uriTemplate"] for one in templates["resourceTemplates"]] == ["grex://packs/{path}"]
        assert await read(client, WORKSPACE) == (await ls(ListRequest(packs.root), settings)).to_json()
        assert await read(client, LOCKS) == (await locks(LocksRequest(packs.root), settings)).to_json()
        expected = (await status(StatusRequest(packs.root, ("a",)), settings)).to_json()
        assert await read(client, "grex://packs/a") == expected


@pytest.mark.parametrize("uri", ["grex://packs/libs/deep", "grex://packs/libs%2Fdeep", pack_uri("libs/deep")])
def test_a_slash_in_the_path_of_a_pack_may_be_escaped_or_not(uri: str) -> None:
    assert Resource.at(uri).pack == "libs/deep"


@pytest.mark.parametrize("uri", ["grex://pack/a", "grex://packs/", "file:///etc/passwd", "grex://packs/%00", ""])
def test_other_addresses_are_refused(uri: str) -> None:
    with pytest.raises(UsageError, match="there is no resource"):
        Resource.at(uri)


@ERAS
@pytest.mark.parametrize("uri", ["grex://packs/nobody", "grex://packs/..%2F..%2Fetc", "grex://else"])
async def test_what_is_not_there_is_an_error_of_the_protocol(served: ServedPlace, is_modern: bool, uri: str) -> None:
    async with converse(served, is_modern=is_modern) as client:
        answer = await client.answer(await client.request("resources/read", uri=uri))
    assert answer["error"]["code"] == (-32602 if is_modern else -32002)
    assert answer["error"]["data"] == {"uri": uri}


@asynccontextmanager
async def subscribed(client: Conversation, *uris: str) -> AsyncGenerator[None]:
    """Subscribed to these, in the way of the era."""
    if not client.is_modern:
        for uri in uris:
            await client.result(await client.request("resources/subscribe", uri=uri))
        yield
        for uri in uris:
            await client.result(await client.request("resources/unsubscribe", uri=uri))
        return
    wanted = {"resourceSubscriptions": list(uris)}
    id_ = await client.request("subscriptions/listen", notifications=wanted)
    await client.hear(lambda message: message.get("method") == "notifications/subscriptions/acknowledged")
    yield
    await client.cancel(id_)


async def updated(client: Conversation, uri: str) -> None:
    await client.hear(
        lambda message: message.get("method") == "notifications/resources/updated" and message["params"]["uri"] == uri
    )


@ERAS
@pytest.mark.usefixtures("soon")
async def test_a_client_is_told_what_has_changed_for_as_long_as_it_wants(
    packs: Place, served: ServedPlace, is_modern: bool
) -> None:
    async with converse(served, is_modern=is_modern) as client:
        async with subscribed(client, WORKSPACE, LOCKS, "grex://packs/a"):
            packs.declare({"url": "https://host.example/a"})
            await updated(client, WORKSPACE)
            await updated(client, "grex://packs/a")
            with LockHolder("pack", packs / "a") as holder:
                assert holder.ask("take") == "held"
                await updated(client, LOCKS)
            await updated(client, LOCKS)
            git(packs / "a", "commit", "--quiet", "--allow-empty", "--message", "one")
            await updated(client, "grex://packs/a")
        await client.result(await client.call("path"))
        heard = len(client.unasked)
        (packs / "grex.jsonl").touch()
        for _ in range(3):
            await client.result(await client.call("path"))
        assert len(client.unasked) == heard


@ERAS
async def test_what_is_no_resource_cannot_be_subscribed_to(served: ServedPlace, is_modern: bool) -> None:
    async with converse(served, is_modern=is_modern) as client:
        if is_modern:
            id_ = await client.request(
                "subscriptions/listen", notifications={"resourceSubscriptions": ["grex://nothing"]}
            )
        else:
            id_ = await client.request("resources/subscribe", uri="grex://nothing")
        assert (await client.answer(id_))["error"]["code"] == -32602


async def test_nobody_looks_while_nobody_wants_to_know(packs: Place, served: ServedPlace) -> None:
    told: list[str] = []
    looks = anyio.Event()

    async def tell(uri: str) -> None:
        told.append(uri)
        looks.set()

    watcher = Watcher(served, tell, pause_s=0.001)
    resource = Resource.at(WORKSPACE)
    async with anyio.create_task_group() as group:
        group.start_soon(watcher.run)
        await anyio.wait_all_tasks_blocked()  # it would never be so with a look each millisecond
        async with watcher.watching([resource, resource]):
            assert watcher.watched == 1
            (packs / "grex.jsonl").write_text("")
            with anyio.fail_after(5):
                await looks.wait()
        assert watcher.watched == 0
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()
    assert told == [WORKSPACE]


def test_the_mark_of_a_pack_that_is_not_there_is_none_of_another_file(tmp_path: Path) -> None:
    """A path out of the workspace is looked at as little as any other that is no checkout."""
    place = ServedPlace(tmp_path, lambda _: None, lambda: None)  # type: ignore[arg-type,return-value]  # not asked
    marks = anyio.run(Resource.at("grex://packs/x").mark, place)
    assert marks == [None] * 4


@ERAS
async def test_more_resources_than_a_look_can_manage_are_not_watched(
    served: ServedPlace, monkeypatch: pytest.MonkeyPatch, is_modern: bool
) -> None:
    monkeypatch.setattr("grex.mcp.watching._MOST", 2)
    first, second, third = "grex://packs/a", "grex://packs/b", "grex://packs/c"

    async def watch(client: Conversation, *uris: str) -> int:
        if is_modern:
            wanted = {"resourceSubscriptions": [*uris, *uris]}
            return await client.request("subscriptions/listen", notifications=wanted)
        return [await client.request("resources/subscribe", uri=uri) for uri in uris][-1]

    async with converse(served, is_modern=is_modern) as client:
        await watch(client, first, second)
        answer = await client.answer(await watch(client, third))
        assert answer["error"] == {"code": -32603, "message": "Too many subscriptions: 2 resources are watched"}
        again = await watch(client, first)  # which is watched already
        if is_modern:
            await client.hear(lambda message: message.get("params", {}).get("_meta", {}).get(SUBSCRIPTION) == again)
        else:
            await client.result(again)
