// SPDX-License-Identifier: Apache-2.0
// What the page was made of: JSON, compressed, in base 64.

const HAS_STATUS = 1, IN_FLIGHT = 2; // bits of calls.flags
const STATUSES = ["OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND",
  "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED",
  "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"];

// Colours that dark text can be read on, in a light page and in a dark one.
const COLOURS = ["#7eb6e6", "#f5b971", "#8fce8f", "#ee9090", "#7fd1c7", "#e3cf66", "#c39fe0", "#f2a6c8",
  "#c9a887", "#a9c0f0", "#b9d87c", "#e8a07c"];

async function readData() {
  const text = document.getElementById("data").textContent.trim();
  const bytes = Uint8Array.from(atob(text), c => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return prepare(JSON.parse(await new Response(stream).text()));
}

// Names may be meant to mislead: what is not seen, or turns text around, is shown as a number.
function plain(name) {
  const active = /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\uffff]/g;
  const text = name.length > 240 ? name.slice(0, 240) + "\u2026" : name;
  return text.replace(active, c => "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0"));
}

function prepare(data) {
  const calls = data.calls;
  data.names = data.names.map(plain);
  data.count = calls.begin.length;
  calls.begin = Float64Array.from(calls.begin);
  calls.duration = Float64Array.from(calls.duration);
  calls.firstStage = new Uint32Array(data.count);
  calls.firstFold = new Uint32Array(data.count);
  for (let i = 1; i < data.count; i++) {
    calls.begin[i] += calls.begin[i - 1];
    calls.firstStage[i] = calls.firstStage[i - 1] + calls.stages[i - 1];
    calls.firstFold[i] = calls.firstFold[i - 1] + calls.folds[i - 1];
  }
  data.colours = chooseColours(data);
  return data;
}

// A stage has one colour in all drawings; those with most time have the colours furthest apart.
function chooseColours(data) {
  const totals = new Map();
  const tree = data.tree, depth = [0];
  for (let i = 1; i < tree.name.length; i++) {
    depth[i] = depth[tree.parent[i]] + 1;
    if (!data.of_calls || depth[i] > 2)
      totals.set(tree.name[i], (totals.get(tree.name[i]) || 0) + tree.self[i] + tree.base_self[i]);
  }
  for (const tag of data.stages.tag)
    if (!totals.has(tag)) totals.set(tag, 0);
  return new Map([...totals].sort((a, b) => b[1] - a[1]).map(([name], i) => [name, COLOURS[i % COLOURS.length]]));
}

function statusOf(data, i) {
  if (data.calls.flags[i] & IN_FLIGHT) return "in flight";
  if (!(data.calls.flags[i] & HAS_STATUS)) return "";
  return STATUSES[data.calls.status[i]] || String(data.calls.status[i]);
}

function hasFailed(data, i) {
  return (data.calls.flags[i] & HAS_STATUS) !== 0 && data.calls.status[i] !== 0;
}

// Nanoseconds since 1970 of the first call are more than a double holds.
function dateOf(data, i) {
  const ns = BigInt(data.begin_utc_ns) + BigInt(data.calls.begin[i]);
  const date = new Date(Number(ns / 1000000n));
  return isNaN(date) ? "" : date.toISOString().slice(0, 19).replace("T", " ") + "." +
    String((ns % 1000000000n + 1000000000n) % 1000000000n).padStart(9, "0").slice(0, 6);
}

function duration(ns) {
  const size = Math.abs(ns);
  for (const [unit, factor] of [["s", 1e9], ["ms", 1e6], ["\u00b5s", 1e3]])
    if (size >= factor) return (ns / factor).toPrecision(4) + " " + unit;
  return Math.round(ns) + " ns";
}

// For an axis: without zeros at its end.
function rounded(ns) {
  return duration(ns).replace(/(\.\d*?)0+ /, "$1 ").replace(". ", " ");
}

function value(data, amount) {
  return data.unit === "nanoseconds" ? duration(amount) : amount.toLocaleString("en") + " " + data.unit;
}

function percent(part, whole) {
  return whole > 0 ? (100 * part / whole).toFixed(part < whole / 100 ? 2 : 1) + " %" : "-";
}

function plural(count, what) {
  return count.toLocaleString("en") + " " + what + (count === 1 ? "" : "s");
}

// An element with text, never with HTML.
function element(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

// What is drawn on a canvas of that many CSS pixels, as sharp as the screen.
function drawingOf(canvas, width, height) {
  const context = canvas.getContext("2d");
  canvas.width = width * devicePixelRatio;
  canvas.height = height * devicePixelRatio;
  canvas.style.width = width + "px";
  canvas.style.height = height + "px";
  context.scale(devicePixelRatio, devicePixelRatio);
  return context;
}

function colourOf(variable) {
  return getComputedStyle(document.documentElement).getPropertyValue(variable).trim();
}

const tip = {
  show(x, y, text) {
    const box = document.getElementById("tip");
    box.textContent = text;
    box.hidden = false;
    const right = x + 14 + box.offsetWidth > innerWidth, low = y + 14 + box.offsetHeight > innerHeight;
    box.style.left = Math.max(4, right ? x - 10 - box.offsetWidth : x + 14) + "px";
    box.style.top = Math.max(4, low ? y - 10 - box.offsetHeight : y + 14) + "px";
  },
  hide() { document.getElementById("tip").hidden = true; },
};
