"""Choose the photos to label next.

The command line: arguments/suggest.py.
"""

import argparse
import csv
import io
import sys

from ..apis import find_images
from ..apis.contact_sheet import contact_sheet
from ..apis.suggest import Suggested, Suggestion, suggest
from ..engine.cli import friendly_errors
from ..utils.checks import check_least
from ..utils.files import write_text
from ..utils.outputs import Output, check_outputs
from ..utils.text import cell, printable
from .arguments.suggest import parse_args
from .predict import NAMED, build_inferencer, check_model_arguments, inputs_of, worker_count


def run(args: argparse.Namespace) -> None:
    """Choose, print and write."""
    for name, least in (('count', 1), ('batch_size', 1), ('workers', 0)):
        if getattr(args, name) is not None:
            check_least(f'--{name.replace("_", "-")}', getattr(args, name), least)
    check_model_arguments(args)
    outputs = [Output('--out', args.out, 'suggestions'), Output('--html', args.html, 'html')]
    check_outputs(outputs, inputs_of(args, args.images), args.overwrite)
    paths = list(dict.fromkeys(find_images(args.images)))
    check_outputs(outputs, inputs_of(args, paths), args.overwrite)
    inferencer = build_inferencer(args)
    workers = worker_count(args, inferencer)
    found = suggest(inferencer, paths, args.count, args.batch_size, workers)
    for rank, photo in enumerate(found.photos, 1):
        print(printable(f'{rank:4}  {photo.path}  {photo.why}'))
    if args.out:
        write_text(table(found.photos), args.out)
    if args.html:
        page = contact_sheet(found.photos, inferencer, args.checkpoint, len(paths))
        write_text(page, args.html)
    notes(args, found, len(paths))


def table(photos: list[Suggestion]) -> str:
    """The list as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(['rank', 'path', 'class', 'probability', 'why'])
    for rank, p in enumerate(photos, 1):
        writer.writerow([rank, cell(p.path), cell(p.name), f'{p.probability:.6f}', cell(p.why)])
    return text.getvalue()


def notes(args: argparse.Namespace, found: Suggested, pool: int) -> None:
    """Say what was left out."""
    if found.copies:
        print(
            f'note: {found.copies} photos look the same as another one to the model, and are left '
            'out',
            file=sys.stderr,
        )
    if len(found.photos) < args.count:
        print(f'note: {pool} photos give {len(found.photos)} to choose', file=sys.stderr)
    if found.unreadable:
        why = '; '.join(reason for _, reason in found.unreadable[:NAMED])
        text = f'{len(found.unreadable)} of {pool} photos could not be read: {why}'
        print(f'note: {text}', file=sys.stderr)


def main(argv: list[str] | None = None) -> None:
    """Suggests."""
    args = parse_args(argv)
    with friendly_errors(args.debug):
        run(args)
