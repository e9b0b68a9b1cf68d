"""Text from others, made fit to be shown: `clean` takes away what acts on a terminal, `redact` what is secret.

Both are for text that is about to leave the program (a message, a report, a log line), both may be applied twice
without further change, and both are linear in the length of the text: every repetition in the patterns is bounded or
stops at a character that starts the next attempt, because the text may be chosen by an attacker.

What `redact` counts as secret:

* the user part of a URL, whether `user:password@` or a bare `token@`: both become `***@`. A login name without a
  password in an `ssh` URL or in the scp form (`git@host:path`) stays: it is part of the address, and no secret.
* a password that holds an unencoded `/`, `?` or `#`. Such a URL is broken, and is printed for just that reason.
* `user:password@host` without a scheme, which is what a URL looks like when the scheme was forgotten.
* values of query parameters that are named like secrets, and of `Authorization` headers.
"""

from __future__ import annotations

import re
import shlex

__all__ = ["SECRET_PARAMETER", "as_hint", "clean", "redact", "shown_argument"]

MASK = "***"

# Escape sequences are taken out whole, or `[31m` would stay behind. One that never ends loses only its first
# characters: swallowing the rest would let a pack hide text that follows.
_ESCAPE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]?"  # CSI: colours, cursor
    r"|\x9b[0-?]*[ -/]*[@-~]?"  # CSI as one C1 character
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)"  # OSC, DCS and their like, up to their terminator
    r"|\x1b[ -/]*[0-~]?"  # two-character escapes and what is left of broken ones
)
_SPACES = re.compile(r"[\t\n\v\f\r\x85\u2028\u2029]+")
# C0, DEL, C1; then the characters that reorder or hide what stands around them (bidirectional controls, zero width
# space, byte order mark). Joiners stay: scripts and emoji need them.
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")

_SSH_SCHEMES = frozenset({"ssh", "git+ssh", "ssh+git"})
SECRET_PARAMETER = re.compile(
    r"(?:[\w.-]{0,40}[-_.])?(?:token|secret|passw(?:or)?d|pwd|pass|passphrase|api-?key|key|auth|jwt|sig|signature"
    r"|credentials?)",
    re.IGNORECASE,
)
# `//user:pa/ss@host`: a port that is no number, so what follows the colon was meant as a password.
_BROKEN_USERINFO = re.compile(r"://[^\s/?#@:\[]*:(?!\d*(?:[/?#\s,;)'\"\]]|$))[^\s/?#@]*[/?#]\S{0,512}?@")
_USERINFO = re.compile(r"(\b[a-z][a-z0-9+.-]{0,20})?://([^\s/?#]*)@", re.IGNORECASE)
_BARE_USERINFO = re.compile(r"(?<![\w.+\-/@:*])[\w.+-]{1,64}:(?!//)[^\s/@]{1,256}@(?=[\w\[])")
_PARAMETER = re.compile(rf"([?&;#]{SECRET_PARAMETER.pattern}=)[^\s&;#'\"]+", re.IGNORECASE)
_HEADER = re.compile(r"(\bauthorization\s?[:=]\s?(?:(?:basic|bearer|token|negotiate)\s)?)[^\s'\"]+", re.IGNORECASE)


def clean(text: str, limit: int = 200) -> str:
    """Return the text on one line, without control characters and escape sequences, at most `limit` characters long."""
    text = _ESCAPE.sub("", text)
    text = _SPACES.sub(" ", text)
    text = _UNSEEN.sub("", text)
    text = _SURROGATE.sub("\ufffd", text)  # a lone surrogate cannot be printed or encoded
    if len(text) > limit:
        return text[: max(limit - 1, 0)] + "…"[:limit]
    return text


def redact(text: str) -> str:
    """Return the text with the credentials in it replaced by `***`; the rest stays as it was."""
    if "@" in text:
        text = _BROKEN_USERINFO.sub(f"://{MASK}@", text)
        text = _USERINFO.sub(_mask_userinfo, text)
        text = _BARE_USERINFO.sub(f"{MASK}@", text)
    if "=" in text:
        text = _PARAMETER.sub(rf"\1{MASK}", text)
    return _HEADER.sub(rf"\1{MASK}", text)


def shown_argument(text: str) -> str:
    """Return the text as one argument of a command that people copy into their shell out of a hint."""
    return shlex.quote(clean(text, 2048))


def as_hint(text: str) -> str:
    """Return a fragment such as `write it in quotes` as the sentence that a hint is; none (`""`) stays none."""
    if not text:
        return text
    return f"{text[0].upper()}{text[1:]}{'' if text[-1] in '.?!' else '.'}"


def _mask_userinfo(match: re.Match[str]) -> str:
    scheme, info = match.group(1) or "", match.group(2)
    if scheme.lower() in _SSH_SCHEMES and ":" not in info and "@" not in info:
        return match.group(0)
    return f"{scheme}://{MASK}@"
