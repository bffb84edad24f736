"""A local web page.

The command line: arguments/demo.py.
"""

import os
import sys
import tempfile
from pathlib import Path

from ..demo import (
    Limits,
    Models,
    build_page,
    checkpoint_choice,
    find_checkpoints,
    is_loopback,
    launch,
    zero_shot_choice,
)
from ..demo.gradio_import import import_gradio
from ..engine.cli import friendly_errors
from ..utils.text import visible
from .arguments.demo import parse_args

TINY = 'mmdpt-tiny'
DIGITS = 'zero,one,two,three,four,five,six,seven,eight,nine'
ABOUT_TINY = (
    'The built-in CLIP knows single digits, letters and words, not photos: for these '
    'give a trained checkpoint, or another CLIP (`--arch`).'
)


def check_arguments(args):
    """Refuse wrong values before anything is loaded.

    Raises:
        ValueError: Names the argument.
    """
    trained = bool(args.checkpoints or args.checkpoint_dir)
    for name in ('arch', 'classes', 'template'):
        if trained and getattr(args, name):
            raise ValueError(
                f'--{name} belongs to zero-shot CLIP: leave it out, or the checkpoints'
            )
    if args.config and (len(args.checkpoints) != 1 or args.checkpoint_dir):
        raise ValueError('--config belongs to exactly one checkpoint')
    if not 1 <= args.port <= 65535:
        raise ValueError(f'--port must be from 1 to 65535, got {args.port}')
    for name in ('max_megabytes', 'max_total_megabytes', 'max_megapixels'):
        if not 0 < getattr(args, name) < float('inf'):
            raise ValueError(
                f'--{name.replace("_", "-")} must be above 0, got {getattr(args, name):g}'
            )

    if args.max_total_megabytes < 3 * args.max_megabytes:
        raise ValueError(
            f'--max-total-megabytes must be at least 3 times --max-megabytes '
            f'({args.max_megabytes:g}), got {args.max_total_megabytes:g}'
        )


def find_choices(args):
    """dict[str, Choice]: What the page offers, by name."""
    if not (args.checkpoints or args.checkpoint_dir):
        return zero_shot(args)
    common = dict(config=args.config, pretrained=args.pretrained, device=args.device)
    choices, bad = {}, []
    for path in args.checkpoints:
        choices[short_name(path, choices)] = checkpoint_choice(path, **common)
    given = {os.path.realpath(path) for path in args.checkpoints}
    for path in find_checkpoints(args.checkpoint_dir) if args.checkpoint_dir else ():
        if os.path.realpath(path) in given:
            continue
        try:
            name = os.path.splitext(os.path.relpath(path, args.checkpoint_dir))[0]
            choices[path if name in choices else name] = checkpoint_choice(path, **common)
        except Exception as error:  # whatever is wrong with one of many, the others are offered
            bad.append(str(error) or f'{path}: {type(error).__name__}')
    for text in bad:
        print(f'warning: left out: {visible(text)}', file=sys.stderr)
    if not choices:
        raise ValueError(f'no usable checkpoint in {args.checkpoint_dir}: {bad[0]}')
    return choices


def short_name(path, taken):
    """str: Folder and file of a checkpoint; its whole path if that is taken."""
    name = '/'.join(Path(path).absolute().with_suffix('').parts[-2:])
    return path if name in taken else name


def zero_shot(args):
    """dict[str, Choice]: Frozen CLIP alone."""
    arch = args.arch or TINY
    tiny = arch == TINY
    classes = [
        name.strip()
        for name in (args.classes or (DIGITS if tiny else 'cat,dog')).split(',')
        if name.strip()
    ]
    template = args.template or ('the digit {}.' if tiny and not args.classes else None)
    choice = zero_shot_choice(
        classes,
        templates=[template] if template else None,
        arch=arch,
        pretrained=args.pretrained or (TINY if tiny else 'openai'),
        device=args.device,
    )
    return {f'zero-shot {arch}': choice}


def build_first(models, several):
    """Says now what is missing, so that the first answer comes at once.

    Args:
        models (Models): Of which those that cannot be built are left out ...
        several (bool): ... if a folder named them, unless none can.
    """
    while True:
        name = models.names[0]
        try:
            models.get(name)
            return
        except Exception as error:
            if not several or len(models.names) == 1:
                raise
            print(f'warning: left out: {visible(name)}: {visible(str(error))}', file=sys.stderr)
            del models.choices[name]


def demo(args):
    """Serve the page until Ctrl+C."""
    import_gradio()
    check_arguments(args)
    choices = find_choices(args)
    limits = Limits(
        args.max_megabytes, args.max_megapixels, total_megabytes=args.max_total_megabytes
    )
    models = Models(choices)
    build_first(models, bool(args.checkpoint_dir))
    about = ABOUT_TINY if f'zero-shot {TINY}' in choices else ''
    if not is_loopback(args.host):
        print(
            f'warning: with --host {args.host} everybody who reaches this machine can use the '
            'page; there is no password',
            file=sys.stderr,
        )
    with tempfile.TemporaryDirectory(prefix='mmdpt_demo_') as folder:
        os.environ['GRADIO_TEMP_DIR'] = folder  # uploads, for this user's eyes only
        before, tempfile.tempdir = tempfile.tempdir, folder  # what the server writes elsewhere
        try:
            page = build_page(models, limits, about)
            url = launch(page, args.host, args.port, limits)
            print(f'{len(choices)} model(s) on {url} - stop with Ctrl+C', flush=True)
            page.block_thread()
        finally:
            tempfile.tempdir = before


def main(argv: list[str] | None = None) -> None:
    """Serves."""
    args = parse_args(argv)
    with friendly_errors(args.debug):
        demo(args)
