"""The final model: trained on all photos of the training part, tested once on the held-out part."""

import os
import os.path as osp
import tempfile

import torch
from mmengine.config import Config

from mmdpt.apis.calibrate import write_calibrated
from mmdpt.datasets.split_files import Split
from mmdpt.engine.cli import build_runner
from mmdpt.engine.collect_predictions import collect_predictions
from mmdpt.evaluation.calibration import calibration
from mmdpt.evaluation.predictions import PREDICTIONS, ZERO_SHOT, Predictions
from mmdpt.results.fit_schema import Tested

from .choice import lead, share
from .classifier import ALL_PHOTOS, MODEL
from .compare import Outcome
from .compose import Setting, compose
from .methods import METHODS, Method
from .photos import Photos, write_split
from .runs import configured, write_config

SPLIT = 'split.json'


def train_winner(outcome: Outcome, setting: Setting, out: str, tested: bool) -> Tested | None:
    """Train the chosen method on all training photos; write model, config and predictions.

    Without held-out photos the predictions are those of the cross-validation.

    Args:
        outcome (Outcome): The winner's cross-validation.
        setting (Setting): Of all methods.
        out (str): Where to; holds ``split.json``.
        tested (bool): Whether there are held-out photos.
    """
    # the Runner leaves the config with all defaults in its place
    train_in(out, outcome, setting, tested, tidy=True)
    paths = [osp.join(out, name) for name in (PREDICTIONS, ZERO_SHOT)]
    if not tested:
        for path in [*paths, osp.join(out, 'results.json')]:
            if osp.exists(path):
                os.remove(path)  # figures of training photos
        for path, runs in zip(paths, zip(*[(r.learnt, r.zero_shot) for r in outcome.runs])):
            joined(runs).write(path)
        return None
    return judged(
        Predictions.read(paths[0]), Predictions.read(paths[1]), METHODS[outcome.tried.name]
    )


def train_in(
    folder: str, outcome: Outcome, setting: Setting, tested: bool, tidy: bool = False
) -> None:
    """Train the method of an outcome on the ``split.json`` of a folder, into that folder.

    Args:
        folder (str): Gets config, calibrated model and what a training leaves.
        outcome (Outcome): The method's cross-validation.
        setting (Setting): Of all methods.
        tested (bool): Whether the split has a test list.
        tidy (bool): See :func:`configured`.
    """
    method, chosen = METHODS[outcome.tried.name], outcome.tried.settings
    text = compose(method, setting, osp.join(folder, SPLIT), chosen, tested)
    cfg = configured(write_config(text, folder), folder, tidy)
    cfg.default_hooks.checkpoint.filename_tmpl = MODEL
    if method.learns:
        build_runner(cfg).train()
    else:
        keep_zero_shot(cfg, folder)
    calibrate(outcome, folder)


def train_on_all(outcome: Outcome, photos: Photos, setting: Setting, out: str) -> list[str]:
    """Train the chosen method on all photos, held-out ones too, which leaves none to test it.

    Args:
        outcome (Outcome): The winner's cross-validation.
        photos (Photos): All of them.
        setting (Setting): Of all methods.
        out (str): Where ``model_all.pth`` goes.

    Returns:
        list[str]: What was written; nothing if there is nothing more to learn from.
    """
    if not METHODS[outcome.tried.name].learns or not photos.test:
        return []
    with tempfile.TemporaryDirectory(dir=out) as folder:
        write_split(Split([*photos.train, *photos.test], [], []), osp.join(folder, SPLIT))
        train_in(folder, outcome, setting, tested=False)
        os.replace(osp.join(folder, MODEL), osp.join(out, ALL_PHOTOS))
    return [ALL_PHOTOS]


def calibrate(outcome: Outcome, out: str) -> None:
    """Give the model the temperature, and the threshold of "not sure", of its cross-validation."""
    if not outcome.runs or outcome.right is None or not outcome.right.any():
        return
    folds = joined(tuple(found.learnt for found in outcome.runs))
    source = f'{len(folds.images)} training photos, cross-validated by mmdpt fit'
    model, new = osp.join(out, MODEL), osp.join(out, f'calibrated_{MODEL}')
    write_calibrated(model, new, calibration(folds.logits, folds.labels, source))
    os.replace(new, model)


def keep_zero_shot(cfg: Config, out: str) -> None:
    """Test a model that learns nothing, and write it like one that has learnt."""
    runner = build_runner(cfg)
    collector = collect_predictions(runner, runner.test_loop)
    runner.test()
    found = collector.take().found
    assert found is not None  # the classifier gives logits
    for name in (PREDICTIONS, ZERO_SHOT):
        found.write(osp.join(out, name))
    backend = dict(backend='mmdpt.atomic')
    runner.save_checkpoint(
        out, MODEL, save_optimizer=False, save_param_scheduler=False, backend_args=backend
    )


def judged(learnt: Predictions, zero_shot: Predictions, method: Method) -> Tested:
    """The figures of the test, with a warning if the model does not beat zero-shot CLIP."""
    right, before = learnt.correct().numpy(), zero_shot.correct().numpy()
    gap, error = lead(right, before)
    warning = None
    if not method.learns:
        warning = 'no method was better than zero-shot CLIP: the model has learnt nothing'
    elif gap <= error:
        what = 'is not better than' if gap <= 0 else 'is within one standard error of'
        warning = (
            f'on the held-out photos the model {what} zero-shot CLIP ({gap:+.1f} points, standard '
            f'error {error:.1f}): add photos, or use class names and templates alone'
        )
    return Tested(model=share(right), zero_shot=share(before), difference=gap, warning=warning)


def joined(parts: tuple[Predictions, ...]) -> Predictions:
    """The predictions of all folds."""
    return Predictions(
        torch.cat([part.logits for part in parts]),
        torch.cat([part.labels for part in parts]),
        [image for part in parts for image in part.images],
        parts[0].classes,
        dict(parts[0].identity, data=dict(split='cross-validation')),
    )
