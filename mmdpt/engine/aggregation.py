"""PromptSRC's Gaussian aggregation of the prompts of all epochs."""

import torch
from mmengine.hooks import Hook
from mmpretrain.registry import HOOKS

from mmdpt.utils.unwrap import unwrapped


def gaussian_weights(epochs: int, mean: float, deviation: float) -> list[float]:
    """Weights of the epochs 1, 2, ..., summing to 1.

    `Self-regulating Prompts <https://arxiv.org/abs/2307.06948>`_, section 3.2.

    Args:
        epochs (int): Number of epochs.
        mean (float): The epoch that weighs most.
        deviation (float): In epochs.
    """
    number = torch.arange(1, epochs + 1, dtype=torch.float64)
    weights = (-0.5 * ((number - mean) / deviation) ** 2).exp()
    return (weights / weights.sum()).tolist()


@HOOKS.register_module()
class GaussianAggregationHook(Hook):
    """Replace what is learnt, after the last epoch, by the weighted sum over
    all epochs. Training itself never uses the sum.

    Args:
        mean (float): The epoch, from 1, that weighs most.
        deviation (float): Of the weights, in epochs.

    Raises:
        ValueError: If ``deviation`` is not positive, or all weights vanish.
    """

    priority = 'HIGH'  # before the last epoch's checkpoint and test

    def __init__(self, mean: float, deviation: float):
        if deviation <= 0:
            raise ValueError(f'deviation must be positive, but is {deviation}.')
        self.mean, self.deviation = mean, deviation
        self.total = None

    def before_train(self, runner):
        """Compute the weights."""
        self.weights = gaussian_weights(runner.max_epochs, self.mean, self.deviation)
        if not sum(self.weights) > 0:
            raise ValueError(
                f'All weights of mean={self.mean}, deviation={self.deviation} '
                f'vanish over {runner.max_epochs} epochs; choose the mean '
                'among the epochs.'
            )

    def after_train_epoch(self, runner):
        """Add the epoch; the sum enters the model after the last one."""
        learnt = self._learnt(runner)
        weight = self.weights[runner.epoch]
        if self.total is None:
            self.total = {n: torch.zeros_like(p) for n, p in learnt.items()}
        with torch.no_grad():
            for name, p in learnt.items():
                self.total[name].add_(p, alpha=weight)
                if runner.epoch + 1 == runner.max_epochs:
                    p.copy_(self.total[name])

    def before_save_checkpoint(self, runner, checkpoint):
        """Keep the sum so far, to resume."""
        if self.total is not None:
            checkpoint['aggregation'] = dict(self.total)

    def after_load_checkpoint(self, runner, checkpoint):
        """Take over the sum of a resumed training.

        Raises:
            ValueError: If the checkpoint has none.
        """
        if not getattr(runner, '_resume', False):
            return
        if 'aggregation' not in checkpoint:
            raise ValueError(
                'cannot resume: the checkpoint holds no sum over '
                'its epochs; it was trained without '
                'GaussianAggregationHook. Train again.'
            )
        learnt = self._learnt(runner)
        self.total = {n: v.to(learnt[n].device) for n, v in checkpoint['aggregation'].items()}

    @staticmethod
    def _learnt(runner):
        model = unwrapped(runner.model)
        return {n: p for n, p in model.named_parameters() if p.requires_grad}
