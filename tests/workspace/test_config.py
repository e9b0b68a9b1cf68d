"""Settings: which file wins, and that a workspace cannot trust itself."""

# ruff: noqa: E501 - the table holds whole messages; one cut in two cannot be searched for
from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from grex.errors import ConfigError
from grex.workspace import Config, read_config


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    (tmp_path / "ws/.grex").mkdir(parents=True)
    (tmp_path / "user/grex").mkdir(parents=True)
    return tmp_path / "ws"


def write(workspace: Path, text: str) -> Path:
    path = workspace / ".grex/config.toml"
    path.write_text(text)
    return path


def write_user(workspace: Path, text: str) -> Path:
    path = workspace.parent / "user/grex/config.toml"
    path.write_text(text)
    return path


def read(workspace: Path) -> Config:
    return read_config(workspace, workspace.parent / "user")


def test_without_files_the_defaults_are_in_force(workspace: Path) -> None:
    assert read(workspace) == Config()
    assert read_config(workspace / "absent", None) == Config()
    config = Config()
    assert (config.jobs, config.network_permits, config.per_host, config.trust_prefixes) == (None, 32, 8, ())
    assert config.keep_days == 90
    assert not config.origins


def test_the_workspace_wins_over_the_user_and_each_setting_knows_its_file(workspace: Path) -> None:
    shared = write(workspace, "[sync]\njobs = 2\n")
    own = write_user(workspace, "[sync]\njobs = 3\nper_host = 4\n[trust]\nprefixes = ['https://github.com/org']\n")
    config = read(workspace)
    assert (config.jobs, config.network_permits, config.per_host) == (2, 32, 4)
    assert config.trust_prefixes == ("https://github.com/org",)
    assert config.origins == {"jobs": shared, "per_host": own, "trust_prefixes": own}


def test_how_long_the_trash_keeps_things_is_for_both_to_say(workspace: Path) -> None:
    own = write_user(workspace, "[trash]\nkeep_days = 7\n")
    assert (read(workspace).keep_days, read(workspace).origins) == (7, {"keep_days": own})
    write(workspace, "[trash]\nkeep_days = 0\n")
    assert read(workspace).keep_days == 0
    write(workspace, "[trash]\n")
    assert read(workspace).keep_days == 7


def test_a_workspace_cannot_grant_itself_trust(workspace: Path) -> None:
    path = write(workspace, "[trust]\nprefixes = []\n")
    with pytest.raises(ConfigError) as caught:
        read(workspace)
    assert caught.value.message == f"{path}:1:1: there is a table [trust], but a workspace cannot grant itself trust."
    assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("[snyc]\n", ":1:1: there is no setting 'snyc'.", "did you mean 'sync'?"),
        ("jobs = 1\n", ":1:1: there is no setting 'jobs'.", "known: cache, groups, sync, trash, trust, url"),
        ("[sync]\njob = 1\n", ":2:1: there is no setting 'sync.job'.", "did you mean 'jobs'?"),
        ("[trust]\nprefix = []\n", ":2:1: there is no setting 'trust.prefix'.", "did you mean 'prefixes'?"),
        ("sync = 1\n", ":1:1: sync is 1, and a table is needed.", "Write [sync] above its keys."),
        ("[[trust]]\n", ":1:1: trust is [{}], and a table is needed.", "Write [trust] above its keys."),
        ("[sync]\njobs = 0\n", ":2:1: sync.jobs is 0, and a whole number from 1 to 1024 is needed.", "Write it as in `jobs = 4`."),
        ("[sync]\njobs = 1025\n", ":2:1: sync.jobs is 1025, and a whole number from 1 to 1024 is needed.", "Write it as in `jobs = 4`."),
        ("[sync]\njobs = true\n", ":2:1: sync.jobs is True, and a whole number from 1 to 1024 is needed.", "Write it as in `jobs = 4`."),
        ("[sync]\nper_host = '4'\n", ":2:1: sync.per_host is '4', and a whole number from 1 to 1024 is needed.", "Write it as in `per_host = 4`."),
        ("[trash]\nkeep_days = -1\n", ":2:1: trash.keep_days is -1, and a whole number from 0 to 36500 is needed.", "Write it as in `keep_days = 90`."),
        ("[trash]\nkeep_days = true\n", ":2:1: trash.keep_days is True, and a whole number from 0 to 36500 is needed.", "Write it as in `keep_days = 90`."),
        ("[trust]\nprefixes = 'a'\n", ":2:1: trust.prefixes is 'a', and a list is needed.", 'Write it as in `["..."]`.'),
        ("[trust]\nprefixes = ['']\n", ":2:1: trust.prefixes holds '', and each is the beginning of a URL.", "Write it as in 'https://github.com/my-org'."),
        ("[trust]\nprefixes = [1]\n", ":2:1: trust.prefixes holds 1, and each is the beginning of a URL.", "Write it as in 'https://github.com/my-org'."),
        ("[sync\n", ":1:6: this is not TOML: Expected ']' at the end of a table declaration.", "See https://toml.io."),
    ],
)  # fmt: skip
def test_a_mistake_is_one_sentence_with_a_hint(workspace: Path, text: str, message: str, hint: str) -> None:
    path = write_user(workspace, text)
    with pytest.raises(ConfigError) as caught:
        read(workspace)
    assert (caught.value.message, caught.value.hint) == (f"{path}{message}", hint)


