#!/usr/bin/env bash
# All checks of a GPU in one run, then one table: tests, the authors' numbers in every format, the forward, the service,
# training.
#
#   benchmarks/gpu_check.sh [--device cpu] [--out DIR] [--only tests,goldens,forward,traffic,training]
#
# Needs Python with PyTorch, transformers, safetensors and pytest. WHEELS names a folder of wheels for what else is
# missing; they go into a temporary folder. A part whose packages are missing is left out and says so; a part that fails
# does not keep the others from running. All output is in DIR/check.log, figures in DIR/*.json.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

device=cuda
out=runs/gpu-check
all=tests,goldens,forward,traffic,training
only=$all
while [ $# -gt 0 ]; do
  case $1 in
    --device) device=$2 ;;
    --out) out=$2 ;;
    --only) only=$2 ;;
    *) echo "unknown option: $1" >&2; exit 2 ;;
  esac
  shift 2
done
for name in ${only//,/ }; do
  [[ ,$all, == *",$name,"* ]] || { echo "no part is called $name; choose from $all" >&2; exit 2; }
done
mkdir -p "$out"
log=$out/check.log
parts=$out/parts.tsv
: >"$log"
: >"$parts"
export PYTHONUNBUFFERED=1 PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"

python=${PYTHON:-$( [ -x .venv/bin/python ] && echo .venv/bin/python || command -v python3 )}
if [ -n "${WHEELS:-}" ]; then
  site=$(mktemp -d)
  trap 'rm -rf "$site"' EXIT
  "$python" -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --target "$site" "$WHEELS"/*.whl >>"$log" 2>&1 \
    && export PYTHONPATH="$PYTHONPATH:$site" PATH="$site/bin:$PATH" \
    || echo "the wheels of $WHEELS could not be installed; $log says why"
fi

missing() { # names of those modules that cannot be found
  "$python" -c 'import sys; from importlib.util import find_spec; print(*[n for n in sys.argv[1:] if find_spec(n) is None])' "$@"
}

part() { # NAME SECONDS "MODULES" COMMAND…
  local name=$1 limit=$2 modules=$3 absent began status
  shift 3
  [[ ,$only, == *",$name,"* ]] || return 0
  # shellcheck disable=SC2086
  absent=$(missing $modules)
  if [ -n "$absent" ]; then
    printf '%s\tleft out: no %s\t0\n' "$name" "$absent" | tee -a "$parts"
    return
  fi
  printf '\n== %s: %s\n' "$name" "$*" >>"$log"
  began=$SECONDS
  limit=$((limit * patience))
  timeout --kill-after=10 "$limit" "$@" >"$out/part.log" 2>&1
  status=$?
  cat "$out/part.log" >>"$log"
  case $status in
    0) status=passed ;;
    124 | 137) status="stopped after $limit s" ;;
    *) status="failed ($status)" ;;
  esac
  printf '%s\t%s\t%s\n' "$name" "$status" "$((SECONDS - began))" | tee -a "$parts"
  # The end of what failed, where whoever reads only the end of this output sees it.
  [ "$status" = passed ] || tail -n 25 "$out/part.log" | cut -c -220
}

command -v nvidia-smi >/dev/null && nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader | tee -a "$log"
base="torch transformers safetensors tokenizers yaml pydantic"
if [ "$device" = cpu ]; then
  tests=(tests/models/backends/test_packed.py tests/models/backends/test_shapes.py)
  forward=(--batches 1,4)
  training=(--quick --layers 1 --batch 8 --falling 100)
  patience=5 # two cores may need minutes to load what is measured
else
  patience=1 # all parts together end within twelve minutes
  tests=(-m gpu tests/models/backends tests/training/test_packed_batches.py)
  forward=()
  # The loop and the bare step in two rounds, chunks, and 200 steps whose loss has to fall, at 448 pairs.
  training=(--rounds 2 --workers 8)
fi
# Warnings are errors where the pinned versions are installed; here they need not be.
part tests 100 "$base pytest hypothesis huggingface_hub requests" \
  "$python" -m pytest -q --maxfail=8 -W default -p no:cacheprovider "${tests[@]}"
part goldens 100 "$base" "$python" -m benchmarks.goldens --device "$device" --out "$out/goldens.json"
part forward 150 "$base" "$python" -m benchmarks.forward --quick --device "$device" --out "$out/forward.json" "${forward[@]}"
part traffic 190 "$base flask flask_cors gunicorn orjson pybase64 zstandard pose_format pydantic_settings pythonjsonlogger psutil prometheus_client" \
  "$python" -m benchmarks.traffic --quick --device "$device" --out "$out/traffic.json"
part training 170 "$base accelerate tqdm psutil pose_format tensorboard" \
  "$python" -m benchmarks.training "${training[@]}" --device "$device" --out "$out/training.json"
rm -f "$out/part.log"
"$python" -m benchmarks.gpu_table "$out"
