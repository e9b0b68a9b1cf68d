// The tree of packs: who declares whom. A pack that several declare stands below the first; others have a dotted line.
const STATES = {
  present: ["\u25cf", "present"],
  drift: ["\u25b2", "drift"],
  missing: ["\u25cb", "missing"],
  inactive: ["\u25cc", "inactive"],
  error: ["\u2715", "error"],
};
const BOX = { width: 196, height: 40, gapX: 64, gapY: 8, column: 228 };
const MANY = 12; // packs without children beside each other make a block of columns from here on
const NO_GROUP = "(no group)";
const AT_ONCE = 80; // levels are open at first as long as no more packs than this are to be seen
const LEGIBLE = 0.55;

const graph = data.graph;
const nodes = new Map();
const root = {
  path: ".", name: graph.name, type: graph.type, state: "present", groups: [], parents: [], url: "", drift: [],
  hooks: [], error: null, children: [], owner: null, isOpen: true,
};
nodes.set(".", root);
for (const pack of graph.packs) {
  const state = pack.state === "present" && pack.drift.length ? "drift" : pack.state;
  nodes.set(pack.path, { ...pack, shownState: state, children: [], owner: null, isOpen: true });
}
root.shownState = "present";
[...nodes.values()].forEach((node, position) => { node.id = `n${position}`; });

// Whoever cannot be reached from the root (only a part was asked for, or packs declare each other) stands below it.
(function plant() {
  const seen = new Set(["."]);
  const declaredBy = new Map();
  for (const pack of graph.packs) {
    for (const parent of pack.parents) {
      if (!declaredBy.has(parent)) declaredBy.set(parent, []);
      declaredBy.get(parent).push(nodes.get(pack.path));
    }
  }
  const below = (first) => {
    const waiting = [first];
    while (waiting.length) {
      const owner = waiting.shift();
      for (const child of declaredBy.get(owner.path) || []) {
        if (seen.has(child.path)) continue;
        seen.add(child.path);
        child.owner = owner;
        owner.children.push(child);
        waiting.push(child);
      }
    }
  };
  const adopt = (pack) => {
    if (seen.has(pack.path)) return;
    seen.add(pack.path);
    const node = nodes.get(pack.path);
    node.owner = root;
    root.children.push(node);
    below(node);
  };
  below(root);
  for (const pack of graph.packs) if (!pack.parents.some((parent) => nodes.has(parent))) adopt(pack);
  for (const pack of graph.packs) adopt(pack);
})();

