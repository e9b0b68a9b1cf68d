"""`grex exec`: where it runs, in which order, what becomes of the output, and what a failure stops."""

from __future__ import annotations

import os
from pathlib import Path

import anyio
import pytest

from grex.engine.commanding import CommandOutcome
from grex.errors import UsageError
from grex.verbs.exec import ExecReport, ExecRequest, exec_
from tests.support.git_server import git
from tests.support.lock_holder import LockHolder
from tests.support.place import Place
from tests.support.workspace import pack_yaml

pytestmark = pytest.mark.anyio

HEAR_ALL = 200_000


@pytest.fixture
def packs(place: Place) -> Place:
    """Three packs, of which `a` depends on `c`; `d` is in a group that is off. That they are checkouts is enough."""
    texts = {"a": pack_yaml("a", "plain", depends_on=["c"]), "b": None, "c": pack_yaml("c", "plain"), "d": None}
    for name, text in texts.items():
        git(place.root, "init", "--quiet", name)
        if text is not None:
            (place / name / ".grex").mkdir()
            (place / name / ".grex/pack.yaml").write_text(text)
    place.declare(
        *({"url": f"https://host.example/{name}"} for name in "abc"),
        {"url": "https://host.example/d", "groups": ["off"]},
    )
    (place / ".grex/local.yaml").write_text("groups: ['!off']\n")
    return place


async def run(place: Place, *command: str, settings: dict[str, object] | None = None, **keys: object) -> ExecReport:
    request = ExecRequest(root=place.root, command=command, **keys)  # type: ignore[arg-type]  # as a test gives them
    return await exec_(request, place.settings(**(settings or {})))


class Heard:
    """Hears what is told, as a front end would: by pack, in the order in which it came."""

    def __init__(self, *, goes_after: int | None = None) -> None:
        self.told: dict[str, tuple[bytes, bytes]] = {}
        self._goes_after = goes_after

    async def tell(self, outcome: CommandOutcome) -> bool:
        streams = (outcome.out, outcome.err)
        out, err = (b"" if one is None else b"".join(one.pieces()) for one in streams)
        before = self.told.get(outcome.path, (b"", b""))
        self.told[outcome.path] = (before[0] + out, before[1] + err)
        return self._goes_after is None or len(self.told) < self._goes_after


async def test_it_runs_in_every_pack_that_is_active_and_there_with_what_grex_tells_it(packs: Place) -> None:
    heard = Heard()
    script = 'echo "$GREX_PACK_NAME $GREX_PACK_PATH $GREX_WORKSPACE $GREX_DRY_RUN"; pwd >&2'
    report = await run(packs, "sh", "-c", script, tell=heard.tell)
    assert (report.exit_code, [pack.path for pack in report.packs]) == (0, ["a", "b", "c"])
    assert heard.told == {
        name: (
            f"{name} {packs.root}/{name} {packs.root} 0\n".encode(),
            f"{packs.root}/{name}\n".encode(),
        )
        for name in ("a", "b", "c")
    }


async def test_the_root_is_meant_only_where_it_is_named(packs: Place) -> None:
    assert [pack.path for pack in (await run(packs, "true", packs=(".",))).packs] == [".", "a", "b", "c"]
    assert [pack.path for pack in (await run(packs, "true", packs=("b",))).packs] == ["b"]
    assert [pack.path for pack in (await run(packs, "true", filters=("[bc]",))).packs] == ["b", "c"]
    with pytest.raises(UsageError, match="d is inactive here"):
        await run(packs, "true", packs=("d",))


async def test_the_root_needs_to_be_no_repository(packs: Place) -> None:
    assert not (packs / ".git").exists()
    heard = Heard()
    report = await run(packs, "pwd", packs=(".",), tell=heard.tell)
    assert (report.exit_code, heard.told["."]) == (0, (f"{packs.root}\n".encode(), b""))


async def test_a_pack_that_is_not_there_is_left_out_and_one_that_was_named_fails(packs: Place) -> None:
    (packs / "b").rename(packs.root.parent / "away")
    report = await run(packs, "true")
    assert (report.exit_code, report.notes) == (0, ("b is not cloned yet and left out",))
    report = await run(packs, "true", packs=("b", "c"))
    assert {pack.path: pack.status for pack in report.packs} == {"b": "failed", "c": "ran"}
    assert report.exit_code == 4


async def test_what_a_pack_depends_on_comes_first_and_output_comes_in_the_order_of_paths(packs: Place) -> None:
    order = packs.root.parent / "order"
    heard = Heard()
    await run(packs, "sh", "-c", f'echo "$GREX_PACK_NAME" >> {order}; echo said', tell=heard.tell)
    began = order.read_text().split()
    assert began.index("c") < began.index("a")
    assert list(heard.told) == ["a", "b", "c"]


