#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# prometheus.sh BUILD: Prometheus's own tool reads what a program of ours prints, and runs the alerts of
# examples/grafana on series that fire them and series that do not; Prometheus itself scrapes another.
set -eu
text=$1/tests/metrics/metrics_text
dir=$(mktemp -d) && trap 'rm -rf "$dir"' EXIT

check_metrics() {
	"$text" "$@" >"$dir/metrics"
	if ! promtool check metrics <"$dir/metrics" >"$dir/said" 2>&1 || [ -s "$dir/said" ]; then
		cat "$dir/said"
		exit 1
	fi
	echo "--- PASS promtool check metrics $*"
}

check_metrics
check_metrics 1000 10
[ "$(wc -c <"$dir/metrics")" -le 5000000 ] || { echo "1000 methods of 10 stages: over 5 MB"; exit 1; }
promtool check config examples/grafana/prometheus.yaml
promtool test rules examples/grafana/alerts_test.yaml
echo "--- PASS promtool test rules"
python3 tests/peers/prometheus.py "$1/tests/pull/peer_pull" examples/grafana
