#!/usr/bin/env bash
# Measures on a GPU for ten minutes and writes the results to a folder: benchmarks/on_gpu.sh FOLDER [--data FER2013]
# docs/gpu.md describes the steps; --help lists the options. Other interpreter: PYTHON=... benchmarks/on_gpu.sh FOLDER
set -euo pipefail
here=$PWD
cd "$(dirname "$0")/.."
if [ -z "${PYTHON:-}" ]; then
    PYTHON=python3
    if [ -x .venv/bin/python ]; then PYTHON=.venv/bin/python; fi
fi
exec "$PYTHON" -m benchmarks.on_gpu --from "$here" "$@"
