"""Checkpoints that survive a crash at any moment."""

import io
import os.path as osp
from contextlib import contextmanager

import torch
from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.fileio import LocalBackend, register_backend
from mmengine.hooks import CheckpointHook
from mmengine.runner import BaseLoop
from mmpretrain.registry import HOOKS

from mmdpt.utils.files import remove_leftovers, write_atomically
from mmdpt.utils.locks import lock_work_dir

from .checkpoint import check_archive, check_content, plain
from .entry import changes_so_far, check_same_training, write_entry
from .resumable import forget_places
from .resume_changes import take_over
from .resumed_state import check_state
from .settings import settings_of, spell
from .stages import StagedTrainLoop


def write_checkpoint(content: dict, path: str) -> None:
    """Write a checkpoint that is complete or not there; MMEngine's function warns of itself."""
    file = io.BytesIO()
    torch.save(content, file)
    write_atomically(file.getvalue(), path)


@register_backend('mmdpt.atomic', force=True)
class AtomicBackend(LocalBackend):
    """MMEngine's local storage, with :func:`write_atomically`.

    Chosen by ``backend_args=dict(backend='mmdpt.atomic')``.
    """

    def put(self, obj, filepath):
        """Write bytes; see :func:`write_atomically`."""
        write_atomically(obj, filepath)

    def put_text(self, obj, filepath, encoding='utf-8'):
        """Write a string; see :func:`write_atomically`."""
        write_atomically(obj.encode(encoding), filepath)


