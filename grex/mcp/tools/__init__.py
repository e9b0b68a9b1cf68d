"""The verbs as tools: a table, one entry for each.

What is no tool, and why: `serve` and `demo` are for people; `clone` and `init` make another workspace, while a server
keeps to its own; `push` sends work to others, which is for the user to do; `completion`, `help` and `mcp` are
about the command line; `merge-driver` is for git.
"""

from grex.mcp.tools.declaring import ADD, OVERRIDE, RM, SET
from grex.mcp.tools.forks import FORK, FORK_LS, FORK_RM
from grex.mcp.tools.interchange import EXPORT, FREEZE, IMPORT
from grex.mcp.tools.looking import CONFIG, DIFF, GRAPH, LOCKS, LS, PATH, PLUGINS, SCHEMA, STATUS, TRUST
from grex.mcp.tools.over import EXEC, FETCH, SWITCH
from grex.mcp.tools.packs import RUN, SYNC, TEARDOWN, UPDATE
from grex.mcp.tools.tool import Asking, Given, Tool
from grex.mcp.tools.upkeep import CACHE_GC, CACHE_LS, DOCTOR

__all__ = ["TOOLS", "Asking", "Given", "Tool"]

TOOLS: dict[str, Tool] = {
    tool.name: tool
    for tool in (
        STATUS,
        SYNC,
        UPDATE,
        ADD,
        RM,
        SET,
        OVERRIDE,
        LS,
        GRAPH,
        DIFF,
        PATH,
        EXEC,
        RUN,
        SWITCH,
        FETCH,
        FORK,
        FORK_LS,
        FORK_RM,
        TEARDOWN,
        IMPORT,
        EXPORT,
        FREEZE,
        DOCTOR,
        LOCKS,
        TRUST,
        CONFIG,
        PLUGINS,
        SCHEMA,
        CACHE_LS,
        CACHE_GC,
    )
}
