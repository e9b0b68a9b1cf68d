// Brings the views together.
const TABS = ["packs", "run"];
let shownTab = "packs";
const wasFitted = new Set();

function showTab(name) {
  shownTab = name;
  for (const tab of TABS) {
    byId(tab).hidden = tab !== name;
    byId(`tab-${tab}`).setAttribute("aria-selected", String(tab === name));
    byId(`tab-${tab}`).tabIndex = tab === name ? 0 : -1;
  }
  const view = name === "run" ? runView : packView;
  if (!wasFitted.has(name)) view.fit();
  wasFitted.add(name);
  view.welcome();
  help();
}

function help() {
  const keys = shownTab === "run"
    ? [["\u2190 \u2192", "slice"], ["\u2191 \u2193", "track"], ["Enter", "zoom to it"]]
    : [["\u2191 \u2193", "pack"], ["\u2190 \u2192", "close, open"]];
  keys.push(["+ \u2212 0", "zoom, fit"], ["/", "find"], ["Esc", "nothing chosen"]);
  keys.push(["Wheel", "scroll"], ["Ctrl+wheel", "zoom"], ["Drag", "move"]);
  byId("help").replaceChildren(...keys.map(([key, what]) => el("span", {}, el("kbd", {}, key), ` ${what}`)));
}

document.title = `${graph.name} - grex`;
byId("name").textContent = graph.name;
byId("summary").textContent = `${graph.workspace}${graph.notes.length ? "; " + graph.notes.join("; ") : ""}`;
byId("tabs").hidden = !runView;
for (const tab of TABS) byId(`tab-${tab}`).addEventListener("click", () => showTab(tab));
byId("tabs").addEventListener("keydown", (event) => {
  if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
  showTab(TABS[1 - TABS.indexOf(shownTab)]);
  byId(`tab-${shownTab}`).focus();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && !/^(INPUT|TEXTAREA)$/.test(document.activeElement.tagName)) {
    event.preventDefault();
    byId(shownTab === "run" ? "run-search" : "search").focus();
  } else if (event.key === "Escape" && document.activeElement.tagName === "INPUT") {
    document.activeElement.value = "";
    document.activeElement.dispatchEvent(new Event("input"));
    (shownTab === "run" ? byId("chart") : byId("tree")).focus();
  }
});
packView.draw();
showTab("packs");
