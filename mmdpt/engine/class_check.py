"""Check that a label means the same class to the model and in the images."""

from mmengine.hooks import Hook
from mmpretrain.registry import HOOKS

from mmdpt.datasets.shared import check_shared
from mmdpt.utils.unwrap import unwrapped

from .entry import trained_classes
from .fit_check import check_fit
from .hooks import inner_datasets
from .stages import StagedTrainLoop


@HOOKS.register_module()
class CheckClassesHook(Hook):
    """Refuse a dataset whose classes are not the model's.

    MMPretrain's own classifiers know no names: then the number of classes of
    the head counts, and in a test or a resumed training the names that the
    checkpoint was trained with.

    Raises:
        ValueError: Before the first batch; names the first difference, or the
            runner to use where the config's ``dataset`` was not handed on.
    """

    priority = 'VERY_HIGH'
    trained = None  # class names of the checkpoint

    def before_run(self, runner):
        """Refuse a Runner that has not handed the config's ``dataset`` on, and
        parts of a model that do not fit together."""
        check_shared(runner.cfg)
        check_fit(runner.cfg.get('model'))

    def after_load_checkpoint(self, runner, checkpoint):
        """Remember the classes that a checkpoint was trained for."""
        self.trained = trained_classes(checkpoint.get('meta', {}))

    def before_train(self, runner):
        """Check all images before the training, not hours later."""
        if not runner._resume:
            self.trained = None  # a start for any other classes
        model = unwrapped(runner.model)
        if runner.cfg.get('stages') and not isinstance(runner.train_loop, StagedTrainLoop):
            raise ValueError(
                f"{type(runner).__name__} does not read the config's stages and would train the "
                "first one alone: set runner_type='FewShotRunner' and start with tools/train.py."
            )
        if hasattr(model, 'check_trainable'):
            model.check_trainable()
        check_labelled(model, runner.train_dataloader.dataset)
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

    def _check(self, runner, loader):
        model = unwrapped(runner.model)
        # (None in the place of a dataset's: MMPretrain's vis_scheduler.py)
        theirs = (getattr(loader.dataset, 'metainfo', None) or {}).get('classes')
        if theirs is None:
            return
        mine = getattr(model, 'classes', None)
        if mine is not None:
            check_same(
                mine,
                theirs,
                'model',
                'Set dataset.name, dataset.data_root and dataset.subset'
                ' only, which the model and all datasets follow; or '
                'give model.classes the names of the images.',
            )
            return
        if self.trained is not None:
            check_same(
                self.trained,
                theirs,
                'checkpoint',
                'Set dataset.name, dataset.data_root and dataset.subset as in the training.',
            )
        outputs = getattr(getattr(model, 'head', None), 'num_classes', None)
        if outputs not in (None, len(theirs)):
            raise ValueError(
                f'The head has {outputs} classes and the images have '
                f'{len(theirs)} ({theirs[0]}, ...): set '
                f'model.head.num_classes={len(theirs)}.'
            )


def check_labelled(model, dataset) -> None:
    """Raise ValueError if images without labels are for a head that learns from labels."""
    head = getattr(model, 'head', None)
    without = any(getattr(inner, 'unlabelled', False) for inner in inner_datasets(dataset))
    if without and head is not None and getattr(head, 'reads_labels', True):
        raise ValueError(
            f'{type(head).__name__} learns from labels, and unlabelled leaves them out: take it '
            'out of train_dataloader.dataset, or train PromptKD.'
        )


def check_same(mine, theirs, owner: str, remedy: str) -> None:
    """Raise ValueError unless class names are the same in the same order.

    Args:
        mine (Sequence[str]): Of the model, or a checkpoint.
        theirs (Sequence[str]): Of the images.
        owner (str): Whose ``mine`` are, for the message.
        remedy (str): What to do, for the message.
    """
    if list(mine) == list(theirs):
        return
    where = next(
        (i for i, (a, b) in enumerate(zip(mine, theirs)) if a != b), min(len(mine), len(theirs))
    )
    names = [names[where] if where < len(names) else 'none' for names in (mine, theirs)]
    raise ValueError(
        f'The {owner} has {len(mine)} classes and the images have '
        f'{len(theirs)}: class {where} is {names[0]!r} in the {owner} and '
        f'{names[1]!r} in the images. {remedy}'
    )
