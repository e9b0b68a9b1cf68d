"""The page of `grex graph --format html`: one file that shows a workspace, and with a trace a run, without any network.

`page.html` has the frame, `page.css` the looks, and the scripts what happens: `common.js` first, `packs.js` the tree,
`run.js` the timeline, `start.js` brings them together. They are joined here, once, as text.

What a repository can choose (names, URLs, messages) is data: it stands in a JSON block in which `<`, `>` and `&` are
escaped, so nothing in it ends the block or is markup, and the scripts only ever make text of it. Should they fail to
once, the page forbids everything else by its Content-Security-Policy: only these scripts and these styles, by their
hashes, no network, no forms, no frames.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from grex.cli.render.page.timeline import Timeline, read_timeline

if TYPE_CHECKING:
    from grex.verbs.graph import GraphReport

__all__ = ["Timeline", "graph_html", "read_timeline"]

_SCRIPTS = ("common.js", "packs.js", "run.js", "start.js")
_PLACE = re.compile("@(POLICY|STYLE|DATA|SCRIPT)@")
_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}


def graph_html(report: GraphReport, timeline: Timeline | None = None) -> str:
    """The page of a graph, with the timeline of a run where there is one; plain ASCII."""
    style = _text("page.css")
    script = '"use strict";\n(() => {\n' + "\n".join(map(_text, _SCRIPTS)) + "})();\n"
    data = {"graph": report.to_json(), "run": timeline}
    policy = "; ".join(
        (
            "default-src 'none'",
            f"script-src '{_hash(script)}'",
            f"style-src '{_hash(style)}'",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
    parts = {"POLICY": policy, "STYLE": style, "DATA": _data(data), "SCRIPT": script}
    # In one go: what was put in is not looked at for places again.
    return _PLACE.sub(lambda place: parts[place[1]], _text("page.html")).rstrip("\n")


def _data(value: Mapping[str, Any]) -> str:
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    for character, escape in _ESCAPES.items():
        text = text.replace(character, escape)
    return text


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _text(name: str) -> str:
    return files(__name__).joinpath(name).read_text("utf-8")
