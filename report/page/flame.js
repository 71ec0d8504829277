// SPDX-License-Identifier: Apache-2.0
// The flame graph: d3-flame-graph on the tree of stacks, with keys, search and comparison.

class Flame {
  constructor(data) {
    this.data = data;
    this.box = document.getElementById("flame-graph");
    this.details = document.getElementById("flame-details");
    this.compare = document.getElementById("flame-compare");
    this.search = document.getElementById("flame-search");
    this.compare.value = data.of_calls ? "call" : "share";
    if (!data.of_calls) this.compare.querySelector("[value=call]").remove();
    if (!data.has_base) this.compare.value = "";
    document.getElementById("flame-compare-label").hidden = !data.has_base;
    this.compare.onchange = () => this.draw();
    this.search.oninput = () => this.find();
    document.getElementById("flame-reset").onclick = () => this.reset();
    this.box.onkeydown = event => this.key(event);
    this.box.onblur = () => this.mark(null);
    this.draw();
  }

  // The tree as d3 wants it. Each node has its sums now and, scaled by how it is compared, before.
  nodes() {
    const { tree, names, depth_max: deepest, of_calls: ofCalls } = this.data;
    const made = [], mode = this.compare.value;
    for (let i = 0; i < tree.name.length; i++) {
      const parent = i > 0 ? made[tree.parent[i]] : null;
      const depth = parent ? parent.depth + 1 : 0;
      if (depth > deepest) { // what is deeper is its ancestor's
        made.push(parent);
        parent.self += tree.self[i];
        parent.before += tree.base_self[i];
        continue;
      }
      const node = { name: i > 0 ? names[tree.name[i]] : "all", tag: tree.name[i], depth, parent, children: [],
        self: tree.self[i], before: tree.base_self[i], calls: tree.calls[i], stages: tree.stages[i],
        baseCalls: tree.base_calls[i] };
      node.method = !ofCalls || depth < 2 ? null : depth === 2 ? node : parent.method;
      if (parent) parent.children.push(node);
      made.push(node);
    }
    const nodes = [...new Set(made)];
    const sum = key => nodes.reduce((all, node) => all + node[key], 0);
    const whole = mode === "share" && sum("before") > 0 ? sum("self") / sum("before") : 1;
    for (const node of nodes) {
      const method = node.method;
      if (mode === "share") node.before *= whole;
      else if (mode === "call" && method && method.calls > 0 && method.baseCalls > 0)
        node.before *= method.calls / method.baseCalls;
      node.value = Math.max(0, node.self) + (mode ? Math.max(0, node.before) : 0);
      node.total = node.self;
      node.totalBefore = node.before;
    }
    for (const node of nodes.reverse())
      if (node.parent) {
        node.parent.total += node.total;
        node.parent.totalBefore += node.totalBefore;
      }
    return nodes[nodes.length - 1];
  }

