#!/usr/bin/env bash
# Asks a running service for what needs each of its libraries: a package that an image lacks is found by whoever needs it.
#
#   checks/image.sh URL        such as http://localhost:3030; it makes the collection image-check, and deletes it
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
url=${1:?name the URL of the service, such as http://localhost:3030}
signs=$url/api/collections/image-check
json='Content-Type: application/json' raw='Content-Type: application/octet-stream' parquet='Content-Type: application/vnd.apache.parquet'
found=$(mktemp)
finish() {
    rm -f "$found"
    curl --silent --output /dev/null --request DELETE "$signs" || true
}
trap finish EXIT

ask() {
    local task=$1 status
    shift
    status=$(curl --silent --max-time 300 --output "$found" --write-out '%{http_code}' "$@") || true
    if [ "$status" != 200 ]; then
        echo "$task: answered $status instead of 200: $(head -c 2000 "$found")" >&2
        exit 1
    fi
    echo "$task"
}

ask 'embed a text' "$url/api/embed/text" -H "$json" -d '{"text": ["A"], "sign_language": "ase"}'
ask 'embed a pose' "$url/api/embed/pose?anonymize=true" -H "$raw" --data-binary @samples/ase_A.pose
ask 'embed a packed pose' "$url/api/embed/pose" -F pose=@samples/ase_B.pose.zst
ask 'embed a video' "$url/api/embed/video" -F video=@samples/house.mp4
ask 'create a collection' -X PUT "$signs" -H "$json" -d '{}'
ask 'store clips' "$signs/entries" -F pose=@samples/ase_A.pose -F pose=@samples/ase_B.pose.zst \
    -F pose=@samples/ase_L.pose.zst -F pose=@samples/gsg_L.pose.zst \
    -F 'entries=[{"id": "a", "gloss": "A"}, {"id": "b", "gloss": "B"}, {"id": "l", "gloss": "L"}, {"id": "m", "gloss": "L"}]'
ask 'search' "$signs/search?k=2" -H "$raw" --data-binary @samples/gsg_L.pose.zst
for method in text prototype neighbours blend probe; do
    ask "classify by $method" "$url/api/classify" -F pose=@samples/gsg_L.pose.zst -F collection=image-check -F "method=$method"
done
ask 'report' -X POST "$signs/report"
ask 'fit a probe' -X POST "$signs/fit"
ask 'find a sign' "$url/api/spot?query=A&sign_language=ase" -H "$raw" --data-binary @samples/ase_A.pose
for kind in svg webp gif pose; do
    ask "draw a preview as $kind" "$signs/entries/a/preview.$kind"
done
ask 'export' "$signs/entries:export"
cp "$found" "$found.parquet"
ask 'import' "$signs/entries:import" -H "$parquet" --data-binary "@$found.parquet"
rm -f "$found.parquet"
ask 'answer as OpenAI' "$url/v1/embeddings" -H "$json" -d '{"input": "A", "model": "fingerspelling"}'
for page in /docs /openapi.json /metrics /samples/house.mp4 /api/languages; do
    ask "show $page" "$url$page"
done
ask 'show the playground' "$url/"
files=$(grep --only-matching --extended-regexp --max-count=1 'playground/[0-9a-f]{12}' "$found" | head -n 1)
ask 'hand out the estimator for browsers' "$url/$files/vendor/manifest.json"
