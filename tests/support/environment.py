"""An environment of its own in which plugins are really installed, so that their entry points are what finds them.

grex and all that it needs come from the environment of the tests, through a path file; the plugins are installed from
a copy of their sources, without a network.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import grex

__all__ = ["EXAMPLES", "make_environment"]

EXAMPLES = Path(grex.__file__).parents[1] / "examples"
_ASK = "import sysconfig; print(sysconfig.get_path('purelib'))"


def make_environment(directory: Path, *projects: Path) -> Path:
    """Make an environment with these projects installed, each from a copy beside it; gives its interpreter."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", directory], check=True, timeout=60)
    python = directory / "bin/python"
    site = Path(subprocess.run([python, "-c", _ASK], check=True, capture_output=True, text=True).stdout.strip())
    host = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), str(EXAMPLES.parent)]
    (site / "host.pth").write_text("\n".join(dict.fromkeys(host)) + "\n")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", os.fspath(python)]
    for project in projects:
        copy = directory / project.name  # the build may leave files behind, which have no place in the source tree
        shutil.copytree(project, copy, ignore=shutil.ignore_patterns("__pycache__"))
        options = ["--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
        subprocess.run([*pip, "install", *options, os.fspath(copy)], check=True, timeout=100)
    return python
