"""A failure, as every document tells it."""

from __future__ import annotations

from typing import Any

from typing_extensions import TypedDict  # pydantic asks for this one below Python 3.12

__all__ = ["ErrorDocument", "FailureObject"]


class FailureObject(TypedDict):
    """A failure: a stable code, its exit code, one sentence, what to do, and further facts."""

    code: str
    exit_code: int
    message: str
    hint: str | None
    details: dict[str, Any]


class ErrorDocument(TypedDict):
    """What any verb prints instead of its document when it could not do its work at all."""

    error: FailureObject
