"""How many training images a cache gets, where only the data say."""

from mmengine.config import Config
from mmpretrain.registry import DATASETS

from mmdpt.datasets.data_protocol import read_protocol


def fill_num_keys(cfg: Config) -> Config:
    """Give a cache that is to hold all training images their number.

    Own photos are not drawn by shots, so a config for them says ``num_keys=None``; of an
    imbalanced draw, shots times classes is not the number. The config that is written into the
    work directory, and the checkpoints, hold it.

    Args:
        cfg (Config): Changed in place if ``model.head.num_keys`` is None, or the draw imbalanced.

    Returns:
        Config: The same.
    """
    head = (cfg.get('model') or {}).get('head') or {}
    train = (cfg.get('train_dataloader') or {}).get('dataset') or {}
    imbalanced = read_protocol(train.get('protocol')).imbalance
    if 'num_keys' in head and (head['num_keys'] is None or imbalanced):
        about = dict(train, pipeline=[], lazy_init=True)
        head['num_keys'] = len(DATASETS.build(about).load_data_list())
    return cfg
