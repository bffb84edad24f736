"""The words nearest to a learnt context: python tools/nearest_words.py CHECKPOINT [--top-k K]

Follows interpret_prompt.py of CoOp (MIT): Euclidean distances between the
context and the text tower's token embedding. See docs/attention.md.
"""

import argparse

from ..apis import PromptInferencer
from ..engine.cli import PRETRAINED, friendly_errors
from ..utils.files import write_json
from ..utils.outputs import OVERWRITE, Output, check_outputs
from ..utils.text import printable
from ..visualization import nearest_words


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


def find_words(args):
    """list[dict]: For each class (None: all) and position the nearest words."""
    infer = PromptInferencer(
        args.checkpoint, config=args.config, pretrained=args.pretrained, device=args.device
    )
    classes = args.classes and [name.strip() for name in args.classes.split(',')]
    found = nearest_words(infer.model, args.top_k, classes, args.exclude_special)
    return [
        dict(class_name=name, position=position, words=[word._asdict() for word in words])
        for name, context in found.items()
        for position, words in enumerate(context, 1)
    ]


def show(rows):
    """Print the table."""
    before = None
    for row in rows:
        if row['class_name'] != before:
            before = row['class_name']
            print(printable(str(before)))
        words = (f'{word["text"]} {word["distance"]:.4f}' for word in row['words'])
        print(f'{row["position"]:>4}  {"  ".join(words)}')


def main(argv: list[str] | None = None) -> None:
    """Find and print."""
    args = parse_args(argv)
    with friendly_errors(args.debug):
        output = Output('--json', args.json, 'json')
        check_outputs([output], [args.checkpoint, args.config, args.pretrained], args.overwrite)
        rows = find_words(args)
        show(rows)
        if args.json:
            write_json(rows, args.json, indent=2)
