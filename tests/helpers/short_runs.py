"""Trainings of seconds on the built-in example, for the tests of tools."""

import os.path as osp

from mmengine.config import Config
from mmengine.hooks import Hook

from mmdpt.engine.cli import build_runner

ROOT = osp.dirname(osp.dirname(osp.dirname(osp.abspath(__file__))))


def leaf(method):
    """str: The config file of a method on the digits."""
    name = f'{method}_tiny_digits' + ('' if method == 'zeroshot' else '_16shot')
    return osp.join(ROOT, 'configs', method, f'{name}.py')


def short_config(method, work_dir, epochs=2, **options):
    """Config: 2 shots, few test images, no comparison with zero-shot.

    Args:
        method (str): As in ``configs``.
        work_dir (Path): Where the results go.
        epochs (int): Their number.
        **options: Merged into the config; ``__`` stands for a dot.
    """
    cfg = Config.fromfile(leaf(method))
    cfg.work_dir = str(work_dir)
    cfg.merge_from_dict(
        {
            'train_cfg.max_epochs': epochs,
            'train_dataloader.dataset.shots': 2,
            'train_dataloader.batch_size': 10,
            'val_dataloader.dataset.indices': 60,
            'test_dataloader.dataset.indices': 60,
            'default_hooks.report.enable': False,
            'default_hooks.checkpoint.max_keep_ckpts': 9,
            **{name.replace('__', '.'): value for name, value in options.items()},
        }
    )
    return cfg


def train(cfg, *hooks):
    """Runner: After its training."""
    runner = build_runner(cfg)
    for hook in hooks:
        runner.register_hook(hook)
    runner.train()
    return runner


class Recorder(Hook):
    """Keeps what ``what(runner)`` gives after each iteration."""

    priority = 'VERY_LOW'

    def __init__(self, what):
        self.what, self.found = what, []

    def after_train_iter(self, runner, *args, **kwargs):
        """Asks."""
        self.found.append(self.what(runner))
