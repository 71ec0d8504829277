// SPDX-License-Identifier: Apache-2.0
// Latency of methods and their stages: a table, and the distribution of the chosen row.

const ROWS_SHOWN = 40; // methods, before the button for all is used

function latencyRows(data) {
  const rows = new Map(), { calls, stages, folds } = data;
  const get = (i, tag) => {
    const key = `${calls.side[i]} ${calls.method[i]} ${tag}`;
    if (!rows.has(key))
      rows.set(key, { side: calls.side[i], method: calls.method[i], tag, values: [], count: 0, total: 0, max: 0, first: Infinity });
    return rows.get(key);
  };
  const add = (row, ns, offset) => {
    row.values.push(ns);
    row.count++;
    row.total += ns;
    row.max = Math.max(row.max, ns);
    row.first = Math.min(row.first, offset);
  };
  for (let i = 0; i < data.count; i++) {
    if (calls.flags[i] & IN_FLIGHT) continue;
    add(get(i, -1), calls.duration[i], -1);
    for (let k = calls.firstStage[i], end = k + calls.stages[i]; k < end; k++)
      add(get(i, stages.tag[k]), stages.duration[k], k - calls.firstStage[i]);
    for (let k = calls.firstFold[i], end = k + calls.folds[i]; k < end; k++) { // single ones are not known
      const row = get(i, folds.tag[k]);
      row.count += folds.count[k];
      row.total += folds.total[k];
      row.max = Math.max(row.max, folds.longest[k]);
    }
  }
  for (const row of rows.values()) row.values = Float64Array.from(row.values).sort();
  return groupRows([...rows.values()]);
}

// Methods by total, each with its stages in the order in which they begin.
function groupRows(rows) {
  const methods = rows.filter(row => row.tag < 0).sort((a, b) => b.total - a.total);
  const byMethod = new Map(methods.map(row => [`${row.side} ${row.method}`, row]));
  for (const row of methods) row.children = [];
  for (const row of rows)
    if (row.tag >= 0) {
      row.parent = byMethod.get(`${row.side} ${row.method}`);
      row.parent.children.push(row);
    }
  for (const row of methods) row.children.sort((a, b) => a.first - b.first || b.total - a.total);
  return methods;
}

// Nearest rank, as the command has it.
function quantile(values, q) {
  return values.length ? values[Math.max(0, Math.ceil(values.length * q) - 1)] : NaN;
}

function histogram(values, scale, bins) {
  const counts = new Uint32Array(bins);
  for (const ns of values)
    counts[Math.max(0, Math.min(bins - 1, Math.floor(scale(Math.max(ns, 1)) * bins)))]++;
  return counts;
}

// 1, 2 and 5 of each power of ten, or where that is too few, round numbers.
function logTicks([least, most]) {
  const some = d3.scaleLog().domain([least, most]).ticks(4).filter(at =>
    [1, 2, 5].includes(Math.round(at / 10 ** Math.floor(Math.log10(at) + 1e-9))));
  if (most / least > 1e3) return some.filter(at => Math.abs(Math.log10(at) % 1) < 1e-9);
  return some.length > 2 ? some : d3.ticks(least, most, 6);
}

class Latency {
  constructor(data) {
    this.data = data;
    this.methods = latencyRows(data);
    this.body = document.querySelector("#latency-table tbody");
    this.chartBox = document.getElementById("latency-chart");
    this.filter = document.getElementById("latency-filter");
    this.all = document.getElementById("latency-all");
    this.limit = ROWS_SHOWN;
    this.chosen = this.methods[0];
    this.open = new Set(this.methods.slice(0, 1)); // methods whose stages are shown
    let least = Infinity, most = 1; // one scale for all rows, so that they can be compared
    for (const method of this.methods)
      for (const row of [method, ...method.children]) {
        if (row.values.length) least = Math.min(least, Math.max(1, row.values[0]));
        most = Math.max(most, row.max);
      }
    this.scale = d3.scaleLog([Math.min(least, most / 10), most], [0, 1]);
    this.filter.oninput = () => this.draw();
    this.all.onclick = () => { this.limit = Infinity; this.draw(); };
    this.draw();
  }

  draw() {
    const text = this.filter.value.toLowerCase();
    const wanted = this.methods.filter(row => this.data.names[row.method].toLowerCase().includes(text));
    this.all.hidden = wanted.length <= this.limit;
    this.all.textContent = `Show all ${wanted.length} methods`;
    if (!this.methods.length) {
      document.getElementById("latency-table").hidden = true;
      this.chartBox.replaceChildren(element("p", this.data.has_dumps
        ? "No calls that had ended." : "A profile has no single calls: their latency is in dumps.", "empty"));
      return;
    }
    this.body.replaceChildren();
    for (const method of wanted.slice(0, this.limit))
      for (const row of this.open.has(method) ? [method, ...method.children] : [method]) this.body.append(this.line(row));
    this.chart();
  }

