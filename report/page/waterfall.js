// SPDX-License-Identifier: Apache-2.0
// The calls one by one, a line each, on a canvas that draws no more than what is seen; and the chosen
// call with all that is known of it. A client's call and the server's that it is joined with share a
// line.

const LINE = 34, HEAD = 22, NAME = 300, AFTER = 86; // pixels: line, axis, left column, duration

class Waterfall {
  constructor(data) {
    this.data = data;
    this.view = document.getElementById("calls-view");
    this.canvas = document.getElementById("calls-canvas");
    this.filter = document.getElementById("calls-filter");
    this.side = document.getElementById("calls-side");
    this.order = document.getElementById("calls-order");
    this.failed = document.getElementById("calls-failed");
    this.chosen = -1;
    this.lines = [];
    const sides = [...new Set(data.calls.side)].map(side => data.names[side]);
    for (const side of sides.length > 1 ? ["both sides", ...sides] : sides) this.side.append(element("option", side));
    for (const input of [this.filter, this.side, this.order, this.failed])
      input.addEventListener("input", () => this.select());
    this.view.onscroll = () => this.draw();
    this.view.onkeydown = event => this.key(event);
    this.view.onmousemove = event => this.hover(event);
    this.view.onmouseleave = () => tip.hide();
    this.view.onclick = event => {
      const line = this.lineAt(event);
      if (line !== undefined) this.choose(line);
    };
    this.legend();
    this.select();
  }

  legend() {
    const used = new Set(this.data.stages.tag);
    const entries = [...this.data.colours].filter(([tag]) => used.has(tag));
    document.getElementById("calls-legend").replaceChildren(...entries.slice(0, 24).map(([tag, colour]) => {
      const entry = element("span"), patch = element("i");
      patch.style.background = colour;
      entry.append(patch, this.data.names[tag]);
      return entry;
    }), ...(entries.length > 24 ? [element("span", `and ${entries.length - 24} more`)] : []));
  }

  // A line per call; a joined server's call is on its client's line.
  select() {
    const { data } = this, { calls, names } = data, text = this.filter.value.toLowerCase();
    const side = this.side.selectedIndex > 0 ? this.side.value : null, lines = [];
    for (let i = data.count; i-- > 0;) {
      if (names[calls.side[i]] === "server" && calls.other[i] >= 0 && side === null) continue;
      if (side !== null && names[calls.side[i]] !== side) continue;
      if (text && !names[calls.method[i]].toLowerCase().includes(text)) continue;
      if (this.failed.checked && !hasFailed(data, i) && !(calls.other[i] >= 0 && hasFailed(data, calls.other[i]))) continue;
      lines.push(i);
    }
    if (this.order.value === "length") lines.sort((a, b) => calls.duration[b] - calls.duration[a]);
    this.lines = lines;
    this.alone = side !== null;
    const count = document.getElementById("calls-count");
    count.textContent = `${plural(lines.length, "line")} of ${plural(data.count, "call")}`;
    this.view.hidden = !data.count;
    if (!data.count)
      count.textContent = data.has_dumps ? "No calls." : "A profile has no single calls: they are in dumps.";
    this.view.scrollTop = 0;
    this.resize();
  }

  resize() {
    if (!this.data.count) return;
    const spacer = document.getElementById("calls-spacer"), width = this.view.clientWidth, height = this.view.clientHeight;
    spacer.style.height = Math.max(0, this.lines.length * LINE + HEAD - height) + "px";
    this.canvas.width = width * devicePixelRatio;
    this.canvas.height = height * devicePixelRatio;
    this.canvas.style.width = width + "px";
    this.canvas.style.height = height + "px";
    this.draw();
  }

  // The call and its other side: [call, where it begins after the client's begin].
  parts(i) {
    const { calls } = this.data, other = this.alone ? -1 : calls.other[i];
    if (other < 0) return [[i, 0]];
    const late = calls.begin[other] - calls.begin[i], room = calls.duration[i] - calls.duration[other];
    // Clocks of two machines differ: a server's call that is not within its client's is moved there.
    return [[i, 0], [other, Math.max(0, Math.min(late, Math.max(0, room)))]];
  }

  seen() {
    const first = Math.floor(this.view.scrollTop / LINE), count = Math.ceil(this.view.clientHeight / LINE) + 1;
    return [first, Math.min(this.lines.length, first + count)];
  }

  // As wide as the longest call that is seen, and no change for a little one.
  fit(first, last) {
    let most = 1;
    for (let k = first; k < last; k++)
      for (const [call, late] of this.parts(this.lines[k])) most = Math.max(most, late + this.data.calls.duration[call]);
    const power = 10 ** Math.floor(Math.log10(most));
    return [1, 1.5, 2, 3, 4, 5, 6, 8, 10].map(step => step * power).find(step => step >= most);
  }

