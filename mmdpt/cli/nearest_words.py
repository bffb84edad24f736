"""The words nearest to a learnt context.

The command line: arguments/nearest_words.py.
"""

from ..apis import PromptInferencer
from ..engine.cli import friendly_errors
from ..utils.files import write_json
from ..utils.outputs import Output, check_outputs
from ..utils.text import printable
from ..visualization import nearest_words
from .arguments.nearest_words import parse_args


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
