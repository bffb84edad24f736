"""Calibrate a trained model.

The command line: arguments/calibrate.py.
"""

import argparse
from pathlib import Path

import torch
import torch.nn.functional as F
from mmengine.config import Config

from ..apis.calibrate import HeldOut, held_out, write_calibrated
from ..engine.cli import friendly_errors
from ..evaluation.calibration import Calibration, calibration, tempered
from ..paths import find_config, spoken
from ..results.left_config import read_left_config
from ..utils.checks import check_least
from ..utils.files import write_json
from ..utils.outputs import Output, check_outputs
from .arguments.calibrate import parse_args


def run(args: argparse.Namespace) -> dict:
    """Calibrate, write the new checkpoint, say what was found."""
    check_least('--folds', args.folds, 2)
    if not 0 < args.keep <= 1:
        raise ValueError(f'--keep is a share above 0 and at most 1, such as 0.95, got {args.keep}')
    out = args.out or f'{Path(args.checkpoint).with_suffix("")}_calibrated.pth'
    check_outputs(
        [Output('--out', out, 'checkpoint'), Output('--json', args.json, 'json')],
        [args.checkpoint, args.config, args.pretrained],
    )
    held = held_out(
        args.checkpoint,
        config_of(args),
        args.on,
        args.folds,
        args.pretrained,
        may_train=bool(args.config),
    )
    found = calibration(*held, keep=args.keep)
    figures = effect(held, found)
    write_calibrated(args.checkpoint, out, found)
    print(
        f'calibrated on {found.source}\n'
        f'  temperature {found.temperature:.3g}: negative log-likelihood '
        f'{figures["nll_before"]:.3f} before, {figures["nll_after"]:.3f} after\n'
        f'  not sure below a probability of {found.threshold:.3f}: answers '
        f'{figures["answered"]:.1%} of these images, {figures["accuracy_answered"]:.1%} of them '
        f'rightly (all: {figures["accuracy"]:.1%})\n'
        f'  checkpoint: {out}'
    )
    print(spoken(f'  predict:    python tools/predict.py {out} IMAGE... --reject'))
    return dict(found.model_dump(), checkpoint=out, **figures)


def config_of(args: argparse.Namespace) -> Config:
    """The config of the training.

    Raises:
        ValueError: If it has to be named.
        FileNotFoundError: If it is not there.
    """
    if args.config:
        return Config.fromfile(find_config(args.config))
    beside = sorted(Path(args.checkpoint).parent.glob('*.py'))
    if len(beside) != 1:
        raise ValueError(
            f'there are {len(beside)} config files beside {args.checkpoint}, and the one of its '
            'training says which images are held out: --config FILE'
        )
    return Config(read_left_config(beside[0]))


def effect(held: HeldOut, found: Calibration) -> dict[str, float]:
    """What temperature and threshold do to the held-out images."""
    logits, labels = held.logits.double(), held.labels
    sure, answers = tempered(held.logits, found.temperature).max(1)
    right, answered = answers == labels, sure >= found.threshold
    values: dict[str, torch.Tensor] = dict(
        nll_before=F.cross_entropy(logits, labels),
        nll_after=F.cross_entropy(logits / found.temperature, labels),
        accuracy=right.double().mean(),
        answered=answered.double().mean(),
        accuracy_answered=right[answered].double().mean(),
    )
    return {name: float(value) for name, value in values.items()}


def main(argv: list[str] | None = None) -> None:
    """Calibrates."""
    args = parse_args(argv)
    with friendly_errors(args.debug):
        result = run(args)
        if args.json:
            write_json(result, args.json, indent=2)
