"""A config for 16 shots, with fewer."""

from functools import lru_cache

from mmengine.config import Config

read = lru_cache(Config.fromfile)  # a sweep asks for the same few files again and again


def fewer_shots(config, shots, factor=1):
    """Options that turn a config into one with other shots and more epochs.

    Everything that counts in epochs is multiplied: the epochs, the guided ones
    of DPT and VLP, mean and deviation of PromptSRC's aggregation. The cache of
    Tip-Adapter has one key per image. A batch of one class has no more images than
    the class.

    Args:
        config (str): The config file from which the numbers are read.
        shots (int): Training images per class.
        factor (int): Of the epochs.

    Returns:
        dict: For ``--cfg-options``.
    """
    cfg = read(config)
    options = {'train_dataloader.dataset.shots': shots}
    head, hooks = cfg.model.head, cfg.get('default_hooks', {})
    takes_steps = cfg.train_cfg.get('steps', True)
    places = [
        (cfg.train_cfg, 'train_cfg', ('max_epochs',) if takes_steps else ()),
        (head, 'model.head', ('guided_epochs',)),
        (hooks.get('aggregation', {}), 'default_hooks.aggregation', ('mean', 'deviation')),
    ]
    for place, name, keys in places:
        options.update({f'{name}.{key}': place[key] * factor for key in keys if key in place})
    if 'num_keys' in head:
        before = cfg.train_dataloader.dataset.shots
        options['model.head.num_keys'] = head.num_keys * shots // before
    loader = cfg.train_dataloader
    if loader.get('batch_sampler', {}).get('type') == 'SingleClassBatchSampler':
        options['train_dataloader.batch_size'] = min(shots, loader.batch_size)
    return options
