"""A training in stages: what learns changes, and optimizer and schedule start anew."""

import copy
from collections.abc import Sequence
from itertools import islice
from typing import Any

import torch
from mmengine.hooks import EMAHook, Hook
from mmengine.runner import EpochBasedTrainLoop, Runner
from mmpretrain.registry import LOOPS

from mmdpt.utils.checks import check_least
from mmdpt.utils.unwrap import unwrapped


@LOOPS.register_module()
class StagedTrainLoop(EpochBasedTrainLoop):
    """MMEngine's epochs, in stages that learn one thing after another.

    A stage takes its share of all steps, rounded down; the last one takes the
    rest. It begins with a pass over the data of its own, which ends early
    where the stage does, and with a new optimizer and schedule of the config's
    settings (a schedule's ``end`` is that of the stage). What does not learn has
    no gradient. A config's ``stages`` chooses this loop, see :class:`FewShotRunner`.

    Args:
        runner, dataloader: As in MMEngine's ``EpochBasedTrainLoop``.
        stages (Sequence[dict]): Of each stage ``learns``, the names of
            the model's parts that learn, such as ``['tuning']``, and, but for the
            last, ``share``.
        max_epochs (int, optional): Length of the training, in full passes.
        max_steps (int, optional): Its length in steps, in place of ``max_epochs``.
        **kwargs: ``val_begin``, ``val_interval``, ``dynamic_intervals``.

    Raises:
        ValueError: If the lengths or the stages are not those of a training.
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: Any,
        stages: Sequence[dict],
        max_epochs: int | None = None,
        max_steps: int | None = None,
        **kwargs,
    ):
        if (max_epochs is None) == (max_steps is None):
            raise ValueError(
                'A training in stages needs one of train_cfg.max_epochs and train_cfg.max_steps, '
                f'and None for the other, but they are {max_epochs!r} and {max_steps!r}.'
            )
        if max_steps is not None:
            check_least('train_cfg.max_steps', max_steps, 1)
        super().__init__(runner, dataloader, max_epochs=max_epochs or 1, **kwargs)
        if any(isinstance(hook, EMAHook) for hook in runner.hooks):
            raise ValueError('EMAHook averages one training, not stages: take out one of both.')
        self.stages, self.stage = stages, -1
        length = len(self.dataloader)
        self.steps = steps_of(stages, max_steps or (max_epochs or 1) * length)
        self._max_iters = sum(self.steps)
        self.passes: list[int] = [-(-steps // length) for steps in self.steps]
        self._max_epochs = sum(self.passes)
        self._optimizer = copy.deepcopy(runner.optim_wrapper)  # configs, not yet built
        self._schedules = copy.deepcopy(runner.param_schedulers)
        self._parts = [set(stage.get('learns', ())) for stage in stages]
        self._check_parts()
        runner.register_hook(_StageOfCheckpoint(self), priority='LOWEST')
        self._learn(0)
        runner.param_schedulers = self._schedule()  # the Runner builds it, and the optimizer

    def _check_parts(self) -> None:
        model = unwrapped(self.runner.model)
        parameters = dict(model.named_parameters())
        learnable = getattr(model, 'learnt_names', None) or {
            name for name, p in parameters.items() if p.requires_grad
        }
        self._may_learn = learnable & set(parameters)
        known = {name.partition('.')[0] for name in self._may_learn}
        if set().union(*self._parts) != known or not all(self._parts):
            raise ValueError(
                'stages: together, learns must name all parts of the model that learn, '
                f'{", ".join(sorted(known))}, but is {[sorted(p) for p in self._parts]!r}.'
            )

    def stage_at(self, epoch: int) -> int:
        """The stage that a pass belongs to."""
        for stage in range(len(self.passes)):
            if epoch < sum(self.passes[: stage + 1]):
                return stage
        return len(self.passes) - 1

    def _learn(self, stage: int) -> None:
        """Let only the parts of a stage learn."""
        runner, self.stage = self.runner, stage
        model = unwrapped(runner.model)
        for name, parameter in model.named_parameters():
            if name in self._may_learn:
                parameter.requires_grad_(name.partition('.')[0] in self._parts[stage])
                parameter.grad = None
        if runner.distributed:  # anew: it looks once at what learns
            runner.model = model
            runner.model = runner.wrap_model(runner.cfg.get('model_wrapper_cfg'), model)

    def _schedule(self) -> list[dict] | None:
        """Configs of the stage's schedules, each with its end."""
        if self._schedules is None:
            return None
        several = (
            self._schedules if isinstance(self._schedules, (list, tuple)) else [self._schedules]
        )
        ends = {True: self.passes[self.stage], False: self.steps[self.stage]}
        return [dict(dict(end=ends[s.get('by_epoch', True)]), **s) for s in several]

    def enter(self, stage: int) -> None:
        """Begin to learn in a stage, with a new optimizer and schedule."""
        runner = self.runner
        self._learn(stage)
        runner.optim_wrapper = runner.build_optim_wrapper(copy.deepcopy(self._optimizer))
        runner.scale_lr(runner.optim_wrapper, runner.auto_scale_lr)
        if self._schedules is not None:
            runner.param_schedulers = runner.build_param_scheduler(self._schedule())

    def _begin(self, stage: int) -> None:
        """Begin a stage that no checkpoint has begun."""
        runner = self.runner
        model = unwrapped(runner.model)
        if hasattr(model, 'parts'):
            learns, before = self._parts[stage], set().union(*self._parts[:stage])
            model.eval()
            with torch.no_grad():
                for name, part in model.parts().items():
                    part.begin_stage(name in learns, name in before, model.text_features)
        if stage == self.stage:  # the first one: the Runner has made all
            return
        self.enter(stage)
        runner.optim_wrapper.initialize_count_status(runner.model, self._iter, self._max_iters)
        if runner.distributed:
            runner._maybe_compile('train_step')

    def run_epoch(self) -> None:
        """One pass over the data, or what of it the stage has left."""
        stage = self.stage_at(self._epoch)
        done = self._epoch - sum(self.passes[:stage])
        if done == 0:
            self._begin(stage)
        left = self.steps[stage] - done * len(self.dataloader)
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        for i, batch in enumerate(islice(self.dataloader, left)):
            self.run_iter(i, batch)
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1


class _StageOfCheckpoint(Hook):
    """Bring a resumed training into the stage that its checkpoint was written in."""

    def __init__(self, loop: StagedTrainLoop):
        self.loop = loop

    def after_load_checkpoint(self, runner, checkpoint):
        """Before the optimizer's state is loaded, and after the other hooks' checks."""
        if runner._resume:
            self.loop.enter(self.loop.stage_at(checkpoint['meta']['epoch'] - 1))


def steps_of(stages: Sequence[dict], total: int) -> list[int]:
    """Steps of each stage out of a number of steps.

    Raises:
        ValueError: If a setting is unknown, or the shares leave a stage without a step.
    """
    unknown = {key for stage in stages for key in stage} - {'learns', 'share'}
    if unknown:
        raise ValueError(f'stages: a stage has learns and share, but not {sorted(unknown)}.')
    shares: list[Any] = [stage.get('share') for stage in stages]
    if not shares or None in shares[:-1] or shares[-1] is not None:
        raise ValueError(f'stages: all but the last need a share of the steps, not {shares!r}.')
    steps = [int(share * total) for share in shares[:-1]]
    steps.append(total - sum(steps))
    if min(steps) < 1:
        raise ValueError(
            f'stages: of {total} steps, they take {steps}: each needs at least one. Train longer, '
            'or change the shares.'
        )
    return steps
