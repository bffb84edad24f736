"""Dicts of a config that build no object, and what they may contain."""

import inspect

from mmengine.runner import EpochBasedTrainLoop, Runner, TestLoop, set_random_seed
from torch.utils.data import DataLoader

from ..datasets.shared import PROTOCOL, SHARED

LOADER = {*inspect.signature(DataLoader).parameters} | {'num_batch_per_epoch'}
LOOP = {*inspect.signature(TestLoop).parameters} - {'runner', 'dataloader', 'evaluator'}
PLACES = {
    '': {*inspect.signature(Runner).parameters}
    | {
        'tta_model',
        'tta_pipeline',
        'runner_type',
        'model_wrapper_cfg',
        'sync_bn',
        'compile',
        'find_unused_parameters',
        'activation_checkpointing',
        'efficient_conv_bn_eval',
    },
    **dict.fromkeys(('train_dataloader', 'val_dataloader', 'test_dataloader'), LOADER),
    'train_cfg': {*inspect.signature(EpochBasedTrainLoop).parameters}
    | {'by_epoch', 'type', 'max_steps'},
    **dict.fromkeys(('val_cfg', 'test_cfg'), LOOP | {'type'}),
    'param_scheduler': {'convert_to_iter_based'},
    'randomness': {*inspect.signature(set_random_seed).parameters},
    'auto_scale_lr': {'enable', 'base_batch_size'},
    'optim_wrapper': {
        'type',
        'optimizer',
        'constructor',
        'paramwise_cfg',
        'clip_grad',
        'accumulative_counts',
    },
    'optim_wrapper.paramwise_cfg': {
        'custom_keys',
        'bias_lr_mult',
        'bias_decay_mult',
        'norm_decay_mult',
        'dwconv_decay_mult',
        'flat_decay_mult',
        'dcn_offset_lr_mult',
        'bypass_duplicate',
    },
    'dataset': SHARED,
    'dataset.protocol': PROTOCOL,
    'env_cfg': {'cudnn_benchmark', 'mp_cfg', 'dist_cfg', 'resource_limit'},
}
# Dicts whose keys the user makes up.
FREE = (
    'optim_wrapper.paramwise_cfg.custom_keys',
    'model_wrapper_cfg',
    'env_cfg.',
    'dataset.rename',
)
