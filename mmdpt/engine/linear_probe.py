"""The linear probe in MMEngine: fit once, take no step."""

from mmengine.hooks import Hook
from mmpretrain.registry import HOOKS

from mmdpt.utils.checks import check_least
from mmdpt.utils.unwrap import unwrapped

from .measure import check_apart, features, few_shot_set


@HOOKS.register_module()
class LinearProbeHook(Hook):
    """Fit the classifier of a ``LinearProbeHead`` before the training.

    Logistic regression on the frozen features of the training images, with
    the test transforms; its C is searched on the few-shot validation images
    (:func:`search_linear_probe`). Every process fits the same one.

    Args:
        rounds (int): Rounds of the bisection. Defaults to 8.

    Raises:
        ValueError: If the head has another type, or the benchmark has no
            validation images of its own.
    """

    priority = 'HIGH'  # before the last checkpoint

    def __init__(self, rounds: int = 8):
        check_least('rounds', rounds, 1)
        self.rounds = rounds

    def before_train(self, runner):
        """Fit, unless a checkpoint has brought the classifier."""
        from ..evaluation import search_linear_probe

        model, cfg = unwrapped(runner.model), runner.cfg
        if not hasattr(model.head, 'take_over'):
            raise ValueError(
                'LinearProbeHook fits a LinearProbeHead, but the '
                f'head is {type(model.head).__name__}.'
            )
        if runner._resume or runner._load_from is not None:
            return
        pipeline = cfg.test_dataloader.dataset.pipeline
        train, val = (few_shot_set(cfg, split, pipeline) for split in ('train', 'val'))
        check_apart(
            val, runner.test_dataloader.dataset, 'Choose another benchmark for the linear probe'
        )
        train, val = (features('clip', model, s, cfg) for s in (train, val))
        found = search_linear_probe(train, val, self.rounds)
        model.head.take_over(found.classifier)
        best = max(found.rounds[-1].val_accuracy)
        runner.logger.info(
            f'Linear probe: C {found.classifier.C:.3g}, {100 * best:.2f} % of '
            f'{len(val[1])} validation images; fitted on {len(train[1])}'
        )
