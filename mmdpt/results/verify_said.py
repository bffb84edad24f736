"""What a run says of itself, in all the places where it says so; and whether its config may be
built."""

from collections.abc import Iterator
from typing import Any

from mmengine.config import Config
from mmpretrain.registry import DATASETS

from ..engine.options import registered
from ..engine.settings import changes, config_settings, spell

DRAWN = ('benchmark', 'subset', 'shots', 'seed', 'data_protocol')  # a dataset says them, too
STEPS = ('training', 'selection', 'calibration', 'report')  # of used_for
WRAPPERS = 'RepeatDataset', 'ConcatDataset', 'ClassBalancedDataset'


def check_buildable(cfg: Config) -> None:
    """Refuse a config whose parts could run what is in a file: it may come from anybody.

    MMEngine imports and calls whatever a ``type`` names that is in no registry; datasets of
    MMEngine and MMPretrain unpickle their lists.

    Raises:
        ValueError: Names the part.
    """
    waiting: list[Any] = [cfg.to_dict()]
    while waiting:
        value = waiting.pop()
        if isinstance(value, (list, tuple)):
            waiting += value
        if not isinstance(value, dict):
            continue
        waiting += value.values()
        kind = value.get('type')
        if not isinstance(kind, str):
            continue
        found = registered(kind)
        if not found:
            raise ValueError(f'{kind[:80]!r} is in no registry: nothing is built of its config')
        for one in found:
            lists = one in DATASETS.module_dict.values() and one.__name__ not in WRAPPERS
            if lists and not one.__module__.startswith('mmdpt.'):
                raise ValueError(
                    f'{kind} may unpickle what its config names: nothing is built of it'
                )


def unlike_predictions(results: dict, identity: dict, learnt: bool) -> list[str]:
    """Where results and the identity in a file of predictions say different things.

    Args:
        results (dict): Of ``results.json``.
        identity (dict): Of the file.
        learnt (bool): Whether the file is of what was learnt; else of CLIP before that.
    """
    model, used = identity.get('model') or {}, identity.get('used_for') or {}
    noted, trained = results.get('used_for') or {}, used.get('training') or {}
    ours = dict(config=results.get('config'), clip=results.get('clip'), checkpoint=None)
    theirs = {key: model.get(key) for key in ours}
    if learnt:
        ours['checkpoint'] = (results.get('checkpoint') or {}).get('sha256')
        theirs['checkpoint'] = (model.get('checkpoint') or {}).get('sha256')
        for key in ('method', 'shots', 'seed'):
            ours[key], theirs[key] = results.get(key), model.get(key)
        for key in ('benchmark', 'subset', 'draw_hash'):
            ours[key], theirs[key] = results.get(key), trained.get(key)
        for step in STEPS:
            ours[step], found = noted.get(step), used.get(step)
            # the file says more of them
            theirs[step] = found and {key: found.get(key) for key in ours[step] or found}
    return list(_unlike(ours, theirs))


def unlike_data(results: dict, metainfo: dict, seed: Any) -> list[str]:
    """Where results and the dataset that the config describes say different things.

    Args:
        results (dict): Of ``results.json``.
        metainfo (dict): Of the dataset of the training.
        seed (Any): Of the training, by the config.
    """
    ours = {key: results.get(key) for key in DRAWN}
    theirs = {**{key: metainfo.get(key) for key in DRAWN}, 'seed': seed}
    return list(_unlike(ours, theirs))


def unlike_checkpoint(results: dict, meta: dict, entry: dict, cfg: Config) -> list[str]:
    """Where the config and the results say other things than the checkpoint; it notes the
    settings that shaped the training.

    Args:
        results (dict): Of ``results.json``.
        meta (dict): Of the checkpoint.
        entry (dict): mmdpt's part of it.
        cfg (Config): That the folder has.
    """
    settings = entry.get('settings') or {}
    # these are known with the images only
    then = {k: v for k, v in settings.items() if k != 'processes' and not k.startswith('images.')}
    changed = changes(then, config_settings(cfg)) if then else {}
    return [
        *_unlike(dict(seed=results.get('seed')), dict(seed=meta.get('seed'))),
        *([spell(changed)] if changed and not entry.get('resumed_with_changes') else []),
    ]


def _unlike(ours: dict, theirs: dict) -> Iterator[str]:
    for key, value in ours.items():
        if value != theirs[key]:
            yield f'{key}: {str(value)[:60]} in the results, {str(theirs[key])[:60]}'
