"""An import that is killed before each change that it makes to the disk: the same one again makes everything whole."""

from __future__ import annotations

import shutil
from pathlib import Path

import anyio
import pytest

from grex.pack import parse_pack_spec
from grex.verbs.import_packs import ImportRequest, import_packs
from tests.support.dying import changes_of, die_before
from tests.support.place import Place

ROOT = 'schema_version: "1"\nname: root  # ours\ntype: meta\n'
MANIFEST = (
    "manifest:\n  group-filter: [-opt]\n  projects:\n"
    + "".join(f"    - {{name: p{n}, url: 'https://h/p{n}', revision: v1, groups: [opt]}}\n" for n in range(3))
    + "    - {name: q, url: 'https://h/q', revision: v1}\n"
)
SINCE = "grex.verbs.import_packs:_write"


@pytest.mark.parametrize("way", ["whole", pytest.param("torn", marks=pytest.mark.slow)])
def test_a_killed_import_leaves_the_old_or_the_new_declarations_and_the_next_one_ends_it(
    tmp_path: Path, way: str
) -> None:
    """For every single change the same holds.

    - pack.yaml is the old one or the new one, and no pack is declared before its group is off;
    - the same import again comes to what an undisturbed one comes to, and once more changes nothing.
    """
    file = tmp_path / "west.yml"
    file.write_text(MANIFEST)

    def workspace(name: str) -> Place:
        place = Place(tmp_path / name)
        (place / ".grex").mkdir()
        (place / ".grex/pack.yaml").write_text(ROOT)
        return place

    def import_into(place: Place) -> None:
        request = ImportRequest(place.root, file, no_sync=True)
        anyio.run(import_packs, request, place.settings())

    whole = workspace("whole")
    changes = changes_of(lambda: import_into(whole), since=SINCE)
    expected = {name: (whole / name).read_bytes() for name in (".grex/pack.yaml", ".grex/config.toml")}
    assert len(changes) >= 4
    assert len(parse_pack_spec(expected[".grex/pack.yaml"], file="f", is_root=True).children) == 4
    for nth in range(1, len(changes) + 1):
        place = workspace(f"{way}{nth}")
        die_before(lambda place=place: import_into(place), nth, since=SINCE, way=way)  # type: ignore[arg-type,misc]
        text = (place / ".grex/pack.yaml").read_bytes()
        assert text in (ROOT.encode(), expected[".grex/pack.yaml"])
        if text != ROOT.encode():
            assert (place / ".grex/config.toml").read_bytes() == expected[".grex/config.toml"]
        for _ in range(2):
            import_into(place)
            assert {name: (place / name).read_bytes() for name in expected} == expected
        shutil.rmtree(place.root)
