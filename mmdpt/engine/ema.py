"""A moving average of what is learnt, beside towers that are shared."""

from copy import deepcopy

from mmengine.model import ExponentialMovingAverage
from mmpretrain.registry import MODELS


@MODELS.register_module()
class LearntEMA(ExponentialMovingAverage):
    """MMEngine's moving average, for models that are mostly frozen.

    The stock one keeps a second copy of everything and averages all of it in
    each step: with CLIP that is a thousand times the prompts. Here the copy
    shares the frozen parameters with the model, and only the learnt ones are
    averaged; the averages are the same, bit for bit. Use it by
    ``dict(type='EMAHook', ema_type='LearntEMA', momentum=0.01)``.

    Args:
        model (nn.Module): The model.
        **kwargs: ``momentum``, ``interval`` of the base class.

    Raises:
        ValueError: With ``update_buffers`` or a ``device`` of its own: the
            copy lives where the model lives.
    """

    def __init__(self, model, **kwargs):
        for name in ('update_buffers', 'device'):
            if kwargs.get(name):
                raise ValueError(
                    f'LearntEMA shares the frozen towers with the model and takes no '
                    f'{name}: leave it out, or use ExponentialMovingAverage'
                )
        super().__init__(_WithoutFrozen(model), **kwargs)
        learnt = {name for name, p in model.named_parameters() if p.requires_grad}
        self.avg_parameters = {
            name: p for name, p in self.module.named_parameters() if name in learnt
        }


class _WithoutFrozen:
    """Copy a model, except for its frozen parameters."""

    def __init__(self, model):
        self.model = model

    def __deepcopy__(self, memo):
        memo.update({id(p): p for p in self.model.parameters() if not p.requires_grad})
        return deepcopy(self.model, memo)
