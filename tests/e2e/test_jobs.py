"""How many hooks run at once, and that a report does not depend on who was faster.

The hazards: a limit that does not limit, or that limits to less than was asked for (a permit held while its holder
waits for something else); and a report whose order or content depends on timing, which no two runs would share.
Nothing here is timed: hooks meet each other at a barrier of files, and write down when they began and ended.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.support.git_server import GitServer
from tests.support.workspace import Workspace, pack_yaml

PACKS = 8

HOOK = """\
#!/bin/sh
# Says that it is here, waits until $MEET hooks have been, and leaves again. The limit is for a barrier nobody joins.
echo "begin $GREX_PACK_NAME" >> "$MEETING/record"
tries=0
while [ "$(grep -c begin "$MEETING/record")" -lt "$MEET" ]; do
  tries=$((tries + 1))
  [ $tries -lt 400 ] || { echo "only $(grep -c begin "$MEETING/record") of $MEET came" >&2; exit 1; }
  sleep 0.05
done
echo "end $GREX_PACK_NAME" >> "$MEETING/record"
"""


class Meeting:
    """A workspace of eight packs whose hooks wait until so many of them run at once, and what they wrote down."""

    def __init__(self, server: GitServer, base: Path) -> None:
        self.workspace = Workspace(base)
        self.workspace.environ["GREX_TRUST"] = server.root.as_uri()
        self.directory = base / "meeting"
        self.directory.mkdir()
        children = []
        for number in range(PACKS):
            name = f"pack-{number}"
            hooks = {".grex/hooks/setup.sh": HOOK}
            server.create(name, {".grex/pack.yaml": pack_yaml(name, "scripted"), **hooks})
            children.append({"url": server.url(name)})
        self.workspace.declare(*children)

    def most_at_once(self, meet: int, *arguments: str, **environ: str) -> int:
        """Run a sync in which `meet` hooks have to meet; gives how many ran at once at most."""
        self.workspace.environ |= {"MEET": str(meet), "MEETING": str(self.directory), **environ}
        self.workspace.sync(*arguments)
        now = most = 0
        lines = (self.directory / "record").read_text().splitlines()
        assert len(lines) == 2 * PACKS
        for line in lines:
            now += 1 if line.startswith("begin") else -1
            most = max(most, now)
        return most


@pytest.fixture
def meeting(server: GitServer, tmp_path: Path) -> Meeting:
    """Eight packs with hooks."""
    return Meeting(server, tmp_path)


@pytest.mark.parametrize("jobs", [1, 4])
def test_exactly_as_many_hooks_run_at_once_as_jobs_says(meeting: Meeting, jobs: int) -> None:
    assert meeting.most_at_once(jobs, "--jobs", str(jobs)) == jobs


def test_jobs_is_taken_from_the_option_before_the_environment_before_the_configuration(meeting: Meeting) -> None:
    workspace = meeting.workspace
    (workspace / ".grex/config.toml").write_text("[sync]\njobs = 2\n")

    def again(meet: int, *arguments: str, **environ: str) -> int:
        for name in ("grex.jsonl", "grex.lock.jsonl"):
            (workspace / name).unlink(missing_ok=True)
        for number in range(PACKS):
            shutil.rmtree(workspace / f"pack-{number}", ignore_errors=True)
        (meeting.directory / "record").unlink(missing_ok=True)
        return meeting.most_at_once(meet, *arguments, **environ)

    assert again(2) == 2
    assert again(3, GREX_JOBS="3") == 3
    assert again(5, "--jobs", "5", GREX_JOBS="3") == 5


def without_times(text: str) -> str:
    """A report, without what it took."""
    return re.sub(r'\b[\d.]+ s\.$|"(?:elapsed|waited)_s": [\d.]+', "TIME", text, flags=re.MULTILINE)


def reports(workspace: Workspace, runs: int, *, fresh: bool) -> tuple[set[str], set[str]]:
    """The different reports of so many runs, text and JSON by turns; `fresh` makes the workspace anew for each."""
    texts: set[str] = set()
    documents: set[str] = set()
    pack_yaml_text = (workspace / ".grex/pack.yaml").read_text()
    for number in range(runs):
        if fresh:
            shutil.rmtree(workspace.root)
            (workspace / ".grex").mkdir(parents=True)
            (workspace / ".grex/pack.yaml").write_text(pack_yaml_text)
        found, arguments = ((texts, ("sync",)), (documents, ("sync", "--json")))[number % 2]
        found.add(without_times(workspace.grex(*arguments).stdout))
    return texts, documents


def make_reported(server: GitServer, base: Path) -> Workspace:
    """Two levels, hooks that take different times, a diamond, an untracked branch and a tag."""
    base_url = {"base": server.root.as_uri()}
    common = {"url": "common.git", "path": "/common"}
    for number in range(3):
        hook = {".grex/hooks/setup.sh": f"sleep 0.0{3 - number}\n"}
        keys = {"children": [common], "defaults": base_url, "depends_on": ["common"]}
        server.create(f"pack-{number}", {".grex/pack.yaml": pack_yaml(f"pack-{number}", "scripted", **keys), **hook})
    server.create("common", {".grex/pack.yaml": pack_yaml("common", "plain")})
    server.create("tagged", {"file": "1\n"})
    server.tag("tagged", "v1")
    workspace = Workspace(base)
    workspace.environ["GREX_TRUST"] = server.root.as_uri()
    workspace.declare(
        *({"url": server.url(f"pack-{number}")} for number in (2, 0, 1)), {"url": server.url("tagged"), "ref": "v1"}
    )
    return workspace


@pytest.mark.slow
def test_reports_of_equal_runs_are_equal(server: GitServer, tmp_path: Path) -> None:
    workspace = make_reported(server, tmp_path)
    for fresh in (True, False):
        texts, documents = reports(workspace, 4, fresh=fresh)
        assert len(texts) == len(documents) == 1
        assert [text.count("TIME") for text in (*texts, *documents)] == [1, 2]


@pytest.mark.slow
@pytest.mark.exhaustive  # two equal runs are compared as well
def test_reports_of_twenty_equal_runs_are_equal(server: GitServer, tmp_path: Path) -> None:
    workspace = make_reported(server, tmp_path)
    for fresh in (True, False):
        texts, documents = reports(workspace, 20, fresh=fresh)
        assert len(texts) == len(documents) == 1
