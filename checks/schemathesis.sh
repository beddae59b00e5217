#!/usr/bin/env bash
# Sends what the service's own OpenAPI document allows and forbids, and compares the answers with it. It runs in an environment
# of its own, because it needs other versions than the service has. The first run installs it, which needs the network.
#   checks/schemathesis.sh [SECONDS]        600 by default
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
own=checks/schemathesis/.venv
seconds=${1:-600}
work=$(mktemp -d)
server=''
finish() {
    [ -z "$server" ] || { kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; }
    rm -rf "$work"
}
trap finish EXIT
[ -x $own/bin/schemathesis ] || { .venv/bin/python -m venv $own; $own/bin/pip install --quiet --requirement checks/schemathesis/requirements.txt; }
port=$(.venv/bin/python -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
SIGNCLIP_HOST=127.0.0.1 SIGNCLIP_PORT=$port SIGNCLIP_SEARCH_DIR=$work/search SIGNCLIP_VIDEO_WORKERS=1 \
    .venv/bin/gunicorn -w 2 app:app >"$work/log" 2>&1 &
server=$!
until curl --silent --fail --max-time 5 "http://127.0.0.1:$port/readyz" >/dev/null; do
    kill -0 "$server" 2>/dev/null || { cat "$work/log" >&2; exit 1; }
    [ $SECONDS -lt 600 ] || { echo "the service is not ready after 600 s" >&2; exit 1; }
    sleep 0.5
done
# Parquet is not made from a schema; benchmarks/fuzz.py sends damaged files of it.
SCHEMATHESIS_HOOKS=checks.schemathesis.hooks PYTHONPATH=. $own/bin/schemathesis run "http://127.0.0.1:$port/openapi.json" --max-time "$seconds" --continue-on-failure --no-color \
    --checks failures_have_names,status_code_conformance,content_type_conformance,response_schema_conformance \
    --exclude-path-regex 'entries:import' --request-timeout 60 --generation-database none --seed 1
