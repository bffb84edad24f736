#!/usr/bin/env bash
# Train under SLURM: tools/slurm_train.sh PARTITION JOB_NAME CONFIG [WORK_DIR] [options of train.py]
# GPUS in all (8), GPUS_PER_NODE (8, or GPUS if fewer), CPUS_PER_TASK (5), SRUN_ARGS
# (more options of srun), PORT (a random one) and PYTHON come from the environment.
# The batch size of the config is that of one GPU. If a process fails, all are ended.
set -euo pipefail
if [ $# -lt 3 ]; then
    echo "usage: [GPUS=8] $0 PARTITION JOB_NAME CONFIG [WORK_DIR] [options of tools/train.py]" >&2
    exit 2
fi
PARTITION=$1
JOB_NAME=$2
CONFIG=$3
shift 3
if [ $# -gt 0 ] && [ "${1#-}" = "$1" ]; then # as in MMPretrain
    set -- --work-dir "$@"
fi
TOOLS=$(cd "$(dirname "$0")" && pwd)
. "$TOOLS/slurm_common.sh"
submit "$PARTITION" "$JOB_NAME" train.py "$CONFIG" "$@"
