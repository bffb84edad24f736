"""Run many trainings: datasets x shots x seeds x methods x architectures.

    python tools/sweep.py --methods dpt coop --archs vitb16 --datasets eurosat dtd \\
        --shots 1 2 4 8 16 --seeds 1 2 3 --work-dir work_dirs/sweep
    python tools/sweep.py configs/sweeps/tiny_digits.py --work-dir work_dirs/tiny_digits
    python tools/sweep.py --methods dpt --archs vitb16 --datasets eurosat --together

Give the same command again after it was stopped, however that was: finished
runs are skipped, interrupted ones go on from their last checkpoint.
"""

import argparse

from mmdpt.utils.outputs import OVERWRITE

from .common import CFG_OPTIONS


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description='Run many trainings')
    parser.add_argument('file', nargs='?', help='sweep file; or say what to run with:')
    parser.add_argument('--methods', nargs='+', help='files of configs/_base_/methods')
    parser.add_argument('--archs', nargs='+', help='vitb16, vitb32, vitl14, rn50, rn101')
    parser.add_argument('--datasets', nargs='+', help='files of configs/_base_/datasets')
    parser.add_argument('--shots', nargs='+', type=int, help='default: 1 2 4 8 16')
    parser.add_argument('--seeds', nargs='+', type=int, help='default: 1 2 3')
    parser.add_argument(
        '--only',
        nargs='+',
        metavar='PATTERN',
        help="runs whose name fits, for example 'dpt_*_seed1'",
    )
    parser.add_argument('--cfg-options', **CFG_OPTIONS, help='override settings of all runs')
    parser.add_argument(
        '--work-dir', default='work_dirs/sweep', help='results go into its subfolders, one per run'
    )
    parser.add_argument(
        '--list',
        '--dry-run',
        action='store_true',
        dest='list',
        help='show what would run, what is finished, and what failed and why; '
        'alone: the names that --methods, --archs and --datasets know',
    )
    parser.add_argument(
        '--interval',
        type=float,
        metavar='X',
        help='start nothing, but say from the finished runs how many seeds a 95 %% interval of the '
        'mean of X points to each side needs',
    )
    parser.add_argument('--retry-failed', action='store_true', help='run failed ones again')
    parser.add_argument('--json', metavar='FILE', help='write the table of states')
    parser.add_argument('--overwrite', **OVERWRITE)
    parser.add_argument('--executor', choices=['local', 'slurm'], default='local')
    parser.add_argument('--slots', type=int, help='how many runs at once on the CPU')
    parser.add_argument('--gpus', help='GPUs to use, such as 0,1; by default all')
    parser.add_argument('--per-gpu', type=int, default=1, help='how many runs at once on each GPU')
    parser.add_argument(
        '--together',
        nargs='?',
        type=int,
        const=8,
        metavar='N',
        help='train runs of one model (other seeds, shots, rates, epochs) as one batch in this '
        'process, at most N of them (8)',
    )
    parser.add_argument(
        '--rest-alone',
        action='store_true',
        help='with --together: run what it does not take one by one, instead of refusing it',
    )
    parser.add_argument(
        '--slurm-options',
        metavar='NAME=VALUE,...',
        help="submitit's parameters, such as partition=gpu,timeout_min=600,gpus_per_node=1",
    )
    parser.add_argument('--debug', action='store_true', help='show the full traceback of an error')
    return parser.parse_args(argv)
