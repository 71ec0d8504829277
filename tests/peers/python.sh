# SPDX-License-Identifier: Apache-2.0
# python.sh SOURCE SERVICE DIRECTORY: Python's gRPC asks everything there is to ask, at every kind
# of address.
source=$1 service=$2 dir=$3
. "$(dirname "$0")/lib.sh"
rm -rf "$dir"
mkdir -p "$dir"
make_stubs

# A CA, and a certificate of it that is good for the server and for a client.
command -v openssl >/dev/null || die "no openssl (Debian: apt-get install openssl)"
cd "$dir"
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=rpcprof-test-ca -keyout ca.key \
	-out ca.pem 2>openssl.log
openssl req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout key.pem -out request.pem 2>>openssl.log
echo "subjectAltName=DNS:localhost" >extensions
openssl x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
	-extfile extensions -out certificate.pem 2>>openssl.log

mkfifo stdin
XDG_RUNTIME_DIR="$dir" RPCPROF_LOG=1 "$service" certificate.pem key.pem ca.pem <stdin >service.out 2>service.err &
pid=$!
exec 3>stdin
trap 'exec 3>&-; kill $pid 2>/dev/null || true' EXIT
await mutual service.out >/dev/null

timeout 100 "$python" "$peers/ask.py" service.out ca.pem certificate.pem key.pem $pid ||
	{ cat service.out service.err >&2; die "ask.py"; }
exec 3>&-
trap - EXIT
wait $pid || { cat service.err >&2; die "the service ended with $?"; }
left=$(find rpcprof private -type s 2>/dev/null || true)
[ -z "$left" ] || die "it left $left"