@HOOKS.register_module()
class PromptCheckpointHook(CheckpointHook):
    """MMEngine's CheckpointHook, with five promises.

    * A checkpoint holds tensors and plain Python only, so that torch's safe
      loader (``weights_only=True``) reads it. The stock one holds
      ``HistoryBuffer`` objects, which torch >= 2.6 refuses.
    * A file is complete or not there: see :mod:`mmdpt.utils.files`. The
      former checkpoint is removed only after the new one is on the disk and
      ``last_checkpoint`` names it.
    * The end of the last complete epoch is always on the disk, also with an
      ``interval`` of many epochs: what lies between is kept for one epoch.
    * Places that it names are never opened, written or removed: only files of
      the folder of checkpoints, by their names.
    * No other training writes into its folders meanwhile.
    * It is resumed only with the images, the seed and the settings it was trained with.
      (The model itself checks that it fits the model.)

    :mod:`mmdpt.engine.entry` says what ``meta['mmdpt']`` holds.

    Args:
        interval, max_keep_ckpts and the others: As in the base class.

    Raises:
        FloatingPointError: On saving parameters that are not finite.
        CheckpointError: On resuming with other images, another seed or other settings.
        OSError: If the file cannot be written.
    """

    def __init__(self, *args, backend_args=None, **kwargs):
        backend_args = backend_args or dict(backend='mmdpt.atomic')
        super().__init__(*args, backend_args=backend_args, **kwargs)
        self.locks = []
        self.allow_changes = False  # of --resume-with-changes
        self.settings, self.changed = None, []

    def before_run(self, runner):
        """Lock the work directory of a training."""
        if is_main_process() and isinstance(runner._train_loop, BaseLoop):
            self.locks = [lock_work_dir(runner.work_dir)]

    def after_run(self, runner):
        """Let other trainings into the folders."""
        self.locks = []

    def before_train(self, runner):
        """Prepare the folder; see the base class."""
        super().before_train(runner)
        self._settings(runner)  # now: files may change during the training
        if is_main_process() and isinstance(self.file_backend, LocalBackend):
            self.locks.append(lock_work_dir(self.out_dir))  # several may share an out_dir
        # epochs on the disk that are outside the interval
        self.between = list(runner.message_hub.runtime_info.get('between_ckpt_ids', []))
        if is_main_process() and osp.isdir(self.out_dir):
            remove_leftovers(self.out_dir)

    def before_save_checkpoint(self, runner, checkpoint):
        """Leave tensors and plain Python, add what the file belongs to."""
        hub = checkpoint['message_hub']
        checkpoint['message_hub'] = dict(
            # curves for the log, not needed to go on
            log_scalars={},
            runtime_info=hub['runtime_info'],
            resumed_keys={k: v for k, v in hub['resumed_keys'].items() if k in hub['runtime_info']},
        )
        write_entry(checkpoint['meta'], runner, self._settings(runner), self.changed)
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
        """Refuse to resume another training, or one whose file carries code."""
        if osp.isfile(str(runner._load_from)):
            check_archive(runner._load_from)  # torch.load checks no checksum
        check_content(checkpoint, runner._load_from)
        if not runner._resume:
            return
        meta, settings = checkpoint['meta'], self._settings(runner)
        changed = check_same_training(meta, runner, settings, self.allow_changes)
        self.changed = changes_so_far(meta, changed)
        folder = self.out_dir or runner.work_dir
        if folder != runner.work_dir:  # as the base class does it, later
            folder = osp.join(folder, osp.basename(runner.work_dir.rstrip(osp.sep)))
        forget_places(checkpoint, folder)  # and check the state that changes go into
        if changed:
            runner.logger.warning(f'Resuming with changes: {spell(changed)}')
            take_over(checkpoint, runner, changed)
        if not isinstance(runner.train_loop, StagedTrainLoop):  # else: once its stage is entered
            check_state(checkpoint, runner)

    def _settings(self, runner):
        """What shapes this training, as it was at the start."""
        if self.settings is None:
            self.settings = settings_of(runner)
        return self.settings

    def after_train_epoch(self, runner):
        """Save; an epoch outside the interval is kept until the next one is saved."""
        super().after_train_epoch(runner)
        step = runner.epoch + 1
        if self.by_epoch and self.interval > 0 and self.last_ckpt != self._path(step):
            self.between.append(step)
            self._save_checkpoint(runner)

    def _path(self, step):
        return self.file_backend.join_path(self.out_dir, self.filename_tmpl.format(step))

    def _save_checkpoint_with_step(self, runner, step, meta):
        """Save, then point to the file, and only then remove old ones.

        The saved lists still name the old ones: if the process dies in
        between, they are removed on resuming.
        """
        hub, path = runner.message_hub, self._path(step)
        kept = list(getattr(self, 'keep_ckpt_ids', []))
        if step not in [*kept, *self.between]:
            kept.append(step)
        if self.max_keep_ckpts > 0:
            hub.update_info('keep_ckpt_ids', kept)
        hub.update_info('between_ckpt_ids', list(self.between))
        hub.update_info('last_ckpt', path)
        with _quick_text(runner):
            runner.save_checkpoint(
                self.out_dir,
                osp.basename(path),
                save_optimizer=self.save_optimizer,
                save_param_scheduler=self.save_param_scheduler,
                meta=meta,
                by_epoch=self.by_epoch,
                backend_args=self.backend_args,
                **self.args,
            )
        if is_main_process():
            self.file_backend.put_text(path, osp.join(runner.work_dir, 'last_checkpoint'))
        self.last_ckpt = path
        self._remove_outdated(kept)
        if self.max_keep_ckpts > 0:
            hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))

    def _remove_outdated(self, kept):
        old = [step for step in self.between if self._path(step) != self.last_ckpt]
        self.between = [step for step in self.between if step not in old]
        if self.max_keep_ckpts > 0:
            old += kept[: -self.max_keep_ckpts]
            self.keep_ckpt_ids.clear()
            self.keep_ckpt_ids.extend(kept[-self.max_keep_ckpts :])
        for step in old:
            self._remove(self._path(step))

    def _remove(self, path):
        if is_main_process() and self.file_backend.isfile(path):
            self.file_backend.remove(path)

    def _save_best_checkpoint(self, runner, metrics):
        """Remove the former best one only after the new one is on the disk."""
        if not self.save_best:
            return
        several = len(self.key_indicators) > 1
        best = self.best_ckpt_path_dict if several else vars(self)
        former = {k: best[k] for k in (self.key_indicators if several else ['best_ckpt_path'])}
        best.update(dict.fromkeys(former))  # the base class finds none to remove
        super()._save_best_checkpoint(runner, metrics)
        for key, path in former.items():
            if best[key] is None:
                best[key] = path
            elif path and path != best[key]:
                self._remove(path)


@contextmanager
def _quick_text(runner):
    """Keep the Runner from laying out its config with yapf, which takes a tenth of a second."""
    cfg = runner.cfg
    runner.cfg = Config(cfg.to_dict(), format_python_code=False)
    try:
        yield
    finally:
        runner.cfg = cfg