def test_the_groups_that_are_off_are_the_workspaces_to_say(workspace: Path) -> None:
    path = write(workspace, "[groups]\noff = ['docs', 'ci', 'docs']\n")
    config = read(workspace)
    assert (config.groups_off, config.origins) == (("docs", "ci"), {"groups_off": path})
    own = write_user(workspace, "[groups]\noff = []\n")
    with pytest.raises(ConfigError) as caught:
        read(workspace)
    assert caught.value.message == f"{own}:1:1: there is a table [groups], but groups belong to a workspace."


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("off = 'docs'", ":2:1: groups.off is 'docs', and a list is needed."),
        ("off = ['a b']", ":2:1: groups.off holds 'a b', which is no name of a group."),
        ("off = [1]", ":2:1: groups.off holds 1, which is no name of a group."),
        ("on = []", ":2:1: there is no setting 'groups.on'."),
    ],
)
def test_a_mistake_in_the_groups_is_named(workspace: Path, text: str, message: str) -> None:
    path = write(workspace, f"[groups]\n{text}\n")
    with pytest.raises(ConfigError) as caught:
        read(workspace)
    assert caught.value.message == f"{path}{message}"
    assert caught.value.hint


@pytest.mark.parametrize("data", [b"\xff", b"a = " + b"[" * 5000])
def test_hostile_bytes_are_a_mistake_like_any_other(workspace: Path, data: bytes) -> None:
    (workspace / ".grex/config.toml").write_bytes(data)
    with pytest.raises(ConfigError, match="this is not TOML"):
        read(workspace)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('# a\n[sync]\njobs = 1\n  "per_host" = 0\n', "4:3"),
        ("[trash]\n[sync]\njobs = 1\nper_hosts = 1\n", "4:1"),
        ("sync.jobs = 0\n", "1:1"),
        ("trash.keep_days = 1\nsync = {jobs = 0}\n", "2:1"),
        ('[url."https://m.example/"]\ninstead_of = []\n[url."https://n.example/"]\ninstead_off = []\n', "4:1"),
        ("jobs = [\n1,\n", "3:1"),
        (b"[sync]\n# \xff\n", "2:3"),
    ],
)
def test_a_mistake_is_told_with_its_line_and_column(workspace: Path, text: str | bytes, place: str) -> None:
    path = workspace / ".grex/config.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(ConfigError) as caught:
        read(workspace)
    assert caught.value.message.startswith(f"{path}:{place}: ")
    line, column = map(int, place.split(":"))
    assert caught.value.details == {"file": str(path), "line": line, "column": column}


def test_refused_files_count_for_nothing_where_somebody_tells_of_them(workspace: Path) -> None:
    write_user(workspace, "[trash]\nkeep_days = 7\n[snyc]\n")
    write(workspace, "[sync]\njobs = 0\n")
    refused: list[ConfigError] = []
    assert read_config(workspace, workspace.parent / "user", refused=refused) == Config()
    assert ["snyc" in refused[0].message, "sync.jobs" in refused[1].message, len(refused)] == [True, True, 2]


def test_only_a_regular_file_of_reasonable_size_is_read(workspace: Path) -> None:
    path = workspace / ".grex/config.toml"
    os.mkfifo(path)
    with pytest.raises(ConfigError, match="is no regular file"):
        read(workspace)
    path.unlink()
    with path.open("wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(ConfigError, match="larger than 1 MiB"):
        read(workspace)


def test_a_file_that_cannot_be_reached_says_why(workspace: Path) -> None:
    (workspace / ".grex/config.toml").symlink_to("config.toml")
    with pytest.raises(ConfigError, match="cannot be read: Too many levels of symbolic links"):
        read(workspace)


def test_an_absent_file_costs_no_toml_parser(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tomllib", None)
    assert read(workspace) == Config()


def test_a_cache_directory_starts_at_the_file_or_at_home_and_only_the_user_names_it(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    path = write_user(workspace, '[cache]\ndir = "objects"\n')
    assert read(workspace).cache_dir == path.parent / "objects"
    write_user(workspace, '[cache]\ndir = "~/objects"\n')
    assert read(workspace).cache_dir == tmp_path / "objects"
    write_user(workspace, '[cache]\ndir = ""\n')
    assert read(workspace).cache_dir is None
    write_user(workspace, "[cache]\ndir = 1\n")
    with pytest.raises(ConfigError, match=r"cache\.dir is 1, and a directory is needed"):
        read(workspace)
    write_user(workspace, "")
    (workspace / ".grex/config.toml").write_text('[cache]\ndir = "x"\n')
    with pytest.raises(ConfigError, match="which directories of a machine are used is its user's to say"):
        read(workspace)


def test_rewriting_rules_of_both_files_are_kept_apart(workspace: Path) -> None:
    write_user(workspace, '[url."https://m.example/"]\ninstead_of = ["https://a.example/", "https://b.example/"]\n')
    (workspace / ".grex/config.toml").write_text('[url."https://w.example/"]\ninstead_of = ["https://c.example/"]\n')
    rules = read(workspace).rewrites.rules
    assert [(rule.instead_of, rule.base, rule.is_shared) for rule in rules] == [
        ("https://a.example/", "https://m.example/", False),
        ("https://b.example/", "https://m.example/", False),
        ("https://c.example/", "https://w.example/", True),
    ]
    (workspace / ".grex/config.toml").write_text('[url."http://w.example/"]\ninstead_of = ["https://c.example/"]\n')
    with pytest.raises(ConfigError, match="cannot replace an encrypted transport"):
        read(workspace)
    (workspace / ".grex/config.toml").write_text('[url."https://w.example/"]\ninstead_of = "https://c.example/"\n')
    with pytest.raises(ConfigError, match="a list of URL prefixes is needed"):
        read(workspace)
