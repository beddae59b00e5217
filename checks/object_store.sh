#!/usr/bin/env bash
# Collections in an object store, without one: moto's server speaks S3 on this machine. It runs in an environment of its own,
# because it needs an older python-dateutil than the service has. The first run installs it, which needs the network.
set -euo pipefail
cd "$(dirname "$0")/.."
own=checks/object_store/.venv
[ -x "$own/bin/moto_server" ] || { .venv/bin/python -m venv "$own"; "$own/bin/pip" install --quiet --requirement checks/object_store/requirements.txt; }
port=$(.venv/bin/python -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$own/bin/moto_server" --host 127.0.0.1 --port "$port" >/dev/null 2>&1 &
server=$!
trap 'kill $server' EXIT
export AWS_ENDPOINT_URL="http://127.0.0.1:$port" AWS_ALLOW_HTTP=true AWS_REGION=us-east-1
export AWS_ACCESS_KEY_ID=testing AWS_SECRET_ACCESS_KEY=testing
for _ in $(seq 100); do
  curl --silent --fail --request PUT "$AWS_ENDPOINT_URL/signclip" >/dev/null && break
  sleep 0.2
done
.venv/bin/python -m checks.object_store.share s3://signclip/collections
