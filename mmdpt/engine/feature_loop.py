"""Test from frozen image features, which are computed only once."""

from typing import Any

from mmengine.runner import TestLoop
from mmpretrain.registry import LOOPS

from .whole_loops import WholeTestLoop, sample_of


@LOOPS.register_module()
class FrozenFeatureTestLoop(WholeTestLoop):
    """MMEngine's test loop for models that do not prompt the image.

    The features of the test set are kept in ``cache_dir``, so that the next
    evaluation of zero-shot CLIP or CoOp on it takes seconds:
    ``test_cfg = dict(type='FrozenFeatureTestLoop', cache_dir=True)``.

    Args:
        runner (Runner): The runner.
        dataloader (DataLoader | dict): The test images.
        evaluator (Evaluator | dict | list): The metrics.
        cache_dir (str | bool, optional): Folder of the kept features; True: the cache's usual
            one. None: they are not kept.

    Raises:
        ValueError: If the model's image features depend on what it learns.
    """

    def __init__(self, runner, dataloader, evaluator, cache_dir: str | bool | None = None):
        super().__init__(runner, dataloader, evaluator)
        self.cache_dir = cache_dir
        model = self.model
        if not hasattr(model, 'sides') or model.sides.adapts_images:
            raise ValueError(
                f'FrozenFeatureTestLoop cannot test {type(model).__name__}: '
                'its image features are not frozen. Leave out test_cfg.type, '
                'or take a model with visual_prompt=None.'
            )

    def evaluate(self) -> dict:
        """The metrics, without any hook."""
        return evaluate_features(self.model, self, self.cache_dir)


def evaluate_features(model: Any, loop: TestLoop, cache_dir: str | bool | None = None) -> dict:
    """The metrics of a test loop, from frozen image features.

    Args:
        model (PromptedCLIP): Without its wrappers.
        loop (TestLoop): Gives the data loader and the evaluator.
        cache_dir (str | bool, optional): Folder of the kept features, see the loop.
    """
    from mmdpt.evaluation.frozen_features import Passes, frozen_features

    loader, dataset = loop.dataloader, loop.dataloader.dataset
    indices = list(loader.sampler)  # this process's share
    features = frozen_features(
        model,
        dataset,
        kind=model.kept_kind,
        cache_dir=cache_dir,
        passes=Passes(loader.batch_size or 100, loader.num_workers, together=True),
    )[indices]
    batch = 1000
    for start in range(0, len(indices), batch):
        samples = [sample_of(dataset.get_data_info(i)) for i in indices[start : start + batch]]
        predictions = model.predict_features(features[start : start + batch], samples)
        loop.evaluator.process(data_samples=predictions, data_batch=dict(data_samples=samples))
    return loop.evaluator.evaluate(len(dataset))