  line(row) {
    const { data } = this, line = element("tr", undefined, row.tag < 0 ? "method" : "stage");
    const name = element("td", undefined, "name"), side = data.names[row.side];
    if (row.tag >= 0) {
      const patch = element("i");
      patch.style.background = data.colours.get(row.tag);
      name.append(patch, data.names[row.tag]);
    } else name.textContent = data.names[row.method];
    name.title = name.textContent;
    line.append(element("td", row.tag < 0 ? side : "", "side-" + (side === "client" ? "client" : "server")), name,
      element("td", row.count.toLocaleString("en"), "n"), element("td", duration(row.total / row.count), "n"));
    for (const q of [0.5, 0.9, 0.99])
      line.append(element("td", row.values.length ? duration(quantile(row.values, q)) : "-", "n"));
    line.append(element("td", duration(row.max), "n"));
    const cell = element("td");
    cell.append(this.spark(row));
    line.append(cell);
    line.tabIndex = 0;
    line.classList.toggle("chosen", row === this.chosen);
    line.classList.toggle("open", this.open.has(row));
    if (row.tag < 0) line.setAttribute("aria-expanded", this.open.has(row));
    line.onclick = () => this.choose(row);
    line.onkeydown = event => { if (event.key === "Enter") this.choose(row); };
    return line;
  }

  // Shows a row's distribution; a method's stages too, or no more.
  choose(row) {
    const again = this.chosen === row;
    this.chosen = row;
    if (row.tag < 0 && this.open.has(row) && again) this.open.delete(row);
    else if (row.tag < 0) this.open.add(row);
    this.draw();
    this.body.querySelector(".chosen")?.focus({ preventScroll: true });
  }

  spark(row) {
    const canvas = element("canvas"), bins = 60, width = 180, height = 18;
    const counts = histogram(row.values, this.scale, bins), most = Math.max(1, ...counts);
    const context = drawingOf(canvas, width, height);
    context.fillStyle = row.tag >= 0 ? this.data.colours.get(row.tag) : colourOf("--quiet");
    counts.forEach((count, i) => { // a single call is to be seen too
      const size = count ? Math.max(1.5, count / most * height) : 0;
      context.fillRect(i * width / bins, height - size, width / bins - 0.5, size);
    });
    return canvas;
  }

  chart() {
    const row = this.chosen, { data } = this, width = Math.max(400, this.chartBox.clientWidth), height = 150, bottom = 24, top = 30;
    const name = data.names[row.side] + " " + data.names[row.method] + (row.tag >= 0 ? " \u203a " + data.names[row.tag] : "");
    const svg = d3.create("svg").attr("viewBox", `0 0 ${width} ${height}`).attr("height", height);
    const least = Math.max(1, row.values.length ? row.values[0] : 1);
    const x = d3.scaleLog([least * 0.98, Math.max(row.max, least) * 1.02], [6, width - 6]);
    const unit = ns => (x(ns) - 6) / (width - 12), bins = Math.min(160, Math.max(20, Math.round(width / 8)));
    const counts = histogram(row.values, unit, bins);
    const y = d3.scaleLinear([0, Math.max(1, ...counts)], [height - bottom, top]);
    const step = (width - 12) / bins;
    svg.append("text").attr("x", 6).attr("y", 12).attr("class", "mark-text").text(
      `${name}: ${row.count.toLocaleString("en")}, mean ${duration(row.total / row.count)}` +
      (row.values.length < row.count ? ` (${(row.count - row.values.length).toLocaleString("en")} folded: not drawn)` : ""));
    svg.append("g").selectAll("rect").data([...counts.entries()].filter(([, count]) => count)).join("rect")
      .attr("x", ([i]) => 6 + i * step).attr("width", Math.max(1, step - 1))
      .attr("y", ([, count]) => Math.min(y(count), height - bottom - 1.5))
      .attr("height", ([, count]) => Math.max(1.5, height - bottom - y(count)))
      .attr("fill", row.tag >= 0 ? data.colours.get(row.tag) : colourOf("--bar"))
      .on("mousemove", (event, [i, count]) => tip.show(event.clientX, event.clientY,
        `${duration(x.invert(6 + i * step))} to ${duration(x.invert(6 + (i + 1) * step))}\n` +
        `${count.toLocaleString("en")}, ${percent(count, row.values.length)}`))
      .on("mouseleave", () => tip.hide());
    let last = -Infinity;
    for (const [label, q] of row.values.length ? [["p50", 0.5], ["p90", 0.9], ["p99", 0.99]] : []) {
      const at = x(Math.max(1, quantile(row.values, q)));
      svg.append("line").attr("class", "mark").attr("x1", at).attr("x2", at).attr("y1", top - 6).attr("y2", height - bottom);
      if (at - last > 96) // else they would lie on each other
        svg.append("text").attr("class", "mark-text").attr("x", Math.min(at + 3, width - 90)).attr("y", top - 4)
          .text(`${label} ${duration(quantile(row.values, q))}`);
      if (at - last > 96) last = at;
    }
    svg.append("g").attr("transform", `translate(0,${height - bottom})`)
      .call(d3.axisBottom(x).tickValues(logTicks(x.domain())).tickFormat(rounded).tickSizeOuter(0));
    this.chartBox.setAttribute("aria-label", `Distribution of ${name}`);
    this.chartBox.replaceChildren(svg.node());
  }

  redraw() { if (this.methods.length) this.draw(); }
}
