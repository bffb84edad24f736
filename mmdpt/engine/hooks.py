"""Hooks: randomness of an epoch, a stop before NaN spreads, logs of several processes."""

import numpy as np
import torch
from mmengine.dist import all_reduce, get_rank, get_world_size, master_only
from mmengine.hooks import Hook, LoggerHook
from mmengine.logging import MessageHub
from mmengine.runner import set_random_seed
from mmpretrain.registry import HOOKS

from mmdpt.utils.unwrap import unwrapped

from .deferred import DeferredHook
from .screen import TrainingProgress, introduce, measure_accuracy


def inner_datasets(dataset):
    """Yield a dataset and those inside its wrappers (repeat, concat, slice)."""
    yield dataset
    # not getattr: some wrappers pass every name on to the dataset inside
    attributes = getattr(dataset, '__dict__', {})
    single = [attributes[name] for name in ('dataset', '_dataset') if name in attributes]
    for part in attributes.get('datasets', single):
        yield from inner_datasets(part)


def image_paths(dataset):
    """list: ``img_path`` of each image, None where there is none; empty without descriptions."""
    if not hasattr(dataset, 'get_data_info'):
        return []
    return [dataset.get_data_info(i).get('img_path') for i in range(len(dataset))]


@HOOKS.register_module()
class EpochSeedHook(Hook):
    """Make the randomness of an epoch a function of seed, epoch and rank.

    Before each training epoch it tells the dataset the epoch
    (``set_epoch``, for the augmentation of each image), and the head (whose
    loss may change), and seeds Python's,
    NumPy's and torch's generators. So a resumed training draws what the
    uninterrupted one would have drawn, regardless of what was drawn before.
    """

    priority = 'VERY_HIGH'

    def before_train_epoch(self, runner):
        """Tell the dataset the epoch and seed the generators."""
        for dataset in inner_datasets(runner.train_dataloader.dataset):
            if hasattr(type(dataset), 'set_epoch'):
                dataset.set_epoch(runner.epoch)
        head = getattr(unwrapped(runner.model), 'head', None)
        if hasattr(head, 'set_epoch'):
            head.set_epoch(runner.epoch)
        # what is drawn for an image must not depend on the process that has it
        MessageHub.get_current_instance().update_info('seed', runner.seed)
        key = np.random.SeedSequence([runner.seed, runner.epoch, get_rank()])
        set_random_seed(int(key.generate_state(1)[0]))


@HOOKS.register_module()
class MeanLossHook(Hook):
    """Average the losses of an iteration over the processes.

    So the log shows the loss of the whole batch, not of the first process's
    share, and all processes judge the same numbers. It works for any model.
    """

    priority = 'HIGHEST'  # before they are logged and checked

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        """Put the means in place of the losses."""
        if get_world_size() == 1 or not outputs:
            return
        device = next(
            (v.device for v in outputs.values() if isinstance(v, torch.Tensor)), None
        )  # where they stay
        values = torch.stack(
            [torch.as_tensor(value, device=device).detach().double() for value in outputs.values()]
        )
        all_reduce(values, 'mean')
        outputs.update(zip(list(outputs), values))


@HOOKS.register_module()
class StopOnNaNHook(DeferredHook):
    """Stop the training at the first loss or gradient that is not finite.

    Gradients are looked at right before the optimizer's step, so neither the
    prompts in memory nor a checkpoint is damaged; the loss after each
    iteration (with loss scaling, steps with infinite gradients are skipped
    and that is not an error).

    To look is to wait for a GPU. So what is on one is looked at when the log is written,
    before a validation and before a checkpoint: the error names the first iteration that
    went wrong, no checkpoint is damaged, but the prompts in memory are.

    Raises:
        FloatingPointError: With iteration, epoch, learning rates, the last
            good checkpoint and what to do.
    """

    priority = 'HIGH'

    def before_train_epoch(self, runner):
        """Put the check in front of the optimizer's step; a new stage has a new optimizer."""

        def check(optimizer, args, kwargs):
            if getattr(optimizer, 'found_inf', None) is not None:
                return  # a fused one under loss scaling sees scaled gradients, and skips the step
            gradients = [
                p.grad
                for group in optimizer.param_groups
                for p in group['params']
                if p.grad is not None
            ]
            norm = torch.nn.utils.get_total_norm(gradients)
            self.add(runner, {'the gradient of the loss has the norm': norm})

        optimizer = runner.optim_wrapper.optimizer
        self._check = optimizer.register_step_pre_hook(check)

    def after_train_epoch(self, runner):
        """Remove the check."""
        self._check.remove()
        super().after_train_epoch(runner)

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        """Check the losses."""
        losses = {f'{name} is': v for name, v in (outputs or {}).items() if 'loss' in name}
        super().after_train_iter(runner, batch_idx, data_batch, losses)

    def look(self, runner, figures):
        """Raise FloatingPointError at the first that is not finite."""
        for name, value, iteration, epoch in figures:
            if not np.isfinite(value):
                self._stop(runner, f'{name} {value}', iteration, epoch)

    @staticmethod
    def _stop(runner, what, iteration, epoch):
        groups = runner.optim_wrapper.optimizer.param_groups
        rates = sorted({group['lr'] for group in groups}, reverse=True)
        last = runner.message_hub.runtime_info.get('last_ckpt')
        good = f'The last good checkpoint is {last}' if last else 'No checkpoint was written yet'
        raise FloatingPointError(
            f'training stopped in iteration {iteration + 1} (epoch {epoch + 1}): {what}, '
            f'learning rate {", ".join(f"{rate:g}" for rate in rates)}. {good}. Lower the learning '
            'rate (optim_wrapper.optimizer.lr) or warm up longer, check the images, and with '
            '--amp try without it'
        )


@HOOKS.register_module()
class MainProcessLoggerHook(LoggerHook):
    """MMEngine's logger; the figures of a test are written by the first
    process alone, instead of by all of them to one file.

    Args:
        quiet (bool): Whether the screen shows the progress only, and the log
            file alone gets the rest. It takes a FewShotRunner. Defaults to False.
        **kwargs: See the base class.
    """

    def __init__(self, quiet: bool = False, **kwargs):
        super().__init__(**kwargs)
        self.quiet = quiet
        self.progress: TrainingProgress | None = None

    def before_train(self, runner):
        """Say what is trained."""
        super().before_train(runner)
        if self.quiet:
            measure_accuracy(unwrapped(runner.model))
            introduce(runner)

    @master_only
    def before_train_epoch(self, runner, **kwargs):
        """Show the progress from the first epoch on."""
        if self.quiet and self.progress is None:
            self.progress = TrainingProgress(runner)

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        """Take in the figures of an iteration, and log them."""
        if self.progress is not None:
            self.progress.add(outputs)
        super().after_train_iter(runner, batch_idx, data_batch, outputs)

    def after_train_epoch(self, runner, **kwargs):
        """Show how far the training is."""
        if self.progress is not None:
            self.progress.show(runner.epoch + 1)

    def after_train(self, runner):
        """End the progress before the results are told."""
        self.close()
        super().after_train(runner)

    def close(self) -> None:
        """Give the terminal back; for a training that breaks off, too."""
        if self.progress is not None:
            self.progress.close()
            self.progress = None

    @master_only
    def after_test_epoch(self, runner, metrics=None):
        """Log the figures and write them."""
        super().after_test_epoch(runner, metrics)
