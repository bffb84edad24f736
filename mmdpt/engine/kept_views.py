"""The features of a few-shot task: training images in several views, validation images."""

from typing import Any

import torch
from mmengine.logging import MessageHub

from mmdpt.models.heads.feature_space import FeatureSpace, Labelled

from .hooks import inner_datasets
from .measure import check_apart, few_shot_set
from .used_for import CHOSE
from .whole_loops import sample_of


class KeptViews:
    """Computes features when they are asked for, and keeps those that serve again.

    Args:
        model (PromptedCLIP): The model, without wrappers.
        cfg (Config): Of the training.
        dataset (Dataset): The training images.
        views (int | str): A number, 'epochs' or 'plain'; see :class:`FeatureTrainLoop`.
        val (str): 'few' or 'whole'.
        cache_dir (str | bool, optional): Keep them on disk as well. (What no random
            transform has changed goes where the test keeps its features.)

    Attributes:
        samples (list[DataSample]): Label and path of each training image.
    """

    def __init__(
        self, model, cfg, dataset, views: int | str, val: str, cache_dir: str | bool | None
    ):
        self.model, self.cfg, self.views = model, cfg, views
        self.val, self.cache_dir = val, cache_dir
        if views == 'plain':
            dataset = few_shot_set(cfg, 'train', cfg.test_dataloader.dataset.pipeline)
        self.dataset = dataset
        self.samples = [sample_of(dataset.get_data_info(i)) for i in range(len(dataset))]
        self._kept: dict[int, torch.Tensor] = {}

    def view(self, index: int) -> torch.Tensor:
        """All training images in a view, (S, E)."""
        if index in self._kept:
            return self._kept[index]
        features = self._features(self.dataset, None if self.views == 'plain' else index)
        if self.views != 'epochs':
            self._kept[index] = features
        return features

    def of_epoch(self, epoch: int) -> torch.Tensor:
        """All training images in the view of an epoch, (S, E)."""
        if self.views == 'plain':
            return self.view(0)
        return self.view(epoch % self.views if isinstance(self.views, int) else epoch)

    def several(self, count: int) -> torch.Tensor:
        """The first views, one after the other, (V * S, E)."""
        return torch.cat([self.view(i) for i in range(count)])

    def space(self, count: int) -> FeatureSpace:
        """What a head's ``fit`` gets, with so many views."""
        labels = self._labels(self.dataset).repeat(count)
        return FeatureSpace(
            self._labelled(self.several(count), labels),
            count,
            self.validation,
            lambda: torch.stack(self.model.text.by_template()),
        )

    def validation(self) -> Labelled:
        """The validation images; see :func:`validation_set`."""
        val = validation_set(self.cfg, self.val)
        MessageHub.get_current_instance().update_info(CHOSE, self.val)
        return self._labelled(self._features(val), self._labels(val))

    @torch.no_grad()
    def _features(self, dataset: Any, view: int | None = None) -> torch.Tensor:
        from ..evaluation.frozen_features import Passes, frozen_features

        for inner in inner_datasets(dataset) if view is not None else ():
            if hasattr(type(inner), 'set_epoch'):
                inner.set_epoch(view)
        loader, cache_dir = self.cfg.test_dataloader, self.cache_dir
        if view is None and cache_dir is None:
            cache_dir = (self.cfg.get('test_cfg') or {}).get('cache_dir')
        training = self.model.training
        found = frozen_features(
            self.model.eval(),
            dataset,
            kind=self.model.kept_kind,
            view=view,
            cache_dir=cache_dir,
            passes=Passes(loader.batch_size, loader.get('num_workers', 0), together=True),
        )
        self.model.train(training)
        return found.to(self.model.scale.device)

    def _labels(self, dataset: Any) -> torch.Tensor:
        labels = [dataset.get_data_info(i)['gt_label'] for i in range(len(dataset))]
        return torch.tensor(labels, device=self.model.scale.device)

    @torch.no_grad()
    def _labelled(self, features: torch.Tensor, labels: torch.Tensor) -> Labelled:
        return Labelled(self.model.match_features(features), labels)


def validation_set(cfg: Any, which: str) -> Any:
    """Dataset: The validation images, with the test transforms.

    Args:
        cfg (Config): Of the training.
        which (str): 'few' or 'whole'.

    Raises:
        ValueError: If they are the test images, or the list is closed.
    """
    test = cfg.test_dataloader.dataset
    whole = dict(shots=None) if which == 'whole' else {}
    val = few_shot_set(cfg, 'val', test.pipeline, **whole)
    remedy = 'Choose another benchmark, or fix the settings and take search out of train_cfg'
    check_apart(val, few_shot_set(cfg, 'test', test.pipeline), remedy)
    return val
