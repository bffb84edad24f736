"""The Runner of configs that say once which data they are about."""

from collections import Counter
from typing import ClassVar

from mmengine.config import Config
from mmengine.dist import get_world_size
from mmengine.logging import MMLogger
from mmengine.runner import BaseLoop, Runner
from mmpretrain.registry import RUNNERS
from torch import nn

from mmdpt.datasets import share_dataset
from mmdpt.utils.unwrap import unwrapped

from .best_on_val import select_on_val
from .cache_size import fill_num_keys
from .compiled import compile_step
from .config_check import check_config
from .rank_check import check_processes, process_facts
from .screen import is_quiet, quieten, silent_stderr
from .teacher_recipe import complete_teacher


@RUNNERS.register_module()
class FewShotRunner(Runner):
    """MMEngine's Runner for configs with a ``dataset``, see
    :func:`share_dataset`, and perhaps ``stages``, see :class:`StagedTrainLoop`.
    Configs name it by ``runner_type``, which MMPretrain's tools follow as well."""

    _begun: ClassVar[Counter] = Counter()  # runs of this process, by second

    @classmethod
    def from_cfg(cls, cfg: Config) -> Runner:
        """Build a runner; see the base class.

        Raises:
            ValueError: If a setting does not exist, see :func:`check_config`.
        """
        check_config(cfg)
        if is_quiet(cfg):
            quieten(MMLogger.get_current_instance())  # speaks before the runner's own is there
        complete_teacher(cfg)
        return super().from_cfg(fill_num_keys(share_dataset(select_on_val(cfg))))

    def _log_env(self, env_cfg: dict) -> None:
        """Log the environment; see the base class.

        It asks the C compiler for its version through a shell, which complains on the screen
        where there is none.
        """
        with silent_stderr():
            super()._log_env(env_cfg)

    def setup_env(self, env_cfg: dict) -> None:
        """Set the environment up, and a name of its own for this run; see the base class.

        MMEngine finds loggers and message hubs by config and second, so two runs
        of one second would share theirs, with the checkpoints that they name.
        """
        super().setup_env(env_cfg)
        self._begun[self._timestamp] += 1
        if self._begun[self._timestamp] > 1:
            self._timestamp += f'_{self._begun[self._timestamp]}'

    def build_train_loop(self, loop: BaseLoop | dict) -> BaseLoop:
        """Build the training loop, in stages where the config has some; see the base class."""
        stages = self.cfg.get('stages')
        by_epoch = isinstance(loop, dict) and (
            loop.get('by_epoch') or loop.get('type') == 'EpochBasedTrainLoop'
        )
        if stages and by_epoch:
            loop = {k: v for k, v in loop.items() if k != 'by_epoch'}
            loop = dict(loop, type='mmpretrain.StagedTrainLoop', stages=stages)
        return super().build_train_loop(loop)

    def build_logger(self, *args, **kwargs) -> MMLogger:
        """Build the logger, which may leave the log to the file; see the base class."""
        logger = super().build_logger(*args, **kwargs)
        if is_quiet(self.cfg):
            quieten(logger)
        return logger

    def _maybe_compile(self, target: str) -> None:
        """Compile the steps of a model of ours (:func:`compile_step`); of others, as the base
        class, all that ``target`` does."""
        options, model = self.cfg.get('compile'), unwrapped(self.model)
        if not options or not hasattr(model, 'match'):
            super()._maybe_compile(target)
            return
        compile_step(model, **({} if options is True else options))
        self.logger.info('The steps are compiled: the first ones take minutes.')

    def wrap_model(self, model_wrapper_cfg: dict | None, model: nn.Module) -> nn.Module:
        """Join the processes' models, if they are the same; see the base class.

        Raises:
            ValueError: If a process has another config or other weights.
        """
        if get_world_size() > 1:  # here: models of other shapes could not be joined
            check_processes(process_facts(self.cfg, model))
        return super().wrap_model(model_wrapper_cfg, model)
