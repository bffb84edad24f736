"""State of optimizer and schedule that a resumed training takes over: of the form that it has."""

import math
from typing import Any

import torch
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner

from .checkpoint import CHOOSE_OTHER, CheckpointError

# What these keep of each parameter once they took a step.
KEPT = dict(
    SGD={'momentum_buffer'},
    Adam={'step', 'exp_avg', 'exp_avg_sq'},
    AdamW={'step', 'exp_avg', 'exp_avg_sq'},
)


def check_state(checkpoint: dict, runner: Runner) -> None:
    """Refuse a state that the training could not go on with, or not as it was.

    Args:
        checkpoint (dict): See :class:`mmdpt.engine.meta_schema.Resumable`.
        runner (Runner): With its own optimizer and schedule, still unloaded.

    Raises:
        CheckpointError: Names what does not fit.
    """
    schedulers = runner.param_schedulers
    try:
        if isinstance(runner.optim_wrapper, OptimWrapper):
            _check_optimizer(checkpoint.get('optimizer'), runner.optim_wrapper)
        if isinstance(schedulers, list):
            _check_schedulers(checkpoint.get('param_schedulers'), schedulers)
    except ValueError as error:
        raise CheckpointError(f'cannot resume: {error}; {CHOOSE_OTHER}') from error


def _check_optimizer(saved: dict | None, wrapper: OptimWrapper) -> None:
    fresh = wrapper.state_dict()
    _check_keys(saved, {key: None for key in fresh}, 'its optimizer')
    groups = saved['param_groups']  # type: ignore[index]
    if len(groups) != len(fresh['param_groups']):
        raise ValueError(
            f'its optimizer has {len(groups)} groups of parameters, now it has '
            f'{len(fresh["param_groups"])}'
        )
    for group, now in zip(groups, fresh['param_groups']):
        # settings that a newer torch has added are off
        _check_keys(
            group, {k: v for k, v in now.items() if v is not None and v is not False}, 'a group'
        )
    tensors = [p for group in wrapper.optimizer.param_groups for p in group['params']]
    wanted = KEPT.get(type(wrapper.optimizer).__name__)
    for index, state in saved['state'].items():  # type: ignore[index]
        place = f'the state of parameter {str(index)[:20]}'
        if type(index) is not int or not 0 <= index < len(tensors):
            raise ValueError(f'{place} is that of none')
        if wanted is not None and set(state) != wanted:
            raise ValueError(f'{place} holds other things than {", ".join(sorted(wanted))}')
        for name, value in state.items():
            if isinstance(value, torch.Tensor) and value.shape not in (
                tensors[index].shape,
                torch.Size([]),
            ):
                raise ValueError(f'{place} has {str(name)[:50]} of another shape')
            if not isinstance(value, (torch.Tensor, float, int, type(None))):
                raise ValueError(f'{place} has {str(name)[:50]}, which is no number')
            if isinstance(value, torch.Tensor) and not value.is_floating_point():
                raise ValueError(f'{place} has {str(name)[:50]} of type {value.dtype}')


def _check_schedulers(saved: Any, schedulers: list) -> None:
    if not isinstance(saved, list) or len(saved) != len(schedulers):
        raise ValueError('its param_schedulers are not those of this training')
    for state, scheduler in zip(saved, schedulers):
        fresh = scheduler.state_dict()
        _check_keys(state, fresh, 'a schedule')
        more = sorted(set(map(str, state)) - set(fresh))
        if more:
            raise ValueError(f'param_schedulers sets {more[0][:50]!r}, which no schedule has')


def _check_keys(saved: Any, fresh: dict, name: str) -> None:
    if not isinstance(saved, dict):
        raise ValueError(f'{name} is missing')
    for key, value in fresh.items():
        if key not in saved:
            raise ValueError(f'{name} lacks {key}')
        if value is not None and not _fits(saved[key], value):
            raise ValueError(
                f'{name} has {key} = {str(saved[key])[:50]!r}, now {str(value)[:50]!r}'
            )


def _fits(saved: Any, fresh: Any) -> bool:
    """Whether a value is of the same form as another."""
    if isinstance(fresh, (list, tuple)):
        same = isinstance(saved, (list, tuple)) and len(saved) == len(fresh)
        return same and all(map(_fits, saved, fresh))
    if isinstance(fresh, (int, float)) and not isinstance(fresh, bool):
        number = isinstance(saved, (int, float)) and not isinstance(saved, bool)
        return number and math.isfinite(saved)
    return fresh is None or type(saved) is type(fresh)
