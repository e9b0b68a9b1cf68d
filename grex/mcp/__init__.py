"""The verbs as tools for agents: `grex serve` speaks MCP over stdio.

The SDK is imported by what serves, and by nothing else: it costs several times as much as every other start of grex.
docs/reference/mcp.md says what clients can rely on.
"""

__all__: list[str] = []
