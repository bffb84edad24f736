"""Train with a teacher whose answers are kept on disk."""

from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS

from mmdpt.datasets.base import BaseFewShotDataset
from mmdpt.utils.cache import cache_folder
from mmdpt.utils.checks import check_least
from mmdpt.utils.unwrap import unwrapped

from .measure import undisturbed


@HOOKS.register_module()
class KeptTeacherHook(Hook):
    """Read the teacher's logits of the training images from disk, or compute and keep them.

    The augmented view of an image depends on the seed, the epoch and the image
    alone. So a second training on the same images (another rate, another
    student) or one with fewer views than epochs runs no teacher.

    Args:
        cache_dir (str | bool, optional): Folder of the kept logits, see
            :func:`mmdpt.evaluation.frozen_features.frozen_features`; True: the cache's usual
            one. None: the hook does nothing.
        views (int, optional): Epoch e shows view e modulo this. None: each
            epoch its own, which is the training without this hook.
        batch_size (int): Images per pass of the teacher.

    Raises:
        ValueError: If there are views, but no folder; before the training, if
            there is no teacher, or the dataset is not a few-shot dataset
            without a wrapper.
    """

    priority = 'HIGH'  # after the epoch was told to the dataset

    def __init__(
        self, cache_dir: str | bool | None = None, views: int | None = None, batch_size: int = 100
    ):
        for name, value in dict(views=views, batch_size=batch_size).items():
            if value is not None:
                check_least(name, value, 1)
        cache_dir = cache_folder(cache_dir)
        if views is not None and cache_dir is None:
            raise ValueError('views are for answers that are kept: set cache_dir to a folder.')
        self.cache_dir, self.views, self.batch_size = cache_dir, views, batch_size

    def before_train(self, runner):
        """Refuse what has no teacher, or images whose views are not fixed."""
        if self.cache_dir is None:
            return
        if getattr(unwrapped(runner.model), '_teacher', (None,)) == (None,):
            raise ValueError('KeptTeacherHook keeps the logits of a teacher: set model.teacher.')
        dataset = runner.train_dataloader.dataset
        if not isinstance(dataset, BaseFewShotDataset):
            raise ValueError(
                f'KeptTeacherHook needs images whose augmentation depends on seed and epoch alone, '
                f'and {type(dataset).__name__} is none of those: use FewShotDataset, not wrapped.'
            )
        self.seen = None

    def before_train_epoch(self, runner):
        """Show the epoch's view, and hand its logits to the teacher."""
        from mmdpt.evaluation.frozen_features import Passes, frozen_features

        if self.cache_dir is None:
            return
        loader, model = runner.train_dataloader, unwrapped(runner.model)
        view = runner.epoch if self.views is None else runner.epoch % self.views
        loader.dataset.set_epoch(view)
        if view == self.seen:
            return
        (teacher,) = model._teacher
        teacher.keep(None)
        with undisturbed(model):
            passes = Passes(self.batch_size, loader.num_workers, together=True)
            found = frozen_features(
                model, loader.dataset, None, 'logits', view, self.cache_dir, passes
            )
        teacher.keep(found.to(model.scale.device))
        self.seen = view

    def after_train(self, runner):
        """Let the teacher run again."""
        if self.cache_dir is not None:
            unwrapped(runner.model)._teacher[0].keep(None)


def unlabelled_images(runner: Runner) -> dict:
    """Say which images a training without labels used, for its results.

    Returns:
        dict: ``unlabelled_images``: how many ``images``, their ``source``, and
        the ``views`` of each if they are fewer than the epochs; or nothing.
    """
    dataset = runner.train_dataloader.dataset
    source = (getattr(dataset, 'metainfo', None) or {}).get('unlabelled')
    if not source:
        return {}
    views = [h.views for h in runner.hooks if isinstance(h, KeptTeacherHook) and h.views]
    used = dict(images=len(dataset), source=source)
    return dict(unlabelled_images={**used, **({'views': views[0]} if views else {})})
