"""Child processes: started in a session of their own, bounded in time and memory, ended with everything they started.

No other room starts a process. What is run, and with which environment, is the caller's business (`grex.git` for git,
the exec action and the hooks for what packs bring along).
"""

from __future__ import annotations

from grex.process.clip import clip_output, clip_text
from grex.process.lines import CommandLines, Stream
from grex.process.run import Finished, ProcessTimeoutError, run_process

__all__ = ["CommandLines", "Finished", "ProcessTimeoutError", "Stream", "clip_output", "clip_text", "run_process"]
