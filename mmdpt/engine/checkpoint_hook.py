"""Checkpoints that survive a crash at any moment."""
import os.path as osp

import torch
from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.model import is_model_wrapper
from mmpretrain.registry import HOOKS

from ..version import __version__
from .checkpoint import CheckpointError, check_content, plain
from .storage import remove_leftovers


def unwrapped(model):
    """The model itself, out of data-parallel and test-time-augmentation wrappers."""
    while is_model_wrapper(model) or not hasattr(model, 'identity') and hasattr(model, 'module'):
        model = model.module
    return model


@HOOKS.register_module()
class PromptCheckpointHook(CheckpointHook):
    """MMEngine's CheckpointHook, with three promises.

    * A checkpoint holds tensors and plain Python only, so that torch's safe
      loader (``weights_only=True``) reads it. The stock one holds
      ``HistoryBuffer`` objects, which torch >= 2.6 refuses.
    * A file is complete or not there: see :mod:`mmdpt.engine.storage`. The
      former checkpoint is removed only after the new one is on the disk and
      ``last_checkpoint`` names it.
    * It is resumed only with the images and the seed it was trained with.
      (That it fits the model, the model itself checks.)

    ``meta['mmdpt']`` holds the version, the model's ``identity()`` and the
    training set's ``draw_hash``, where they have them.

    Args:
        interval, max_keep_ckpts and the others: As in the base class.

    Raises:
        FloatingPointError: On saving parameters that are not finite.
        CheckpointError: On resuming with other images or another seed.
        OSError: If the file cannot be written.
    """

    def __init__(self, *args, backend_args=None, **kwargs):
        backend_args = backend_args or dict(backend='mmdpt.atomic')
        super().__init__(*args, backend_args=backend_args, **kwargs)

    def before_train(self, runner):
        """Prepares the folder; see the base class."""
        super().before_train(runner)
        if is_main_process() and osp.isdir(self.out_dir):
            remove_leftovers(self.out_dir)

    def before_save_checkpoint(self, runner, checkpoint):
        """Leaves tensors and plain Python, adds what the file belongs to."""
        hub = checkpoint['message_hub']
        checkpoint['message_hub'] = dict(
            # curves for the log, not needed to go on
            log_scalars={},
            runtime_info=hub['runtime_info'],
            resumed_keys={k: v
                          for k, v in hub['resumed_keys'].items() if k in hub['runtime_info']})
        checkpoint['meta']['mmdpt'] = belongs_to(runner)
        for key in list(checkpoint):
            checkpoint[key] = plain(checkpoint[key], f'checkpoint[{key!r}]')
        for name, tensor in checkpoint['state_dict'].items():
            if tensor.is_floating_point() and not torch.isfinite(tensor).all():
                raise FloatingPointError(
                    f'{name} holds NaN or infinite values in epoch {runner.epoch + 1}: it is not '
                    f'saved. The last good checkpoint is {self.last_ckpt}; lower the learning '
                    'rate (optim_wrapper.optimizer.lr) and train again')

    def after_load_checkpoint(self, runner, checkpoint):
        """Refuses to resume another training, or one whose file carries code."""
        check_content(checkpoint, runner._load_from)
        if runner._resume:
            # with no seed in the config, the Runner takes the checkpoint's
            seed = runner._randomness_cfg.get('seed')
            check_same_training(checkpoint['meta'], belongs_to(runner), seed)

    def _save_checkpoint_with_step(self, runner, step, meta):
        """Saves, then points to the file, and only then removes old ones.

        The saved list of kept checkpoints still has the old one: if the
        process dies in between, the base class removes it on resuming.
        """
        kept = list(getattr(self, 'keep_ckpt_ids', []))
        if step not in kept:
            kept.append(step)
        if self.max_keep_ckpts > 0:
            runner.message_hub.update_info('keep_ckpt_ids', kept)
        path = self.file_backend.join_path(self.out_dir, self.filename_tmpl.format(step))
        runner.message_hub.update_info('last_ckpt', path)
        runner.save_checkpoint(
            self.out_dir,
            osp.basename(path),
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args)
        if is_main_process():
            self.file_backend.put_text(path, osp.join(runner.work_dir, 'last_checkpoint'))
        self.last_ckpt = path
        if self.max_keep_ckpts > 0:
            self._remove_outdated(kept)
            runner.message_hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))

    def _remove_outdated(self, kept):
        for step in kept[:-self.max_keep_ckpts]:
            path = self.file_backend.join_path(self.out_dir, self.filename_tmpl.format(step))
            if is_main_process() and self.file_backend.isfile(path):
                self.file_backend.remove(path)
        self.keep_ckpt_ids.clear()
        self.keep_ckpt_ids.extend(kept[-self.max_keep_ckpts:])


def belongs_to(runner):
    """dict: What a checkpoint of this training belongs to, as plain Python."""
    model, dataset = unwrapped(runner.model), runner.train_dataloader.dataset
    identity = model.identity() if hasattr(model, 'identity') else {}
    draw = getattr(dataset, 'draw_hash', None)
    return dict(identity, version=__version__, **({'draw_hash': draw} if draw else {}))


def check_same_training(meta, now, seed):
    """Raises CheckpointError if a resumed training would see other images."""
    before = meta.get('mmdpt', {})
    if 'draw_hash' in now and before.get('draw_hash', now['draw_hash']) != now['draw_hash']:
        raise CheckpointError(
            f'cannot resume: the checkpoint was trained on other images (draw '
            f'{before["draw_hash"][:12]}, now {now["draw_hash"][:12]}). Give the same dataset, '
            'shots and seed, or start a new training in another --work-dir')
    if seed is not None and meta.get('seed', seed) != seed:
        raise CheckpointError(
            f'cannot resume: the checkpoint was trained with seed {meta["seed"]}, now it is '
            f'{seed}. Give --seed {meta["seed"]}, or start a new training in another --work-dir')
