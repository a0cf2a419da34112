#!/usr/bin/env bash
# What only a GPU can tell, in ten minutes, into one folder: benchmarks/on_gpu.sh FOLDER [--data FER2013]
# docs/gpu.md says what it does; --help lists the options. Another interpreter: PYTHON=... benchmarks/on_gpu.sh FOLDER
set -euo pipefail
here=$PWD
cd "$(dirname "$0")/.."
if [ -z "${PYTHON:-}" ]; then
    PYTHON=python3
    if [ -x .venv/bin/python ]; then PYTHON=.venv/bin/python; fi
fi
exec "$PYTHON" -m benchmarks.on_gpu --from "$here" "$@"
