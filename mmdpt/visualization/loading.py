"""A trained model from its checkpoint, for the tools."""
from pathlib import Path

from mmengine.config import Config

from mmdpt.engine import read_checkpoint


def find_config(checkpoint):
    """str: The config file that training left beside a checkpoint.

    Raises:
        FileNotFoundError: If there is not exactly one.
    """
    found = sorted(Path(checkpoint).parent.glob('*.py'))
    if len(found) != 1:
        names = ', '.join(path.name for path in found) or 'none'
        raise FileNotFoundError(f'expected one config file beside {checkpoint}, found {names}: '
                                'give it with --config FILE')
    return str(found[0])


def load_inferencer(checkpoint, config=None, device=None):
    """Build a trained model with the pipeline of its test.

    Args:
        checkpoint (str): File that training wrote.
        config (str, optional): Its config. Defaults to the one beside it.
        device (str, optional): Defaults to the best there is.

    Returns:
        ImageClassificationInferencer: MMPretrain's, with ``model`` and
        ``preprocess``.
    """
    from mmpretrain import ImageClassificationInferencer
    read_checkpoint(checkpoint)  # refuses what is damaged or carries code
    cfg = Config.fromfile(config or find_config(checkpoint))
    return ImageClassificationInferencer(cfg, pretrained=str(checkpoint), device=device)
