"""Repeat the experiment of a paper: python tools/reproduce.py NAME [--plan]

NAME is dpt, coop, maple, promptsrc, mmrl, tcp, twosfs or digits. Composes the runs with the
authors' values, says how many there are, how long they take on a GPU and how much disk they need,
checks the data, runs them, and sets the figures beside the published ones. The same command goes
on after it was stopped.
"""

import argparse

from mmdpt.utils.outputs import OVERWRITE

from .common import CFG_OPTIONS, described_parser

NAMES = ('dpt', 'coop', 'maple', 'promptsrc', 'mmrl', 'tcp', 'twosfs', 'digits')  # of mmdpt.sweep


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = described_parser(__doc__)
    parser.add_argument('name', metavar='NAME', choices=NAMES, help=', '.join(NAMES))
    parser.add_argument('--plan', action='store_true', help='say what would run, and stop')
    parser.add_argument(
        '--datasets', nargs='+', default=[], metavar='NAME', help='some; digits goes with any NAME'
    )
    parser.add_argument('--shots', nargs='+', type=int, default=[], help='some of the published')
    parser.add_argument('--seeds', nargs='+', type=int, default=[], help='default: 1 2 3')
    parser.add_argument('--data-root', metavar='DIR', help='folder of the datasets; default: data')
    parser.add_argument(
        '--other-data', action='store_true', help='go on with data that are not the published ones'
    )
    parser.add_argument('--work-dir', help='default: work_dirs/reproduce_NAME')
    parser.add_argument(
        '--images-per-second',
        type=float,
        metavar='X',
        help='training images per second of your GPU, for the estimate',
    )
    parser.add_argument('--cfg-options', **CFG_OPTIONS, help='override settings of all runs')
    parser.add_argument('--json', metavar='FILE', help='write the table of the runs')
    parser.add_argument('--overwrite', **OVERWRITE)
    parser.add_argument('--retry-failed', action='store_true', help='run failed ones again')
    parser.add_argument('--executor', choices=['local', 'slurm'], default='local')
    parser.add_argument('--slots', type=int, help='how many runs at once on the CPU')
    parser.add_argument('--gpus', help='GPUs to use, such as 0,1; by default all')
    parser.add_argument('--per-gpu', type=int, default=1, help='how many runs at once on each GPU')
    parser.add_argument('--slurm-options', metavar='NAME=VALUE,...', help="submitit's parameters")
    parser.add_argument('--debug', action='store_true', help='show the traceback of an error')
    parser.set_defaults(together=None, rest_alone=False)  # of the sweep: its runs stay separate
    return parser.parse_args(argv)
