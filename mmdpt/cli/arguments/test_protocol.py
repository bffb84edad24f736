"""Test a checkpoint by one of the benchmark's protocols.

    python tools/test_protocol.py CONFIG CHECKPOINT --protocol base-to-new
    python tools/test_protocol.py CONFIG CHECKPOINT --protocol cross-dataset
    python tools/test_protocol.py CONFIG CHECKPOINT \\
        --protocol domain-generalisation [--datasets ImageNetA ImageNetR]
    python tools/test_protocol.py CONFIG CHECKPOINT --protocol open-world
    python tools/test_protocol.py CONFIG CHECKPOINT --protocol ood --datasets DTD FOLDER
    python tools/test_protocol.py CONFIG CHECKPOINT --protocol corruption

CONFIG is the one of the training. For base-to-new and open-world, train with --cfg-options
dataset.subset=base. Prints the accuracy on each part, and the harmonic mean of
base and new, or the mean; writes them to protocol_NAME.json beside the checkpoint,
where tools/collect_results.py finds them.
"""

import argparse

from mmdpt.utils.outputs import OVERWRITE

from .common import VERBOSE, add_common_arguments, described_parser

PROTOCOLS = (  # of mmdpt.evaluation
    'base-to-new',
    'cross-dataset',
    'domain-generalisation',
    'open-world',
    'ood',
    'corruption',
)


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = described_parser(__doc__)
    parser.add_argument('config', help='config file of the training, or the name of a shipped one')
    parser.add_argument('checkpoint', help='checkpoint of the training')
    parser.add_argument('--protocol', required=True, choices=PROTOCOLS)
    parser.add_argument(
        '--datasets',
        nargs='+',
        default=[],
        metavar='NAME',
        help="benchmarks to test on; by default the protocol's; for ood folders as well",
    )
    parser.add_argument(
        '--corruptions', nargs='+', default=[], metavar='NAME', help='by default all 15'
    )
    parser.add_argument(
        '--severities', nargs='+', type=int, default=[], metavar='N', help='by default 1 to 5'
    )
    parser.add_argument(
        '--json', metavar='FILE', help='write the figures here instead of beside the checkpoint'
    )
    parser.add_argument('--overwrite', **OVERWRITE)
    parser.add_argument('--verbose', **VERBOSE)
    add_common_arguments(parser)
    return parser.parse_args(argv)
