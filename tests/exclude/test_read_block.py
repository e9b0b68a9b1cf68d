"""What the managed block says can be read back, so that a run can add to it without dropping a line."""

from __future__ import annotations

from pathlib import Path

from grex.exclude import ensure_block, read_block


def test_what_was_written_is_read_back_whatever_stands_around_it(tmp_path: Path) -> None:
    file = tmp_path / "exclude"
    file.write_bytes(b"*.o\r\n# mine\r\n")
    ensure_block(file, ["/libs/a", "/weird \\#name"])
    file.write_bytes(file.read_bytes() + b"after\n")
    assert read_block(file) == ("/libs/a", "/weird \\#name")


def test_no_file_no_block_and_a_start_without_an_end_read_as_nothing(tmp_path: Path) -> None:
    file = tmp_path / "exclude"
    assert read_block(file) == ()
    file.write_text("*.o\n")
    assert read_block(file) == ()
    file.write_text("# >>> grex (managed)\n/x\n")
    assert read_block(file) == ()