  draw() {
    this.root = this.nodes();
    this.box.replaceChildren();
    this.mark(null);
    const legend = document.getElementById("flame-legend");
    legend.hidden = !this.compare.value;
    if (!(this.root.total > 0) && !(this.compare.value && this.root.totalBefore > 0)) {
      this.chart = null;
      this.box.append(element("p", this.data.of_calls || this.data.has_dumps
        ? "No calls that had ended." : "No samples.", "empty"));
      return;
    }
    legend.replaceChildren(...[["--better", "less"], ["--same", "the same"], ["--worse", "more"]].map(([colour, text]) => {
      const entry = element("span"), patch = element("i");
      patch.style.background = colourOf(colour);
      entry.append(patch, text);
      return entry;
    }));
    const change = d3.scaleLinear([-0.5, 0, 0.5], // half or twice as much has the full colour
      ["--better", "--same", "--worse"].map(colourOf)).clamp(true);
    const found = colourOf("--found"), frames = [colourOf("--frame-2"), colourOf("--frame-2"), colourOf("--frame")];
    let depth = 0;
    const deep = node => { depth = Math.max(depth, node.depth); node.children.forEach(deep); };
    deep(this.root);
    const box = () => tooltip;
    const tooltip = Object.assign(box, {
      show: (event, d) => { tip.show(event.clientX, event.clientY, this.text(d.data).join("\n")); },
      hide: () => tip.hide(), destroy: () => tip.hide(),
    });
    this.chart = d3.flamegraph().width(this.box.clientWidth).cellHeight(21).height((depth + 1) * 21)
      .inverted(true).selfValue(true).minFrameSize(1).tooltip(tooltip)
      .transitionDuration(matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 220)
      .setDetailsHandler(() => {}).onClick(d => this.mark(d))
      .onHover(d => { this.details.textContent = this.text(d.data).join("  \u00b7  "); })
      .setSearchMatch((d, term) => d.data.name.toLowerCase().includes(term))
      .setSearchHandler((results, total, whole) => this.tell(results, total, whole))
      .setColorMapper(d => {
        const node = d.data;
        if (d.highlight) return found;
        if (this.compare.value) {
          const most = Math.max(node.total, node.totalBefore);
          return change(most > 0 ? (node.total - node.totalBefore) / most : 0);
        }
        if (this.data.of_calls && node.depth < 3) return frames[node.depth];
        return this.data.colours.get(node.tag) || frames[0];
      });
    d3.select(this.box).datum(this.root).call(this.chart);
    if (this.search.value) this.find();
  }

  resize() {
    if (this.chart && this.box.clientWidth > 0) this.chart.width(this.box.clientWidth).update();
  }

  // What is known of a frame, a line each.
  text(node) {
    const { data, root } = this, lines = [node.name];
    const mode = this.compare.value;
    lines.push(`${value(data, node.total)}, ${percent(node.total, root.total)} of all` +
      (node.parent && node.parent.total !== root.total
        ? `, ${percent(node.total, node.parent.total)} of ${node.parent.name}` : ""));
    if (node.children.length) lines.push(`itself ${value(data, node.self)}`);
    if (node.method && node.method.calls > 0)
      lines.push(`${plural(node.method.calls, "call")}, ${value(data, node.total / node.method.calls)} per call`);
    if (node.stages > 0) lines.push(`ran ${plural(node.stages, "time")}`);
    if (mode) {
      const what = mode === "share" ? "at the same total" : "at the same calls";
      lines.push(`before ${value(data, Math.round(node.totalBefore))} ${what}: ` + (node.totalBefore > 0
        ? `${node.total >= node.totalBefore ? "+" : ""}${(100 * (node.total / node.totalBefore - 1)).toFixed(1)} %` : "new"));
    }
    return lines;
  }

  find() {
    if (!this.chart) return;
    if (this.search.value) this.chart.search(this.search.value.toLowerCase());
    else {
      this.chart.clear();
      document.getElementById("flame-found").textContent = "";
    }
  }

  tell(results, total, whole) {
    document.getElementById("flame-found").textContent =
      `${plural(results.length, "frame")}, ${percent(total, whole)} of all`;
  }

  reset() {
    if (!this.chart) return;
    this.search.value = "";
    this.find();
    this.chart.resetZoom();
    this.mark(null);
  }

  mark(d) {
    this.current = d;
    d3.select(this.box).selectAll("g").classed("current", other => other === d && d !== null);
    this.details.textContent = d ? this.text(d.data).join("  \u00b7  ")
      : "Click a frame to zoom; arrow keys and Enter do the same.";
  }

  key(event) {
    if (!this.chart) return;
    const at = this.current || d3.select(this.box).datum();
    const children = d => (d.children || []).filter(child => child.value > 0);
    const beside = step => {
      const all = at.parent ? children(at.parent) : [at];
      return all[all.indexOf(at) + step];
    };
    const moves = { ArrowDown: () => this.current ? children(at)[0] : at, ArrowUp: () => at.parent,
      ArrowLeft: () => beside(-1), ArrowRight: () => beside(1) };
    if (event.key in moves) this.mark(moves[event.key]() || at);
    else if (event.key === "Enter") { this.chart.zoomTo(at); this.mark(at); }
    else if (event.key === "Escape") this.reset();
    else return;
    event.preventDefault();
  }
}
