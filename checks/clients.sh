#!/usr/bin/env bash
# Calls this service through the clients that people use: every call of their embedding classes, as a table.
# Needs the network for packages, Python 3.11 or newer, Node 20 or newer; starts the service itself, with the shipped model.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
folder=checks/clients
model=fingerspelling
work=$(mktemp -d)
server=
finish() {
    [ -z "$server" ] || { kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; }
    rm -rf "$work"
}
trap finish EXIT

[ -x $folder/.venv/bin/python ] || .venv/bin/python -m venv $folder/.venv
$folder/.venv/bin/pip install --quiet --requirement $folder/requirements.txt --constraint $folder/constraints.txt
npm install --prefix $folder --no-package-lock --no-audit --no-fund --silent

port=$(.venv/bin/python -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
address=http://127.0.0.1:$port
SIGNCLIP_HOST=127.0.0.1 SIGNCLIP_PORT=$port SIGNCLIP_DEFAULT_MODEL=$model \
    .venv/bin/gunicorn -w 2 app:app >"$work/log" 2>&1 &
server=$!
until curl --silent --fail --max-time 5 "$address/readyz" >/dev/null; do
    kill -0 "$server" 2>/dev/null || { cat "$work/log" >&2; exit 1; }
    [ $SECONDS -lt 600 ] || { echo "the service is not ready after 600 s" >&2; cat "$work/log" >&2; exit 1; }
    sleep 0.2
done

$folder/.venv/bin/python $folder/calls.py "$address" $model >"$work/python"
node $folder/calls.mjs "$address" $model >"$work/javascript"
cat "$work/python" "$work/javascript" | .venv/bin/python $folder/table.py
