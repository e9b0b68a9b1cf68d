"""What a terminal shows while a run goes on; imported only by verbs that may run long, and where there is one."""

from grex.cli.live.model import MOST_LINES, LiveModel, Span
from grex.cli.live.painter import LiveView
from grex.cli.live.watching import watch

__all__ = ["MOST_LINES", "LiveModel", "LiveView", "Span", "watch"]
