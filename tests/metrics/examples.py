# SPDX-License-Identifier: Apache-2.0
"""examples.py TEXT FOLDER: the dashboard and the rules of examples/grafana ask for nothing that TEXT, a program
that prints metrics, does not print: names, and the labels that queries select and group by."""
import json
import pathlib
import re
import subprocess
import sys

program, folder = sys.argv[1], pathlib.Path(sys.argv[2])
NOT_OURS = {"job", "instance"}  # of the scraper


def printed():
    """Metrics and their labels."""
    metrics = {}
    text = subprocess.run([program], stdout=subprocess.PIPE, check=True).stdout.decode()
    for line in text.splitlines():
        if not line.startswith("#"):
            name, labels = re.match(r"(\w+)(?:\{(.*)\})? \S+$", line).groups()
            metrics.setdefault(name, set()).update(re.findall(r'(?:^|,)(\w+)="', labels or ""))
    return metrics


def expressions(value):
    """All queries in a dashboard."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in ("expr", "query") and isinstance(inner, str):
                yield inner
            else:
                yield from expressions(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from expressions(inner)


def check(expression, metrics):
    """What an expression asks for that is not printed."""
    names = re.findall(r"rpcprof_\w+", expression)
    known = NOT_OURS.union(*(metrics.get(name, set()) for name in names))
    wrong = [name for name in names if name not in metrics]
    for name, selector in re.findall(r"(rpcprof_\w+)\{([^}]*)\}", expression):
        labels = re.findall(r'(\w+)(?:=~|!~|!=|=)"', selector)
        wrong += [f"{name}{{{label}}}" for label in labels
                  if label not in metrics.get(name, set()) | NOT_OURS]
    for labels in re.findall(r"(?:by|ignoring) \(([^)]*)\)", expression):
        wrong += [f"by {label}" for label in labels.split(", ") if label not in known]
    return wrong


metrics = printed()
dashboard = json.loads((folder / "dashboards/rpcprof.json").read_text())
queries = [query for query in expressions(dashboard) if "rpcprof_" in query]
rules = re.split(r"^      - alert: ", (folder / "alerts.yaml").read_text(), flags=re.M)[1:]
queries += [rule[rule.index("expr:"):rule.index("labels:")] for rule in rules]
assert len(queries) >= 15, queries
missing = [(query, wrong) for query in queries for wrong in check(query, metrics)]
for query, wrong in missing:
    print(f"not printed: {wrong}, asked for by: {query}", file=sys.stderr)

datasources = re.findall(r"uid: (\S+)", (folder / "provisioning/datasources/rpcprof.yaml").read_text())
for panel in dashboard["panels"]:
    for target in panel["targets"]:
        assert target["datasource"]["uid"] in datasources, target
profiles = [t["profileTypeId"] for p in dashboard["panels"] for t in p["targets"] if "profileTypeId" in t]
assert profiles == ["wall:wall:nanoseconds:wall:nanoseconds"], profiles
sys.exit(1 if missing else 0)
