"""Tip-Adapter in MMEngine: fill the cache, take no step, choose two numbers."""

import torch
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop
from mmpretrain.registry import HOOKS, LOOPS

from mmdpt.utils.checks import check_least
from mmdpt.utils.unwrap import unwrapped

from .hooks import inner_datasets
from .measure import features, few_shot_set


@HOOKS.register_module()
class TipAdapterHook(Hook):
    """Fill the cache of a ``TipAdapterHead`` and search alpha and beta.

    Args:
        views (int): Augmented views of each training image whose features are
            averaged.
        search_scale (tuple, optional): Upper ends of beta and alpha. None: no
            search.
        search_steps (tuple): Number of values of each.

    Raises:
        ValueError: If the head has another type, or ``views`` is below 1.
    """

    priority = 'HIGH'  # before the zero-shot test, and the last checkpoint

    def __init__(
        self,
        views: int = 10,
        search_scale: tuple[float, float] | None = None,
        search_steps: tuple[int, int] = (200, 20),
    ):
        check_least('views', views, 1)
        self.views = views
        self.search_scale, self.search_steps = search_scale, search_steps

    def before_train(self, runner):
        """Fill the cache, unless a checkpoint has brought it."""
        model = unwrapped(runner.model)
        if not hasattr(model.head, 'fill'):
            raise ValueError(
                'TipAdapterHook fills the cache of a '
                f'TipAdapterHead, but the head is '
                f'{type(model.head).__name__}.'
            )
        if runner._resume or runner._load_from is not None:
            return
        dataset, views = runner.train_dataloader.dataset, []
        for view in range(self.views):
            for inner in inner_datasets(dataset):
                if hasattr(type(inner), 'set_epoch'):
                    inner.set_epoch(view)
            values, labels = features(
                'clip', model, dataset, runner.cfg, cache=False, together=True
            )
            views.append(torch.from_numpy(values))
        keys = model.head.keys
        model.head.fill(torch.stack(views).to(keys), torch.from_numpy(labels).to(keys.device))

    def after_train_epoch(self, runner):
        """Search, after the last epoch."""
        if self.search_scale is None or runner.epoch + 1 < runner.max_epochs:
            return
        model, cfg = unwrapped(runner.model), runner.cfg
        val = few_shot_set(cfg, 'val', cfg.test_dataloader.dataset.pipeline)
        values, labels = features('clip', model, val, cfg, together=True)
        keys = model.head.keys
        match = model.match_features(torch.from_numpy(values).to(keys))
        found = model.head.search(
            match, torch.from_numpy(labels).to(keys.device), self.search_scale, self.search_steps
        )
        runner.logger.info(
            f'Tip-Adapter: beta {found.beta:.3g}, alpha {found.alpha:.3g}; '
            f'{found.accuracy.max():.2f} % of {len(labels)} validation images'
        )


@LOOPS.register_module()
class CacheTrainLoop(EpochBasedTrainLoop):
    """One epoch without a step, for training-free methods: hooks fill the
    cache, test, and save.

    Args:
        runner, dataloader: As in MMEngine's ``EpochBasedTrainLoop``.
        **kwargs: ``val_begin`` and ``val_interval``; there is one epoch.
    """

    def __init__(self, runner, dataloader, **kwargs):
        kwargs.pop('max_epochs', None)
        kwargs.pop('by_epoch', None)
        super().__init__(runner, dataloader, max_epochs=1, **kwargs)

    def run_epoch(self) -> None:
        """The hooks of an epoch, and no iteration."""
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1
