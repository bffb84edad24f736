"""A training that goes on with other settings, for those who mean it."""

from mmengine.runner import EpochBasedTrainLoop, Runner

from .checkpoint import CheckpointError
from .schedule import ConstantWarmupCosineLR
from .settings import Changes
from .stages import StagedTrainLoop

RATES = ('optim_wrapper.', 'param_scheduler', 'train_cfg.max_')
START = 'start a new training from these prompts with load_from=CHECKPOINT in another --work-dir'


def take_over(checkpoint: dict, runner: Runner, changed: Changes) -> None:
    """Let changed settings come into force where a checkpoint's state would undo them.

    An optimizer's state holds rates, decay and momentum, a scheduler's holds
    its whole course; MMEngine loads both over what the config says.

    Args:
        checkpoint (dict): Changed in place.
        runner (Runner): With the new optimizer and schedule, still unloaded.
        changed (Changes): What differs.

    Raises:
        CheckpointError: If a change cannot come into force.
    """
    if isinstance(runner.train_loop, StagedTrainLoop):
        raise CheckpointError(
            f'cannot resume a training in stages with {next(iter(changed))} changed: where its '
            f'stages end would be another place; {START}'
        )
    fixed = [key for key in changed if key.startswith(RATES)]
    if fixed:
        if any(key in changed for key in ('optim_wrapper.type', 'optim_wrapper.optimizer.type')):
            raise CheckpointError(
                f'cannot resume with {fixed[0]} changed: the state of one optimizer is no other '
                f"one's; {START}"
            )
        schedulers = runner.param_schedulers
        schedulers = schedulers if isinstance(schedulers, list) else [schedulers]
        saved = checkpoint.get('param_schedulers')
        if not all(isinstance(s, ConstantWarmupCosineLR) for s in schedulers) or not (
            isinstance(saved, list) and len(saved) == len(schedulers)
        ):
            raise CheckpointError(
                f'cannot resume with {fixed[0]} changed: only the schedule '
                f'ConstantWarmupCosineLR can be continued with other settings; {START}'
            )
        _new_rates(checkpoint['optimizer']['param_groups'], runner)
        epoch = checkpoint['meta']['epoch']
        for state, new in zip(saved, schedulers):
            # a schedule that had ended would stand still where a longer one goes on
            last = max(min(epoch, new.end - 1) - new.begin, -1)
            state.update(new.state_dict(), last_step=last, _global_step=epoch)
    if isinstance(runner.train_loop, EpochBasedTrainLoop):  # batches per epoch may differ
        checkpoint['meta']['iter'] = checkpoint['meta']['epoch'] * len(runner.train_dataloader)


def _new_rates(saved: list[dict], runner: Runner) -> None:
    groups = runner.optim_wrapper.optimizer.param_groups
    if len(saved) != len(groups):
        raise CheckpointError(
            f'cannot resume: the optimizer has {len(groups)} groups of parameters, the '
            f"checkpoint's had {len(saved)}; {START}"
        )
    for old, new in zip(saved, groups):
        old.update({k: v for k, v in new.items() if k != 'params'})
