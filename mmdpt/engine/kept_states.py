"""Train on states that nothing learnt reaches, computed for many images at once."""

from collections.abc import Iterator

import torch
from mmpretrain.registry import LOOPS
from torch.utils.data import DataLoader

from mmdpt.utils.checks import check_least

from .whole_loops import PreparedTrainLoop


@LOOPS.register_module()
class KeptStatesTrainLoop(PreparedTrainLoop):
    """MMEngine's loop, for models that learn in their upper blocks alone.

    What enters the first block that learns is computed without a gradient, for
    the images of several steps together, and kept until their steps are
    taken. It is the stock training: every epoch has its own augmented views.

    Args:
        runner, dataloader, max_epochs: As in MMEngine's ``EpochBasedTrainLoop``.
        images_at_once (int): Whose states are kept at a time; a 197-token
            state of ViT-B takes 0.6 MB.
        **kwargs: ``val_begin``, ``val_interval``, ``dynamic_intervals``.

    Raises:
        ValueError: If the model learns from its first block on, or a part of
            it needs the images themselves.
    """

    def __init__(
        self,
        runner,
        dataloader: DataLoader | dict,
        max_epochs: int,
        images_at_once: int = 128,
        **kwargs,
    ):
        check_least('images_at_once', images_at_once, 1)
        kwargs.pop('by_epoch', None)
        super().__init__(runner, dataloader, max_epochs, **kwargs)
        self.images_at_once = images_at_once
        sides = getattr(self.model, 'sides', None)
        if sides is None or not sides.adapts_images or not sides.constant_below:
            raise ValueError(
                f'KeptStatesTrainLoop keeps what enters the first block that learns, but this '
                f'{type(self.model).__name__} learns in none, or from the first on: '
                'leave out train_cfg.type, or set model.tuning=dict(type="UpperBlocks", first=...).'
            )
        if sides.teacher is not None:
            raise ValueError(
                'KeptStatesTrainLoop keeps states instead of images, which the teacher needs: '
                'leave out train_cfg.type, or model.teacher.'
            )

    def run_epoch(self) -> None:
        """One epoch, on kept states."""
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        for idx, batch in enumerate(self._kept()):
            self.run_iter(idx, batch)
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1

    def _kept(self) -> Iterator[dict]:
        """The epoch's batches, states in place of the images."""
        waiting, images = [], 0
        for batch in self.dataloader:
            waiting.append(self.model.data_preprocessor(batch, training=True))
            images += len(waiting[-1]['inputs'])
            if images >= self.images_at_once:
                yield from self._states(waiting)
                waiting, images = [], 0
        if waiting:
            yield from self._states(waiting)

    def _states(self, batches: list[dict]) -> Iterator[dict]:
        model, inputs = self.runner.model, [batch['inputs'] for batch in batches]
        with torch.no_grad(), self.runner.optim_wrapper.optim_context(model):
            kept = self.model.states(torch.cat(inputs))
        for batch, states in zip(batches, kept.split([len(i) for i in inputs])):
            yield dict(batch, inputs=states)
