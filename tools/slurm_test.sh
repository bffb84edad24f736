#!/usr/bin/env bash
# Test under SLURM: tools/slurm_test.sh PARTITION JOB_NAME CONFIG CHECKPOINT [options of test.py]
# The environment variables are those of slurm_train.sh.
set -euo pipefail
if [ $# -lt 4 ]; then
    echo "usage: [GPUS=8] $0 PARTITION JOB_NAME CONFIG CHECKPOINT [options of tools/test.py]" >&2
    exit 2
fi
PARTITION=$1
JOB_NAME=$2
shift 2
TOOLS=$(cd "$(dirname "$0")" && pwd)
. "$TOOLS/slurm_common.sh"
submit "$PARTITION" "$JOB_NAME" test.py "$@"
