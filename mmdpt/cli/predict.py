"""Classify photos.

The command line: arguments/predict.py.
"""

import os
import sys
import time
from contextlib import ExitStack, closing
from functools import partial

from mmengine.utils import ProgressBar

from ..apis import PromptInferencer, find_images
from ..apis.outputs import CsvFile, JsonFile, Table, best
from ..apis.transductive import together
from ..datasets.split_files import read_text
from ..engine.cli import friendly_errors
from ..utils.checks import check_least
from ..utils.outputs import Output, check_outputs
from .arguments.predict import ZERO_SHOT, parse_args

NAMED = 10  # unreadable files in the last line


def check_arguments(args):
    """Refuse wrong values before anything is loaded.

    Raises:
        ValueError, OSError: Names the argument.
    """
    for name, least in (('top_k', 1), ('batch_size', 1), ('workers', 0)):
        value = getattr(args, name)
        if value is not None:
            check_least(f'--{name.replace("_", "-")}', value, least)
    check_model_arguments(args)
    if args.reject and args.checkpoint == ZERO_SHOT:
        raise ValueError(
            f'--reject needs a threshold from labelled photos, and {ZERO_SHOT} has none: '
            'train, then mmdpt calibrate CHECKPOINT'
        )
    if args.reject and args.transductive:
        raise ValueError(
            'the threshold of --reject is for photos classified one by one: leave --transductive '
            'out'
        )
    check_files(args, args.images)


def check_model_arguments(args):
    """Raise ValueError unless the arguments describe one model."""
    if args.checkpoint == ZERO_SHOT:
        if not args.classes:
            raise ValueError(f'{ZERO_SHOT} needs class names: --classes "cat,dog"')
        if args.config:
            raise ValueError(f'--config belongs to a checkpoint, not to {ZERO_SHOT}')
    elif args.arch:
        raise ValueError(f'--arch belongs to {ZERO_SHOT}: a checkpoint has its own')


def check_files(args, images):
    """Refuse outputs that would cost a file."""
    lines = 'jsonl' if (args.json or '').lower().endswith('.jsonl') else 'json'
    check_outputs(
        [Output('--json', args.json, lines), Output('--csv', args.csv, 'predictions')],
        inputs_of(args, images),
        args.overwrite,
    )


def inputs_of(args, images):
    """list[str | None]: Files that are read."""
    return [
        args.checkpoint,
        args.config,
        args.pretrained,
        args.classes,
        args.descriptions,
        *(args.templates or ()),
        *(path for path in images if not os.path.isdir(path)),
    ]


def texts(given, separator=None):
    """list[str] | None: Names or templates of the command line or a .txt file."""
    if given is None:
        return None
    given = (
        given.split(separator)
        if separator and not given.endswith('.txt')
        else [given]
        if isinstance(given, str)
        else given
    )
    found = [
        line
        for text in given
        for line in (read_text(text) if text.endswith('.txt') else [text.strip()])
    ]
    return [text for text in found if text]


def build_inferencer(args):
    """PromptInferencer: What the command line describes."""
    common = dict(
        classes=texts(args.classes, ','),
        templates=texts(args.templates),
        descriptions=args.descriptions,
        device=args.device,
        upright=not args.no_upright,
    )
    if args.checkpoint == ZERO_SHOT:
        return PromptInferencer.zero_shot(
            arch=args.arch or 'ViT-B-16-quickgelu', pretrained=args.pretrained or 'openai', **common
        )
    return PromptInferencer(
        args.checkpoint, config=args.config, pretrained=args.pretrained, **common
    )


def predict(args):
    """Predict and write, photo by photo.

    Raises:
        ValueError: If a file that was named itself, or every file, is
            unreadable.
    """
    check_arguments(args)
    paths = find_images(args.images)
    check_files(args, paths)
    named = {path for path in args.images if not os.path.isdir(path)}
    inferencer = build_inferencer(args)
    count = len(inferencer.classes)
    if args.top_k > count:
        raise ValueError(f'--top-k is {args.top_k}, but there are {count} classes')
    if args.reject:
        check_reject(args, inferencer)
    workers = worker_count(args, inferencer)
    bad, unsure, start = [], 0, time.perf_counter()
    with ExitStack() as stack:
        outputs = [stack.enter_context(closing(o)) for o in open_outputs(args, paths, inferencer)]
        bar = progress(args, len(paths))
        look = partial(together, inferencer) if args.transductive else inferencer.stream
        for result in look(paths, args.batch_size, workers):
            row = best(result, inferencer.classes, args.top_k, args.reject)
            for output in outputs:
                output.write(row)
            if 'error' in row:
                bad.append(row)
            unsure += row.get('rejected', False)
            if bar:
                bar.update()
    seconds = time.perf_counter() - start
    how = ', classified together (TransCLIP)' if args.transductive else ''
    how += f', not sure of {unsure}' if args.reject else ''
    print(f'\n{len(paths)} images, {len(paths) / seconds:.1f} per second{how}', file=sys.stderr)
    report(bad, paths, named)


def worker_count(args, inferencer):
    """int: Processes that load images."""
    if args.workers is not None:
        return args.workers
    return 0 if inferencer.device.type == 'cpu' else min(8, os.cpu_count())


def check_reject(args, inferencer):
    """Raise ValueError unless there is a threshold."""
    if inferencer.calibration is None:
        other = args.classes or args.templates or args.descriptions
        why = 'holds for its own classes and prompts' if other else 'is missing'
        remedy = 'leave the others out' if other else f'mmdpt calibrate {args.checkpoint}'
        raise ValueError(f'--reject: the calibration of {args.checkpoint} {why}: {remedy}')


def open_outputs(args, paths, inferencer):
    """list: Where predictions go."""
    outputs = [] if args.quiet else [Table(paths, inferencer.classes)]
    outputs += [JsonFile(args.json)] if args.json else []
    return outputs + ([CsvFile(args.csv, args.top_k, args.reject)] if args.csv else [])


def progress(args, count):
    """ProgressBar | None: None if the table itself is shown, or there is no terminal."""
    table_is_seen = sys.stdout.isatty() and not args.quiet
    seen = sys.stderr.isatty() and not table_is_seen
    return ProgressBar(count, file=sys.stderr) if seen and count > args.batch_size else None


def report(bad, paths, named):
    """Say what could not be read, and raise where that is an error."""
    if not bad:
        return
    shown = '; '.join(row['error'] for row in bad[:NAMED])
    more = f'; and {len(bad) - NAMED} more' if len(bad) > NAMED else ''
    text = f'{len(bad)} of {len(paths)} images could not be read: {shown}{more}'
    if len(bad) == len(paths) or named & {row['image'] for row in bad}:
        raise ValueError(text)
    print(f'note: {text}', file=sys.stderr)


def main(argv: list[str] | None = None) -> None:
    """Predicts."""
    args = parse_args(argv)
    with friendly_errors(args.debug):
        predict(args)
