"""`grex schema`: the JSON Schema of a verb's `--json` document."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from grex.errors import UsageError
from grex.verbs.documents import DOCUMENTS

__all__ = ["EVENTS", "SchemaReport", "SchemaRequest", "schema"]

EVENTS = "events"
"""What `grex schema` calls the lines of `--json-lines`."""


class SchemaRequest(Struct, frozen=True):
    """Whose document: a verb, `error` for what any of them prints when it fails, or `events`."""

    verb: str


class SchemaReport(Struct, frozen=True):
    """A JSON Schema, draft 2020-12."""

    document: dict[str, Any]
    exit_code: int = 0

    def to_json(self) -> dict[str, Any]:
        """The schema itself."""
        return self.document


def schema(request: SchemaRequest) -> SchemaReport:
    """Give the schema of a verb's document. Takes no lock and needs no workspace.

    Raises:
        UsageError: there is no such verb, or it has no document.
    """
    document: Any = DOCUMENTS.get(request.verb)
    if request.verb == EVENTS:
        from grex.progress.wire import EventLine  # noqa: PLC0415 - only for this schema

        document = EventLine
    if document is None:
        known = sorted({*DOCUMENTS, EVENTS})
        raise UsageError(f"there is no document of {request.verb!r}", hint=f"One of: {', '.join(known)}.")
    from pydantic import TypeAdapter  # noqa: PLC0415 - 50 ms that no other verb has to pay

    found = TypeAdapter(document).json_schema()
    return SchemaReport({"$schema": "https://json-schema.org/draft/2020-12/schema", **found})
