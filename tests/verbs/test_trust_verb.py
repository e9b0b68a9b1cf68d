"""`grex trust`: shown without a lock, changed under WORKSPACE, never with credentials."""

from __future__ import annotations

import pytest

from grex.errors import UsageError
from grex.verbs.trust import TrustReport, TrustRequest, trust
from tests.support.place import Place

pytestmark = pytest.mark.anyio

HOST = "https://host.example/team"


@pytest.fixture
def ready(place: Place) -> Place:
    place.declare()
    return place


async def test_showing_takes_no_lock_and_writes_nothing(ready: Place) -> None:
    before = sorted(str(path) for path in ready.root.rglob("*"))
    assert await trust(TrustRequest(ready.root), ready.settings()) == TrustReport((), changed=False)
    assert sorted(str(path) for path in ready.root.rglob("*")) == before
    assert not ready.defaults.state_dir.exists()


async def test_a_prefix_is_kept_in_its_canonical_spelling_until_it_is_taken_back(ready: Place) -> None:
    typed = "https://user:hunter2@HOST.example/team/"
    given = await trust(TrustRequest(ready.root, typed), ready.settings())
    assert given == TrustReport((HOST,), changed=True, prefix=HOST)
    assert await trust(TrustRequest(ready.root, HOST), ready.settings()) == TrustReport((HOST,), False, prefix=HOST)
    stored = next(ready.defaults.state_dir.rglob("*.json")).read_text()
    assert "hunter2" not in stored
    taken = await trust(TrustRequest(ready.root, HOST, revoke=True), ready.settings())
    assert taken == TrustReport((), changed=True, prefix=HOST, revoked=True)


async def test_the_packs_that_begin_with_a_prefix_are_named(place: Place) -> None:
    place.declare(*({"url": f"https://host.example/{name}"} for name in ("team/a", "team-b", "team/c")))
    assert (await trust(TrustRequest(place.root, HOST), place.settings())).covers == ("a", "c")
    assert (await trust(TrustRequest(place.root, f"{HOST}s"), place.settings())).covers == ()
    assert (await trust(TrustRequest(place.root, "."), place.settings())).covers == (".",)


async def test_trust_is_given_where_the_declarations_cannot_be_read(place: Place) -> None:
    place.declare()
    (place / ".grex/pack.yaml").write_text("nonsense")
    report = await trust(TrustRequest(place.root, HOST), place.settings())
    assert (report.prefixes, report.covers, report.exit_code) == ((HOST,), None, 0)
    assert ".grex/pack.yaml:1:1" in report.why_unknown


async def test_the_root_is_trusted_by_a_dot(ready: Place) -> None:
    assert (await trust(TrustRequest(ready.root, "."), ready.settings())).prefixes == (".",)
    assert (await trust(TrustRequest(ready.root, ".", revoke=True), ready.settings())).prefixes == ()


@pytest.mark.parametrize(("prefix", "revoke"), [(None, True), (HOST, True), (".", True), ("nonsense", False)])
async def test_what_cannot_be_done_is_said(ready: Place, prefix: str | None, *, revoke: bool) -> None:
    with pytest.raises(UsageError) as caught:
        await trust(TrustRequest(ready.root, prefix, revoke), ready.settings())
    assert caught.value.hint


async def test_a_change_waits_for_the_workspace(ready: Place) -> None:
    session = ready.session()
    async with session.holds.workspace():
        with pytest.raises(Exception, match="holds") as caught:
            await trust(TrustRequest(ready.root, HOST), ready.settings(no_wait=True))
    assert getattr(caught.value, "exit_code", None) == 5
    assert session.trust.prefixes() == ()
