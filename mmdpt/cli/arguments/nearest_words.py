"""The words nearest to a learnt context: python tools/nearest_words.py CHECKPOINT [--top-k K]

Follows interpret_prompt.py of CoOp (MIT): Euclidean distances between the
context and the text tower's token embedding. See docs/attention.md.
"""

import argparse

from mmdpt.utils.outputs import OVERWRITE

from .common import PRETRAINED


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description='The words nearest to a learnt context')
    parser.add_argument('checkpoint', help='checkpoint of the training')
    parser.add_argument('--config', help='config file, for checkpoints that do not carry their own')
    parser.add_argument('--pretrained', **PRETRAINED)
    parser.add_argument('--top-k', type=int, default=3, metavar='K', help='words per position')
    parser.add_argument('--classes', metavar='A,B', help='of class-specific contexts, only these')
    parser.add_argument(
        '--exclude-special',
        action='store_true',
        help='leave out the marks of start and end of text',
    )
    parser.add_argument('--json', metavar='FILE', help='write the words there, too')
    parser.add_argument('--overwrite', **OVERWRITE)
    parser.add_argument('--device', help='cpu, cuda, ...; by default the best there is')
    parser.add_argument('--debug', action='store_true', help='show the traceback of an error')
    return parser.parse_args(argv)
