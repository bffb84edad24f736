"""``meta['mmdpt']``: what a checkpoint says about itself.

All that is written there, and all that is read from there, is here: the
model's ``identity()`` (class names and CLIP's weights), the ``draw_hash`` of
the training images, the ``version`` of the package, the ``recipe`` to
predict without the config file (:mod:`mmdpt.engine.recipe`), the ``settings``
that shaped the training with their ``settings_hash``
(:mod:`mmdpt.engine.settings`), in ``resumed_with_changes`` what was changed
in its course, and in ``calibration`` what was found afterwards
(:mod:`mmdpt.evaluation.calibration`).
"""

from mmengine.runner import Runner

from mmdpt.evaluation.calibration import Calibration
from mmdpt.models.learnt_state import KEY
from mmdpt.utils.unwrap import unwrapped

from ..version import __version__
from .checkpoint import CHOOSE_OTHER, CheckpointError
from .meta_schema import Entry, Meta, read_as
from .recipe import check_recipe, make_recipe
from .settings import Changes, changes, settings_hash, spell


def write_entry(meta: dict, runner: Runner, settings: dict, changed: list[dict]) -> None:
    """Add the entry of a training to the ``meta`` of its checkpoint.

    Args:
        meta (dict): Changed in place.
        runner (Runner): Of the training.
        settings (dict): See :func:`mmdpt.engine.settings.settings_of`.
        changed (list[dict]): See :func:`changes_so_far`.
    """
    meta[KEY] = dict(
        belongs_to(runner),
        recipe=make_recipe(runner.cfg, getattr(unwrapped(runner.model), 'descriptions', None)),
        settings=settings,
        settings_hash=settings_hash(settings),
        **({'resumed_with_changes': changed} if changed else {}),
    )


def converted_meta(identity: dict, files: list[str]) -> dict:
    """Return the ``meta`` of a checkpoint made from other files."""
    return {KEY: dict(identity, converted_from=files)}


def read_entry(meta: dict) -> dict:
    """Return the entry; empty if the checkpoint, perhaps from elsewhere, has none.

    Raises:
        CheckpointError: If it is damaged.
    """
    entry = meta.get(KEY, {})
    if not isinstance(entry, dict):
        raise CheckpointError(f"the checkpoint's meta[{KEY!r}] is not a dict: {CHOOSE_OTHER}")
    return _read(Entry, entry, f'meta[{KEY!r}]').model_dump(exclude_unset=True)


def _read(schema, value, name: str):
    try:
        return read_as(schema, value, f"the checkpoint's {name}")
    except ValueError as error:
        raise CheckpointError(f'{error}: {CHOOSE_OTHER}') from error


def belongs_to(runner: Runner) -> dict:
    """Return what a checkpoint of this training belongs to, as plain Python."""
    model, dataset = unwrapped(runner.model), runner.train_dataloader.dataset
    identity = model.identity() if hasattr(model, 'identity') else {}
    # a wrapper (RepeatDataset, ConcatDataset) has it in its metainfo
    draw = getattr(dataset, 'draw_hash', None) or (getattr(dataset, 'metainfo', None) or {}).get(
        'draw_hash'
    )
    return dict(identity, version=__version__, **({'draw_hash': draw} if draw else {}))


def trained_classes(meta: dict) -> list[str] | None:
    """Return the class names of a training; MMEngine notes the dataset's."""
    noted = _read(Meta, meta, 'meta').dataset_meta
    classes = read_entry(meta).get('classes') or (noted and noted.classes)
    return list(classes) if classes else None


def read_calibration(meta: dict) -> Calibration | None:
    """Return how a checkpoint's probabilities are calibrated; None if they are not."""
    found = read_entry(meta).get('calibration')
    return Calibration(**found) if found else None


def write_calibration(meta: dict, calibration: Calibration) -> None:
    """Note in the ``meta`` of a checkpoint how its probabilities are calibrated."""
    meta.setdefault(KEY, {})['calibration'] = calibration.model_dump()


