"""Training in feature space: the towers see each view of an image once, the head learns from
what they gave."""

import inspect
from collections.abc import Iterator
from typing import Any

import torch
from mmengine.dist import get_rank, get_world_size
from mmpretrain.registry import LOOPS
from mmpretrain.structures import DataSample

from mmdpt.models.heads.feature_space import FeatureHead, Found
from mmdpt.utils.checks import check_least

from .kept_views import KeptViews, validation_set
from .whole_loops import PreparedTrainLoop

NEVER = 2**31
VAL_LISTS = ('few', 'whole')


@LOOPS.register_module()
class FeatureTrainLoop(PreparedTrainLoop):
    """MMEngine's training loop over kept features, for models that leave the image alone.

    A :class:`FeatureHead` first takes what it can from the features of the
    training images (``fit``), then the optimizer takes its steps, if there are
    any, and at the end the head chooses settings on validation images
    (``search``). Hooks, schedules and checkpoints are those of any training.

    Args:
        runner (Runner): The runner.
        dataloader (DataLoader | dict): The training images.
        max_epochs (int): Epochs.
        steps (bool): False: one epoch in which the optimizer takes no step, for methods
            that are fitted only.
        views (int | str): Augmented views V per training image, those of
            epochs 0 to V - 1; epoch e uses view e mod V. 'epochs': each epoch its own, which is
            the training without this loop. 'plain': one, with the test
            transforms.
        pool (bool): An epoch draws, without regard to the view, as many batches
            from all views as the loader has.
        fit (dict, optional): Options of the head's ``fit``; ``views``: how many it gets,
            where that differs.
        search (dict, optional): Options of the head's ``search``. None: no search.
        val (str): Validation images: 'few', as many as training images but at most 4 per class,
            or 'whole', the benchmark's list.
        cache_dir (str | bool, optional): Keep the features there, for other trainings; True: in
            the cache's usual folder.
        val_begin (int, optional): First epoch that is followed by a test on
            ``val_dataloader``. None: the report tests, at the end.
        val_interval (int): Epochs between two such tests.

    Raises:
        ValueError: If image features depend on what is learnt, labels are
            mixed, or an option is unknown or out of range.
    """

    def __init__(
        self,
        runner,
        dataloader,
        max_epochs: int = 1,
        steps: bool = True,
        views: int | str = 'epochs',
        pool: bool = False,
        fit: dict | None = None,
        search: dict | None = None,
        val: str = 'few',
        cache_dir: str | bool | None = None,
        val_begin: int | None = None,
        val_interval: int = 1,
    ):
        self.takes_steps, max_epochs = steps, max_epochs if steps else 1
        if not steps:
            runner.param_schedulers = []  # built after this loop: without steps there is no rate
        begin = NEVER if val_begin is None else val_begin
        super().__init__(runner, dataloader, max_epochs, begin, val_interval)
        fit = dict(fit or {})
        self.views, self.pool = views, pool
        self.fit_views = fit.pop('views', views if isinstance(views, int) else 1)
        self.fit, self.search, self.val, self.cache_dir = fit, search, val, cache_dir
        self._kept: Any = None  # KeptViews, from the first epoch on
        self._pool: Any = None  # all rows and their samples
        self._check()

    def _check(self) -> None:
        model, head = self.model, getattr(self.model, 'head', None)
        if not hasattr(model, 'sides') or model.sides.adapts_images:
            raise ValueError(
                f'FeatureTrainLoop cannot train {type(model).__name__} with these parts: its '
                'image features depend on what is learnt. Leave out train_cfg.type, or set '
                'model.visual_prompt=None and model.tuning=None.'
            )
        if getattr(model.data_preprocessor, 'batch_augments', None):
            raise ValueError(
                'FeatureTrainLoop keeps features of whole images, which batch augmentation '
                '(mixup, cutmix) mixes: take it out of model.train_cfg.augments.'
            )
        if self.views not in ('epochs', 'plain'):
            check_least('train_cfg.views', self.views, 1)
        check_least('train_cfg.fit.views', self.fit_views, 1)
        if self.pool and not isinstance(self.views, int):
            raise ValueError(f'pool=True needs a number of views, but views is {self.views!r}.')
        if self.val not in VAL_LISTS:
            raise ValueError(f'val must be one of {", ".join(VAL_LISTS)}, but is {self.val!r}.')
        if isinstance(head, FeatureHead):
            for name in ('fit', 'search'):
                _check_options(head, name, getattr(self, name) or {})
            images = len(self.dataloader.dataset)
            head.check(images, self.fit_views, self.fit, self.search or {})
            if self.search is not None or head.chooses(self.fit):
                validation_set(self.runner.cfg, self.val)
        elif self.fit or self.search is not None or self.pool:
            raise ValueError(
                f'{type(head).__name__} neither fits nor searches nor draws from a pool: take '
                'fit, search and pool out of train_cfg.'
            )

    def run_epoch(self) -> None:
        """The hooks of an epoch, with its steps, or without any."""
        if self._kept is None:
            self._kept = self._prepare()
        head, last = self.model.head, self._epoch + 1 == self._max_epochs
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        if self.takes_steps:
            for i, (features, samples) in enumerate(self.batches()):
                self.run_iter(i, dict(inputs=features, data_samples=samples))
            if isinstance(head, FeatureHead):
                head.end_epoch()
        if last and self.search is not None:
            self._tell(head.search(self._kept.validation(), **self.search))
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1

    def batches(self) -> Iterator[tuple[torch.Tensor, list[DataSample]]]:
        """Features (B, E) and labels of an epoch's batches, this process's share."""
        if self.pool:
            yield from self._pool_batches()
            return
        features = self._kept.of_epoch(self._epoch)
        for indices in self.dataloader.batch_sampler:
            yield features[indices], [self._kept.samples[i] for i in indices]

    def _pool_batches(self) -> Iterator[tuple[torch.Tensor, list[DataSample]]]:
        features, samples = self._pool
        head, sampler, world = self.model.head, self.dataloader.batch_sampler, get_world_size()
        order = head.order(len(features), self._generator(self._epoch + 1))
        size = sampler.batch_size * world
        count = max(1, len(self._kept.samples) // size)
        for rows in order[: count * size].split(size):
            rows = rows[get_rank() :: world]
            yield features[rows.to(features.device)], [samples[i] for i in rows.tolist()]

    def _prepare(self) -> KeptViews:
        """Compute the features; fit, unless a checkpoint has brought what is learnt."""
        kept = KeptViews(
            self.model,
            self.runner.cfg,
            self.dataloader.dataset,
            self.views,
            self.val,
            self.cache_dir,
        )
        head = self.model.head
        fresh = self._epoch == 0 and self.runner._load_from is None
        if not isinstance(head, FeatureHead) or not (fresh or self.pool):
            return kept
        space = kept.space(self.fit_views)
        if fresh:
            self._tell(head.fit(space, **self.fit))
        if self.pool:
            extra = head.extra_rows(space, self._generator(0))
            features, samples = kept.several(int(self.views)), kept.samples * int(self.views)
            if extra is not None:
                features = torch.cat([features, extra.match.image.to(features)])
                samples = samples + [DataSample().set_gt_label(i) for i in extra.labels.tolist()]
            self._pool = features, samples
        return kept

    def _generator(self, number: int) -> torch.Generator:
        """The same in all processes, and after a resume."""
        return torch.Generator().manual_seed((self.runner.seed or 0) * 1_000_003 + number)

    def _tell(self, found: Found | None) -> None:
        if found is not None:
            values = ', '.join(f'{name} {value:.3g}' for name, value in found.values.items())
            self.runner.logger.info(
                f'{type(self.model.head).__name__}: {values}; {found.accuracy.max():.2f} % of the '
                'validation images'
            )


def _check_options(head: FeatureHead, name: str, options: dict) -> None:
    """Raise ValueError unless the head's ``fit`` or ``search`` has these options."""
    known = [*inspect.signature(getattr(head, name)).parameters][1:]
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise ValueError(
            f'train_cfg.{name}: {type(head).__name__} has no {", ".join(unknown)}; it has '
            f'{", ".join(known) or "none"}.'
        )
