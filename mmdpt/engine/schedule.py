"""Constant warm-up, then a cosine: the schedule of CoOp and DPT."""

import logging
import math

from mmengine.logging import print_log
from mmengine.optim.scheduler.lr_scheduler import LRSchedulerMixin
from mmengine.optim.scheduler.param_scheduler import INF, _ParamScheduler
from mmpretrain.registry import PARAM_SCHEDULERS

from mmdpt.utils.checks import check_weight


def constant_warmup_cosine(epoch, base, epochs, warmup_epochs=0, warmup_lr=1e-5, recount=True):
    """Learning rate in force during one epoch.

    As in Dassl.pytorch (``ConstantWarmupScheduler`` over ``CosineAnnealingLR``):
    ``warmup_lr`` while ``epoch < warmup_epochs``, then half a cosine whose
    period is the full number of epochs. With ``recount`` the cosine starts
    after the warm-up, so the rate never reaches zero.

    Args:
        epoch (int): Epoch, counted from 0.
        base (float): Learning rate at the top of the cosine.
        epochs (int): Number of epochs of the whole training, T.
        warmup_epochs (int): Epochs of warm-up, W; 0 or less for none.
        warmup_lr (float): Learning rate during the warm-up.
        recount (bool): Whether the cosine counts from the end of the warm-up:
            ``base/2 (1 + cos(pi (e-W)/T))``; else
            ``base (1 + cos(pi e/T)) / (1 + cos(pi W/T))``.

    Returns:
        float: The learning rate.
    """
    warmup = max(warmup_epochs, 0)
    if epoch < warmup:
        return warmup_lr
    if recount:
        return base / 2 * (1 + math.cos(math.pi * (epoch - warmup) / epochs))
    top = 1 + math.cos(math.pi * warmup / epochs)
    return base * (1 + math.cos(math.pi * epoch / epochs)) / top


@PARAM_SCHEDULERS.register_module()
class ConstantWarmupCosineLR(LRSchedulerMixin, _ParamScheduler):
    """:func:`constant_warmup_cosine` for every parameter group, epoch-wise.

    A parameter group that carries ``warmup_epochs`` (put it in
    ``paramwise_cfg.custom_keys``) uses its own; the base rate is the group's
    ``initial_lr``. The rate is computed from the epoch alone, never from the
    previous rate, so it is exact after a resume.

    Args:
        optimizer (Optimizer | OptimWrapper): What it drives.
        warmup_epochs (int): Epochs of warm-up; 0 or less for none.
        warmup_lr (float): Learning rate during the warm-up.
        warmup_recount (bool): See ``recount`` above.
        begin (int): First epoch of the schedule.
        end (int): Epoch after the last one; MMEngine's Runner fills in the
            number of epochs. ``end - begin`` is the T of the formula.
        last_step (int): Epoch to go on from without a state dict.
        by_epoch (bool): Must be True.
        verbose (bool): Whether to log every change.

    Raises:
        ValueError: If the schedule has no end, is not epoch-wise, or the
            warm-up rate is negative.
    """

    def __init__(
        self,
        optimizer,
        warmup_epochs=0,
        warmup_lr=1e-5,
        warmup_recount=True,
        begin=0,
        end=INF,
        last_step=-1,
        by_epoch=True,
        verbose=False,
    ):
        if not by_epoch:
            raise ValueError(
                'ConstantWarmupCosineLR changes the rate once per epoch: remove '
                'by_epoch=False, or take another scheduler'
            )
        if end >= INF:
            raise ValueError(
                'ConstantWarmupCosineLR needs the number of epochs: give end=..., '
                'or let the Runner build it from the config'
            )
        check_weight('warmup_lr', warmup_lr)
        self.warmup_epochs = warmup_epochs
        self.warmup_lr = warmup_lr
        self.warmup_recount = warmup_recount
        super().__init__(
            optimizer, begin=begin, end=end, last_step=last_step, by_epoch=True, verbose=verbose
        )
        self._tell_if_all_is_warmup()

    def _get_value(self):
        return [
            constant_warmup_cosine(
                self.last_step,
                base,
                self.end - self.begin,
                group.get('warmup_epochs', self.warmup_epochs),
                self.warmup_lr,
                self.warmup_recount,
            )
            for base, group in zip(self.base_values, self.optimizer.param_groups)
        ]

    def load_state_dict(self, state_dict):
        """Go on from a state, if it belongs to the same schedule.

        Raises:
            ValueError: If the state comes from other settings: going on would
                follow neither schedule.
        """
        for name in ('warmup_epochs', 'warmup_lr', 'warmup_recount', 'begin', 'end'):
            old, new = state_dict.get(name), getattr(self, name)
            if old != new:
                raise ValueError(
                    f'cannot resume: the checkpoint was trained with the schedule setting '
                    f'{name}={old}, the config says {name}={new} ("end" is the number of '
                    f'epochs). Resume with the old setting, or start a new training from '
                    f'these prompts with load_from=CHECKPOINT'
                )
        super().load_state_dict(state_dict)
        self._last_value = self._get_value()  # a function of the epoch: as it was, or as changed
        for group, value in zip(self.optimizer.param_groups, self._last_value):
            group[self.param_name] = value

    def _tell_if_all_is_warmup(self):
        epochs = self.end - self.begin
        longest = max(
            group.get('warmup_epochs', self.warmup_epochs) for group in self.optimizer.param_groups
        )
        if longest >= epochs:
            print_log(
                f'the warm-up of {longest} epochs covers all {epochs} epochs: some learning '
                f'rates stay at {self.warmup_lr}. Train longer or lower warmup_epochs',
                logger='current',
                level=logging.WARNING,
            )
