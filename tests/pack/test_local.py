"""`.grex/local.yaml`: overrides of this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from grex.errors import ConfigError
from grex.pack import read_local


def write(root: Path, text: str) -> Path:
    (root / ".grex").mkdir(exist_ok=True)
    (root / ".grex/local.yaml").write_text(text)
    return root


@pytest.mark.parametrize("text", ["", "\n", "overrides: []\n", 'schema_version: "1"\n', "{}\n"])
def test_a_file_may_say_nothing(tmp_path: Path, text: str) -> None:
    assert read_local(write(tmp_path, text)) == ()


def test_no_file_says_nothing(tmp_path: Path) -> None:
    assert read_local(tmp_path) == ()


def test_overrides_name_a_pack_and_what_is_different(tmp_path: Path) -> None:
    text = "overrides:\n  - {path: /libs/a, url: ../up, ref: dev}\n  - {path: b, url: https://h/b}\n"
    first, second = read_local(write(tmp_path, text))
    assert (first.path, first.url, first.ref, str(first.mark)) == ("libs/a", "../up", "dev", ".grex/local.yaml:2:5")
    assert (second.path, second.url, second.ref) == ("b", "https://h/b", None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a\n", "1:1: local.yaml is a mapping of keys to values, and this is a list."),
        ("override: []\n", "1:1: local.yaml has no key 'override'."),
        ('schema_version: "2"\n', "1:17: schema_version cannot be '2'."),
        ("overrides: [{path: a}]\n", "1:13: an override says nothing."),
        ("overrides: [{path: a, url: b}]\n", "1:28: the URL 'b' is neither an address nor relative to one."),
        ("overrides: [{path: a, ref: x}, {path: A, ref: y}]\n", "1:32: 'A' is overridden a second time."),
        ("overrides: [*x]\n", "1:13: the alias '*x' is not allowed."),
        ("[", "2:1: this is not YAML: did not find expected node content."),
    ],
)
def test_a_mistake_is_a_mistake_of_configuration(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_local(write(tmp_path, text if text.endswith("\n") else text + "\n"))
    assert caught.value.message == f".grex/local.yaml:{message}"
    assert caught.value.hint


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / ".grex").mkdir()
    (tmp_path / ".grex/local.yaml").symlink_to("/etc/passwd")
    with pytest.raises(ConfigError, match=r"^\.grex/local\.yaml:1:1: the file is a symbolic link\.$"):
        read_local(tmp_path)
