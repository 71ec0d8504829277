# SPDX-License-Identifier: Apache-2.0
"""page.py RPCPROF FILES: the report in a browser: it draws, zooms, searches, shows what is pointed at,
goes by keys; hostile names do nothing; no calls, no pairs and no single calls are said to be so."""
import atexit
import os
import shutil
import subprocess
import sys
import tempfile

from browser import Browser

rpcprof, files = sys.argv[1:3]
folder = tempfile.mkdtemp()
atexit.register(shutil.rmtree, folder)
subprocess.run([files, folder], check=True)
browser = Browser()
atexit.register(browser.close)


def report(name, *arguments):
    path = os.path.join(folder, name + ".html")
    subprocess.run([rpcprof, "report", "-o", path, *arguments], check=True, cwd=folder)
    browser.open(path)
    return path


def quiet():
    """Nothing was complained of, fetched, or run that is not the page's own."""
    assert browser.errors() == [], browser.errors()
    assert browser.script("return performance.getEntriesByType('resource').length") == 0
    assert browser.script("return document.scripts.length") == 4
    assert browser.script("return document.querySelectorAll('iframe, img, link, object, b b').length") == 0


FRAMES = """return [...document.querySelectorAll('#flame-graph g')].map(g => ({
    name: g.__data__.data.name, width: g.querySelector('rect').getBoundingClientRect().width,
    fill: g.querySelector('rect').getAttribute('fill'), total: g.__data__.data.total,
    depth: g.__data__.data.depth, current: g.classList.contains('current')}))"""


def frames(name=None):
    return [frame for frame in browser.script(FRAMES) if name in (None, frame["name"])]


def width_is(name, width):
    browser.until("""return [...document.querySelectorAll('#flame-graph g')].some(g =>
        g.__data__.data.name === arguments[0] &&
        Math.abs(g.querySelector('rect').getBoundingClientRect().width - arguments[1]) < 2)""", name, width)


def flame_graph():
    width_is("all", browser.find("#flame-graph").size["width"])  # it grows to that
    whole = frames("all")[0]
    assert whole["total"] == 50 * (140 + 200) * 1000, whole
    sides = {frame["name"]: frame["total"] for frame in frames() if frame["depth"] == 1}
    assert sides == {"client": 10000000, "server": 7000000}, sides
    for depth in range(1, 4):  # of no level is there more than of the one above
        assert sum(f["total"] for f in frames() if f["depth"] == depth) <= whole["total"]

    # Search: what is found is marked, and how much that is, is said.
    browser.type("#flame-search", "HANDLER")
    browser.until("return document.querySelector('#flame-found').textContent.includes('of all')")
    found = {frame["name"] for frame in frames() if frame["fill"] == frames("/handler")[0]["fill"]}
    assert found == {"/handler"}, found
    browser.type("#flame-search", "((")  # not a pattern
    browser.until("return document.querySelector('#flame-found').textContent.startsWith('0 frames')")
    browser.type("#flame-search", "")
    browser.until("return document.querySelector('#flame-found').textContent === ''")

    # Zoom by the pointer: the frame takes all the width; reset gives it back.
    before = frames("server")[0]["width"]
    browser.script("""[...document.querySelectorAll('#flame-graph g')].find(g => g.__data__.data.name === 'server')
        .dispatchEvent(new MouseEvent('click', {bubbles: true}))""")
    width_is("server", whole["width"])
    assert "7.000 ms" in browser.text("#flame-details"), browser.text("#flame-details")
    browser.find("#flame-reset").click()
    width_is("server", before)

    # And by keys.
    browser.press("#flame-graph", "ARROW_DOWN", "ARROW_DOWN", "ARROW_RIGHT")
    marked = [frame for frame in frames() if frame["current"]]
    assert [frame["depth"] for frame in marked] == [1], marked
    browser.press("#flame-graph", "ENTER")
    width_is(marked[0]["name"], whole["width"])
    browser.press("#flame-graph", "ESCAPE")
    width_is(marked[0]["name"], marked[0]["width"])

    # What is pointed at.
    browser.script("""[...document.querySelectorAll('#flame-graph g')].find(g => g.__data__.data.name === '/handler')
        .dispatchEvent(new MouseEvent('mouseover', {bubbles: true, clientX: 50, clientY: 50}))""")
    tip = browser.text("#tip")
    for part in ("/handler", "of all", "per call", "ran "):
        assert part in tip, tip