  draw() {
    const context = this.canvas.getContext("2d"), width = this.view.clientWidth, [first, last] = this.seen();
    const x = d3.scaleLinear([0, this.fit(first, last)], [NAME, width - AFTER]);
    this.x = x;
    context.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    context.clearRect(0, 0, width, this.view.clientHeight);
    const font = getComputedStyle(document.body).fontFamily, text = colourOf("--text"), quiet = colourOf("--quiet");
    context.textBaseline = "middle";
    this.axis(context, x, width, quiet, font);
    context.save();
    context.beginPath();
    context.rect(0, HEAD, width, this.view.clientHeight);
    context.clip();
    for (let k = first; k < last; k++) {
      const top = HEAD + k * LINE - this.view.scrollTop, i = this.lines[k], { calls, names } = this.data;
      if (k === this.chosen) {
        context.fillStyle = colourOf("--hover");
        context.fillRect(0, top, width, LINE);
        context.fillStyle = colourOf("--accent");
        context.fillRect(0, top, 3, LINE);
      }
      context.font = `12px ${font}`;
      context.fillStyle = text;
      context.fillText(fitText(context, names[calls.method[i]], NAME - 24), 10, top + 11);
      context.font = `11px ${font}`;
      context.fillStyle = hasFailed(this.data, i) ? colourOf("--worse") : quiet;
      const parts = this.parts(i), sides = parts.map(([call]) => names[calls.side[call]]).join(" + ");
      context.fillText(fitText(context, [sides, statusOf(this.data, i), dateOf(this.data, i).slice(11)].filter(Boolean).join("  "), NAME - 24), 10, top + 25);
      parts.forEach(([call, late], n) => {
        const high = parts.length > 1 ? 12 : 18;
        this.bar(context, x, call, late, top + (parts.length > 1 ? 4 + n * 14 : 8), high);
      });
      context.fillStyle = text;
      context.textAlign = "right";
      context.fillText(duration(calls.duration[i]), width - 10, top + LINE / 2);
      context.textAlign = "left";
    }
    context.restore();
  }

  axis(context, x, width, quiet, font) {
    context.font = `11px ${font}`;
    context.fillStyle = quiet;
    context.fillText("from the begin of each call", 10, HEAD / 2);
    for (const at of x.ticks(Math.max(2, Math.floor((width - NAME - AFTER) / 120)))) {
      context.fillText(at ? rounded(at) : "0", x(at) + 3, HEAD / 2);
      context.fillStyle = colourOf("--line");
      context.fillRect(x(at), 0, 1, this.view.clientHeight);
      context.fillStyle = quiet;
    }
    context.fillStyle = colourOf("--line");
    context.fillRect(0, HEAD - 1, width, 1);
  }

  bar(context, x, call, late, top, high) {
    const { calls } = this.data;
    context.fillStyle = colourOf("--bar");
    context.fillRect(x(late), top, Math.max(1, x(late + calls.duration[call]) - x(late)), high);
    for (const [from, to, low, size, tag] of this.boxes(call, late, top, high)) {
      context.fillStyle = this.data.colours.get(tag);
      context.fillRect(x(from), low, Math.max(0.5, x(to) - x(from) - 0.25), size);
    }
  }

  // Where the stages of a call are drawn. Those that overlap share the height, lane by lane; what
  // lies within another is less high.
  boxes(call, late, top, high) {
    const { calls, stages } = this.data, boxes = [];
    const from = calls.firstStage[call], to = from + calls.stages[call];
    const end = k => stages.offset[k] + stages.duration[k];
    for (let k = from; k < to; k++) {
      let lanes = stages.lane[k] + 1;
      for (let other = from; other < to; other++)
        if (stages.offset[other] < end(k) && stages.offset[k] < end(other)) lanes = Math.max(lanes, stages.lane[other] + 1);
      const each = high / lanes, inset = Math.max(0, Math.min(stages.depth[k] * 3, each - 3));
      const begin = Math.max(0, stages.offset[k]), until = Math.max(begin, Math.min(calls.duration[call], end(k)));
      boxes.push([late + begin, late + until, top + stages.lane[k] * each + inset, each - inset, stages.tag[k], k]);
    }
    return boxes;
  }

  lineAt(event) {
    const y = event.clientY - this.view.getBoundingClientRect().top;
    const k = Math.floor((y - HEAD + this.view.scrollTop) / LINE);
    return y > HEAD && k >= 0 && k < this.lines.length ? k : undefined;
  }