async def test_a_failure_stops_nothing_not_even_what_depends_on_the_pack(packs: Place) -> None:
    report = await run(packs, "sh", "-c", '[ "$GREX_PACK_NAME" != c ]')
    assert {pack.path: pack.status for pack in report.packs} == {"a": "ran", "b": "ran", "c": "failed"}
    assert report.exit_code == 4
    assert [pack.error.message for pack in report.packs if pack.error] == [
        'c: sh -c [ "$GREX_PACK_NAME" != c ] exited with code 1'
    ]


async def test_with_fail_fast_a_failure_lets_nothing_more_begin(packs: Place) -> None:
    report = await run(packs, "false", fail_fast=True, settings={"jobs": 1})
    assert sorted(pack.status for pack in report.packs) == ["failed", "not-reached", "not-reached"]
    assert report.exit_code == 4


async def test_how_a_command_ended_is_told(packs: Place) -> None:
    report = await run(packs, "sh", "-c", "kill -9 $$", packs=("b",))
    assert report.packs[0].error is not None
    assert report.packs[0].error.message.endswith("was ended by SIGKILL")
    report = await run(packs, "grex-no-such-program", packs=("b",))
    assert report.packs[0].error is not None
    assert report.packs[0].error.message == "b: grex-no-such-program could not be run: No such file or directory"
    with pytest.raises(UsageError, match="there is no command to run"):
        await run(packs)


async def test_a_shell_reads_the_words_only_where_it_is_asked_for(packs: Place) -> None:
    heard = Heard()
    await run(packs, "echo", "$((1 + 1))", "&&", "echo", "b", packs=("b",), tell=heard.tell, shell=True)  # noqa: S604 - ours
    assert heard.told == {"b": (b"2\nb\n", b"")}
    heard = Heard()
    await run(packs, "echo", "$((1 + 1))", packs=("b",), tell=heard.tell)
    assert heard.told == {"b": (b"$((1 + 1))\n", b"")}


async def test_all_output_is_told_and_a_document_has_the_end_of_each_stream(packs: Place) -> None:
    """More than is kept in memory, of three packs at once, by turns."""
    heard = Heard()
    script = f"for (( i = 0; i < {HEAR_ALL}; i += 10000 )); do printf '%010000d' $i; printf '%01000d' $i >&2; done"
    report = await run(packs, "bash", "-c", script, tell=heard.tell, settings={"jobs": 3})
    wanted = b"".join(b"%010000d" % i for i in range(0, HEAR_ALL, 10000))
    said = b"".join(b"%01000d" % i for i in range(0, HEAR_ALL, 10000))
    assert heard.told == dict.fromkeys(("a", "b", "c"), (wanted, said))
    found = report.to_json()["packs"][0]
    assert found["stdout"].encode() == wanted[-64 << 10 :]
    assert (found["stdout_bytes"], found["stderr_bytes"]) == (HEAR_ALL, HEAR_ALL // 10)


async def test_a_listener_who_goes_ends_what_still_runs(packs: Place, tmp_path: Path) -> None:
    """As SIGPIPE would: the command of the last pack would wait for ever."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    script = f'echo said; [ "$GREX_PACK_NAME" != c ] || {{ echo $$ > {tmp_path}/pid; read x < {fifo}; }}'
    with anyio.fail_after(30):
        report = await run(packs, "sh", "-c", script, filters=("b", "c"), tell=Heard(goes_after=1).tell)
    assert not report.is_heard
    pid = (tmp_path / "pid").read_text() if (tmp_path / "pid").exists() else None
    assert pid is None or not Path(f"/proc/{pid.strip()}").exists()


async def test_a_dry_run_says_where_and_runs_nothing(packs: Place) -> None:
    report = await run(packs, "touch", "made", dry_run=True)
    assert {pack.path: pack.status for pack in report.packs} == dict.fromkeys(("a", "b", "c"), "planned")
    assert not (packs / "a/made").exists()
    assert report.to_json()["dry_run"] is True


async def test_a_pack_is_held_while_its_command_runs_unless_it_is_not_to_be(packs: Place) -> None:
    with LockHolder("pack", packs / "b") as holder:
        assert holder.ask("take") == "held"
        busy = await run(packs, "true", packs=("b",), settings={"no_wait": True})
        assert busy.packs[0].error is not None
        assert (busy.packs[0].error.code, busy.exit_code) == ("lock.busy", 4)
        assert (await run(packs, "true", packs=("b",), no_lock=True, settings={"no_wait": True})).exit_code == 0
    look = ("flock", "--nonblock", ".grex-lock", "true")
    assert (await run(packs, *look, packs=("b",))).packs[0].status == "failed"
    assert (await run(packs, *look, packs=("b",), no_lock=True)).packs[0].status == "ran"
