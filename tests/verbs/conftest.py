"""What the tests of the verbs share: upstream repositories and a workspace whose verbs run in this process."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.clinic import Clinic
from tests.support.git_server import GitServer
from tests.support.place import Place
from tests.support.removal import Nest


@pytest.fixture
def server(tmp_path: Path) -> GitServer:
    """Repositories to clone from."""
    return GitServer(tmp_path / "up")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A workspace directory, without a pack.yaml yet."""
    return Place(tmp_path)


@pytest.fixture(scope="session")
def nest_of_all(tmp_path_factory: pytest.TempPathFactory) -> Nest:
    """A synced workspace, made once."""
    return Nest(tmp_path_factory.mktemp("nest"))


@pytest.fixture
def nest(nest_of_all: Nest) -> Nest:
    """The synced workspace, as it was made."""
    nest_of_all.begin()
    return nest_of_all


@pytest.fixture(scope="session")
def clinic_of_all(tmp_path_factory: pytest.TempPathFactory) -> Clinic:
    """A synced workspace that installs something, made once."""
    return Clinic(tmp_path_factory.mktemp("clinic"))


@pytest.fixture
def clinic(clinic_of_all: Clinic) -> Clinic:
    """That workspace, healthy."""
    clinic_of_all.begin()
    return clinic_of_all
