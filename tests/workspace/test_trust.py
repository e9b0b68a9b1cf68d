"""Trust: prefixes that end at a path boundary, a root that is bound to its very directory, a file of the user's own."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from grex.errors import ConfigError, UsageError
from grex.workspace import ROOT_TRUST, TrustStore, canonical_prefix
from grex.workspace.trust import covers

HOST = "https://host.example/team"


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    root = tmp_path / "ws"
    root.mkdir()
    return root


@pytest.fixture
def store(tmp_path: Path, workspace: Path) -> TrustStore:
    return TrustStore(tmp_path / "state", workspace)


@pytest.mark.parametrize(
    ("identity", "is_covered"),
    [
        (HOST, True),
        (f"{HOST}/x", True),
        (f"{HOST}/deep/x", True),
        (f"{HOST}-evil/x", False),
        (f"{HOST}x", False),
        ("https://host.example/other", False),
        ("http://host.example/team/x", False),
        ("https://host.example.evil/team/x", False),
    ],
)
def test_a_prefix_ends_at_a_path_boundary(store: TrustStore, identity: str, *, is_covered: bool) -> None:
    assert covers(HOST, identity) == is_covered
    assert covers(f"{HOST}/", identity) == (is_covered and identity != HOST)
    store.add(HOST)
    assert store.trusts(identity) == is_covered


@pytest.mark.parametrize(
    "typed",
    [f"{HOST}", f"{HOST}/", f"{HOST}.git", "https://HOST.example:443/team", "https://user:secret@host.example/team"],
)
def test_a_prefix_is_kept_in_its_canonical_spelling_without_credentials(workspace: Path, typed: str) -> None:
    assert canonical_prefix(typed, workspace) == HOST


@pytest.mark.parametrize("typed", ["", "-x", "ext::sh", "team", "https://host.example"])
def test_what_is_no_beginning_of_a_url_is_refused_with_a_hint(workspace: Path, typed: str) -> None:
    with pytest.raises(UsageError, match="is no URL prefix") as caught:
        canonical_prefix(typed, workspace)
    assert "such as https://" in (caught.value.hint or "")


def test_a_local_prefix_is_told_apart_by_where_it_leads(tmp_path: Path, workspace: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert canonical_prefix(str(tmp_path / "link"), workspace) == f"file://{tmp_path}/real"


def test_nothing_is_trusted_at_first_and_asking_writes_nothing(tmp_path: Path, store: TrustStore) -> None:
    assert store.prefixes() == ()
    assert not store.trusts(f"{HOST}/x")
    assert not store.trusts_root()
    assert not (tmp_path / "state").exists()


def test_trust_is_given_once_and_taken_back_once(store: TrustStore) -> None:
    assert [store.add(HOST), store.add(HOST), store.add(ROOT_TRUST), store.add(ROOT_TRUST)] == [
        True,
        False,
        True,
        False,
    ]
    assert store.prefixes() == (ROOT_TRUST, HOST)
    assert store.trusts_root()
    assert [store.revoke(HOST), store.revoke(HOST)] == [True, False]
    assert store.prefixes() == (ROOT_TRUST,)
    assert [store.revoke(ROOT_TRUST), store.revoke(ROOT_TRUST)] == [True, False]
    assert not store.trusts_root()


def test_the_trust_of_the_root_does_not_cover_a_url_nor_a_url_the_root(store: TrustStore) -> None:
    store.add(ROOT_TRUST)
    assert not store.trusts("./x")
    assert not store.trusts(".")
    store.revoke(ROOT_TRUST)
    store.add(f"file://{store._workspace}")
    assert not store.trusts_root()


def test_another_workspace_at_the_same_path_does_not_inherit_the_roots_trust(
    store: TrustStore, workspace: Path
) -> None:
    store.add(ROOT_TRUST)
    store.add(HOST)
    workspace.rename(workspace.with_name("moved"))
    workspace.mkdir()
    assert not store.trusts_root()
    assert store.prefixes() == (HOST,)
    assert store.add(ROOT_TRUST)
    assert store.trusts_root()


def test_trust_belongs_to_one_workspace_whatever_way_leads_there(
    tmp_path: Path, store: TrustStore, workspace: Path
) -> None:
    store.add(HOST)
    other = tmp_path / "other"
    other.mkdir()
    (tmp_path / "link").symlink_to(workspace)
    assert TrustStore(tmp_path / "state", tmp_path / "link").prefixes() == (HOST,)
    assert TrustStore(tmp_path / "state", other).prefixes() == ()


def test_what_holds_for_one_run_is_not_kept(tmp_path: Path, workspace: Path) -> None:
    store = TrustStore(tmp_path / "state", workspace, (HOST, ROOT_TRUST))
    assert store.trusts(f"{HOST}/x")
    assert store.trusts_root()
    assert store.prefixes() == ()


def test_the_file_is_the_users_alone_and_not_in_the_workspace(store: TrustStore, workspace: Path) -> None:
    store.add(HOST)
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(store.path.parent.stat().st_mode) == 0o700
    assert list(workspace.iterdir()) == []
    store.add(f"{HOST}/x")
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600
    assert json.loads(store.path.read_bytes())["workspace"] == str(workspace)


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "null", '{"prefixes": []}', '{"prefixes": 3, "root": null}', '{"prefixes": [], "root": [1]}',
     '{"prefixes": [], "root": ["a", "b"]}', '{"prefixes": "https://h/", "root": null}',
     '{"prefixes": [1], "root": null}', '"text"'],
)  # fmt: skip
def test_a_damaged_file_is_an_error_and_trusts_nobody(store: TrustStore, content: str) -> None:
    store.add(HOST)
    store.path.write_text(content)
    for question in (store.prefixes, store.trusts_root, lambda: store.trusts(HOST), lambda: store.add(f"{HOST}/x")):
        with pytest.raises(ConfigError, match="is damaged") as caught:
            question()
        assert "Remove it" in (caught.value.hint or "")
    assert store.path.read_text() == content


def test_a_file_that_cannot_be_read_is_an_error(store: TrustStore) -> None:
    store.path.mkdir(parents=True)
    with pytest.raises(ConfigError, match="cannot be read"):
        store.prefixes()


def test_a_prefix_that_covers_the_whole_machine_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="every repository on this machine"):
        canonical_prefix("/", tmp_path)
