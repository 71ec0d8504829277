# SPDX-License-Identifier: Apache-2.0
# config.sh RPCPROF FILES: what `rpcprof config` tells of each source, and hides of secrets.
. "$(dirname "$0")/lib.sh"
for variable in $(env | sed -n 's/^\(\(RPCPROF\|PYROSCOPE\|OTEL\)_[A-Z_]*\)=.*/\1/p'); do
	unset "$variable"
done

run 0 config
shows out "application the program's file name default"
shows out "interval 10s default"
shows out "servers - none"

cat >agent.yaml <<-END
	application: checkout
	labels:
	  region: north
	servers:
	  - url: https://one.example
	    basic_user: u
	    headers: ["X-Key: geheim"]
	  - url: http://two.example:8080
	    protocol: autopgo
END
export RPCPROF_BASIC_PASSWORD=geheim RPCPROF_INTERVAL=5s PYROSCOPE_LABELS=tier=web,region=south
export RPCPROF_CONFIG=agent.yaml OTEL_SERVICE_NAME=not-this
run 0 config
shows out "application checkout agent.yaml:1"
shows out "labels.region north agent.yaml:3"
shows out "labels.tier web PYROSCOPE_LABELS"
shows out "interval 5s RPCPROF_INTERVAL"
shows out "servers[0].basic_password ******** RPCPROF_BASIC_PASSWORD"
shows out "servers[0].headers X-Key: ******** agent.yaml:7"
shows out "servers[1].protocol autopgo agent.yaml:9"
lacks out geheim
run 0 config --json
tr -d '\n' <out >flat
shows flat '{ "key": "labels.region", "value": "north", "source": "agent.yaml:3" }'
lacks out geheim
RPCPROF_ULR=x run 0 config
shows err "rpcprof: RPCPROF_ULR is no variable of rpcprof: ignored"

# 2: bad input, by its place; 3: what cannot be had
printf 'interval: 10s\nintervall: 5s\n' >bad.yaml
run 2 config --file bad.yaml
shows err 'rpcprof: bad.yaml:2: "intervall": unknown key'
[ -s out ] && fail "something of a bad file is told"
RPCPROF_BASIC_PASSWORD='ge	heim' run 2 config
shows err 'RPCPROF_BASIC_PASSWORD: basic_password "********": it has a control character'
run 3 config --file not-there
shows err "not-there: it cannot be read: No such file"
run 1 config agent.yaml

# The document's tables are the command's.
run 0 config --keys
grep '^| ' out >keys
grep -E '^\| (`[a-z_]+` \| `RPCPROF_|key )' "$source/docs/export.md" >documented
diff keys documented || fail "docs/export.md: its keys are not those of rpcprof config --keys"
finish