const packView = (() => {
  const tree = byId("tree");
  const scene = svg("g");
  tree.append(svg("defs", {}, svg("marker", {
    id: "arrow", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 8, markerHeight: 8, orient: "auto",
    markerUnits: "userSpaceOnUse",
  }, svg("path", { class: "head", d: "M0,0 L8,4 L0,8 Z" }))), scene);
  const chosen = { states: new Set(), groups: new Set(), text: "" };
  const at = { x: 20, y: 20, scale: 1 };
  let size = { width: 0, height: 0 };
  let drawn = [];
  let current = null;
  let showsNeeds = false;
  const drawnNodes = new Map();

  const groupsOf = (pack) => (pack.groups.length ? pack.groups : [NO_GROUP]);

  function matches(pack) {
    if (pack === root) return !isFiltered();
    if (chosen.states.size && !chosen.states.has(pack.shownState)) return false;
    if (chosen.groups.size && !groupsOf(pack).some((group) => chosen.groups.has(group))) return false;
    if (!chosen.text) return true;
    return [pack.path, pack.name, pack.url, pack.ref, pack.branch].some(
      (field) => field && field.toLowerCase().includes(chosen.text));
  }

  const isFiltered = () => Boolean(chosen.states.size || chosen.groups.size || chosen.text);

  // Which are shown: those that match, and what is above them.
  function visible() {
    const shown = new Set([root]);
    let count = 0;
    for (const pack of nodes.values()) {
      if (pack === root || !matches(pack)) continue;
      count += 1;
      for (let node = pack; node && !shown.has(node); node = node.owner) shown.add(node);
    }
    return { shown, count };
  }

  // Gives the height of the subtree; places are `left` and `top`.
  function place(node, shown, left, top) {
    node.left = left;
    const children = node.isOpen || isFiltered() ? node.children.filter((child) => shown.has(child)) : [];
    node.placed = children;
    node.block = null;
    if (!children.length) {
      node.top = top;
      return BOX.height;
    }
    const next = left + BOX.width + BOX.gapX;
    const isLeaf = (child) => !(child.isOpen || isFiltered()) || !child.children.some((one) => shown.has(one));
    const leaves = children.filter(isLeaf);
    let y = top;
    const stacked = leaves.length > MANY ? children.filter((child) => !isLeaf(child)) : children;
    for (const child of stacked) y += place(child, shown, next, y) + BOX.gapY;
    if (leaves.length > MANY) {
      const row = BOX.height + BOX.gapY;
      const columns = Math.ceil(Math.sqrt((leaves.length * row * 1.5) / BOX.column));
      const rows = Math.ceil(leaves.length / columns);
      if (stacked.length) y += BOX.gapY;
      leaves.forEach((child, position) => {
        const column = Math.floor(position / rows);
        place(child, shown, next + 10 + column * BOX.column, y + 10 + (position % rows) * row);
      });
      const width = Math.ceil(leaves.length / rows) * BOX.column + 6;
      node.block = { left: next, top: y, width, height: rows * row + 12, members: new Set(leaves) };
      y += node.block.height + BOX.gapY;
    }
    const height = y - BOX.gapY - top;
    const first = stacked.length ? stacked[0].top : node.block.top;
    node.top = stacked.length ? (first + stacked[stacked.length - 1].top) / 2 : top;
    return Math.max(height, BOX.height);
  }

  function curve(x1, y1, x2, y2, className) {
    const bend = Math.max(24, Math.abs(x2 - x1) / 2);
    return svg("path", { class: className, d: `M${x1},${y1} C${x1 + bend},${y1} ${x2 - bend},${y2} ${x2},${y2}` });
  }

  // From who needs to what is needed: around the right of what stands in the same column or before.
  function need(from, to) {
    const x1 = from.left + BOX.width, y1 = middle(from) + 6, y2 = middle(to) - 6;
    if (to.left > x1) {
      const made = curve(x1, y1, to.left, y2, "edge is-need");
      made.setAttribute("marker-end", "url(#arrow)");
      return made;
    }
    const x2 = to.left + BOX.width, out = Math.max(x1, x2) + 30 + Math.min(60, Math.abs(y2 - y1) / 4);
    return svg("path", {
      class: "edge is-need", "marker-end": "url(#arrow)", d: `M${x1},${y1} C${out},${y1} ${out},${y2} ${x2},${y2}`,
    });
  }

  const middle = (node) => node.top + BOX.height / 2;

  function draw() {
    const { shown, count } = visible();
    const height = place(root, shown, 0, 0);
    drawn = [];
    drawnNodes.clear();
    let right = BOX.width;
    const edges = svg("g"), boxes = svg("g"), needs = svg("g");
    const walk = (node, level) => {
      drawn.push(node);
      node.level = level;
      right = Math.max(right, node.left + BOX.width);
      if (node.block) {
        const { left, top, width, height: tall } = node.block;
        edges.append(svg("rect", { class: "frame", x: left, y: top, width, height: tall, rx: 8 }));
        edges.append(curve(node.left + BOX.width, middle(node), left, clamp(middle(node), top + 8, top + tall - 8), "edge"));
      }
      for (const child of node.placed) {
        if (!node.block || !node.block.members.has(child)) {
          edges.append(curve(node.left + BOX.width, middle(node), child.left, middle(child), "edge"));
        }
        walk(child, level + 1);
      }
    };
    walk(root, 1);
    const here = new Set(drawn);
    for (const node of drawn) {
      for (const parent of node.parents.slice(0)) {
        const other = nodes.get(parent);
        if (other && other !== node.owner && here.has(other)) {
          edges.append(curve(other.left + BOX.width, middle(other), node.left, middle(node), "edge is-second"));
        }
      }
      boxes.append(box(node));
    }
    for (const one of graph.dependencies) {
      const from = nodes.get(one.source), to = nodes.get(one.to);
      const isAsked = showsNeeds || (current && (from === current || to === current));
      if (isAsked && from && to && here.has(from) && here.has(to)) {
        needs.append(need(from, to));
      }
    }
    scene.replaceChildren(edges, boxes, needs);
    size = { width: right, height };
    byId("shown").textContent = isFiltered()
      ? `${count} of ${counted(graph.packs.length, "pack")} match.`
      : counted(graph.packs.length, "pack") + (graph.packs.length ? "." : "; `grex add URL` adds one.");
    mark();
    move();
  }

  function box(node) {
    const [glyph, word] = STATES[node.shownState];
    const under = node.owner && node.owner !== root && node.path.startsWith(node.owner.path + "/");
    const label = node === root ? node.name : under ? node.path.slice(node.owner.path.length + 1) : node.path;
    const sub = node === root ? `workspace, ${node.type}` : [node.type, node.branch || node.ref].filter(Boolean).join(", ");
    const has = node.children.length > 0;
    const made = svg("g", {
      class: `node state-${node.shownState}${isFiltered() && !matches(node) ? " is-around" : ""}`,
      transform: `translate(${node.left},${node.top})`, role: "treeitem", id: node.id,
      "aria-level": node.level, "aria-label": `${node === root ? node.name : node.path}, ${sub}, ${word}`,
      "aria-selected": "false", ...(has ? { "aria-expanded": String(node.placed.length > 0) } : {}),
    },
      svg("title", {}, node === root ? graph.workspace : node.path),
      svg("rect", { class: "box", width: BOX.width, height: BOX.height, rx: 6 }),
      svg("rect", { class: "stripe", width: 5, height: BOX.height, rx: 2.5 }),
      svg("text", { class: "mark", x: 17, y: 18 }, glyph),
      svg("text", { x: 29, y: 18 }, shortened(label, 22)),
      svg("text", { class: "sub", x: 29, y: 33 }, shortened(sub, 27)));
    if (has && !isFiltered()) {
      const hidden = node.children.length - node.placed.length;
      made.append(svg("g", { class: "toggle", transform: `translate(${BOX.width},${BOX.height / 2})` },
        svg("circle", { r: hidden ? 13 : 8 }),
        svg("text", { y: 4 }, hidden ? `+${hidden > 99 ? "\u2026" : hidden}` : "\u2212")));
    }
    drawnNodes.set(node, made);
    return made;
  }

  function move() {
    scene.setAttribute("transform", `translate(${at.x},${at.y}) scale(${at.scale})`);
    scene.classList.toggle("is-far", at.scale < 0.38);
  }

  // The whole, or as much of it as can be read, with the root in sight.
  function fit(least = LEGIBLE) {
    const view = tree.getBoundingClientRect();
    if (!view.width) return;
    at.scale = clamp(Math.min((view.width - 48) / size.width, (view.height - 32) / size.height), least, 1);
    at.x = Math.max(20, (view.width - size.width * at.scale) / 2);
    at.y = Math.max(16, (view.height - size.height * at.scale) / 2);
    if (size.height * at.scale > view.height - 32) {
      const rootAt = (root.top + BOX.height / 2) * at.scale;
      at.y = clamp(view.height / 2 - rootAt, view.height - 16 - size.height * at.scale, 16);
    }
    move();
  }

  const fitAll = () => fit(0.05);

  // Of many packs only the upper levels are open at first.
  function openSome() {
    let level = root.children, count = level.length;
    while (level.length) {
      const next = level.flatMap((node) => node.children);
      count += next.length;
      if (count > AT_ONCE) break;
      level = next;
    }
    for (const node of level) node.isOpen = false;
  }

  function zoomed(factor, x, y) {
    const view = tree.getBoundingClientRect();
    const px = x ?? view.width / 2, py = y ?? view.height / 2;
    const scale = clamp(at.scale * factor, 0.05, 4);
    at.x = px - ((px - at.x) * scale) / at.scale;
    at.y = py - ((py - at.y) * scale) / at.scale;
    at.scale = scale;
    move();
  }

  function moved(x, y) {
    at.x += x;
    at.y += y;
    move();
  }

  function reveal(node) {
    const view = tree.getBoundingClientRect();
    const left = at.x + node.left * at.scale, top = at.y + node.top * at.scale;
    const width = BOX.width * at.scale, height = BOX.height * at.scale;
    if (left < 8) at.x += 8 - left;
    else if (left + width > view.width - 24) at.x -= left + width - view.width + 24;
    if (top < 8) at.y += 8 - top;
    else if (top + height > view.height - 8) at.y -= top + height - view.height + 8;
    move();
  }

  function mark() {
    for (const [node, made] of drawnNodes) {
      made.classList.toggle("is-chosen", node === current);
      made.setAttribute("aria-selected", String(node === current));
    }
    const made = drawnNodes.get(current);
    if (made) tree.setAttribute("aria-activedescendant", made.id);
    else tree.removeAttribute("aria-activedescendant");
  }

  function choose(node, { reveals = true } = {}) {
    current = node;
    if (node && reveals) for (let above = node.owner; above; above = above.owner) above.isOpen = true;
    draw();
    if (node && reveals && drawnNodes.has(node)) reveal(node);
    tell(node);
  }

  const jump = (path) => {
    const node = nodes.get(path);
    if (!node || node === root) return el("code", {}, path === "." ? `${graph.name} (the workspace)` : path);
    return el("button", { type: "button", class: "link", onclick: () => show(path) }, path);
  };

  function address(url) {
    // Only what a browser opens as a page becomes a link.
    if (/^https?:\/\//i.test(url)) return el("a", { href: url, rel: "noreferrer noopener", target: "_blank" }, url);
    return url ? el("code", {}, url) : null;
  }

  function tell(node) {
    if (!node) return welcome();
    if (node === root) return tellRoot();
    const short = (sha) => (sha ? el("code", { title: sha }, sha.slice(0, 12)) : null);
    const [glyph, word] = STATES[node.shownState];
    const needs = graph.dependencies.filter((one) => one.source === node.path);
    const needed = graph.dependencies.filter((one) => one.to === node.path);
    const error = node.error ? [node.error.message, node.error.hint].filter(Boolean) : [];
    return detail(node.path,
      facts([
        ["State", el("span", { class: `state-${node.shownState}` }, el("span", { class: "mark" }, glyph), ` ${word}`)],
        ["Name", node.name], ["Type", node.type], ["URL", address(node.url)], ["Ref", node.ref || "the remote's own"],
        ["Branch", node.branch], ["Commit", short(node.commit)], ["Locked", short(node.locked)],
        ["Groups", node.groups.join(", ")],
      ]),
      section("Error", error.map((line) => el("span", { class: "said-error" }, line))),
      section("Drift", node.drift.map((line) => el("span", { class: "said-drift" }, line))),
      section("Declared by", node.parents.map(jump)),
      section("Declares", graph.packs.filter((one) => one.parents.includes(node.path)).map((one) => jump(one.path))),
      section("Needs", needs.map((one) => (one.to ? jump(one.to) : `${one.needs} (not in this workspace)`))),
      section("Needed by", needed.map((one) => jump(one.source))),
      section("Hooks", node.hooks.map((hook) => el("code", {}, hook))),
      runView ? runView.ofPack(node.path) : null);
  }

  function tellRoot() {
    return detail(graph.name,
      facts([["Workspace", el("code", {}, graph.workspace)], ["Type", graph.type], ["Packs", String(graph.packs.length)]]),
      section("Needs", graph.dependencies.filter((one) => one.source === ".").map(
        (one) => (one.to ? jump(one.to) : `${one.needs} (not in this workspace)`))),
      section("Notes", graph.notes));
  }

  function welcome() {
    return detail("Details", el("p", {}, "Choose a pack."), section("Notes", graph.notes));
  }

  function show(path) {
    showTab("packs");
    const node = nodes.get(path);
    if (node && isFiltered() && !matches(node)) clear();
    choose(node);
  }

  function clear() {
    for (const set of [chosen.states, chosen.groups]) set.clear();
    chosen.text = byId("search").value = "";
    for (const one of byId("packs").querySelectorAll(".chips button")) one.setAttribute("aria-pressed", "false");
  }

  function openAll(isOpen) {
    for (const node of nodes.values()) node.isOpen = isOpen || node === root;
    draw();
    fit();
  }

  function chips() {
    const states = new Map(), groups = new Map();
    for (const pack of nodes.values()) {
      if (pack === root) continue;
      states.set(pack.shownState, (states.get(pack.shownState) || 0) + 1);
      for (const group of groupsOf(pack)) groups.set(group, (groups.get(group) || 0) + 1);
    }
    const add = (parent, set, key, label, glyph, className) => parent.append(chip(label, glyph, className, (isOn) => {
      if (isOn) set.add(key);
      else set.delete(key);
      draw();
      fit();
    }));
    for (const [state, [glyph, word]] of Object.entries(STATES)) {
      if (states.has(state)) add(byId("states"), chosen.states, state, `${word} ${states.get(state)}`, glyph, `state-${state}`);
    }
    if (groups.size < 2 && groups.has(NO_GROUP)) return;
    for (const group of [...groups.keys()].sort()) {
      add(byId("groups"), chosen.groups, group, `${shortened(group, 30)} ${groups.get(group)}`, "", "");
    }
  }

  const KEYS = {
    ArrowDown: () => step(1),
    ArrowUp: () => step(-1),
    ArrowRight: () => {
      if (!current || !current.children.length) return;
      if (current.placed.length) choose(current.placed[0]);
      else toggle(current);
    },
    ArrowLeft: () => {
      if (!current) return;
      if (current.placed.length && current !== root) toggle(current);
      else if (current.owner) choose(current.owner);
    },
    Home: () => choose(drawn[0]),
    End: () => choose(drawn[drawn.length - 1]),
    Enter: () => current && toggle(current),
    " ": () => current && toggle(current),
    Escape: () => choose(null),
    "+": () => zoomed(1.25),
    "=": () => zoomed(1.25),
    "-": () => zoomed(0.8),
    0: fitAll,
  };

  function step(by) {
    const position = drawn.indexOf(current);
    choose(drawn[position < 0 ? 0 : clamp(position + by, 0, drawn.length - 1)]);
  }

  function toggle(node) {
    if (!node.children.length || node === root) return;
    node.isOpen = !node.isOpen;
    draw();
  }

  tree.addEventListener("keydown", (event) => {
    const act = KEYS[event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act();
  });
  movable(tree, {
    moved, zoomed,
    clicked: (event, on) => {
      const made = on.closest(".node");
      const node = made && [...drawnNodes].find(([, one]) => one === made)[0];
      if (node && on.closest(".toggle")) toggle(node);
      else choose(node || null, { reveals: false });
    },
  });
  zoomButtons(byId("packs"), { zoomed, fit: fitAll });
  byId("search").addEventListener("input", (event) => {
    chosen.text = event.target.value.trim().toLowerCase();
    draw();
    fit();
  });
  byId("expand").addEventListener("click", () => openAll(true));
  byId("collapse").addEventListener("click", () => openAll(false));
  byId("needs").addEventListener("click", () => {
    showsNeeds = !showsNeeds;
    byId("needs").setAttribute("aria-pressed", String(showsNeeds));
    draw();
  });
  byId("needs").hidden = !graph.dependencies.length;
  chips();
  openSome();
  return { draw, fit, show, welcome: () => tell(current), has: (path) => nodes.has(path) && path !== "." };
})();
