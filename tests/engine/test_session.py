"""A session: the values of one run, read and written under the right lock."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from grex.engine.exclusive import exclusive
from grex.errors import CorruptLogError, UsageError
from grex.manifest import add_event
from grex.progress import Slice
from tests.support.place import Place

pytestmark = pytest.mark.anyio


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


async def test_opening_reads_and_writes_nothing(place: Place) -> None:
    session = place.session()
    assert list(place.root.iterdir()) == []
    assert (session.lines, session.folded.packs) == ({}, {})


async def test_what_is_recorded_is_known_to_the_next_run(place: Place) -> None:
    session = place.session()
    await session.record("a", [])
    assert not (place / "grex.jsonl").exists()
    await session.record("a", [add_event("a", url="https://host.example/a", ref=None, owned=True)])
    later = place.session()
    async with exclusive(later):
        assert list(later.folded.packs) == ["a"]
    assert later.run_id != session.run_id


async def test_a_damaged_log_is_an_error_and_leaves_the_workspace_free(place: Place) -> None:
    (place / "grex.jsonl").write_text("nonsense\n{}\n")
    for _ in range(2):
        with pytest.raises(CorruptLogError):
            async with exclusive(place.session()):
                pass


async def test_trust_of_this_run_is_canonical_and_a_wrong_prefix_is_refused(place: Place) -> None:
    session = place.session(trust=("https://HOST.example/team/",))
    assert session.trust.trusts("https://host.example/team/x")
    with pytest.raises(UsageError):
        place.session(trust=("ext::x",))


async def test_git_commands_stand_on_their_packs_track_without_credentials(place: Place) -> None:
    git = place.session(environ=dict(os.environ)).git_for("a")
    await git.run(
        ["config", "--file", str(place / "x"), "remote.o.url", "https://u:hunter2@h.example/x"], cwd=place.root
    )
    (found,) = [event for event in place.seen.events if isinstance(event, Slice)]
    assert (found.name, found.category, found.track) == ("git config", "git", "a")
    assert "hunter2" not in str(found.args)
    assert found.args["returncode"] == 0
