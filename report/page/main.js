// SPDX-License-Identifier: Apache-2.0
// Puts the parts of the page together.

const SLOWEST = 25;

function summary(data) {
  const { calls } = data, list = document.getElementById("summary");
  let finished = 0, failed = 0, most = 0;
  for (let i = 0; i < data.count; i++) {
    if (calls.flags[i] & IN_FLIGHT) continue;
    finished++;
    failed += hasFailed(data, i);
    most = Math.max(most, calls.duration[i]);
  }
  const span = data.count ? calls.begin[data.count - 1] : 0, facts = [];
  if (data.has_dumps) {
    facts.push(["calls", finished.toLocaleString("en")], ["in flight", data.count - finished], ["failed", failed.toLocaleString("en")],
      ["client and server joined", data.joined.toLocaleString("en")], ["the longest", duration(most)], ["from first to last begin", duration(span)]);
  } else {
    const sum = column => data.tree[column].reduce((all, n) => all + n, 0);
    if (data.of_calls) facts.push(["calls", sum("calls").toLocaleString("en")]);
    facts.push([data.names[0] || data.type, value(data, sum("self"))]);
  }
  for (const [what, amount] of facts) {
    const item = element("li", what);
    item.prepend(element("b", String(amount)));
    list.append(item);
  }
}

function notes(data) {
  const said = [];
  if (data.has_dumps && !data.count) said.push("There are no calls: nothing was recorded, or nothing matches.");
  if (data.count && data.why_not_joined) said.push(data.why_not_joined);
  if (data.left_out) said.push(`${plural(data.left_out, "earlier call")} left out.`);
  const sum = key => data.files.reduce((all, file) => all + file[key], 0);
  if (sum("displaced")) said.push(`${plural(sum("displaced"), "older call")} had been overwritten.`);
  if (sum("dropped")) said.push(`${plural(sum("dropped"), "call")} not recorded for want of room.`);
  if (sum("torn")) said.push(`${plural(sum("torn"), "call")} overwritten while being read.`);
  document.getElementById("notes").textContent = said.join(" ");
}

function slowest(data, waterfall) {
  const { calls, stages, names } = data, body = document.querySelector("#slowest-table tbody");
  const order = [...Array(data.count).keys()].filter(i => !(calls.flags[i] & IN_FLIGHT))
    .sort((a, b) => calls.duration[b] - calls.duration[a]).slice(0, SLOWEST);
  document.getElementById("slowest").hidden = !order.length;
  for (const i of order) {
    const row = element("tr"), side = names[calls.side[i]], name = element("td", names[calls.method[i]], "name");
    let longest = -1;
    for (let k = calls.firstStage[i], end = k + calls.stages[i]; k < end; k++)
      if (longest < 0 || stages.duration[k] > stages.duration[longest]) longest = k;
    const stage = element("td", longest < 0 ? "" : `${names[stages.tag[longest]]} ${percent(stages.duration[longest], calls.duration[i])}`, "longest");
    const cell = element("td");
    cell.append(strip(data, waterfall, i));
    row.append(element("td", duration(calls.duration[i]), "n"), element("td", side, "side-" + (side === "client" ? "client" : "server")), name,
      element("td", statusOf(data, i), hasFailed(data, i) ? "failed" : ""), element("td", dateOf(data, i).slice(11), "quiet"), stage, cell);
    row.tabIndex = 0;
    row.onclick = () => waterfall.go(i);
    row.onkeydown = event => { if (event.key === "Enter") waterfall.go(i); };
    body.append(row);
  }
}

// A call as a strip of its stages.
function strip(data, waterfall, i) {
  const canvas = element("canvas"), width = 220, height = 14;
  const context = drawingOf(canvas, width, height);
  waterfall.bar(context, d3.scaleLinear([0, Math.max(1, data.calls.duration[i])], [0, width]), i, 0, 0, height);
  return canvas;
}

function theme(redraw) {
  const root = document.documentElement, system = matchMedia("(prefers-color-scheme: dark)");
  const set = dark => { root.classList.toggle("dark", dark); redraw(); };
  const toggle = () => set(!root.classList.contains("dark"));
  root.classList.toggle("dark", system.matches);
  system.addEventListener("change", () => set(system.matches));
  document.getElementById("theme").onclick = toggle;
  return toggle;
}

function keys(toggle) {
  document.addEventListener("keydown", event => {
    if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT)$/.test(event.target.tagName)) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (event.key === "/") {
      document.getElementById("flame-search").focus();
      event.preventDefault();
    } else if (event.key === "t") toggle();
  });
}

function about(data) {
  const programs = data.files.map(file => `${data.names[file.program]} (pid ${file.pid})`);
  const text = [[...new Set(programs)].join(", "), data.count ? dateOf(data, 0).slice(0, 19) + " UTC" : ""].filter(Boolean).join("  \u00b7  ");
  document.getElementById("about").textContent = text;
  document.title = ["rpcprof", ...new Set(programs)].join(" ");
  document.getElementById("made").textContent = `Made by rpcprof ${data.version}.`;
  document.getElementById("licences-show").onclick = () => {
    const text = document.getElementById("licences-text");
    text.textContent = document.getElementById("licences").textContent;
    text.hidden = !text.hidden;
  };
}

async function start() {
  const drawn = [], redraw = () => drawn.forEach(draw => draw());
  const toggle = theme(redraw);
  const data = await readData();
  about(data);
  summary(data);
  notes(data);
  const flame = new Flame(data), latency = new Latency(data), waterfall = new Waterfall(data);
  slowest(data, waterfall);
  keys(toggle);
  drawn.push(() => flame.draw(), () => latency.redraw(), () => waterfall.draw());
  let soon = 0;
  addEventListener("resize", () => {
    cancelAnimationFrame(soon);
    soon = requestAnimationFrame(() => { flame.resize(); latency.redraw(); waterfall.resize(); });
  });
  document.body.dataset.ready = "yes";
}

start().catch(error => {
  document.getElementById("notes").textContent = `This page cannot be drawn: ${error.message}. It needs a browser of 2023 or later.`;
  throw error;
});
