"""What is written from the code: the manual pages can be read, and the generated parts of the reference are current."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from grex.cli.described import Described, Parameter, describe, every_verb
from reference import manual
from reference import pages as reference_pages
from reference.manual import manual_pages, write_manual


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("man")
    write_manual(directory)
    return directory


def test_every_verb_has_a_manual_page_with_its_options(tmp_path: Path) -> None:
    (tmp_path / "grex-gone.1").write_text("a verb that there is no more")
    names = {path.name for path in write_manual(tmp_path)}
    assert names == {path.name for path in tmp_path.iterdir()}
    assert names == {"grex.1", *(f"grex-{'-'.join(verb.words)}.1" for verb in every_verb(describe()))}
    text = (tmp_path / "grex-sync.1").read_text()
    for heading in ("NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS", "FILES", "ENVIRONMENT", "SEE ALSO"):
        assert f"\n.SH {heading}\n" in text
    assert "\\fB\\-\\-dry\\-run\\fR\n" in text
    assert "\\fBGREX_WORKSPACE, GREX_JOBS, GREX_TRUST\\fR\n" in text
    assert ".BR git (1)" in text or ".BR grex (1)" in text


@pytest.mark.parametrize(
    "command",
    [
        ["groff", "-man", "-Tascii", "-ww", "-z"],
        ["mandoc", "-Tlint", "-Wwarning"],
        ["man", "--warnings", "-E", "UTF-8", "-l"],
    ],
    ids=lambda command: command[0],
)
def test_the_readers_of_manual_pages_complain_of_nothing(pages: Path, command: list[str]) -> None:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    done = subprocess.run(
        [*command, *map(str, sorted(pages.iterdir()))],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "MANPAGER": "cat", "MANWIDTH": "100"},
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
def test_what_is_a_request_to_roff_is_shown_as_text(tmp_path: Path) -> None:
    hostile = ".so /etc/passwd 'x' \\n(.g \\*(lq -- ~ ^ `a\\b` \u00fc \"q\""
    option = Parameter(("--odd",), "'.X", hostile)
    verb = Described(("odd",), ".summary", hostile, "grex odd [OPTIONS] .X", (), (option,))
    page = tmp_path / "odd.1"
    page.write_text(manual._page(verb, "grex-odd", ["grex"]))
    done = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww", "-rLL=300n", str(page)], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    shown = " ".join(done.stdout.split())
    assert shown.count(".so /etc/passwd 'x' \\n(.g \\*(lq -- ~ ^") == 2


def test_the_manual_is_the_same_each_time() -> None:
    assert manual_pages() == manual_pages()


def test_the_generated_parts_of_the_reference_are_current() -> None:
    stale = [path.name for path, text in reference_pages.current().items() if path.read_text("utf-8") != text]
    assert stale == [], "run `make reference`, and commit what it writes"


def test_a_stale_part_is_written_anew_and_what_stands_around_it_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for page in ("cli.md", "json.md", "config.md"):
        shutil.copy(reference_pages.PAGES / page, tmp_path / page)
    before = (tmp_path / "config.md").read_text()
    (tmp_path / "config.md").write_text(before.replace("| `[sync] per_host` |", "| `[sync] per_hots` |"))
    monkeypatch.setattr(reference_pages, "PAGES", tmp_path)
    assert reference_pages.write_pages() == [tmp_path / "config.md"]
    assert (tmp_path / "config.md").read_text() == before
    assert reference_pages.write_pages() == []
    (tmp_path / "config.md").write_text(before.replace("<!-- end of settings -->", ""))
    with pytest.raises(ValueError, match="markers of 'settings'"):
        reference_pages.write_pages()
