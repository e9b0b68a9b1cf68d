"""Rewritten addresses: the longest prefix wins, and no secret and no trust goes along."""

from __future__ import annotations

import pytest

from grex.names import Rewrite, Rewrites, parse_url
from grex.names.rewrites import check_rewrite

RULES = Rewrites(
    (
        Rewrite("https://mirror.example/all/", "https://github.com/"),
        Rewrite("ssh://git@mirror.example/", "https://github.com/team/"),
        Rewrite("https://team.example/", "https://team.invalid/", is_shared=True),
        Rewrite("https://users.example/", "https://both.invalid/"),
        Rewrite("https://shared.example/", "https://both.invalid/", is_shared=True),
        Rewrite("https://one.example/app", "https://single.invalid/app"),
    )
)


@pytest.mark.parametrize(
    ("declared", "asked"),
    [
        ("https://github.com/other/app", "https://mirror.example/all/other/app"),
        ("https://github.com/team/app.git", "ssh://git@mirror.example/app.git"),
        ("https://github.com.evil.example/x/y", "https://github.com.evil.example/x/y"),
        ("https://both.invalid/x", "https://users.example/x"),
        ("https://single.invalid/app", "https://one.example/app"),
        ("https://single.invalid/app/deep", "https://one.example/app/deep"),
        ("https://single.invalid/app2", "https://single.invalid/app2"),
        ("https://ada:secret@github.com/other/app", "https://mirror.example/all/other/app"),
        ("https://github.com/other/app?private_token=secret&x=1", "https://mirror.example/all/other/app?x=1"),
        ("https://github.com/other/app?access_token=secret", "https://mirror.example/all/other/app"),
    ],
)
def test_what_is_asked(declared: str, asked: str) -> None:
    assert RULES.real(parse_url(declared)).resolved == asked


def test_trust_goes_by_the_declared_address_unless_the_workspace_rewrites_it() -> None:
    assert RULES.trust_key(parse_url("https://github.com/other/app")) == "https://github.com/other/app"
    assert RULES.trust_key(parse_url("https://team.invalid/app")) == "https://team.example/app"
    assert RULES.trust_key(parse_url("https://both.invalid/app")) == "https://both.invalid/app"


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        (Rewrite("https://m.example/", ""), "an empty prefix"),
        (Rewrite("ext::sh -c x", "https://a.example/"), "names the remote helper"),
        (Rewrite("https://ada:secret@m.example/", "https://a.example/"), "credentials do not belong"),
        (Rewrite("http://m.example/", "https://a.example/", is_shared=True), "cannot replace an encrypted transport"),
        (Rewrite("git://m.example/", "git@a.example:", is_shared=True), "cannot replace an encrypted transport"),
        (Rewrite("http://m.example/", "https://a.example/"), None),
        (Rewrite("http://localhost:8080/", "https://a.example/", is_shared=True), None),
        (Rewrite("/srv/mirrors/", "https://a.example/", is_shared=True), None),
    ],
)
def test_a_rule_that_cannot_be_is_refused(rule: Rewrite, reason: str | None) -> None:
    found = check_rewrite(rule)
    assert (found is None) if reason is None else (found is not None and reason in found)
