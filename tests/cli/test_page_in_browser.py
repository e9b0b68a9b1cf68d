"""What a person sees of the page that `grex graph --format html` makes, and can do with it, in a real browser.

Everything is done with the mouse and the keyboard. The page may say nothing on its console and ask for nothing but
itself, which is looked at after each test.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from grex.cli.render.page import Timeline, graph_html, read_timeline
from grex.progress import ChromeTrace, HolderSeen, Slice
from grex.verbs.graph import GraphDependency, GraphPack, GraphReport
from tests.support.browser import Browser, find_chromium

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_chromium() is None, reason="Chromium is not installed"),
]

HOSTILE = "x</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
MS = 1_000_000


def pack(path: str, parent: str = ".", **facts: Any) -> GraphPack:
    plain = GraphPack(
        path, path.rpartition("/")[2], "plain", f"https://git.example/{path}.git", None, "present", (), ()
    )
    return replace(plain, parents=(parent,), **facts)


REPORT = GraphReport(
    Path("/home/ada/space"),
    "space",
    "meta",
    (
        pack("app", type="meta", groups=("front",), commit="a" * 40, locked="b" * 40, drift=("HEAD is elsewhere",)),
        pack("app/auth", "app", groups=("back",), ref="v1", branch="main", type="scripted", hooks=("setup.sh",)),
        pack("app/ui", "app", groups=("front",), state="missing"),
        pack(f"odd/{HOSTILE}", url=f"javascript:{HOSTILE}", state="inactive"),
        pack("tool", groups=("back", "front")),
    ),
    (GraphDependency("tool", "app/auth", "app/auth"), GraphDependency("tool", HOSTILE, None)),
    (HOSTILE,),
)


def timeline(directory: Path) -> Timeline:
    """A pack that waited for another process, with a git in its hold."""
    made = ChromeTrace(directory / "run.json", "grex sync")
    facts = {"tier": "PACK", "path": "/home/ada/space/tool"}
    made(HolderSeen("PACK", "/home/ada/space/tool", 7, f"grex exec {HOSTILE}, pid 7", 10 * MS))
    made(Slice("git status", "git", "tool", 6 * MS, 8 * MS, {}, "disk 1"))
    made(Slice("wait PACK", "wait", "tool", 10 * MS, 60 * MS, facts, "disk 1"))
    made(Slice("git fetch", "git", "tool", 65 * MS, 90 * MS, {"argv": f"git fetch {HOSTILE}"}, "disk 1"))
    made(Slice("PACK (disk)", "lock", "tool", 60 * MS, 95 * MS, facts, "disk 1"))
    made(Slice("PERMIT disk", "permit", "tool", 5 * MS, 100 * MS, {"tier": "PERMIT", "path": "disk"}, "disk 1"))
    made.close()
    return read_timeline(directory / "run.json")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Generator[Browser]:
    """One browser for all tests, since it takes a second to start."""
    with Browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def browser(shared: Browser, tmp_path: Path) -> Generator[Browser]:
    """The page with its run, opened anew."""
    (tmp_path / "page.html").write_text(graph_html(REPORT, timeline(tmp_path)), "ascii")
    shared.open(tmp_path / "page.html")
    yield shared
    assert shared.complaints() == []
    assert shared.requests() == [(tmp_path / "page.html").as_uri()]
    assert shared.ask("document.title") == "space - grex"
    assert shared.ask("document.querySelectorAll('img').length") == 0


def shown(browser: Browser) -> list[str]:
    """The packs that are drawn, by what a screen reader says of them up to the first comma."""
    labels = browser.ask("[...document.querySelectorAll('#tree .node')].map(n => n.getAttribute('aria-label'))")
    return [str(label).partition(", ")[0] for label in labels]


def details(browser: Browser) -> str:
    return str(browser.ask("document.getElementById('details').innerText"))


ALL = ["space", "app", "app/auth", "app/ui", f"odd/{HOSTILE}", "tool"]


def test_every_pack_is_drawn_below_the_one_that_declares_it(browser: Browser) -> None:
    assert shown(browser) == ALL
    assert browser.ask("document.getElementById('shown').innerText") == "5 packs."
    levels = browser.ask("[...document.querySelectorAll('#tree .node')].map(n => n.getAttribute('aria-level'))")
    assert levels == ["1", "2", "3", "3", "2", "2"]
    boxes = browser.ask(
        "[...document.querySelectorAll('#tree .node .box')].map(n => n.getBoundingClientRect())"
        ".map(b => [b.x, b.y, b.right, b.bottom])"
    )
    view = browser.ask("(b => [b.x, b.y, b.right, b.bottom])(document.getElementById('tree').getBoundingClientRect())")
    for left, top, right, bottom in boxes:
        assert view[0] <= left < right <= view[2]
        assert view[1] <= top < bottom <= view[3]
    for position, one in enumerate(boxes):
        for other in boxes[position + 1 :]:
            assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]


def test_a_click_shows_what_is_known_of_a_pack(browser: Browser) -> None:
    browser.click("#tree .node[aria-label^='app/auth']", dx=0.3)
    told = details(browser)
    for fact in (
        "app/auth",
        "present",
        "scripted",
        "https://git.example/app/auth.git",
        "v1",
        "main",
        "back",
        "setup.sh",
    ):
        assert fact in told
    assert browser.ask("document.querySelector('#details a').href") == "https://git.example/app/auth.git"
    browser.click("#details button.link")  # the first one is who declares it
    assert "HEAD is elsewhere" in details(browser)
    assert browser.ask("document.querySelector('#details h2').innerText") == "app"


def test_what_a_repository_is_called_is_text_everywhere(browser: Browser) -> None:
    browser.click("#tree .node[aria-label^='odd']", dx=0.3)
    assert HOSTILE in details(browser)
    assert browser.ask("document.querySelectorAll('#details a').length") == 0  # no page of http
    browser.click("#tab-run")
    browser.click("#chart")
    browser.press("ArrowRight", "ArrowUp", "ArrowDown", "ArrowRight", "ArrowRight", "ArrowRight")
    assert HOSTILE in details(browser)


def test_text_states_and_groups_leave_what_matches_and_what_is_above_it(browser: Browser) -> None:
    browser.press("/")
    browser.write("AUTH")
    assert shown(browser) == ["space", "app", "app/auth"]
    assert browser.ask("document.getElementById('shown').innerText") == "1 of 5 packs match."
    browser.press("Escape")
    assert shown(browser) == ALL
    browser.click("#states .state-missing")
    assert shown(browser) == ["space", "app", "app/ui"]
    browser.click("#states .state-inactive")
    assert shown(browser) == ["space", "app", "app/ui", f"odd/{HOSTILE}"]
    browser.click("#states .state-missing")
    browser.click("#states .state-inactive")
    browser.click("#groups button:nth-child(2)")  # `(no group)` is the first, then `back`
    assert shown(browser) == ["space", "app", "app/auth", "tool"]


def test_the_keyboard_goes_everywhere_in_the_tree(browser: Browser) -> None:
    browser.ask("document.getElementById('tree').focus()")
    chosen = "document.querySelector('#tree [aria-selected=true]')?.getAttribute('aria-label').split(',')[0]"
    seen = []
    for key in ("ArrowDown", "ArrowDown", "ArrowDown", "ArrowLeft", "ArrowLeft"):
        browser.press(key)
        seen.append(browser.ask(chosen))
    assert seen == ["space", "app", "app/auth", "app", "app"]
    assert shown(browser) == ["space", "app", f"odd/{HOSTILE}", "tool"]  # the last one has closed it
    browser.press("ArrowRight", "ArrowRight")
    assert browser.ask(chosen) == "app/auth"
    browser.press("Escape")
    assert browser.ask(chosen) is None
    scale = "new DOMMatrix(getComputedStyle(document.querySelector('#tree > g')).transform).a"
    before = browser.ask(scale)
    browser.press("-")
    assert browser.ask(scale) < before
    browser.press("0")
    assert browser.ask(scale) == pytest.approx(before)


def test_dependencies_are_drawn_for_the_chosen_pack_or_all(browser: Browser) -> None:
    drawn = "document.querySelectorAll('.edge.is-need').length"
    assert browser.ask(drawn) == 0
    browser.click("#tree .node[aria-label^='tool']", dx=0.3)
    assert browser.ask(drawn) == 1
    ends = browser.ask(
        "(p => [0, p.getTotalLength()].map(at => p.getPointAtLength(at).y))(document.querySelector('.is-need'))"
    )
    tops = browser.ask("[...document.querySelectorAll('#tree .node')].map(n => n.transform.baseVal[0].matrix.f)")
    source, target = tops[ALL.index("tool")], tops[ALL.index("app/auth")]
    assert source < ends[0] < source + 40  # from who needs it
    assert target < ends[1] < target + 40
    assert "not in this workspace" in details(browser)
    browser.click("#tree .node[aria-label^='app/ui']", dx=0.3)
    assert browser.ask(drawn) == 0
    browser.click("#needs")
    assert browser.ask(drawn) == 1


def test_the_run_has_its_slices_and_says_who_was_waited_for(browser: Browser) -> None:
    browser.click("#tab-run")
    assert browser.ask("document.getElementById('run-shown').innerText").startswith(
        "6 slices on 3 tracks in 95.0 ms; 1 ar"
    )
    chart = browser.ask(
        "(b => [b.x, b.y, b.width, b.height])(document.getElementById('chart').getBoundingClientRect())"
    )
    rows: dict[str, tuple[float, float]] = {}
    for y in range(int(chart[1]) + 30, int(chart[1] + chart[3]), 8):  # what lies under the mouse, from top to bottom
        x = chart[0] + 172 + (chart[2] - 184) * 0.4
        browser.hover(x, y)
        if not browser.ask("document.getElementById('tip').hidden"):
            rows.setdefault(browser.ask("document.getElementById('tip').textContent").partition("\n")[0], (x, y))
    assert list(rows) == ["tool", "wait PACK", "PACK held"]
    browser.click_at(*rows["wait PACK"])
    told = details(browser)
    assert "50.0 ms" in told
    assert "Waited for".upper() in told.upper()
    assert "PACK held (grex exec" in told
    browser.click("#details ul button.link")  # who it was
    assert browser.ask("document.querySelector('#details h2').innerText") == "PACK held"
    browser.click("#run-search")
    browser.write("fetch")
    assert browser.ask("document.getElementById('run-shown').innerText") == "1 of 6 slices match."


def test_from_a_slice_to_its_pack_and_back(browser: Browser) -> None:
    browser.click("#tab-run")
    browser.click("#details ul button.link")  # the longest
    assert browser.ask("document.querySelector('#details h2').innerText") == "wait PACK"
    browser.click("#details dd button.link")
    assert browser.ask("document.getElementById('tab-packs').ariaSelected") == "true"
    assert browser.ask("document.querySelector('#details h2').innerText") == "tool"
    browser.click("#details ul:last-of-type button.link")
    assert browser.ask("document.getElementById('tab-run').ariaSelected") == "true"


def test_the_chart_is_painted_in_the_colours_of_its_kinds(browser: Browser) -> None:
    browser.click("#tab-run")
    painted = """(() => {
      const chart = document.getElementById('chart'), copy = document.createElement('canvas');
      [copy.width, copy.height] = [chart.width, chart.height];
      const pen = copy.getContext('2d', {willReadFrequently: true});
      pen.drawImage(chart, 0, 0);
      const pixels = pen.getImageData(0, 0, chart.width, chart.height).data;
      const found = new Set();
      for (let at = 0; at < pixels.length; at += 4) found.add(`${pixels[at]},${pixels[at + 1]},${pixels[at + 2]}`);
      const probe = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
      return ['permit', 'lock', 'wait', 'git', 'arrow'].map(name => {
        probe.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(`--${name}`);
        probe.fillRect(0, 0, 1, 1);
        return found.has([...probe.getImageData(0, 0, 1, 1).data.slice(0, 3)].join(','));
      });
    })()"""
    assert browser.ask(painted) == [True] * 5
    browser.click("#category-git")
    assert browser.ask(painted) == [True, True, True, False, True]


@pytest.mark.parametrize("is_dark", [False, True])
def test_five_hundred_packs_are_drawn_once_and_then_only_moved_and_can_be_read(tmp_path: Path, is_dark: bool) -> None:
    packs = [pack(f"repo-{number:03}", groups=(f"g{number % 7}",)) for number in range(400)]
    packs += [pack(f"repo-000/lib-{number:03}", "repo-000") for number in range(100)]
    page = tmp_path / "page.html"
    page.write_text(graph_html(replace(REPORT, packs=tuple(sorted(packs, key=lambda one: one.path)))))
    with Browser(tmp_path / "profile", is_dark=is_dark) as browser:
        browser.open(page)
        browser.click("#expand")
        assert len(shown(browser)) == 501
        changed = browser.ask("""new Promise(done => {
          const tree = document.getElementById('tree');
          const seen = new Set();
          const note = one => seen.add(`${one.type} ${one.attributeName} ${one.target.tagName}`);
          const watched = {subtree: true, childList: true, attributes: true};
          new MutationObserver(all => all.forEach(note)).observe(tree, watched);
          let frames = 0;
          const frame = () => {
            const ctrlKey = frames % 3 == 0;
            tree.dispatchEvent(new WheelEvent('wheel', {deltaX: 7, deltaY: 9, ctrlKey, cancelable: true}));
            if (++frames < 12) requestAnimationFrame(frame);
            else requestAnimationFrame(() => done([...seen].sort()));
          };
          requestAnimationFrame(frame);
        })""")
        # Moving and zooming draws no pack anew; how long a frame takes is no matter of a test on a busy machine.
        assert changed == ["attributes transform g"]
        contrast = browser.ask("""(() => {
          const light = text => {
            const [r, g, b] = text.match(/[0-9.]+/g).map(Number).map(v => v / 255)
              .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
          };
          const style = (selector, name) => light(getComputedStyle(document.querySelector(selector))[name]);
          const ratio = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
          const panel = style('#details', 'backgroundColor');
          const back = style('body', 'backgroundColor');
          return [ratio(style('body', 'color'), panel), ratio(style('.note', 'color'), back),
            ratio(style('.node text.sub', 'fill'), panel), ratio(style('#states .mark', 'color'), panel)];
        })()""")
        assert min(contrast) >= 4.5  # what WCAG asks of text
        dark = browser.ask("getComputedStyle(document.body).backgroundColor")
        assert (dark == "rgb(18, 21, 27)") is is_dark
        assert browser.complaints() == []
