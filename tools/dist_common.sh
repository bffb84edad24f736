# Sourced by dist_train.sh and dist_test.sh: launch TOOL GPUS ARGUMENTS...
launch() {
    local tool=$1 gpus=$2 meet
    shift 2
    if [ "${NNODES:-1}" = 1 ] && [ -z "${PORT:-}" ]; then
        meet=(--standalone) # a free port: several trainings fit on one machine
    else
        meet=(--nnodes="${NNODES:-1}" --node_rank="${NODE_RANK:-0}"
            --master_addr="${MASTER_ADDR:-127.0.0.1}" --master_port="${PORT:-29500}")
    fi
    PYTHONPATH="$(dirname "$TOOLS"):${PYTHONPATH:-}" exec "${PYTHON:-python}" \
        -m torch.distributed.run "${meet[@]}" --nproc_per_node="$gpus" \
        "$TOOLS/$tool" --launcher pytorch "$@"
}
