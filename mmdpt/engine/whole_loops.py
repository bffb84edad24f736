"""What loops over kept values share: steps and tests that the data preprocessor does not see."""

from typing import Any

from mmengine.runner import EpochBasedTrainLoop, TestLoop
from mmpretrain.structures import DataSample

from mmdpt.utils.unwrap import unwrapped


def sample_of(info: dict) -> DataSample:
    """Label and path of an image, from the dataset's description of it."""
    sample = DataSample().set_gt_label(info['gt_label'])
    sample.set_field(info['img_path'], 'img_path', field_type='metainfo')
    return sample


class PreparedTrainLoop(EpochBasedTrainLoop):
    """Base of training loops whose batches need no preprocessing."""

    @property
    def model(self):
        """The model, without its wrappers."""
        return unwrapped(self.runner.model)

    def run_iter(self, idx: int, data_batch: Any) -> None:
        """One step of the optimizer on ``inputs`` and ``data_samples``, with its hooks."""
        runner = self.runner
        runner.call_hook('before_train_iter', batch_idx=idx, data_batch=data_batch)
        with runner.optim_wrapper.optim_context(runner.model):
            losses = runner.model(**data_batch, mode='loss')
        total, outputs = self.model.parse_losses(losses)
        runner.optim_wrapper.update_params(total)
        runner.call_hook('after_train_iter', batch_idx=idx, data_batch=data_batch, outputs=outputs)
        self._iter += 1


class WholeTestLoop(TestLoop):
    """Base of test loops that have no batches, or no answer before the last one."""

    prefix = ''  # of the figures' names

    @property
    def model(self):
        """The model, without its wrappers."""
        return unwrapped(self.runner.model)

    def run(self) -> dict:
        """Test, with the hooks of a whole epoch."""
        self.runner.call_hook('before_test')
        self.runner.call_hook('before_test_epoch')
        self.runner.model.eval()
        metrics = {f'{self.prefix}{name}': value for name, value in self.evaluate().items()}
        self.runner.call_hook('after_test_epoch', metrics=metrics)
        self.runner.call_hook('after_test')
        return metrics

    def evaluate(self) -> dict:
        """The metrics by their usual names, without any hook."""
        raise NotImplementedError
