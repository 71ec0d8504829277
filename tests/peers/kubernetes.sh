#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# kubernetes.sh: examples/kubernetes by the schema of Kubernetes itself, nothing in it that the schema
# does not know. The checker, kubernetes-validate, comes from PyPI.
set -eu
venv=build/peers/kubernetes
[ -x "$venv/bin/kubernetes-validate" ] || {
	python3 -m venv "$venv"
	"$venv/bin/pip" install --quiet kubernetes-validate==1.37.0
}
for file in examples/kubernetes/*.yaml; do
	"$venv/bin/kubernetes-validate" --strict "$file"
	# The check notices a field that is not there.
	sed 's/readOnlyRootFilesystem/readOnlyRootFileSystem/' "$file" >build/peers/wrong.yaml
	if "$venv/bin/kubernetes-validate" --strict build/peers/wrong.yaml >/dev/null 2>&1; then
		echo "$file: a field that is not there was not noticed"
		exit 1
	fi
	echo "--- PASS $file"
done