def waterfall():
    browser.script("document.querySelector('#waterfall').scrollIntoView()")
    assert browser.text("#calls-count") == "50 lines of 100 calls", browser.text("#calls-count")
    # A line is 34 pixels, below an axis of 22; the client's bar lies over the server's.
    tips = set()
    for y, side in ((22 + 9, "client"), (22 + 24, "server")):
        for x in range(305, 1200, 45):
            browser.hover("#calls-view", x, y)
            text = browser.text("#tip")
            if "thread" in text:
                assert side in text and "of the call" in text, text
                tips.add((side, text.split()[0]))
    assert {("client", "/recv/header"), ("server", "/decode"), ("client", "/encode")} <= tips, tips

    browser.press("#calls-view", "END")
    chosen = browser.text("#call")
    for part in ("client", "server", "/recv/message", "thread 3", "folded", "200.0 \u00b5s"):
        assert part in chosen, chosen
    assert browser.script("return document.querySelector('#calls-view').scrollTop") > 0
    browser.press("#calls-view", "HOME", "ARROW_DOWN")
    assert browser.text("#call") != chosen
    assert browser.script("return document.querySelector('#calls-view').scrollTop") == 0

    browser.find("#calls-failed").click()
    assert browser.text("#calls-count") == "10 lines of 100 calls", browser.text("#calls-count")
    browser.find("#calls-failed").click()
    browser.type("#calls-filter", "plain")
    assert browser.text("#calls-count") == "12 lines of 100 calls", browser.text("#calls-count")
    browser.type("#calls-filter", "")


def tables():
    rows = browser.all("#latency-table tbody tr")
    cells = [cell.text for cell in rows[0].find_elements("tag name", "td")]
    assert cells[0] == "client" and cells[4] == cells[7] == "200.0 \u00b5s", cells
    many = len(rows)
    browser.script("arguments[0].click()", rows[-1])  # a method: its stages open, its calls are drawn
    assert len(browser.all("#latency-table tbody tr")) > many
    assert "server" in browser.find("#latency-chart").get_attribute("aria-label")
    assert browser.all("#latency-chart rect")
    assert len(browser.all("#slowest-table tbody tr")) == 25
    browser.script("document.querySelector('#slowest-table tbody tr').click()")
    assert "200.0 \u00b5s" in browser.text("#call h3")


def drawn_in(scheme):
    browser.scheme(scheme)
    report(scheme, "pairs.jsonl")
    dark = browser.script("return document.documentElement.classList.contains('dark')")
    assert dark == (scheme == "dark")
    flame_graph()
    waterfall()
    tables()
    browser.script("document.activeElement.blur(); document.body.dispatchEvent("
                   "new KeyboardEvent('keydown', {key: 't', bubbles: true}))")
    assert browser.script("return document.documentElement.classList.contains('dark')") != dark
    assert browser.text("#notes") == "", browser.text("#notes")
    names = browser.script("return document.body.innerText")
    assert "</script><script>alert(1)</script>" in names and "\u001b" not in names
    quiet()


def others():
    # Not joined, and why; a call in flight.
    report("calls", "calls.json")
    assert "No call carries a trace context" in browser.text("#notes"), browser.text("#notes")
    assert "1\nin flight" in browser.text("#summary"), browser.text("#summary")
    quiet()
    # No calls at all.
    report("none", "none.jsonl")
    assert "There are no calls" in browser.text("#notes")
    assert "No calls" in browser.text("#flame-graph") and "No calls" in browser.text("#latency-chart")
    quiet()
    # Profiles: the flame graph, and a sentence in place of the rest.
    for name in ("old.pb.gz", "other.pb.gz"):
        report(name, name)
        assert "A profile has no single calls" in browser.text("#latency-chart")
        assert frames("main" if name == "other.pb.gz" else "/decode")
        quiet()


def comparison():
    # Three times the calls, each twice as long.
    report("difference", "--base", "old.pb.gz", "new.pb.gz")
    worse = frames("/decode")[0]["fill"]
    assert {frame["fill"] for frame in frames()} == {worse}
    browser.press("#flame-graph", "ARROW_DOWN", "ARROW_DOWN")
    assert "+100.0 %" in browser.text("#flame-details"), browser.text("#flame-details")
    browser.script("""const select = document.querySelector('#flame-compare');
        select.value = 'share'; select.dispatchEvent(new Event('change'))""")
    assert frames("/decode")[0]["fill"] != worse
    assert len({frame["fill"] for frame in frames()}) == 1
    quiet()


def many():
    """However many calls there are, the page has few elements: it draws what is seen."""
    path = os.path.join(folder, "many.jsonl")
    lines = open(os.path.join(folder, "pairs.jsonl"), encoding="utf-8").read().splitlines()
    with open(path, "w", encoding="utf-8") as out:
        out.write(lines[0] + "\n")
        for _ in range(164):
            out.write("\n".join(lines[1:-1]) + "\n")
        out.write(lines[-1] + "\n")
    page = report("many", "many.jsonl")
    assert os.path.getsize(page) < 5000000, os.path.getsize(page)
    assert "16,400" in browser.text("#summary"), browser.text("#summary")
    assert browser.script("return document.querySelectorAll('*').length") < 1500
    browser.press("#calls-view", "END")
    assert browser.text("#call h3")
    quiet()


def long_name():
    text = open(os.path.join(folder, "pairs.jsonl"), encoding="utf-8").read()
    with open(os.path.join(folder, "long.jsonl"), "w", encoding="utf-8") as out:
        out.write(text.replace("/plain.Service/Method", "/" + "<img src=x>" * 5958))
    report("long", "long.jsonl")
    assert browser.script("return document.body.scrollWidth <= innerWidth")
    quiet()


for scheme in ("light", "dark"):
    drawn_in(scheme)
others()
comparison()
many()
long_name()
