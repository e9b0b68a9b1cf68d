// The timeline of a run, from its trace: a row for each track, slices within slices, arrows from who held to who waited.
const CATEGORIES = ["permit", "lock", "wait", "git", "hook", "action", "command"];
const ROW = { height: 19, gap: 10, gutter: 172, axis: 26, area: 44 };

function duration(us) {
  if (us >= 60e6) return `${Math.floor(us / 60e6)} min ${((us % 60e6) / 1e6).toFixed(1)} s`;
  if (us >= 1e6) return `${(us / 1e6).toFixed(us < 10e6 ? 2 : 1)} s`;
  if (us >= 1e3) return `${(us / 1e3).toFixed(us < 10e3 ? 2 : 1)} ms`;
  return `${us.toFixed(us < 10 ? 1 : 0)} \u00b5s`;
}

const runView = data.run && (() => {
  const canvas = byId("chart"), tip = byId("tip");
  const slices = data.run.slices.map(([track, start, length, name, category, args]) => (
    { track, start, end: start + length, length, name, category, args, depth: 0, around: null }));
  const tracks = data.run.tracks.map((track) => ({ ...track, slices: [], rows: [], marks: [] }));
  const hidden = new Set();
  let sought = "", current = null, hovered = null, from = 0, to = 1, offset = 0, colours = {};

  for (const slice of slices) {
    const track = tracks[slice.track];
    let around = track.slices[track.slices.length - 1] || null;
    while (around && around.end <= slice.start && !(around.start === slice.start && around.end === slice.end)) around = around.around;
    slice.around = around;
    slice.depth = around ? around.depth + 1 : 0;
    track.slices.push(slice);
    (track.rows[slice.depth] ||= []).push(slice);
  }
  for (const [track, at, name, args] of data.run.marks) tracks[track].marks.push({ at, name, args });
  const enclosing = (position, at) => tracks[position].slices.filter((one) => one.start <= at && at <= one.end).pop() || null;
  const arrows = data.run.arrows.map(([fromTrack, start, toTrack, end, name]) => (
    { fromTrack, start, toTrack, end, name, source: enclosing(fromTrack, start), target: enclosing(toTrack, end) }));
  const last = Math.max(1, ...slices.map((one) => one.end), ...data.run.waits.map((one) => one[1]),
    ...data.run.marks.map((one) => one[1]));

  // How many packs wait for a permit, as steps.
  const waiting = [];
  (() => {
    const changes = data.run.waits.flatMap(([start, end]) => [[start, 1], [end, -1]]).sort((a, b) => a[0] - b[0]);
    let count = 0;
    for (const [at, by] of changes) waiting.push([at, (count += by)]);
  })();
  const mostWaiting = Math.max(0, ...waiting.map(([, count]) => count));

  let tall = 0;
  (() => {
    let y = ROW.axis + 6;
    let process = null;
    for (const track of tracks) {
      if (track.process !== process) {
        process = track.process;
        track.heading = y;
        y += 20;
      }
      track.top = y;
      track.tall = Math.max(1, track.rows.length) * ROW.height;
      y += track.tall + ROW.gap;
    }
    if (mostWaiting) {
      tall = y;
      y += 20 + ROW.area + ROW.gap;
    }
    waiting.top = tall + 20;
    tall = y;
  })();

  const isShown = (slice) => !hidden.has(slice.category);
  const isSought = (slice) => !sought || [slice.name, slice.args.pack, slice.args.path, slice.args.argv, slice.args.holder,
    slice.args.handed_over_by].some((text) => typeof text === "string" && text.toLowerCase().includes(sought));

  const width = () => canvas.clientWidth;
  const xOf = (at) => ROW.gutter + ((at - from) / (to - from)) * (width() - ROW.gutter - 12);
  const timeAt = (x) => from + ((x - ROW.gutter) / (width() - ROW.gutter - 12)) * (to - from);

  function readColours() {
    const style = getComputedStyle(document.documentElement);
    colours = {};
    for (const name of ["ink", "soft", "line", "faint", "panel", "accent", "arrow", "on-slice", "other", ...CATEGORIES]) {
      colours[name] = style.getPropertyValue(`--${name}`).trim();
    }
  }

  let isAsked = false;
  function ask() {
    if (isAsked) return;
    isAsked = true;
    requestAnimationFrame(() => {
      isAsked = false;
      draw();
    });
  }

  function draw() {
    const ratio = window.devicePixelRatio || 1, w = width(), h = canvas.clientHeight;
    if (!w) return;
    if (canvas.width !== Math.round(w * ratio) || canvas.height !== Math.round(h * ratio)) {
      canvas.width = Math.round(w * ratio);
      canvas.height = Math.round(h * ratio);
    }
    offset = clamp(offset, Math.min(0, h - tall - 8), 0);
    const pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.fillStyle = colours.panel;
    pen.fillRect(0, 0, w, h);
    pen.font = '12px system-ui, "Noto Sans", "DejaVu Sans", sans-serif';
    pen.textBaseline = "middle";
    drawGrid(pen, w, h);
    pen.save();
    pen.beginPath();
    pen.rect(ROW.gutter, ROW.axis, w - ROW.gutter, h - ROW.axis);
    pen.clip();
    for (const track of tracks) {
      const top = track.top + offset;
      if (top > h || top + track.tall < 0) continue;
      for (const row of track.rows) if (row) drawRow(pen, row, top, w);
      pen.fillStyle = colours.soft;
      for (const one of track.marks) {
        const x = xOf(one.at);
        if (x > ROW.gutter - 2 && x < w) pen.fillRect(x, top - 3, 1.5, 3);
      }
    }
    drawWaiting(pen, w);
    for (const arrow of arrows) drawArrow(pen, arrow);
    pen.restore();
    drawNames(pen, w, h);
  }

  function drawGrid(pen, w, h) {
    const about = (to - from) / Math.max(3, (w - ROW.gutter) / 130);
    const power = 10 ** Math.floor(Math.log10(about));
    const stepUs = [1, 2, 5, 10].map((one) => one * power).find((one) => one >= about) || about;
    pen.strokeStyle = colours.faint;
    pen.fillStyle = colours.soft;
    pen.lineWidth = 1;
    pen.textAlign = "left";
    for (let at = Math.ceil(from / stepUs) * stepUs; at <= to; at += stepUs) {
      const x = Math.round(xOf(at)) + 0.5;
      pen.beginPath();
      pen.moveTo(x, ROW.axis);
      pen.lineTo(x, h);
      pen.stroke();
      const unit = stepUs >= 1e6 ? [1e6, "s"] : stepUs >= 1e3 ? [1e3, "ms"] : [1, "\u00b5s"];
      pen.fillText(`${Number((at / unit[0]).toFixed(3))} ${unit[1]}`, x + 3, ROW.axis / 2);
    }
  }

  function drawRow(pen, row, top, w) {
    let low = 0, high = row.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (row[middle].end < from) low = middle + 1;
      else high = middle;
    }
    let drawnTo = -1;
    for (let position = low; position < row.length && row[position].start <= to; position += 1) {
      const slice = row[position];
      if (!isShown(slice)) continue;
      const left = Math.max(xOf(slice.start), ROW.gutter - 4), right = Math.min(xOf(slice.end), w + 4);
      const wide = Math.max(right - left, 1.2);
      if (left + wide < drawnTo + 0.4 && slice !== current) continue; // smaller than a pixel, beside another one
      drawnTo = left + wide;
      const y = top + slice.depth * ROW.height;
      pen.globalAlpha = isSought(slice) ? 1 : 0.18;
      pen.fillStyle = colours[CATEGORIES.includes(slice.category) ? slice.category : "other"];
      pen.fillRect(left, y, wide, ROW.height - 2);
      if (slice.category === "wait" && wide > 6) hatch(pen, left, y, wide);
      if (slice === current || slice === hovered) {
        pen.strokeStyle = slice === current ? colours.accent : colours.soft;
        pen.lineWidth = slice === current ? 2.5 : 1.5;
        pen.strokeRect(left, y, wide, ROW.height - 2);
      }
      if (wide > 34) write(pen, slice.name, left, y, wide);
      pen.globalAlpha = 1;
    }
  }

  function write(pen, text, left, y, wide) {
    pen.save();
    pen.beginPath();
    pen.rect(left, y, wide - 3, ROW.height);
    pen.clip();
    pen.fillStyle = colours["on-slice"];
    pen.textAlign = "left";
    pen.fillText(text, left + 5, y + ROW.height / 2 - 0.5);
    pen.restore();
  }

  // Waits are hatched, so that they are told from work without their colour.
  function hatch(pen, left, y, wide) {
    pen.save();
    pen.beginPath();
    pen.rect(left, y, wide, ROW.height - 2);
    pen.clip();
    pen.strokeStyle = colours.panel;
    pen.globalAlpha *= 0.35;
    pen.lineWidth = 2;
    pen.beginPath();
    for (let x = left - ROW.height; x < left + wide; x += 9) {
      pen.moveTo(x, y + ROW.height);
      pen.lineTo(x + ROW.height, y);
    }
    pen.stroke();
    pen.restore();
  }

  function drawWaiting(pen, w) {
    if (!mostWaiting) return;
    const floor = waiting.top + offset + ROW.area;
    pen.fillStyle = colours.wait;
    pen.globalAlpha = 0.65;
    pen.beginPath();
    pen.moveTo(xOf(0), floor);
    let before = 0;
    for (const [at, count] of waiting) {
      const x = clamp(xOf(at), -10, w + 10);
      pen.lineTo(x, floor - (before / mostWaiting) * ROW.area);
      pen.lineTo(x, floor - (count / mostWaiting) * ROW.area);
      before = count;
    }
    pen.lineTo(clamp(xOf(last), -10, w + 10), floor);
    pen.fill();
    pen.globalAlpha = 1;
  }

  function drawArrow(pen, arrow) {
    const place = (position, slice) => tracks[position].top + offset + ((slice ? slice.depth : 0) + 0.5) * ROW.height - 1;
    if (arrow.source && !isShown(arrow.source)) return;
    if (arrow.target && !isShown(arrow.target)) return;
    const x1 = xOf(arrow.start), y1 = place(arrow.fromTrack, arrow.source);
    const x2 = xOf(arrow.end), y2 = place(arrow.toTrack, arrow.target);
    if (Math.max(x1, x2) < ROW.gutter - 30 || Math.min(x1, x2) > width() + 30) return;
    const isChosen = current && (arrow.source === current || arrow.target === current);
    const bend = clamp(Math.abs(y2 - y1) / 3, 14, 60);
    pen.strokeStyle = pen.fillStyle = colours.arrow;
    pen.lineWidth = isChosen ? 2.6 : 1.3;
    pen.globalAlpha = current && !isChosen ? 0.45 : 1;
    pen.beginPath();
    pen.moveTo(x1, y1);
    pen.bezierCurveTo(x1 + bend, y1, x2 + bend, y2, x2 + 7, y2);
    pen.stroke();
    pen.beginPath();
    pen.moveTo(x2, y2);
    pen.lineTo(x2 + 9, y2 - 4.5);
    pen.lineTo(x2 + 9, y2 + 4.5);
    pen.fill();
    pen.beginPath();
    pen.arc(x1, y1, 2.8, 0, 7);
    pen.fill();
    pen.globalAlpha = 1;
  }

  function drawNames(pen, w, h) {
    pen.fillStyle = colours.panel;
    pen.fillRect(0, ROW.axis, ROW.gutter, h);
    pen.save();
    pen.beginPath();
    pen.rect(0, ROW.axis, w, h - ROW.axis);
    pen.clip();
    pen.textAlign = "left";
    for (const track of tracks) {
      if (track.heading !== undefined) {
        pen.fillStyle = colours.ink;
        pen.font = 'bold 12px system-ui, "Noto Sans", "DejaVu Sans", sans-serif';
        const y = track.heading + offset + 9;
        if (y > ROW.axis) pen.fillText(track.process, 10, y);
        pen.font = '12px system-ui, "Noto Sans", "DejaVu Sans", sans-serif';
      }
      pen.fillStyle = colours.soft;
      pen.fillText(shortened(track.name, 24), 18, track.top + offset + ROW.height / 2 - 1);
    }
    if (mostWaiting) {
      pen.fillStyle = colours.soft;
      pen.fillText(`permit waits, max ${mostWaiting}`, 10, waiting.top + offset + ROW.area / 2);
    }
    pen.restore();
    pen.strokeStyle = colours.line;
    pen.beginPath();
    pen.moveTo(ROW.gutter - 0.5, ROW.axis);
    pen.lineTo(ROW.gutter - 0.5, h);
    pen.moveTo(0, ROW.axis + 0.5);
    pen.lineTo(w, ROW.axis + 0.5);
    pen.stroke();
  }

  function sliceAt(x, y) {
    if (x < ROW.gutter || y < ROW.axis) return null;
    const track = tracks.find((one) => y >= one.top + offset && y < one.top + offset + one.tall);
    if (!track) return null;
    const row = track.rows[Math.floor((y - track.top - offset) / ROW.height)] || [];
    const at = timeAt(x), slack = (timeAt(x + 2.5) - at);
    let best = null;
    for (const slice of row) {
      if (!isShown(slice) || slice.end < at - slack) continue;
      if (slice.start > at + slack) break;
      if (!best || (slice.start <= at && slice.length < best.length) || best.end < at) best = slice;
    }
    return best;
  }

  function fit() {
    from = -last * 0.01;
    to = last * 1.01;
    offset = 0;
    ask();
  }

  function zoomed(factor, x) {
    const px = Math.max(x ?? (current ? clamp(xOf(current.start), ROW.gutter, width()) : (width() + ROW.gutter) / 2), ROW.gutter);
    const at = timeAt(px);
    const span = clamp((to - from) / factor, 2, last * 1.5);
    from = at - ((at - from) / (to - from)) * span;
    to = from + span;
    ask();
  }

  function moved(x, y) {
    const by = (-x / Math.max(1, width() - ROW.gutter)) * (to - from);
    const span = to - from;
    from = clamp(from + by, -span * 0.9, last - span * 0.1);
    to = from + span;
    offset += y;
    ask();
  }

  function choose(slice, { reveals = true } = {}) {
    current = slice;
    if (slice && reveals) {
      const span = to - from;
      if (slice.end < from || slice.start > to || slice.start < from) {
        from = slice.start - span * 0.2;
        to = from + span;
      }
      const top = tracks[slice.track].top + slice.depth * ROW.height + offset;
      if (top < ROW.axis + 8) offset += ROW.axis + 8 - top;
      else if (top > canvas.clientHeight - 30) offset -= top - canvas.clientHeight + 30;
    }
    tell(slice);
    ask();
  }

  const goTo = (slice, text) => el("button", { type: "button", class: "link", onclick: () => choose(slice) }, text);
  const called = (slice) => {
    const { name, process } = tracks[slice.track];
    return `${slice.name} (${process === tracks[0].process ? name : process})`;
  };

  function tell(slice) {
    if (!slice) return welcome();
    const { pack, ...args } = slice.args;
    const shown = Object.entries(args).map(([name, value]) => [name.replaceAll("_", " "), el("code", {}, String(value))]);
    const gotFrom = arrows.filter((one) => one.target === slice && one.source);
    const handedTo = arrows.filter((one) => one.source === slice && one.target);
    const isPack = pack && packView.has(pack);
    return detail(slice.name,
      facts([
        ["Took", duration(slice.length)], ["From", duration(slice.start)], ["To", duration(slice.end)],
        ["Kind", slice.category], ["Track", `${tracks[slice.track].name}, ${tracks[slice.track].process}`],
        ["Pack", isPack ? el("button", { type: "button", class: "link", onclick: () => packView.show(pack) }, pack) : pack],
        ...shown,
      ]),
      section("Waited for", gotFrom.map((one) => goTo(one.source, called(one.source)))),
      section("Handed over to", handedTo.map((one) => goTo(one.target, called(one.target)))),
      section("Within", slice.around ? [goTo(slice.around, called(slice.around))] : []));
  }

  function welcome() {
    const longest = slices.filter((one) => !["permit", "lock"].includes(one.category))
      .sort((a, b) => b.length - a.length).slice(0, 12);
    return detail("Run", facts([["Took", duration(last)], ["Slices", String(slices.length)], ["Handed over", counted(arrows.length, "lock")]]),
      section("Longest", longest.map((one) => goTo(one, `${duration(one.length)}  ${one.name}${one.args.pack ? ", " + one.args.pack : ""}`))));
  }

  function ofPack(path) {
    const own = slices.filter((one) => one.args.pack === path && one.category !== "permit" && one.category !== "lock")
      .sort((a, b) => b.length - a.length).slice(0, 8);
    return section("In the run", own.map((one) => el("button", {
      type: "button", class: "link", onclick: () => {
        showTab("run");
        choose(one);
      },
    }, `${duration(one.length)}  ${one.name}`)));
  }

  function beside(by) {
    if (!current) return slices.find(isShown) || null;
    const own = tracks[current.track].slices.filter(isShown);
    return own[clamp(own.indexOf(current) + by, 0, own.length - 1)] || null;
  }

  function across(by) {
    if (!current) return beside(0);
    for (let position = current.track + by; position >= 0 && position < tracks.length; position += by) {
      const own = tracks[position].slices.filter(isShown);
      if (!own.length) continue;
      return own.reduce((best, one) => (
        Math.abs(one.start - current.start) < Math.abs(best.start - current.start) ? one : best));
    }
    return current;
  }

  const KEYS = {
    ArrowRight: () => choose(beside(1)),
    ArrowLeft: () => choose(beside(-1)),
    ArrowDown: () => choose(across(1)),
    ArrowUp: () => choose(across(-1)),
    Enter: () => {
      if (!current) return;
      const span = Math.max(current.length * 1.3, 20);
      from = current.start - span * 0.12;
      to = from + span;
      ask();
    },
    Escape: () => choose(null),
    "+": () => zoomed(1.4),
    "=": () => zoomed(1.4),
    "-": () => zoomed(1 / 1.4),
    0: fit,
  };

  canvas.addEventListener("keydown", (event) => {
    const act = KEYS[event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act();
  });
  canvas.addEventListener("pointermove", (event) => {
    const box = canvas.getBoundingClientRect();
    const x = event.clientX - box.left, y = event.clientY - box.top;
    const slice = event.buttons ? null : sliceAt(x, y);
    if (slice !== hovered) ask();
    hovered = slice;
    tip.hidden = !slice;
    if (!slice) return;
    const lines = [slice.name, `${duration(slice.length)}, ${slice.category}`, slice.args.pack, slice.args.argv,
      slice.args.handed_over_by && `handed over by ${slice.args.handed_over_by}`];
    tip.textContent = [...new Set(lines.filter(Boolean))].join("\n");
    tip.style.left = `${clamp(x + 14, 0, Math.max(0, box.width - tip.offsetWidth - 8))}px`;
    tip.style.top = `${y + 18 + tip.offsetHeight > box.height ? y - tip.offsetHeight - 8 : y + 18}px`;
  });
  canvas.addEventListener("pointerleave", () => {
    hovered = null;
    tip.hidden = true;
    ask();
  });
  movable(canvas, {
    moved, zoomed,
    clicked: (event) => {
      const box = canvas.getBoundingClientRect();
      choose(sliceAt(event.clientX - box.left, event.clientY - box.top), { reveals: false });
    },
  });
  zoomButtons(byId("run"), { zoomed, fit });
  for (const category of [...CATEGORIES, ...new Set(slices.map((one) => one.category))]) {
    const count = slices.filter((one) => one.category === category).length;
    if (!count || byId(`category-${category}`)) continue;
    const known = CATEGORIES.includes(category);
    const made = chip(`${category} ${count}`, "\u25a0", "", (isOn) => {
      if (isOn) hidden.delete(category);
      else hidden.add(category);
      ask();
    });
    made.id = `category-${category}`;
    made.setAttribute("aria-pressed", "true");
    made.firstChild.style.color = `var(--${known ? category : "other"})`;
    byId("categories").append(made);
  }
  byId("run-search").addEventListener("input", (event) => {
    sought = event.target.value.trim().toLowerCase();
    const found = sought ? slices.filter(isSought).length : 0;
    byId("run-shown").textContent = sought ? `${found} of ${counted(slices.length, "slice")} match.` : summary();
    ask();
  });
  const summary = () => `${counted(slices.length, "slice")} on ${counted(tracks.length, "track")} in ${duration(last)}; `
    + `${counted(arrows.length, "arrow")} from who held a lock to who waited for it.`;
  byId("run-shown").textContent = summary();
  new ResizeObserver(ask).observe(canvas);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    readColours();
    ask();
  });
  readColours();
  return { fit, welcome: () => tell(current), ofPack };
})();
