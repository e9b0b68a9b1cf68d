"""`grex config`: no setting is missing, and with `--show-origin` each says where it is set."""

from __future__ import annotations

from pathlib import Path

import pytest

from grex.errors import ConfigError
from grex.verbs.config import SHOWN, ConfigRequest, Said, Setting, config
from grex.workspace import Config
from grex.workspace import config as workspace_config
from grex.workspace.origins import line_of


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "ws/.grex").mkdir(parents=True)
    (tmp_path / "user/grex").mkdir(parents=True)
    return tmp_path / "ws"


def shown(root: Path | None, tmp_path: Path, **said: tuple[Said, ...]) -> dict[str, Setting]:
    request = ConfigRequest(
        root=root,
        user_config_dir=tmp_path / "user",
        workspace_origin="here",
        said={key.replace("__", "."): value for key, value in said.items()},
    )
    return {one.key: one for one in config(request).settings}


def test_no_setting_that_grex_knows_is_missing(root: Path, tmp_path: Path) -> None:
    assert set(SHOWN) == set(Config.__struct_fields__) - {"origins"}
    # And no key that a file may have: `_SYNC_KEYS` and its like, each below the name of its table.
    tables = {name[1:-5].lower(): getattr(workspace_config, name) for name in dir(workspace_config) if "_KEYS" in name}
    assert {"sync", "trash", "trust", "groups", "cache", "url"} == set(tables)
    wanted = {f"{table}.{key}" for table, keys in tables.items() for key in keys}
    assert wanted <= set(shown(root, tmp_path))


def test_without_files_all_are_defaults(root: Path, tmp_path: Path) -> None:
    found = shown(root, tmp_path)
    assert (found["sync.network_permits"].value, found["sync.network_permits"].origin) == (32, "default")
    assert found["sync.jobs"].origin == "default (one per core)"
    assert found["workspace"] == Setting("workspace", str(root), "here")
    assert {one.origin for key, one in found.items() if key not in ("workspace", "sync.jobs")} == {"default"}


def test_each_names_its_file_and_line_and_the_workspaces_wins(root: Path, tmp_path: Path) -> None:
    user, shared = tmp_path / "user/grex/config.toml", root / ".grex/config.toml"
    user.write_text(
        "# mine\n[sync]\njobs = 2\nper_host = 3\n\n[trust]\nprefixes = [\n  'https://a/b',\n]\n"
        '[cache]\ndir = "/var/cache/grex"\n[url."https://mirror.example/"]\ninstead_of = ["https://github.com/"]\n'
    )
    shared.write_text('[groups]\noff = ["docs", "ci"]\n[sync]\njobs = 5\n[trash]\nkeep_days = 7\n')
    (root / ".grex/local.yaml").write_text("groups: [docs]\n")
    found = shown(root, tmp_path)
    assert found["sync.jobs"] == Setting("sync.jobs", 5, f"{shared}:4")
    assert found["sync.per_host"] == Setting("sync.per_host", 3, f"{user}:4")
    assert found["trash.keep_days"] == Setting("trash.keep_days", 7, f"{shared}:6")
    assert found["trust.prefixes"] == Setting("trust.prefixes", ["https://a/b"], f"{user}:7")
    assert found["cache.dir"] == Setting("cache.dir", "/var/cache/grex", f"{user}:11")
    assert found["groups.off"] == Setting("groups.off", ["docs", "ci"], f"{shared}:2")
    assert found["group ci"] == Setting("group ci", "off", f"{shared}:2")
    assert found["group docs"] == Setting("group docs", "on", ".grex/local.yaml:1:10")
    rewrite = found['url."https://mirror.example/".instead_of']
    assert (rewrite.value, rewrite.origin) == (["https://github.com/"], f"{user}:13")


def test_options_and_variables_win_and_are_named(root: Path, tmp_path: Path) -> None:
    (root / ".grex/config.toml").write_text("[sync]\njobs = 5\n")
    (tmp_path / "user/grex/config.toml").write_text("[trust]\nprefixes = ['https://a/b']\n")
    found = shown(
        root,
        tmp_path,
        sync__jobs=(Said(1, "--jobs"),),
        trust__prefixes=(Said("https://c", "--trust"), Said("https://d", "GREX_TRUST")),
        cache__dir=(Said(Path("/c"), "GREX_CACHE_DIR"),),
        lock__timeout_s=(Said(3.5, "--lock-timeout"),),
    )
    assert (found["sync.jobs"].value, found["sync.jobs"].origin) == (1, "--jobs")
    # One job is serial in both kinds.
    assert (found["sync.network_permits"].value, found["sync.network_permits"].origin) == (1, "--jobs (one job)")
    assert found["trust.prefixes"].value == ["https://c", "https://d", "https://a/b"]
    assert found["trust.prefixes"].origin == f"--trust, GREX_TRUST, {tmp_path / 'user/grex/config.toml'}:2"
    assert (found["cache.dir"].value, found["cache.dir"].origin) == ("/c", "GREX_CACHE_DIR")
    assert (found["lock.timeout_s"].value, found["lock.timeout_s"].origin) == (3.5, "--lock-timeout")


def test_outside_of_a_workspace_the_users_are_shown(tmp_path: Path) -> None:
    (tmp_path / "user/grex").mkdir(parents=True)
    (tmp_path / "user/grex/config.toml").write_text("[sync]\njobs = 2\n")
    found = shown(None, tmp_path)
    assert found["sync.jobs"].value == 2
    assert found["workspace"].value is None


def test_a_file_that_is_refused_is_an_error_with_its_name(root: Path, tmp_path: Path) -> None:
    (root / ".grex/config.toml").write_text("[sync]\njobz = 2\n")
    with pytest.raises(ConfigError, match=r"config\.toml:\d+:1: there is no setting"):
        shown(root, tmp_path)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[sync]\njobs = 1\n", 2),
        ("sync.jobs = 1\n", 1),
        ("[other]\njobs = 1\n[ sync ]  # it\n'jobs'=1\n", 4),
        ("sync = {jobs = 1}\n", None),
        ("# jobs = 1\n", None),
    ],
)
def test_a_key_is_found_however_it_is_written_on_its_own_line(text: str, line: int | None) -> None:
    assert line_of(text, "sync", "jobs") == line
