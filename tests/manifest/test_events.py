"""Lines of the log: what is written is canonical, what is read is judged."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grex.errors import CorruptLogError, SchemaVersionError
from grex.manifest import (
    KNOWN_OPS,
    MAX_LINE_BYTES,
    ROOT_ID,
    Event,
    action_completed_event,
    action_halted_event,
    action_started_event,
    add_event,
    install_failed_event,
    installed_event,
    parse_line,
    prune_event,
    render_line,
    restore_event,
    rm_event,
    sync_event,
    timestamp,
    update_event,
)

TS = "2026-11-20T10:15:30.123456Z"
HEAD: Mapping[str, Any] = {"op": "sync", "ts": TS, "id": "a", "schema_version": "1"}
SYNC: Mapping[str, Any] = {**HEAD, "sha": "0" * 40, "branch": None}


def line(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


def test_a_line_has_one_spelling() -> None:
    event = action_completed_event(
        "libs/ü", action="1.actions.2", kind="symlink", run="r1", undo={"z": [1, None], "a": True}, ts=TS
    )
    assert (
        render_line(event)
        == (
            '{"op":"action_completed","ts":"2026-11-20T10:15:30.123456Z","id":"libs/ü","schema_version":"1",'
            '"action":"1.actions.2","kind":"symlink","phase":"do","run":"r1","undo":{"a":true,"z":[1,null]}}\n'
        ).encode()
    )


def test_every_known_op_has_a_constructor_and_survives_a_round_trip() -> None:
    events = [
        add_event("a", url="https://h/a", ref=None, owned=True),
        update_event("a", url="https://h/b"),
        update_event("a", ref=None),
        rm_event("a", trash=".grex/trash/x/a"),
        prune_event("a"),
        restore_event("a", url="https://h/b", ref="v1", owned=False),
        restore_event("a"),
        sync_event("a", sha="0" * 40, branch="main"),
        installed_event(ROOT_ID, actions_hash="1" * 64),
        installed_event("a", actions_hash=None),
        install_failed_event("a", why="it broke"),
        action_started_event("a", action="0", kind="exec", run="r"),
        action_completed_event("a", action="0", kind="exec", run="r", undo=["x"], phase="undo"),
        action_halted_event("a", action="0", kind="exec", run="r", reason="cancelled"),
    ]
    assert {event.op for event in events} == KNOWN_OPS
    assert [parse_line(render_line(event), 1) for event in events] == events


def test_an_update_says_only_what_changed_and_null_is_something_to_say() -> None:
    assert update_event("a").data == {}
    assert update_event("a", ref=None).data == {"ref": None}
    assert restore_event("a", owned=False).data == {"owned": False}


def test_the_timestamp_has_microseconds_and_ends_in_z() -> None:
    assert parse_line(line({**SYNC, "ts": timestamp()}), 1).op == "sync"
    assert len(timestamp()) == len(TS)


def test_an_unknown_op_and_unknown_fields_are_kept() -> None:
    event = parse_line(line({**HEAD, "op": "teleport", "to": ["mars"], "phase": 7}), 1)
    assert event == Event("teleport", TS, "a", {"to": ["mars"], "phase": 7})
    assert parse_line(render_line(event), 1) == event
    assert parse_line(line({**SYNC, "mood": "good"}), 1).data["mood"] == "good"


@pytest.mark.parametrize("version", ["2", 1, 2, ["1"], "1.0", ""])
def test_another_schema_version_is_refused_before_anything_else_is_judged(version: object) -> None:
    with pytest.raises(SchemaVersionError) as caught:
        parse_line(line({"schema_version": version, "op": 5}), 7, file="grex.jsonl")
    assert caught.value.message == (
        f"grex.jsonl:7: schema version {json.dumps(version)} is not one that this grex reads"
    )
    assert caught.value.hint == "Use the newer grex that wrote it."


def deep(levels: int) -> bytes:
    text = json.dumps({**HEAD, "op": "x", "data": "HERE"})
    return text.replace('"HERE"', "[" * levels + "]" * levels).encode()


BAD_LINES: list[tuple[str, bytes, str]] = [
    ("empty", b"", "is empty"),
    ("blanks", b"  \r", "is empty"),
    ("no JSON", b"op=add", "is not JSON (Expecting value at column 1)"),
    ("cut off", b'{"op":"add",', "is not JSON (Expecting property name enclosed in double quotes at column 13)"),
    ("two objects", line(SYNC) + line(SYNC), f"is not JSON (Extra data at column {len(line(SYNC)) + 1})"),
    ("zeros of a crash", b"\0" * 9, "is not JSON (Expecting value at column 1)"),
    ("raw control character", b'{"op":"a\0"}', "is not JSON (Invalid control character at at column 9)"),
    ("a merge", b"<<<<<<< HEAD", "is not JSON (Expecting value at column 1)"),
    ("BOM", b"\xef\xbb\xbf" + line(SYNC), "is not JSON (Expecting value at column 1)"),
    ("not UTF-8", line(SYNC).replace(b'"a"', b'"\xff"'), "is not UTF-8"),
    ("UTF-16", line(SYNC).decode().encode("utf-16"), "is not UTF-8"),
    ("a list", b"[]", "is not a JSON object"),
    ("text", b'"sync"', "is not a JSON object"),
    ("null", b"null", "is not a JSON object"),
    ("duplicate key", line(SYNC)[:-1] + b',"id":"b"}', "has the key 'id' twice"),
    ("duplicate key inside", line({**SYNC, "x": "HERE"}).replace(b'"HERE"', b'{"k":1,"k":1}'), "has the key 'k' twice"),
    ("NaN", line({**SYNC, "x": float("nan")}), "holds NaN, which is not JSON"),
    ("infinity", line({**SYNC, "x": float("-inf")}), "holds -Infinity, which is not JSON"),
    ("overflow", line({**SYNC, "x": "HERE"}).replace(b'"HERE"', b"1e999"), "holds a number that is too large"),
    ("huge integer", b'{"x":' + b"9" * 5000 + b"}", "holds a number that is too large"),
    (
        "half a surrogate pair",
        line({**SYNC, "x": "HERE"}).replace(b"HERE", b"\\ud800"),
        "holds half of a surrogate pair",
    ),
    ("too deep", deep(32), "is nested deeper than 32"),
    ("far too deep", b"[" * 60_000, "is nested deeper than 32"),
    ("too long", line({**SYNC, "x": "y" * MAX_LINE_BYTES}), "is longer than 65536 bytes"),
    ("no version", b"{}", "has no 'schema_version'"),
    ("no op", line({key: HEAD[key] for key in HEAD if key != "op"}), "has no 'op'"),
    ("op no text", line({**SYNC, "op": 5}), "has a 'op' that is not text"),
    ("empty op", line({**SYNC, "op": ""}), "has an empty 'op'"),
    ("no id", line({**SYNC, "id": None}), "has no 'id'"),
    ("empty id", line({**SYNC, "id": ""}), "has an 'id' that is no path"),
    ("NUL in the id", line({**SYNC, "id": "a\0b"}), "has an 'id' that is no path"),
    (
        "local time",
        line({**SYNC, "ts": "2026-11-20T10:15:30+01:00"}),
        "has a 'ts' that is no UTC time such as 2026-01-31T12:00:00.000000Z",
    ),
    (
        "no time",
        line({**SYNC, "ts": "yesterday"}),
        "has a 'ts' that is no UTC time such as 2026-01-31T12:00:00.000000Z",
    ),
    ("no sha", line(HEAD), "has no 'sha', which 'sync' needs"),
    ("sha no text", line({**SYNC, "sha": 12}), "has a 'sha' that is not text"),
    ("branch a list", line({**SYNC, "branch": []}), "has a 'branch' that is not text or null"),
    ("owned a number", line({**HEAD, "op": "add", "url": "u", "owned": 1}), "has a 'owned' that is not true or false"),
    (
        "an odd phase",
        line({**HEAD, "op": "action_started", "action": "0", "kind": "k", "run": "r", "phase": "redo"}),
        "has a 'phase' that is neither 'do' nor 'undo'",
    ),
]


@pytest.mark.parametrize(("data", "reason"), [pytest.param(*case[1:], id=case[0]) for case in BAD_LINES])
def test_a_bad_line_is_damage_with_its_place_and_reason(data: bytes, reason: str) -> None:
    with pytest.raises(CorruptLogError) as caught:
        parse_line(data, 42, file="ws/grex.jsonl")
    assert caught.value.message == f"ws/grex.jsonl:42: the line {reason}"
    assert caught.value.hint is not None
    assert "sync again" in caught.value.hint


def test_the_deepest_line_that_is_read_can_be_written() -> None:
    event = parse_line(deep(31), 1)
    assert parse_line(render_line(event), 1) == event


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (Event("x", TS, "a", {"op": "y"}), "uses a key that every event has"),
        (Event("x", TS, "a", {"y": float("nan")}), "not JSON compliant"),
        (Event("x", TS, "a", {"y": "\ud800"}), "surrogates not allowed"),
        (Event("x", TS, "a", {"y": "z" * MAX_LINE_BYTES}), "and 65536 is the limit"),
        (Event("x", "now", "a", {}), "no UTC time"),
        (Event("sync", TS, "a", {"sha": None}), "'sha' that is not text"),
        (Event("x", TS, "a", {"y": {1, 2}}), "holds a set, which is not JSON"),  # type: ignore[dict-item]  # the bug that is tested
        (add_event("a", url="https://user:secret@h/a", ref=None, owned=True), "credentials"),
        (add_event("a", url="https://ghp_token@h/a", ref=None, owned=True), "credentials"),
        (update_event("a", url="ssh://git:secret@h/a"), "credentials"),
    ],
)
def test_an_event_that_could_not_be_read_back_is_not_written_and_no_secret_is_repeated(
    event: Event, reason: str
) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        render_line(event)
    assert "secret" not in str(caught.value)
    assert "ghp_token" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["https://***@h/a", "ssh://git@h/a", "git@h:a", "file:///a@b", "https://h/a@b:c", "/srv/a:b@c"]
)
def test_a_url_without_credentials_is_written(url: str) -> None:
    assert url.encode() in render_line(add_event("a", url=url, ref=None, owned=True))


def test_a_line_at_the_limit_is_written_and_read_and_one_byte_more_is_not() -> None:
    room = MAX_LINE_BYTES - len(render_line(Event("x", TS, "a", {"y": ""})))
    event = Event("x", TS, "a", {"y": "z" * room})
    assert parse_line(render_line(event), 1) == event
    with pytest.raises(ValueError, match="65537 bytes"):
        render_line(Event("x", TS, "a", {"y": "z" * (room + 1)}))


def test_mappings_that_are_no_dict_are_written_like_one() -> None:
    plain = Event("x", TS, "a", {"y": {"k": [1]}})
    proxied = Event("x", TS, "a", MappingProxyType({"y": MappingProxyType({"k": (1,)})}))
    assert render_line(proxied) == render_line(plain)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text().filter(lambda key: key not in {"op", "ts", "id", "schema_version"}), json_values))
def test_any_data_survives_a_round_trip_and_is_written_the_same_again(data: dict[str, Any]) -> None:
    event = Event("x", TS, "a", data)
    written = render_line(event)
    assert written.count(b"\n") == 1
    again = parse_line(written, 1)
    assert again == event
    assert render_line(again) == written


@given(st.binary(max_size=60) | st.text(alphabet='{}[]":,\\ue1', max_size=60).map(str.encode))
def test_no_bytes_crash_the_reader(data: bytes) -> None:
    # No bytes of this length are an event, so each must be refused, and by one of the two errors.
    with pytest.raises((CorruptLogError, SchemaVersionError), match=r"^grex\.jsonl:1: "):
        parse_line(data, 1)