def read_recipe(meta: dict, path: str) -> tuple[dict, list[dict]]:
    """Return the configs of model and test transforms that a checkpoint carries.

    Args:
        meta (dict): Of the checkpoint, perhaps from elsewhere.
        path (str): Its file, for messages.

    Raises:
        CheckpointError: If it has none, or one that names unknown parts.
    """
    advice = 'give the config file that training left beside it: --config WORK_DIR/NAME.py'
    recipe = read_entry(meta).get('recipe')
    if not isinstance(recipe, dict):
        raise CheckpointError(
            f'{path} does not carry the config of its model (an older mmdpt wrote it): {advice}'
        )
    model = recipe.get('model')
    if isinstance(model, dict):  # lora: what the tuning was called at first
        kept = {k: v for k, v in model.items() if k != 'teacher'}  # serves the training only
        recipe = dict(recipe, model={'tuning' if k == 'lora' else k: v for k, v in kept.items()})
    try:
        recipe = check_recipe(recipe)
    except ValueError as error:
        raise CheckpointError(
            f'{path} does not carry all that predicting needs ({error}): {advice}'
        ) from error
    return recipe['model'], recipe['pipeline']


def check_same_training(meta: dict, runner: Runner, settings: dict, allow: bool = False) -> Changes:
    """Return what a resumed training changes; refuse it unless that is allowed.

    Args:
        meta (dict): Of the checkpoint.
        runner (Runner): Of the training that goes on.
        settings (dict): Those of now.
        allow (bool): Whether other images and settings are meant.

    Raises:
        CheckpointError: If images, seed or settings are others.
    """
    noted = _read(Meta, meta, 'meta')
    if noted.epoch is None or noted.iter is None:
        raise CheckpointError(
            "cannot resume: the checkpoint's meta does not say epoch and iter; it is none of a "
            'training. Give another one, or start without --resume'
        )
    before, now = read_entry(meta), belongs_to(runner)
    other_draw = (
        'draw_hash' in now and before.get('draw_hash', now['draw_hash']) != now['draw_hash']
    )
    if other_draw and not allow:
        raise CheckpointError(
            f'cannot resume: the checkpoint was trained on other images (draw '
            f'{before["draw_hash"][:12]}, now {now["draw_hash"][:12]}). Give the same dataset, '
            'shots and seed, or start a new training in another --work-dir'
        )
    # with no seed in the config, the Runner takes the checkpoint's
    seed = runner._randomness_cfg.get('seed')
    if seed is not None and meta.get('seed', seed) != seed:
        raise CheckpointError(
            f'cannot resume: the checkpoint was trained with seed {meta["seed"]}, now it is '
            f'{seed}. Give --seed {meta["seed"]}, or start a new training in another --work-dir'
        )
    if 'settings' not in before:
        runner.logger.warning(
            'the checkpoint has no list of settings (an older mmdpt wrote it): only the draw of '
            'its images, the seed and the schedule were compared with those of now'
        )
        return {}
    changed = changes(read_settings(before), settings)
    if other_draw:
        changed['draw_hash'] = [before['draw_hash'], now['draw_hash']]
    if changed and not allow:
        raise CheckpointError(
            f'cannot resume: the checkpoint was trained with other settings: {spell(changed)}. '
            'Give the former ones, or start a new training in another --work-dir; '
            '--resume-with-changes goes on all the same and notes it in checkpoint and results'
        )
    return changed


def read_settings(entry: dict) -> dict:
    """Return the list of settings of a checkpoint's entry.

    Raises:
        CheckpointError: If it is not the one that was written.
    """
    settings = entry['settings']
    try:
        intact = isinstance(settings, dict) and settings_hash(settings) == entry['settings_hash']
    except (KeyError, TypeError, ValueError, RecursionError):
        intact = False
    if not intact:
        raise CheckpointError(f"the checkpoint's list of settings is damaged: {CHOOSE_OTHER}")
    return settings


def changes_so_far(meta: dict, changed: Changes) -> list[dict]:
    """Return ``dict(epoch, settings)`` of each resume that changed something, this one included."""
    found = read_entry(meta).get('resumed_with_changes', [])
    if not isinstance(found, list):
        raise CheckpointError(f"the checkpoint's list of changes is damaged: {CHOOSE_OTHER}")
    return [*found, *([dict(epoch=meta['epoch'], settings=changed)] if changed else [])]
