"""What came of a call, as a client gets it.

The structured content is what `--json` prints: the verb's document, or `{"error": ...}` where the verb could not do its
work at all. `is_error` says that the call failed: its exit code is neither 0 nor 7. Drift is what was asked for and no
failure. A model that is shown only text gets the document as JSON, and an error as sentences.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

import mcp_types as types

from grex.errors import GrexError
from grex.mcp.tools import Tool
from grex.verbs.documents import DOCUMENTS
from grex.verbs.report import explained, failure_json

if TYPE_CHECKING:
    from grex.verbs.report import Report

__all__ = ["as_json", "from_error", "from_report", "output_schema"]

_FINE = frozenset({0, 7})
_SYNC = "SyncDocument"


def from_report(report: Report) -> types.CallToolResult:
    """The result of a verb that came to its end."""
    document = report.to_json()
    return _result(document, as_json(document), is_error=report.exit_code not in _FINE)


def from_error(error: GrexError) -> types.CallToolResult:
    """The result of a verb that could not do its work at all."""
    told = "\n".join((error.message, *explained(error)))
    return _result({"error": failure_json(error)}, told, is_error=True)


def _result(document: Mapping[str, Any], text: str, *, is_error: bool) -> types.CallToolResult:
    return types.CallToolResult(
        content=[types.TextContent(type="text", text=text)], structured_content=dict(document), is_error=is_error
    )


def as_json(document: Mapping[str, Any]) -> str:
    """A document as text."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError:  # a name that is not UTF-8
        return json.dumps(document, separators=(",", ":"))
    return text


@cache
def output_schema(tool: Tool) -> dict[str, Any]:
    """The JSON Schema of the structured content: the verb's document, or the error object.

    Clients hold errors against it as well, so it has both.
    """
    from pydantic import TypeAdapter  # noqa: PLC0415 - the schemas of all tools take a moment, and not each client asks

    if tool.document is None:
        return {"type": "object"}
    definitions: dict[str, Any] = {}
    either = []
    for name in (tool.document, "error"):
        schema = TypeAdapter(DOCUMENTS[name]).json_schema()
        definitions |= schema.pop("$defs", {})
        definitions[schema["title"]] = schema
        either.append({"$ref": f"#/$defs/{schema['title']}"})
    if tool.document != "sync" and _SYNC in definitions:  # a part of other documents; a third of the list, for nothing
        definitions[_SYNC] = {"type": "object", "description": "What the sync did: the document of `sync`."}
        definitions = {name: definitions[name] for name in _used(either, definitions)}
    return {"type": "object", "anyOf": either, "$defs": _without_titles(definitions)}


def _used(schema: object, definitions: Mapping[str, Any]) -> list[str]:
    """The definitions that a schema leads to."""
    found: list[str] = []
    left = [schema]
    while left:
        for name in re.findall(r'"#/\$defs/(\w+)"', json.dumps(left.pop())):
            if name not in found:
                found.append(name)
                left.append(definitions[name])
    return found


def _without_titles(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema without the names that pydantic makes of keys, a fifth of it, which say nothing more."""
    return {
        key: {name: _without_titles(one) for name, one in value.items()}
        if key in ("properties", "$defs")
        else [_without_titles(one) if isinstance(one, dict) else one for one in value]
        if isinstance(value, list)
        else _without_titles(value)
        if isinstance(value, dict)
        else value
        for key, value in schema.items()
        if not (key == "title" and isinstance(value, str))
    }
