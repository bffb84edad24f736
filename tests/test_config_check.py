"""Settings that do not exist are refused before anything is loaded."""

import pytest
from helpers.engine_toy import toy_config
from helpers.kill_and_resume import config_of
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmdpt.engine.config_check import check_config
from mmdpt.engine.options import check_options

DPT, MAPLE, LORA = config_of('dpt'), config_of('promptsrc'), config_of('clip_lora')


def changed(file, options):
    init_default_scope('mmpretrain')
    cfg = Config.fromfile(file)
    cfg.merge_from_dict(options)
    return cfg


@pytest.mark.parametrize(
    'file, setting, nearest',
    [
        (DPT, 'model.clases', 'PromptedCLIP has no .clases.; did you mean classes'),
        (DPT, 'model.text_prompt.num_token', 'CoOp has no .num_token.; did you mean num_tokens'),
        (DPT, 'model.visual_prompt.topk', 'CAVPT has no .topk.; did you mean top_k'),
        (DPT, 'model.visual_prompt.num_layer', 'num_layers'),
        (
            DPT,
            'model.head.guided_epoch',
            'DPTHead has no .guided_epoch.; did you mean guided_epochs',
        ),
        (DPT, 'model.head.wieght', 'aux_weight'),
        (LORA, 'model.tuning.rnk', 'LoRA has no .rnk.; did you mean rank'),
        (MAPLE, 'default_hooks.aggregation.deviaton', 'did you mean deviation'),
        (DPT, 'default_hooks.report.baseline', 'did you mean baselines'),
        (DPT, 'default_hooks.checkpoint.max_keep_ckpt', 'did you mean max_keep_ckpts'),
        (DPT, 'train_dataloader.dataset.shot', 'DigitsDataset has no .shot.; did you mean shots'),
        (
            DPT,
            'train_dataloader.dataset.pipeline.1.scal',
            'ResizeEdge has no .scal.; did you mean scale',
        ),
        (DPT, 'train_dataloader.batchsize', 'did you mean batch_size'),
        (DPT, 'param_scheduler.warmup_epoch', 'did you mean warmup_epochs'),
        (DPT, 'optim_wrapper.optimizer.weight_decays', 'did you mean weight_decay'),
        (DPT, 'optim_wrapper.paramwise_cfg.custom_key', 'did you mean custom_keys'),
        (DPT, 'train_cfg.max_epoch', 'did you mean max_epochs'),
        (DPT, 'val_evaluator.topks', 'Accuracy has no .topks.; did you mean topk'),
        (DPT, 'randomness.sed', 'did you mean seed'),
        (DPT, 'train_dataloder.batch_size', "did you mean 'train_dataloader'"),
        (DPT, 'parm_scheduler.type', "did you mean 'param_scheduler'"),
        (DPT, 'default_hook.x', "did you mean 'default_hooks'"),
    ],
)
def test_unknown_setting(file, setting, nearest):
    with pytest.raises(ValueError, match=nearest):
        check_config(changed(file, {setting: 1}))


@pytest.mark.parametrize(
    'setting, name, nearest',
    [
        ('model.visual_prompt.type', 'CAVTP', "visual_prompt.type: 'CAVTP' .*did you mean CAVPT"),
        ('model.head.type', 'DPTHed', 'did you mean DPTHead'),
        ('default_hooks.checkpoint.type', 'PromptCheckpoint', 'PromptCheckpointHook'),
        ('optim_wrapper.optimizer.type', 'AdamWW', 'AdamW'),
        ('train_dataloader.dataset.pipeline.0.type', 'LoadPILImag', 'LoadPILImage'),
        ('model.type', 'Xyzzyqqq', 'custom_imports'),
    ],
)
def test_unknown_type(setting, name, nearest):
    with pytest.raises(ValueError, match=nearest):
        check_config(changed(DPT, {setting: name}))


@pytest.mark.parametrize(
    'setting, value, words',
    [
        ('model.text_prompt.num_tokens', 'eight', 'must be a whole number, but is .eight.'),
        ('model.text_prompt.num_tokens', 8.5, 'must be a whole number, but is 8.5'),
        ('model.visual_prompt.top_k', True, "must be a whole number or 'all', but is True"),
        ('model.visual_prompt.top_k', 'al', "must be a whole number or 'all', but is 'al'"),
        ('model.text_prompt.class_specific', 'yes', 'must be True or False, but is .yes.'),
        ('model.head.aux_weight', 'much', 'must be a number, but is .much.'),
        ('train_dataloader.dataset.shots', '1x', 'must be a whole number'),
    ],
)
def test_wrong_kind_in_our_modules(setting, value, words):
    with pytest.raises(ValueError, match=f'{setting} {words}'):
        check_config(changed(DPT, {setting: value}))


@pytest.mark.parametrize(
    'option, value, words',
    [
        ('train_cfg.max_epochs', 'ten', 'must be a number, but is .ten.'),
        ('optim_wrapper.optimizer.lr', 'small', 'must be a number'),
        ('train_dataloader.batch_size', 'all', 'must be a number'),
        ('train_dataloader.num_workers', True, 'must be a number'),
        ('train_dataloader.persistent_workers', 3, 'must be True or False'),
        ('model.head', 'SimilarityHead', 'did you mean model.head.type=SimilarityHead'),
        ('model.text_prompt.num_tokens', 'x', 'must be a whole number'),
        ('train_dataloader.dataset.pipeline.9.type', 'x', "no '9', only 0, 1"),
        ('train_dataloader.dataset.pipeline.-1.type', 'x', 'did you mean'),
    ],
)
def test_wrong_value_of_an_option(option, value, words):
    with pytest.raises(ValueError, match=words):
        check_options(changed(DPT, {}), {option: value})


def test_what_exists_passes(tmp_path):
    """Also variables, free keys, other modules, and what modules pass on."""
    init_default_scope('mmpretrain')
    cfg = toy_config(tmp_path, noise=0.5)
    cfg.my_rate, cfg.dataset_type, cfg.train_transforms = 0.1, 'x', []
    cfg.model_wrapper_cfg = dict(type='MMDistributedDataParallel', device_ids=None)
    cfg.optim_wrapper.paramwise_cfg.custom_keys = dict(anything=dict(at_all=1))
    check_config(cfg)
    check_config(changed(DPT, {'model.head.loss': dict(type='CrossEntropyLoss', use_soft=True)}))
    good = {
        'model.visual_prompt': None,
        'model.pretrained': None,
        'model.shard_classes': True,
        'train_cfg.max_epochs': 3,
        'optim_wrapper.optimizer.lr': 1,
        'model.classes': ['a', 'b'],
        'model.head.guided_epochs': 2.0,
        'train_dataloader.dataset.pipeline.1.scale': [32, 32],
    }
    check_options(changed(DPT, {}), good)
