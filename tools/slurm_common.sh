# Sourced by slurm_train.sh and slurm_test.sh: submit PARTITION JOB_NAME TOOL ARGUMENTS...
submit() {
    local partition=$1 job=$2 tool=$3 gpus=${GPUS:-8} each
    shift 3
    each=${GPUS_PER_NODE:-$((gpus < 8 ? gpus : 8))}
    # Two jobs may meet on one node.
    export MASTER_PORT=${PORT:-$((20000 + RANDOM % 20000))}
    export PYTHONPATH="$(dirname "$TOOLS"):${PYTHONPATH:-}"
    # shellcheck disable=SC2086  # SRUN_ARGS are words
    exec srun -p "$partition" \
        --job-name="$job" \
        --gres=gpu:"$each" \
        --ntasks="$gpus" \
        --ntasks-per-node="$each" \
        --cpus-per-task="${CPUS_PER_TASK:-5}" \
        --kill-on-bad-exit=1 \
        ${SRUN_ARGS:-} \
        "${PYTHON:-python}" -u "$TOOLS/$tool" --launcher slurm "$@"
}
