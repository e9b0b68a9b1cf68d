"""Output of children as text of bounded length."""

from __future__ import annotations

import codecs

from grex.names import clean, redact

__all__ = ["OUTPUT_LIMIT_BYTES", "clip_output", "clip_text"]

OUTPUT_LIMIT_BYTES = 2048
"""How much of a command's output goes into the error that says that it failed."""

_LONGEST_TAIL = 3  # continuation bytes in a UTF-8 character of four


def clip_text(data: bytes, limit_bytes: int, *, keep_tail: bool = True) -> str:
    """At most `limit_bytes` of the output as text, cut between two characters.

    Bytes that are no UTF-8 become U+FFFD; half a character at the cut is dropped, for it is an artefact of the cut and
    not of the output.

    Args:
        data: what a child wrote.
        limit_bytes: how many of these bytes may be used.
        keep_tail: keep the end, where a failing program says why; otherwise the beginning.
    """
    if limit_bytes <= 0:
        return ""
    if len(data) <= limit_bytes:
        return data.decode("utf-8", "replace")
    if keep_tail:
        tail = data[-limit_bytes:]
        start = 0
        while start < min(_LONGEST_TAIL, len(tail)) and tail[start] & 0xC0 == 0x80:  # noqa: PLR2004 - UTF-8's own masks
            start += 1
        return tail[start:].decode("utf-8", "replace")
    # Not final: a character that the cut halved is held back by the decoder instead of being replaced.
    return codecs.getincrementaldecoder("utf-8")("replace").decode(data[:limit_bytes], final=False)


def clip_output(stdout: bytes, stderr: bytes, limit_bytes: int = OUTPUT_LIMIT_BYTES) -> str:
    """The end of what a command said: of standard error, and of standard output as far as that leaves room.

    Line by line without control characters and credentials, so that it can stand in an error.
    """
    error = stderr[-limit_bytes:]
    texts = (clip_text(stdout, limit_bytes - len(error)), clip_text(stderr, limit_bytes))
    return "\n".join(clean(line, limit_bytes) for text in texts for line in redact(text).splitlines())
