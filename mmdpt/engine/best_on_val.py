"""Test the epoch that is best on validation images, instead of the last one."""

import re
from copy import deepcopy

from mmengine.config import Config, ConfigDict
from mmengine.dist import barrier, broadcast_object_list
from mmengine.runner import Runner

from mmdpt.utils.unwrap import unwrapped

from .checkpoint import read_checkpoint
from .checkpoint_hook import PromptCheckpointHook
from .measure import check_apart

METRIC = 'accuracy/top1'
REMEDY = 'Leave default_hooks.report.best_on_val out'


def select_on_val(cfg: Config) -> Config:
    """Validate on the benchmark's few-shot validation images, if the report is to select on them.

    They are the ``val`` list with shots and seed of the training images, seen through the test
    transforms after each epoch; the best checkpoint is kept.

    Args:
        cfg (Config): Is changed if ``default_hooks.report.best_on_val`` is set.

    Returns:
        Config: The same.

    Raises:
        ValueError: If there is no such list, or what is tested is no epoch's model.
    """
    hooks = cfg.get('default_hooks') or {}
    if not (hooks.get('report') or {}).get('best_on_val'):
        return cfg
    train, test = cfg.train_dataloader.dataset, cfg.test_dataloader
    if 'split' not in train or 'split' not in test.dataset:
        raise ValueError(
            f'best_on_val needs the val list of a few-shot dataset, and {train.get("type")} has '
            f'none. {REMEDY}'
        )
    kinds = [hook.get('type', '') for hook in cfg.get('custom_hooks') or ()]
    means = ['aggregation'] * bool(hooks.get('aggregation')) + [k for k in kinds if 'EMA' in k]
    if means:
        raise ValueError(
            f'best_on_val tests the model of one epoch, but {means[0]} a mean over epochs. {REMEDY}'
        )
    if not cfg.train_cfg.get('steps', True):
        raise ValueError(
            'best_on_val chooses among epochs, and this method is fitted at once, without any '
            f'(train_cfg.steps=False). {REMEDY}'
        )
    val = deepcopy(test)
    val.dataset.pop('indices', None)
    val.dataset.split = 'val'
    val.dataset.update({key: train[key] for key in ('shots', 'seed') if key in train})
    cfg.val_dataloader, cfg.val_evaluator = val, deepcopy(cfg.test_evaluator)
    cfg.val_cfg = ConfigDict()
    cfg.train_cfg.update(val_begin=1, val_interval=1)
    cfg.default_hooks.checkpoint.update(save_best=METRIC, rule='greater')
    return cfg


def check_lists(runner: Runner) -> None:
    """Raise ValueError if the validation images are the test images."""
    check_apart(runner.val_dataloader.dataset, runner.test_dataloader.dataset, REMEDY)


def load_best(runner: Runner) -> dict:
    """Give the model what it had learnt in the best epoch.

    Args:
        runner (Runner): At the end of its training.

    Returns:
        dict: ``epoch``, ``val_accuracy`` (per cent), ``path`` of the checkpoint.

    Raises:
        ValueError: If no such checkpoint is there.
    """
    barrier()  # the main process may still write it
    info = runner.message_hub.runtime_info
    hook = next(hook for hook in runner.hooks if isinstance(hook, PromptCheckpointHook))
    told = [hook.best_ckpt_path, info.get('best_score')]
    broadcast_object_list(told)
    path, score = told
    if path is None:
        raise ValueError('no best checkpoint was saved: was the training resumed from elsewhere?')
    unwrapped(runner.model).load_state_dict(read_checkpoint(path)['state_dict'])
    epoch = re.search(r'epoch_(\d+)\.pth$', path)
    return dict(epoch=int(epoch[1]) if epoch else None, val_accuracy=float(score), path=path)
