"""The examples of docs/reference/pack-yaml.md are good files, and its lists are complete."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from grex.pack import PackSpec, parse_pack_spec, read_local
from grex.pack.predicate import COMBINERS
from grex.pack.relations import _CHILD_KEYS
from grex.pack.validate import _KEYS
from grex.pack.yaml_events import MAX_BYTES, MAX_DEPTH
from grex.plugin import Registry
from grex.plugin.registry import PREDICATES_GROUP

PAGE = (Path(__file__).parents[2] / "docs/reference/pack-yaml.md").read_text()
BLOCKS = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
HEAD = 'schema_version: "1"\nname: example\ntype: declarative\n'


def parse(text: str, target: str | None = None) -> PackSpec:
    over = None if target is None else (target.encode(), "t")
    return parse_pack_spec(text.encode(), file="f", is_root=True, target=over)


@pytest.mark.parametrize("block", BLOCKS)
def test_an_example_is_accepted(block: str, tmp_path: Path) -> None:
    if block.startswith("# .grex/local.yaml"):
        (tmp_path / ".grex").mkdir()
        (tmp_path / ".grex/local.yaml").write_text(block)
        assert read_local(tmp_path)
    elif block.startswith("# .grex/targets/"):
        spec = parse(f"{HEAD}actions: [{{mkdir: {{path: a}}}}]\n", target=block)
        assert [action.kind for action in spec.actions] == ["require"]
    elif block.startswith("# .grex/pack.yaml"):
        assert [child.path for child in parse(block).children] == ["core", "tools/lint", "/assets"]
    else:
        spec = parse(HEAD + block)
        assert spec.actions or spec.depends_on


def test_there_are_examples() -> None:
    assert len(BLOCKS) >= 5


@pytest.mark.parametrize("name", [*_KEYS, *_CHILD_KEYS, *Registry().names(PREDICATES_GROUP), *COMBINERS])
def test_every_key_is_described(name: str) -> None:
    assert f"`{name}`" in PAGE


def test_the_limits_are_those_of_the_code() -> None:
    assert (MAX_BYTES, MAX_DEPTH) == (1 << 20, 32)
    assert "**1 MiB**" in PAGE
    assert "**32**" in PAGE
