"""Whatever the bytes of its files are, `grex doctor` answers with a report, and `--fix` takes nothing of the user's."""

from __future__ import annotations

import os
from collections.abc import Callable

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.clinic import Clinic
from tests.verbs import test_doctor_mends as mends

FILES = (
    "grex.jsonl",
    "grex.lock.jsonl",
    ".grex/pack.yaml",
    ".grex/state/clone-0123456789ab.json",
    f".grex/trash/{mends.STAMP}.json",
    ".git/info/exclude",
    ".git/info/attributes",
    ".git/config",
    "tool/.grex/pack.yaml",
    "tool/.git/info/exclude",
    "other/.git/grex/checkout.json",
    "other/.git/grex/note.json",
    "other/.git/HEAD",
    "other/.git/config",
)

Damage = Callable[[bytes], bytes]


@st.composite
def damages(draw: st.DrawFn) -> tuple[str, Damage]:
    """A file, and bytes of it that are flipped, cut off, put in, or doubled."""
    at, size = draw(st.integers(0, 4000)), draw(st.integers(1, 40))
    byte = draw(st.integers(1, 255))
    more = draw(
        st.sampled_from([b"\n", b"\0", b"{", b"[" * 50, b'{"op":"add"}\n', b"<<<<<<< a\n", b"\xff\xfe", b"../"])
    )

    def flip(data: bytes) -> bytes:
        place = at % max(len(data), 1)
        return data[:place] + bytes([data[place] ^ byte]) + data[place + 1 :] if data else data

    def cut(data: bytes) -> bytes:
        return data[: at % (len(data) + 1)]

    def take_out(data: bytes) -> bytes:
        place = at % (len(data) + 1)
        return data[:place] + data[place + size :]

    def put_in(data: bytes) -> bytes:
        place = at % (len(data) + 1)
        return data[:place] + more + data[place:]

    def double(data: bytes) -> bytes:
        return data + data

    return draw(st.sampled_from(FILES)), draw(st.sampled_from([flip, cut, take_out, put_in, double]))


def survive(clinic: Clinic, found: list[tuple[str, Damage]]) -> None:
    clinic.begin()
    for prepare in (mends.killed_clone, mends.killed_move, mends.record_of_nothing):
        prepare(clinic)
    for name, damage in found:
        path = clinic / name
        path.write_bytes(damage(path.read_bytes()))
    users, before = clinic.users(), clinic.everything()

    async def look() -> None:
        report = await clinic.doctor(objects=True)
        report.to_json()
        assert clinic.everything() == before
        report = await clinic.doctor(fix=True)
        report.to_json()
        after = clinic.users()
        assert {path for path in users if after.get(path) != users[path]} <= set()

    anyio.run(look)


@pytest.fixture(autouse=True)
def no_flush(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda fd: None)


@settings(max_examples=6, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(found=st.lists(damages(), min_size=1, max_size=4))
def test_damaged_files_are_told_and_nothing_of_the_users_goes(clinic: Clinic, found: list[tuple[str, Damage]]) -> None:
    survive(clinic, found)


@pytest.mark.exhaustive
@pytest.mark.timeout(600)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(found=st.lists(damages(), min_size=1, max_size=4))
def test_many_more_damaged_files(clinic: Clinic, found: list[tuple[str, Damage]]) -> None:
    survive(clinic, found)


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_each_file_that_is_emptied_or_a_link_to_nowhere_is_told(clinic: Clinic, name: str) -> None:
    survive(clinic, [(name, lambda data: data[:0])])
    (clinic / name).unlink(missing_ok=True)
    (clinic / name).symlink_to("nowhere")

    async def look() -> None:
        (await clinic.doctor()).to_json()
        (await clinic.doctor(fix=True)).to_json()

    anyio.run(look)
