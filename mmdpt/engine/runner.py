"""The Runner of configs that say once which data they are about."""

from mmengine.config import Config
from mmengine.runner import Runner
from mmpretrain.registry import RUNNERS

from mmdpt.datasets import share_dataset

from .config_check import check_config


@RUNNERS.register_module()
class FewShotRunner(Runner):
    """MMEngine's Runner for configs with a ``dataset``, see
    :func:`share_dataset`. Configs name it by ``runner_type``, which
    MMPretrain's tools follow as well."""

    @classmethod
    def from_cfg(cls, cfg: Config) -> Runner:
        """Build a runner; see the base class.

        Raises:
            ValueError: If a setting does not exist, see :func:`check_config`.
        """
        check_config(cfg)
        return super().from_cfg(share_dataset(cfg))