  hover(event) {
    const box = this.view.getBoundingClientRect(), k = this.lineAt(event);
    if (k === undefined) return tip.hide();
    const px = event.clientX - box.left, y = event.clientY - box.top, top = HEAD + k * LINE - this.view.scrollTop;
    const parts = this.parts(this.lines[k]), second = parts.length > 1 && y > top + 17, [call, late] = parts[second ? 1 : 0];
    const { calls, stages, names } = this.data, at = this.x.invert(px);
    const hit = this.boxes(call, late, parts.length > 1 ? top + 4 + second * 14 : top + 8, parts.length > 1 ? 12 : 18)
      .filter(([from, to, low, size]) => at >= from && at <= Math.max(to, from + 2 * (this.x.invert(1) - this.x.invert(0))) && y >= low - 4 && y <= low + size + 4).pop();
    const lines = [`${names[calls.side[call]]} ${names[calls.method[call]]}`];
    if (hit) {
      const s = hit[5];
      lines.unshift(`${names[stages.tag[s]]}  ${duration(stages.duration[s])}  ${percent(stages.duration[s], calls.duration[call])} of the call`);
      lines.push(`from ${duration(stages.offset[s])}, thread ${stages.thread[s]}`);
    } else lines.push(`${duration(calls.duration[call])}  ${statusOf(this.data, call)}  ${dateOf(this.data, call)}`);
    tip.show(event.clientX, event.clientY, lines.join("\n"));
  }

  key(event) {
    const page = Math.max(1, Math.floor(this.view.clientHeight / LINE) - 2);
    const moves = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (!(event.key in moves) || !this.lines.length) return;
    event.preventDefault();
    this.choose(Math.max(0, Math.min(this.lines.length - 1, this.chosen + moves[event.key])));
  }

  choose(k) {
    this.chosen = k;
    const top = k * LINE, room = this.view.clientHeight - HEAD - LINE;
    if (top < this.view.scrollTop) this.view.scrollTop = top;
    if (top > this.view.scrollTop + room) this.view.scrollTop = top - room;
    this.draw();
    this.show(this.lines[k]);
  }

  // From the table of the slowest: whatever is filtered, the call is there.
  go(i) {
    this.filter.value = "";
    this.side.selectedIndex = 0;
    this.failed.checked = false;
    this.select();
    const { calls, names } = this.data;
    const line = names[calls.side[i]] === "server" && calls.other[i] >= 0 ? calls.other[i] : i;
    this.choose(this.lines.indexOf(line));
    document.getElementById("waterfall").scrollIntoView({ block: "start" });
    this.view.focus({ preventScroll: true });
  }

  show(i) {
    const { calls, names } = this.data, parts = this.parts(i);
    const whole = Math.max(...parts.map(([call, late]) => late + calls.duration[call]));
    const table = element("table"), body = element("tbody");
    for (const [call, late] of parts) {
      body.append(this.row(names[calls.side[call]], names[calls.method[call]], late, calls.duration[call], calls.duration[call], whole, "", colourOf("--bar"), 0));
      this.stageRows(body, call, late, whole);
    }
    table.append(body);
    const moved = parts.length > 1 && parts[1][1] !== calls.begin[parts[1][0]] - calls.begin[i];
    const title = [names[calls.method[i]], duration(calls.duration[i]), statusOf(this.data, i), dateOf(this.data, i) + " UTC",
      moved ? "the server's clock differs: its call is moved into the client's" : ""].filter(Boolean).join("  \u00b7  ");
    document.getElementById("call").replaceChildren(element("h3", title), table);
  }

  stageRows(body, call, late, whole) {
    const { calls, stages, folds, names, colours } = this.data;
    for (let k = calls.firstStage[call], end = k + calls.stages[call]; k < end; k++)
      body.append(this.row("", names[stages.tag[k]], late + stages.offset[k], stages.duration[k], calls.duration[call], whole,
        "thread " + stages.thread[k], colours.get(stages.tag[k]), 1 + stages.depth[k]));
    for (let k = calls.firstFold[call], end = k + calls.folds[call]; k < end; k++)
      body.append(this.row("", `${names[folds.tag[k]]} \u00d7 ${folds.count[k]}, the longest ${duration(folds.longest[k])}`, -1,
        folds.total[k], calls.duration[call], whole, "folded", null, 1));
  }

  row(side, name, begin, length, of, whole, about, colour, depth) {
    const row = element("tr"), cell = element("td", undefined), track = element("div", undefined, "track");
    const label = element("td", name, "name");
    label.style.paddingLeft = 8 + depth * 14 + "px";
    label.title = name;
    if (colour) {
      const bar = element("div");
      bar.style.cssText = `left:${100 * Math.max(0, begin) / whole}%;width:${100 * Math.min(length, whole) / whole}%`;
      bar.style.background = colour;
      track.append(bar);
    }
    cell.append(track);
    const widths = [["62px", element("td", side, "side-" + (side === "client" ? "client" : "server"))], ["320px", label], ["", cell],
      ["90px", element("td", duration(length), "n")], ["64px", element("td", percent(length, of), "n")], ["110px", element("td", about, "quiet")]];
    for (const [width, td] of widths) {
      if (width) td.style.width = width;
      row.append(td);
    }
    return row;
  }
}

// Cut so that it takes no more than so many pixels.
function fitText(context, text, width) {
  if (context.measureText(text).width <= width) return text;
  let low = 0, high = text.length;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (context.measureText(text.slice(0, middle) + "\u2026").width <= width) low = middle;
    else high = middle - 1;
  }
  return text.slice(0, low) + "\u2026";
}
