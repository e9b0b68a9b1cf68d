"""Other addresses for the same repositories: `[url."https://mirror.example/"] instead_of = ["https://github.com/"]`.

The longest prefix wins; of two alike, the user's own. What is declared stays what is written down, shown and compared;
only what is asked is the rewritten address. It never gets the credentials of the declared one, neither a user and
password nor a parameter of the query that looks like a token: they are another host's.

A workspace's configuration comes with its repository, from people who need not be trusted. So where it is the
workspace that rewrites, trust goes by the address that is really asked (`is_shared`), or it could let its own code
pass for somebody else's; and it cannot turn an encrypted transport into one that is not.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from grex.names.text import SECRET_PARAMETER
from grex.names.urls import InvalidUrlError, PackUrl, parse_url

__all__ = ["Rewrite", "Rewrites", "check_rewrite"]

_OPEN = ("http", "git")


class Rewrite(Struct, frozen=True):
    """One rule: addresses that begin with `instead_of` are asked for at `base`."""

    base: str
    instead_of: str
    is_shared: bool = False
    """Whether the workspace's configuration says so, and not the user's."""


class Rewrites(Struct, frozen=True):
    """All rules of a run."""

    rules: tuple[Rewrite, ...] = ()

    def rule_for(self, url: PackUrl) -> Rewrite | None:
        """The rule that an address falls under, None if it is asked for as it is."""
        found = [rule for rule in self.rules if _covers(rule.instead_of, url.plain)]
        return max(found, key=lambda rule: (len(rule.instead_of), not rule.is_shared), default=None)

    def real(self, url: PackUrl) -> PackUrl:
        """The address that is asked.

        Raises:
            InvalidUrlError: what comes out is no address.
        """
        rule = self.rule_for(url)
        if rule is None:
            return url
        return parse_url(rule.base + _without_secrets(url.plain[len(rule.instead_of) :]))

    def trust_key(self, url: PackUrl) -> str:
        """What trust in an address goes by.

        Raises:
            InvalidUrlError: as `real`.
        """
        rule = self.rule_for(url)
        return self.real(url).trust_key if rule is not None and rule.is_shared else url.trust_key


def check_rewrite(rule: Rewrite) -> str | None:
    """Why a rule cannot be; None if it can."""
    if not rule.instead_of.strip():
        return "an empty prefix would be that of every URL"
    try:
        base = parse_url(f"{rule.base}x" if rule.base.endswith(("/", ":")) else rule.base)
    except InvalidUrlError as error:
        return f"the new address {error.reason}"
    if base.plain != base.resolved:
        return "credentials do not belong into a configuration; a credential helper keeps them"
    if base.warning is None and base.scheme != "git":
        return None
    if rule.is_shared and not rule.instead_of.startswith(tuple(f"{scheme}://" for scheme in _OPEN)):
        return "a workspace cannot replace an encrypted transport by one that is not"
    return None


def _covers(prefix: str, text: str) -> bool:
    """Whether an address begins with a prefix that ends where a part does: not `host/team` and `host/team2`."""
    if not text.startswith(prefix):
        return False
    return prefix.endswith(("/", ":")) or text[len(prefix) : len(prefix) + 1] in ("", "/")


def _without_secrets(rest: str) -> str:
    path, mark, query = rest.partition("?")
    kept: Sequence[str] = [
        part for part in query.split("&") if part and not SECRET_PARAMETER.fullmatch(part.partition("=")[0])
    ]
    return f"{path}{mark if kept else ''}{'&'.join(kept)}"
