"""The model and the images must mean the same by a label."""
from mmengine.hooks import Hook
from mmpretrain.registry import HOOKS


@HOOKS.register_module()
class CheckClassesHook(Hook):
    """Refuses a dataset whose classes are not the model's.

    Raises:
        ValueError: Before the first batch; names the first difference.
    """
    priority = 'VERY_HIGH'

    def before_train(self, runner):
        """Check all images before the training, not hours later."""
        self._check(runner, runner.train_dataloader)
        if runner.val_loop is not None:
            self._check(runner, runner.val_dataloader)
        if runner.test_loop is not None:
            self._check(runner, runner.test_dataloader)

    def before_val(self, runner):
        """Check the images for validation."""
        self._check(runner, runner.val_dataloader)

    def before_test(self, runner):
        """Check the images for the test."""
        self._check(runner, runner.test_dataloader)

    @staticmethod
    def _check(runner, loader):
        from mmdpt.engine.checkpoint_hook import unwrapped
        mine = getattr(unwrapped(runner.model), 'classes', None)
        # (None in the place of a dataset's: MMPretrain's vis_scheduler.py)
        theirs = (getattr(loader.dataset, 'metainfo', None) or {}).get('classes')
        if mine is None or theirs is None or list(mine) == list(theirs):
            return
        where = next((i for i, (a, b) in enumerate(zip(mine, theirs))
                      if a != b), min(len(mine), len(theirs)))
        names = [names[where] if where < len(names) else 'none'
                 for names in (mine, theirs)]
        raise ValueError(
            f'The model has {len(mine)} classes and the images have '
            f'{len(theirs)}: class {where} is {names[0]!r} in the model and '
            f'{names[1]!r} in the images. Set dataset.name, dataset.data_root '
            'and dataset.subset only, which the model and all datasets '
            'follow; or give model.classes the names of the images.')
