"""What a resumed training takes from the message hub of its checkpoint."""

import os.path as osp
import re

from mmengine.logging import print_log
from mmengine.optim.scheduler.param_scheduler import _ParamScheduler

from .checkpoint import CHOOSE_OTHER, CheckpointError
from .meta_schema import Meta, Resumable, RuntimeInfo, read_as

NAMES = dict(last=r'[A-Za-z0-9_][\w.+=-]{0,250}\.pth', best=r'best_[\w.+=-]{1,250}\.pth')


def forget_places(checkpoint: dict, folder: str) -> None:
    """Leave of the places that a checkpoint names those in one folder, by file name.

    MMEngine removes the former best checkpoint, and those of ``keep_ckpt_ids``, wherever the
    checkpoint says that they are.

    Args:
        checkpoint (dict): Is changed.
        folder (str): Where this training writes its checkpoints.

    Raises:
        CheckpointError: If it is not what a training goes on from.
    """
    try:
        content = read_as(Resumable, checkpoint, 'the checkpoint')
        runtime = read_as(RuntimeInfo, content.message_hub.runtime_info, 'runtime_info')
        last = _last_step(read_as(Meta, checkpoint['meta'], 'meta'))
        _check_steps([*runtime.keep_ckpt_ids, *runtime.between_ckpt_ids], last)
        _check_schedulers(content.param_schedulers)
        _check_scores(content.message_hub.runtime_info)
    except ValueError as error:
        raise CheckpointError(f'cannot resume: {error}; {CHOOSE_OTHER}') from error
    info = dict(content.message_hub.runtime_info)
    info.pop('cfg', None)  # text of the former training, which others run as Python
    for key in [k for k in info if k == 'last_ckpt' or k.startswith('best_ckpt')]:
        place = _inside(info.pop(key), folder, NAMES[key[:4]])
        if place is not None:
            info[key] = place
        else:
            print_log(
                f'The {key} that the checkpoint names is no file of {folder}; it stays as it is.',
                logger='current',
                level=30,
            )
    hub = content.message_hub.model_dump()
    kept = {k: v for k, v in hub['resumed_keys'].items() if k in info}
    checkpoint['message_hub'] = dict(hub, runtime_info=info, resumed_keys=kept)


def _inside(named, folder: str, pattern: str) -> str | None:
    """The file of that name in the folder, if there is one."""
    name = osp.basename(named) if isinstance(named, str) else ''
    place = osp.join(folder, name)
    return place if re.fullmatch(pattern, name) and osp.isfile(place) else None


def _last_step(meta: Meta) -> int:
    return max(meta.epoch or 0, meta.iter or 0)


def _check_steps(steps: list[int], last: int) -> None:
    """No checkpoint knows of later ones."""
    later = [step for step in steps if step > last]
    if later:
        raise ValueError(f'it names the checkpoint of step {later[0]}, but is of step {last}')


def _check_scores(info: dict) -> None:
    for key, value in info.items():
        if key.startswith('best_score') and not isinstance(value, (int, float)):
            raise ValueError(f'its {key[:50]} is no number')


def _check_schedulers(states) -> None:
    """MMEngine puts their values in the place of the schedulers' attributes."""
    several = states.values() if isinstance(states, dict) else [states or []]
    for state in (s for group in several for s in group):
        methods = [name for name in state if hasattr(_ParamScheduler, name)]
        if methods:
            raise ValueError(f'param_schedulers sets {methods[0][:50]!r}, which is no value')
