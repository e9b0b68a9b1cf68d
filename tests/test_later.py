"""What a package leaves for later is imported once, when somebody asks for it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from grex.later import imported_later


def test_a_name_is_imported_when_it_is_asked_for_and_then_stands_in_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = tmp_path / "some_room"
    room.mkdir()
    (room / "__init__.py").write_text("")
    (room / "heavy.py").write_text("thing = object()\n")
    monkeypatch.syspath_prepend(tmp_path)
    get = imported_later("some_room", {"thing": "heavy"})
    assert "some_room.heavy" not in sys.modules
    thing = get("thing")
    assert vars(sys.modules["some_room"])["thing"] is thing
    assert sys.modules["some_room.heavy"].thing is thing
    for name in ("some_room", "some_room.heavy"):
        monkeypatch.delitem(sys.modules, name)


def test_a_name_that_nobody_left_for_later_is_refused_as_ever() -> None:
    with pytest.raises(AttributeError, match="module 'grex' has no attribute 'thing'"):
        imported_later("grex", {})("thing")
