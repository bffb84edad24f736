"""Test all images together: ``mmdpt test --transductive``."""

import torch
from mmengine.dist import all_gather_object
from mmengine.runner.amp import autocast
from mmpretrain.registry import LOOPS
from torch.utils.data import DataLoader

from ..evaluation.transclip import TransCLIP
from ..evaluation.transductive import PREFIX, check_model, features_and_probabilities, predictions
from .measure import check_apart, few_shot_set
from .whole_loops import WholeTestLoop


@LOOPS.register_module()
class TransductiveTestLoop(WholeTestLoop):
    """MMEngine's test loop with TransCLIP behind the model.

    The figures' names begin with 'transductive/': the predictions depend on
    which other images are tested.

    Args:
        runner (Runner): The runner.
        dataloader (DataLoader | dict): The test images.
        evaluator (Evaluator | dict | list): The metrics.
        fp16 (bool): Whether to test with mixed precision.
        support (bool): Whether the training images take part with their
            labels; the validation images then choose their weight.

    Raises:
        ValueError: If the model gives no image features, or the validation
            images are the test images.
    """

    prefix = f'{PREFIX}/'

    def __init__(self, runner, dataloader, evaluator, fp16: bool = False, support: bool = False):
        super().__init__(runner, dataloader, evaluator, fp16)
        self.support, self.train_set = support, None
        check_model(self.model)

    def evaluate(self) -> dict:
        """The metrics by their usual names, without any hook."""
        loader, total = self.dataloader, len(self.dataloader.dataset)
        samples, *own = self._look(loader)
        indices = list(loader.sampler)  # this process's share
        place = next(self.model.parameters()).device
        features, probabilities = (_whole(part, indices, total).to(place) for part in own)
        found = self._assign(features, probabilities)[indices].cpu()
        self.evaluator.process(data_samples=predictions(found, samples))
        return self.evaluator.evaluate(total)

    def _assign(self, features: torch.Tensor, probabilities: torch.Tensor) -> torch.Tensor:
        if not self.support:
            return TransCLIP(features, probabilities).run()
        cfg = self.runner.cfg
        pipeline = cfg.test_dataloader.dataset.pipeline
        train, val = (few_shot_set(cfg, split, pipeline) for split in ('train', 'val'))
        self.train_set = train
        check_apart(val, self.dataloader.dataset, 'Leave --with-training-images out')
        (support, labels), (val_features, val_labels) = (
            self._labelled(part, features.device) for part in (train, val)
        )
        ours = TransCLIP(features, probabilities, support, labels)
        return ours.search(val_features, val_labels)[0]

    def _look(self, loader) -> tuple[list, torch.Tensor, torch.Tensor]:
        """Samples of a loader, features and probabilities."""
        samples, parts = [], []
        for batch in loader:
            with autocast(enabled=self.fp16):
                parts.append(features_and_probabilities(self.model, batch))
            samples += batch['data_samples']
        features, probabilities = map(torch.cat, zip(*parts))
        return samples, features, probabilities

    def _labelled(self, dataset, place) -> tuple[torch.Tensor, torch.Tensor]:
        """Features and labels of a set; each process computes all."""
        loader = DataLoader(
            dataset, self.dataloader.batch_size, collate_fn=self.dataloader.collate_fn
        )
        samples, features, _ = self._look(loader)
        return features.to(place), torch.cat([s.gt_label for s in samples]).to(place)


def _whole(part: torch.Tensor, indices: list[int], total: int) -> torch.Tensor:
    """The rows of all processes, in the order of the dataset."""
    whole = part.new_empty(total, part.shape[1])
    for places, rows in all_gather_object((indices, part)):
        whole[places] = rows
    return whole
