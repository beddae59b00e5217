#!/usr/bin/env bash
# Calls this service through the clients that people use: every call of their embedding classes, and the recipes of
# docs/clients.md, as a table.
# Needs the network for packages, Python 3.11 or newer, Node 20 or newer; starts the service itself, with the shipped model
# and OpenAI's tokenizer, whose table comes with LlamaIndex.
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
$folder/.venv/bin/pip install --quiet --requirement $folder/requirements.txt --constraint $folder/constraints.txt ./client
npm install --prefix $folder --no-package-lock --no-audit --no-fund --silent

port=$(.venv/bin/python -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
address=http://127.0.0.1:$port
tokens=$(dirname "$($folder/.venv/bin/python -c 'import llama_index.core; print(llama_index.core.__file__)')")/_static/tiktoken_cache
TIKTOKEN_CACHE_DIR=$tokens SIGNCLIP_HOST=127.0.0.1 SIGNCLIP_PORT=$port SIGNCLIP_DEFAULT_MODEL=$model \
    .venv/bin/gunicorn -w 2 app:app >"$work/log" 2>&1 &
server=$!
until curl --silent --fail --max-time 5 "$address/readyz" >/dev/null; do
    kill -0 "$server" 2>/dev/null || { cat "$work/log" >&2; exit 1; }
    [ $SECONDS -lt 600 ] || { echo "the service is not ready after 600 s" >&2; cat "$work/log" >&2; exit 1; }
    sleep 0.2
done

$folder/.venv/bin/python $folder/calls.py "$address" $model >"$work/python"
node $folder/calls.mjs "$address" $model >"$work/javascript"
$folder/.venv/bin/python $folder/recipes.py "$address" $folder >"$work/recipes"
cat "$work/python" "$work/javascript" "$work/recipes" | .venv/bin/python $folder/table.py
