"""Checkpoints that survive a crash at any moment."""

import copy
import os.path as osp

import torch
from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.model import is_model_wrapper
from mmpretrain.registry import HOOKS

from ..version import __version__
from .checkpoint import CheckpointError, check_archive, check_content, plain
from .recipe import make_recipe
from .storage import remove_leftovers, write_atomically


def unwrapped(model):
    """The model itself, out of data-parallel and test-time-augmentation wrappers."""
    while is_model_wrapper(model) or not hasattr(model, 'identity') and hasattr(model, 'module'):
        model = model.module
    return model


@HOOKS.register_module()
class PromptCheckpointHook(CheckpointHook):
    """MMEngine's CheckpointHook, with four promises.

    * A checkpoint holds tensors and plain Python only, so that torch's safe
      loader (``weights_only=True``) reads it. The stock one holds
      ``HistoryBuffer`` objects, which torch >= 2.6 refuses.
    * A file is complete or not there: see :mod:`mmdpt.engine.storage`. The
      former checkpoint is removed only after the new one is on the disk and
      ``last_checkpoint`` names it.
    * The end of each epoch can still be saved when the training is stopped
      (:meth:`save_pending`), also with an ``interval`` of many epochs.
    * It is resumed only with the images and the seed it was trained with.
      (That it fits the model, the model itself checks.)

    ``meta['mmdpt']`` holds the version, the model's ``identity()`` and the
    training set's ``draw_hash``, where they have them, and the ``recipe`` to
    predict without the config file (:mod:`mmdpt.engine.recipe`).

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
        self.pending = {}  # path -> bytes, of an epoch that is not on the disk
        self._formatted = (None, '')  # the config, and as text

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
            resumed_keys={k: v for k, v in hub['resumed_keys'].items() if k in hub['runtime_info']},
        )
        checkpoint['meta']['mmdpt'] = dict(belongs_to(runner), recipe=make_recipe(runner.cfg))
        for key in list(checkpoint):
            checkpoint[key] = plain(checkpoint[key], f'checkpoint[{key!r}]')
        for name, tensor in checkpoint['state_dict'].items():
            if tensor.is_floating_point() and not torch.isfinite(tensor).all():
                raise FloatingPointError(
                    f'{name} holds NaN or infinite values in epoch {runner.epoch + 1}: it is not '
                    f'saved. The last good checkpoint is {self.last_ckpt}; lower the learning '
                    'rate (optim_wrapper.optimizer.lr) and train again'
                )

    def after_load_checkpoint(self, runner, checkpoint):
        """Refuses to resume another training, or one whose file carries code."""
        if osp.isfile(str(runner._load_from)):
            check_archive(runner._load_from)  # torch.load looks at no checksum
        check_content(checkpoint, runner._load_from)
        if runner._resume:
            # with no seed in the config, the Runner takes the checkpoint's
            seed = runner._randomness_cfg.get('seed')
            check_same_training(checkpoint['meta'], belongs_to(runner), seed)

    def after_train_epoch(self, runner):
        """Saves if it is time to; else keeps the bytes for :meth:`save_pending`."""
        super().after_train_epoch(runner)
        path = self._path(runner.epoch + 1)
        if self.by_epoch and getattr(self, 'last_ckpt', None) != path:
            self.pending.clear()
            self._save(
                runner,
                runner.epoch + 1,
                self._meta(runner),
                dict(backend='mmdpt.memory', files=self.pending),
            )

    def save_pending(self, runner):
        """Writes the end of the last complete epoch, if it is not on the disk.

        Returns:
            str | None: The newest checkpoint; None if no epoch is complete.

        Raises:
            OSError: If it cannot be written.
        """
        for path, data in self.pending.items():
            if is_main_process():
                write_atomically(data, path)
                self._point_to(runner, path)
            self.last_ckpt = path
        self.pending.clear()
        return getattr(self, 'last_ckpt', None)

    def _meta(self, runner):
        return dict(epoch=runner.epoch + 1, iter=runner.iter)

    def _path(self, step):
        return self.file_backend.join_path(self.out_dir, self.filename_tmpl.format(step))

    def _save_checkpoint_with_step(self, runner, step, meta):
        """Saves, then points to the file, and only then removes old ones.

        The saved list of kept checkpoints still has the old one: if the
        process dies in between, the base class removes it on resuming.
        """
        kept = self._save(runner, step, meta, self.backend_args)
        self.pending.clear()
        if is_main_process():
            self._point_to(runner, self._path(step))
        self.last_ckpt = self._path(step)
        if self.max_keep_ckpts > 0:
            self._remove_outdated(kept)
            runner.message_hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))

    def _save(self, runner, step, meta, backend_args):
        """list[int]: The checkpoints there are with this one, before old ones go."""
        hub, before = runner.message_hub, dict(runner.message_hub.runtime_info)
        kept = list(getattr(self, 'keep_ckpt_ids', []))
        if step not in kept:
            kept.append(step)
        if self.max_keep_ckpts > 0:
            hub.update_info('keep_ckpt_ids', kept)
        path = self._path(step)
        hub.update_info('last_ckpt', path)
        cfg, runner.cfg = runner.cfg, self._with_text(runner.cfg)
        try:
            runner.save_checkpoint(
                self.out_dir,
                osp.basename(path),
                save_optimizer=self.save_optimizer,
                save_param_scheduler=self.save_param_scheduler,
                meta=meta,
                by_epoch=self.by_epoch,
                backend_args=backend_args,
                **self.args,
            )
        finally:
            runner.cfg = cfg
            if backend_args is not self.backend_args:  # not on the disk
                hub.runtime_info.clear()
                hub.runtime_info.update(before)
        return kept

    def _with_text(self, cfg):
        """A copy that knows its text: formatting takes a tenth of a second."""
        content = cfg.to_dict()
        if self._formatted[0] != content:
            self._formatted = content, cfg.pretty_text
        known = copy.copy(cfg)
        kind = type(cfg).__name__, (type(cfg),), dict(pretty_text=self._formatted[1])
        object.__setattr__(known, '__class__', type(*kind))
        return known

    def _point_to(self, runner, path):
        self.file_backend.put_text(path, osp.join(runner.work_dir, 'last_checkpoint'))

    def _save_best_checkpoint(self, runner, metrics):
        """Removes the former best one only after the new one is on the disk."""
        backend, later = self.file_backend, []
        self.file_backend = copy.copy(backend)
        self.file_backend.remove = later.append
        try:
            super()._save_best_checkpoint(runner, metrics)
        finally:
            self.file_backend = backend
        for path in later:
            backend.remove(path)

    def _remove_outdated(self, kept):
        for step in kept[: -self.max_keep_ckpts]:
            path = self._path(step)
            if is_main_process() and self.file_backend.isfile(path):
                self.file_backend.remove(path)
        self.keep_ckpt_ids.clear()
        self.keep_ckpt_ids.extend(kept[-self.max_keep_ckpts :])


def belongs_to(runner):
    """dict: What a checkpoint of this training belongs to, as plain Python."""
    model, dataset = unwrapped(runner.model), runner.train_dataloader.dataset
    identity = model.identity() if hasattr(model, 'identity') else {}
    # a wrapper (RepeatDataset, ConcatDataset) has it in its metainfo
    draw = getattr(dataset, 'draw_hash', None) or (getattr(dataset, 'metainfo', None) or {}).get(
        'draw_hash'
    )
    return dict(identity, version=__version__, **({'draw_hash': draw} if draw else {}))


def check_same_training(meta, now, seed):
    """Raises CheckpointError if a resumed training would see other images."""
    before = meta.get('mmdpt', {})
    if 'draw_hash' in now and before.get('draw_hash', now['draw_hash']) != now['draw_hash']:
        raise CheckpointError(
            f'cannot resume: the checkpoint was trained on other images (draw '
            f'{before["draw_hash"][:12]}, now {now["draw_hash"][:12]}). Give the same dataset, '
            'shots and seed, or start a new training in another --work-dir'
        )
    if seed is not None and meta.get('seed', seed) != seed:
        raise CheckpointError(
            f'cannot resume: the checkpoint was trained with seed {meta["seed"]}, now it is '
            f'{seed}. Give --seed {meta["seed"]}, or start a new training in another --work-dir'
        )
