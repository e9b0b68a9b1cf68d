"""What the tests of the server share: a workspace of packs that need no remote."""

from __future__ import annotations

from pathlib import Path

import pytest

from grex.mcp.place import Place as ServedPlace
from tests.support.git_server import git
from tests.support.mcp_client import place_of
from tests.support.place import Place


@pytest.fixture
def packs(tmp_path: Path) -> Place:
    """A workspace with three checkouts that nobody has synced."""
    place = Place(tmp_path)
    for name in "abc":
        git(place.root, "init", "--quiet", name)
    place.declare(*({"url": f"https://host.example/{name}"} for name in "abc"))
    return place


@pytest.fixture
def declared(tmp_path: Path) -> Place:
    """A workspace whose packs nobody has brought, for what never gets to them."""
    place = Place(tmp_path)
    place.declare(*({"url": f"https://host.example/{name}"} for name in "abc"))
    return place


@pytest.fixture
def served(packs: Place) -> ServedPlace:
    """That workspace, as a server knows it."""
    return place_of(packs.root, packs.defaults)
