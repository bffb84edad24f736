"""Options that name nothing are refused, with the nearest names."""

import pytest
from helpers.engine_toy import toy_config
from mmengine.config import ConfigDict

from mmdpt.engine.options import check_options, with_suggestion


@pytest.fixture
def cfg(tmp_path):
    """A config with a list and a None in it."""
    cfg = toy_config(tmp_path)
    cfg.model.visual_prompt = None
    cfg.test_dataloader.dataset.pipeline = [dict(type='PackInputs')]
    return cfg


@pytest.mark.parametrize(
    'option',
    [
        'train_cfg.max_epochs',
        'train_cfg.val_begin',
        'model.noise',
        'model.poison',
        'model.visual_prompt.anything',
        'optim_wrapper.optimizer.lr',
        'optim_wrapper.clip_grad',
        'optim_wrapper.optimizer.nesterov',
        'optim_wrapper.paramwise_cfg.custom_keys.mine.lr_mult',
        'optim_wrapper.paramwise_cfg.norm_decay_mult',
        'param_scheduler.warmup_lr',
        'param_scheduler.warmup_recount',
        'default_hooks.checkpoint.interval',
        'default_hooks.checkpoint.save_best',
        'default_hooks.report.baselines',
        'train_dataloader.num_workers',
        'train_dataloader.timeout',
        'train_dataloader.dataset.size',
        'test_dataloader.dataset.pipeline.0.meta_keys',
        'randomness.deterministic',
        'load_from',
        'auto_scale_lr.enable',
        'test_evaluator.topk',
        'work_dir',
        'env_cfg.dist_cfg.backend',
        'visualizer.name',
    ],
)
def test_existing(cfg, option):
    check_options(cfg, {option: 1})  # raises nothing
    with pytest.raises(ValueError, match='unknown option'):
        check_options(cfg, {option + '_typo' if option.count('.') < 2 else 'x.' + option: 1})


@pytest.mark.parametrize(
    'option, nearest',
    [
        ('train_cfg.max_epoch', 'train_cfg.max_epochs'),
        ('optim_wraper.optimizer.lr', 'optim_wrapper'),
        ('optim_wrapper.optimizer.learn_rate', 'optim_wrapper.optimizer'),
        ('model.nois', 'model.noise'),
        ('train_dataloader.dataset.draw_has', 'train_dataloader.dataset.draw_hash'),
        ('param_scheduler.warmup_epoch', 'param_scheduler.warmup_epochs'),
        ('param_scheduler.warmup_rl', 'param_scheduler.warmup_lr'),
        ('default_hooks.checkpoint.max_keep_ckpt', 'default_hooks.checkpoint.max_keep_ckpts'),
        ('randomness.sed', 'randomness.seed'),
        ('test_dataloader.dataset.pipeline.1.type', "no '1', only 0"),
        ('train_cfg.max_epochs.inside', 'train_cfg.max_epochs is 4 and has no settings inside'),
    ],
)
def test_typos(cfg, option, nearest):
    with pytest.raises(ValueError) as caught:
        check_options(cfg, ConfigDict({option: 1}))
    assert f"unknown option '{option}'" in str(caught.value) and nearest in str(caught.value)


def test_unknown_argument_of_a_module():
    from mmpretrain.registry import HOOKS

    with pytest.raises(TypeError) as caught:
        HOOKS.build(dict(type='FewShotReportHook', baseline=[]))
    assert with_suggestion(caught.value).endswith("argument 'baseline': did you mean baselines?")
    assert with_suggestion(ValueError('other')) == 'other'


def test_text_on_the_command_line_keeps_its_spaces():
    import argparse

    from mmdpt.cli.arguments.common import add_common_arguments

    parser = argparse.ArgumentParser()
    add_common_arguments(parser)
    options = parser.parse_args(
        [
            '--cfg-options',
            'model.templates=a photo of a {}, big.',
            'a=1,2',
            'b=[x, y]',
            'c=0.5',
            'd=/my photos/set',
        ]
    ).cfg_options
    assert options == {
        'model.templates': 'a photo of a {}, big.',
        'a': [1, 2],
        'b': ['x', 'y'],
        'c': 0.5,
        'd': '/my photos/set',
    }
