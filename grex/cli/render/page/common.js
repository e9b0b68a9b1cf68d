// What both views use. Text of others only ever becomes text: nothing here parses markup.
const data = JSON.parse(document.getElementById("data").textContent);
const SVG = "http://www.w3.org/2000/svg";
const byId = (id) => document.getElementById(id);

function put(parent, children) {
  for (const child of children.flat()) if (child !== null && child !== undefined) parent.append(child);
  return parent;
}

function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "onclick") made.addEventListener("click", value);
    else if (value !== null) made.setAttribute(name, value);
  }
  return put(made, children);
}

function svg(tag, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return put(made, children);
}

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const counted = (count, what) => `${count} ${what}${count === 1 ? "" : "s"}`;

function shortened(text, most) {
  if (text.length <= most) return text;
  return "\u2026" + text.slice(text.length - most + 1);
}

// A chip that is on or off; `tell` hears of it.
function chip(label, mark, className, tell) {
  const made = el("button", { type: "button", "aria-pressed": "false", class: className });
  if (mark) made.append(el("span", { class: "mark", "aria-hidden": "true" }, mark), " ");
  made.append(label);
  made.addEventListener("click", () => {
    const isOn = made.getAttribute("aria-pressed") !== "true";
    made.setAttribute("aria-pressed", String(isOn));
    tell(isOn);
  });
  return made;
}

function detail(title, ...children) {
  byId("details").replaceChildren(el("h2", {}, title));
  put(byId("details"), children);
  byId("details").scrollTop = 0;
}

function facts(pairs) {
  const list = el("dl");
  for (const [name, value] of pairs) {
    if (value === null || value === undefined || value === "") continue;
    list.append(el("dt", {}, name), el("dd", {}, value));
  }
  return list;
}

function section(title, items) {
  if (!items.length) return null;
  return [el("h3", {}, title), el("ul", {}, ...items.map((item) => el("li", {}, item)))];
}

// Wheel scrolls, with Ctrl (or a pinch) it zooms; dragging moves. `moved` gets pixels, `zoomed` a factor and where.
function movable(target, { moved, zoomed, clicked }) {
  target.addEventListener("wheel", (event) => {
    event.preventDefault();
    const unit = event.deltaMode === 1 ? 16 : event.deltaMode === 2 ? 400 : 1;
    const box = target.getBoundingClientRect();
    if (event.ctrlKey || event.metaKey) {
      zoomed(Math.exp(clamp(-event.deltaY * unit, -200, 200) / 300), event.clientX - box.left, event.clientY - box.top);
    } else if (event.shiftKey && !event.deltaX) {
      moved(-event.deltaY * unit, 0);
    } else {
      moved(-event.deltaX * unit, -event.deltaY * unit);
    }
  }, { passive: false });
  let from = null;
  target.addEventListener("pointerdown", (event) => {
    if (event.button === 0) from = { x: event.clientX, y: event.clientY, isDrag: false, on: event.target };
  });
  target.addEventListener("pointermove", (event) => {
    if (!from) return;
    const x = event.clientX - from.x, y = event.clientY - from.y;
    if (!from.isDrag && Math.hypot(x, y) < 4) return;
    if (!from.isDrag) target.setPointerCapture(event.pointerId);
    Object.assign(from, { x: event.clientX, y: event.clientY, isDrag: true });
    target.classList.add("is-dragged");
    moved(x, y);
  });
  const end = (event) => {
    target.classList.remove("is-dragged");
    if (from && !from.isDrag && event.type === "pointerup") clicked(event, from.on);
    from = null;
  };
  target.addEventListener("pointerup", end);
  target.addEventListener("pointercancel", end);
}

function zoomButtons(section, { zoomed, fit }) {
  section.querySelector(".zoom-in").addEventListener("click", () => zoomed(1.35));
  section.querySelector(".zoom-out").addEventListener("click", () => zoomed(1 / 1.35));
  section.querySelector(".zoom-fit").addEventListener("click", fit);
}
