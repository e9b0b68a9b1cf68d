"""The askpass program that git runs as a script: it hands git's question to the grex that started it.

git runs one for each question, from each of many processes at once. The grex above asks the person once for each host
and answers all the others from memory (`grex.cli.logins`). A program that the user has chosen goes before: git knows
`core.askPass` and SSH_ASKPASS, which it would have asked if GIT_ASKPASS were not set.

It is started with `-I -S` and imports nothing of grex. What it gets is printed and nothing else: no file, no log.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import suppress

__all__ = ["main"]

_LIMIT_BYTES = 64 << 10


def main(arguments: list[str]) -> int:
    """Print the answer to git's question; 1 if there is none."""
    question = arguments[0] if arguments else ""
    chosen = _chosen()
    if chosen:
        with suppress(OSError):
            os.execvp(chosen, [chosen, question])  # noqa: S606 - no shell is wanted
    answer = _ask(question)
    if not answer:
        return 1
    sys.stdout.write(answer + "\n")
    return 0


def _chosen() -> str | None:
    """The program that the user has configured for questions."""
    environment = {name: value for name, value in os.environ.items() if name != "GIT_CONFIG_PARAMETERS"}
    with suppress(OSError):
        found = subprocess.run(
            ["git", "config", "--get", "--type=path", "core.askPass"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            check=False,
            text=True,
        )
        if found.stdout.strip():
            return found.stdout.strip()
    return os.environ.get("SSH_ASKPASS")


def _ask(question: str) -> str:
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            line.connect(os.environ["GREX_ASKPASS_SOCKET"])
            line.sendall(f"{os.environ['GREX_ASKPASS_ATTEMPT']}\0{question}".encode("utf-8", "surrogateescape"))
            line.shutdown(socket.SHUT_WR)
            answer = b""
            while len(answer) < _LIMIT_BYTES and (piece := line.recv(4096)):
                answer += piece
    except (OSError, KeyError):
        return ""
    return answer.decode("utf-8", "surrogateescape")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
