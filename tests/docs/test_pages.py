"""Every page of the tutorial and the how-to guides, typed from its first line to its last."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.upstreams import UPSTREAMS, prepare
from tests.support.pages import TOP, House, parse, type_page

DOCS = TOP / "docs"
PAGES = sorted(
    page.relative_to(DOCS).as_posix() for room in ("tutorial", "how-to") for page in (DOCS / room).glob("*.md")
)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_prints_is_what_is_printed(page: str, tmp_path: Path) -> None:
    with House(tmp_path) as house:
        prepare(Path(page).stem, house)
        typed = type_page(DOCS / page, house)
    assert typed.differences == []
    assert typed.commands == len([step for step in parse((DOCS / page).read_text("utf-8")) if hasattr(step, "printed")])


def test_every_page_is_in_the_navigation_and_every_server_has_its_page() -> None:
    navigation = (TOP / "mkdocs.yml").read_text("utf-8")
    assert [page for page in PAGES if f" {page}\n" not in navigation] == []
    assert set(UPSTREAMS) <= {Path(page).stem for page in PAGES}
