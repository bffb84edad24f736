"""Which images each choice of a training looked at."""

from typing import Any

from mmengine.hooks import CheckpointHook, EarlyStoppingHook
from mmengine.runner import Runner

from .hooks import image_paths, inner_datasets

CHOSE = 'chose_on_val'  # in the message hub, and so in the checkpoints: 'few' or 'whole'


def used_for(runner: Runner) -> dict[str, Any]:
    """Say it for ``training``, ``selection``, ``calibration`` and ``report``.

    Each is None where there was no such step, or a dict with ``split``: 'train', 'val' or
    'test'. It is 'test' for any image that the results are reported on, whatever its list is
    called: what such an image helped to choose was not tested on unseen images.

    Args:
        runner (Runner): At the end of the training.

    Returns:
        dict: Plain Python; ``selection`` says ``what`` was chosen, too.
    """
    train, test = runner.train_dataloader.dataset, runner.test_dataloader.dataset
    tested = images_of(test)
    split = 'test' if tested & images_of(train) else list_of(train, 'train')
    return dict(
        training=dict(split=split, images=len(train)),
        selection=selection_of(runner, tested),
        calibration=None,
        report=dict(split=list_of(test, 'test'), images=len(test)),
    )


def selection_of(runner: Runner, tested: set[str]) -> dict[str, Any] | None:
    """What was chosen in a training, and on which images; None: nothing was.

    Args:
        runner (Runner): At the end of the training.
        tested (set[str]): The images of the report.
    """
    shots = getattr(runner.train_dataloader.dataset, 'shots', None)
    chose = runner.message_hub.runtime_info.get(CHOSE)
    if chose:
        return dict(what='settings', split='val', shots=None if chose == 'whole' else shots)
    stops = any(isinstance(hook, EarlyStoppingHook) for hook in runner.hooks)
    best = any(isinstance(h, CheckpointHook) and h.save_best for h in runner.hooks)
    if not (stops or best) or runner.val_loop is None:
        return None
    watched = runner.val_loop.dataloader.dataset
    split = 'test' if tested & images_of(watched) else list_of(watched, 'val')
    return dict(what='epoch', split=split, shots=getattr(watched, 'shots', None))


def images_of(dataset: Any) -> set[str]:
    """Where the images of a dataset are; empty if it does not say so."""
    return {path for path in image_paths(dataset) if path is not None}


def list_of(dataset: Any, default: str) -> str:
    """The list that a dataset is of: 'train', 'val' or 'test'."""
    named = (getattr(inner, 'split', None) for inner in inner_datasets(dataset))
    return next(filter(None, named), default)
