"""Attention figures during validation."""

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmpretrain.registry import HOOKS

from mmdpt.utils.checks import check_count
from mmdpt.utils.unwrap import unwrapped

from .attention import attention_maps, check_model, visible_image
from .figure import draw_attention, to_array


@HOOKS.register_module()
class AttentionVisualizationHook(Hook):
    """Draw where the model looks, for the first images of the validation.

    The figures go through ``runner.visualizer``, so every backend (files,
    TensorBoard, ...) gets them, as ``attention_0``, ``attention_1``, ... with
    the number of epochs done as step.

    Args:
        interval (int): Draw in validations after this many epochs (and
            in a validation without training). Defaults to 1: in all.
        num_images (int): How many images. Defaults to 4.
        top_k (int, optional): See :func:`attention_maps`.

    Raises:
        ValueError: If a number is out of range; before the training, if the
            model has no attention over patches.
    """

    def __init__(self, interval=1, num_images=4, top_k=None):
        for name, value in (('interval', interval), ('num_images', num_images)):
            check_count(name, value, 1, 10**9, 'epochs or images')
        self.interval, self.num_images, self.top_k = interval, num_images, top_k
        self.drawn = 0

    def before_run(self, runner):
        """Refuse a model that it cannot draw."""
        check_model(unwrapped(runner.model))

    def before_val_epoch(self, runner):
        """Start with the first image again."""
        self.drawn = 0

    def after_val_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        """Draw images of the batch until there are enough.

        Only the main process draws. That is safe with text features distributed
        over the processes: the validation step has just cached them.
        """
        missing = self.num_images - self.drawn
        if not is_main_process() or runner.epoch % self.interval or missing <= 0:
            return
        model = unwrapped(runner.model)
        first = dict(
            inputs=data_batch['inputs'][:missing], data_samples=data_batch['data_samples'][:missing]
        )
        data = model.data_preprocessor(first, False)
        maps = attention_maps(model, data['inputs'], self.top_k)
        for image, attention, sample in zip(data['inputs'], maps, data['data_samples']):
            label = int(sample.gt_label[0]) if 'gt_label' in sample else None
            figure = draw_attention(
                visible_image(model.data_preprocessor, image),
                attention,
                model.classes,
                f'image {self.drawn}',
                label,
            )
            runner.visualizer.add_image(f'attention_{self.drawn}', to_array(figure), runner.epoch)
            self.drawn += 1
