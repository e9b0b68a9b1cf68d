"""Every file of grex has its place, and no pack may take it."""

from __future__ import annotations

from pathlib import Path

import pytest

from grex.names import check_pack_path
from grex.workspace import Layout, backend_lock_for

ROOT = Path("/ws")


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("grex_dir", ".grex"),
        ("pack_yaml", ".grex/pack.yaml"),
        ("config_toml", ".grex/config.toml"),
        ("local_yaml", ".grex/local.yaml"),
        ("log", "grex.jsonl"),
        ("lockfile", "grex.lock.jsonl"),
        ("workspace_lock", ".grex.sync.lock"),
        ("manifest_lock", ".grex.jsonl.lock"),
        ("state_dir", ".grex/state"),
        ("trash_dir", ".grex/trash"),
        ("store_dir", ".grex/store"),
    ],
)
def test_each_file_is_where_the_documents_say(name: str, path: str) -> None:
    assert getattr(Layout(ROOT), name) == ROOT / path


def test_packs_and_their_locks() -> None:
    layout = Layout(ROOT)
    assert layout.pack_dir("") == ROOT
    assert layout.pack_dir("libs/a") == ROOT / "libs/a"
    assert layout.pack_lock("libs/a") == ROOT / "libs/a/.grex-lock"
    assert backend_lock_for(ROOT / "libs/a") == ROOT / "libs/.a.grex-backend.lock"


def test_no_pack_may_have_the_path_of_a_lock_or_of_what_grex_keeps() -> None:
    layout = Layout(ROOT)
    kept = [layout.grex_dir, layout.trash_dir, layout.workspace_lock, layout.manifest_lock]
    kept += [layout.pack_lock("a"), backend_lock_for(ROOT / "a"), ROOT / ".grex-tmp-1"]
    for path in kept:
        assert check_pack_path(path.relative_to(ROOT).as_posix()) is not None
