"""Test from frozen image features, which are computed only once."""

from mmengine.runner import TestLoop
from mmpretrain.registry import LOOPS
from mmpretrain.structures import DataSample

from mmdpt.utils.unwrap import unwrapped


@LOOPS.register_module()
class FrozenFeatureTestLoop(TestLoop):
    """MMEngine's test loop for models that do not prompt the image.

    The features of the test set are kept in ``cache_dir``, so that the next
    evaluation of zero-shot CLIP or CoOp on it takes seconds:
    ``test_cfg = dict(type='FrozenFeatureTestLoop', cache_dir='cache')``.

    Args:
        runner (Runner): The runner.
        dataloader (DataLoader | dict): The test images.
        evaluator (Evaluator | dict | list): The metrics.
        cache_dir (str): Folder of the kept features.

    Raises:
        ValueError: If the model's image features depend on what it learns.
    """

    def __init__(self, runner, dataloader, evaluator, cache_dir: str):
        super().__init__(runner, dataloader, evaluator)
        self.cache_dir = cache_dir
        model = self._model()
        if not hasattr(model, 'sides') or model.sides.adapts_images:
            raise ValueError(
                f'FrozenFeatureTestLoop cannot test {type(model).__name__}: '
                'its image features are not frozen. Leave out test_cfg.type, '
                'or take a model with visual_prompt=None.'
            )

    def _model(self):
        return unwrapped(self.runner.model)

    def run(self) -> dict:
        """Test, with the hooks of a whole epoch (there are no batches)."""
        self.runner.call_hook('before_test')
        self.runner.call_hook('before_test_epoch')
        self.runner.model.eval()
        metrics = self.evaluate()
        self.runner.call_hook('after_test_epoch', metrics=metrics)
        self.runner.call_hook('after_test')
        return metrics

    def evaluate(self) -> dict:
        """The metrics, without any hook."""
        from mmdpt.evaluation.frozen_features import frozen_features

        loader, dataset = self.dataloader, self.dataloader.dataset
        indices = list(loader.sampler)  # this process's share
        features = frozen_features(
            self._model(),
            dataset,
            None,
            loader.batch_size or 100,
            loader.num_workers,
            self.cache_dir,
            together=True,
            pooled=self._model().keeps_pooled,
        )[indices]
        batch = 1000
        for start in range(0, len(indices), batch):
            samples = [self._sample(i) for i in indices[start : start + batch]]
            predictions = self._model().predict_features(features[start : start + batch], samples)
            self.evaluator.process(data_samples=predictions, data_batch=dict(data_samples=samples))
        return self.evaluator.evaluate(len(dataset))

    def _sample(self, index: int) -> DataSample:
        info = self.dataloader.dataset.get_data_info(index)
        sample = DataSample().set_gt_label(info['gt_label'])
        sample.set_field(info['img_path'], 'img_path', field_type='metainfo')
        return sample
