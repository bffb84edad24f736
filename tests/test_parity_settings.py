"""The parity tool takes every setting from the case, and assumes none."""

import json
import shutil
from pathlib import Path

import helpers.twin_methods as twins
import numpy as np
import pytest
from helpers.twin_tcp import tcp
from mmengine.config import Config
from parity import check_folder
from parity.golden import read_npz
from parity.parts import lora_blocks
from parity.settings import NotImplementedCase

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = ROOT / 'tests/data/golden'
WORDS = 'a photo of a'
CASES = {
    'coop_words': (
        twins.coop,
        WORDS,
        4,
        dict(
            method='CoOp',
            ctx_init='a_photo_of_a',
            text_n_ctx=16,
            class_token_position='end',
            class_specific_context=False,
        ),
    ),
    'cocoop_underscores': (twins.cocoop, WORDS, 4, dict(ctx_init='a_photo_of_a', n_ctx=7)),
    'cocoop_no_words': (twins.cocoop, 'X X X', 3, dict(ctx_init=False, n_ctx=3, reduction=8)),
    'kgcoop_no_words': (
        twins.coop,
        'X X X X X X',
        6,
        dict(method='KgCoOp', ctx_init=False, n_ctx=6, W=3.0, class_token_position='front'),
    ),
    'kgcoop_other_words': (
        twins.coop,
        WORDS,
        4,
        dict(method='KgCoOp', ctx_init='a centered satellite', n_ctx=9, W=0.5),
    ),
    'prograd_no_words': (
        twins.coop,
        'X X X X X',
        5,
        dict(method='ProGrad', ctx_init='', n_ctx=5, T=1.5, LAMBDA=0.3),
    ),
    'maple_two_of_four': (twins.maple, WORDS, 2, dict(ctx_init='a_photo_of_a', depth=2, layers={})),
    'maple_six': (twins.maple, 'X X X X X X', 6, dict(ctx_init=WORDS, depth=1, layers={})),
    'maple_beyond_text': (
        twins.maple,
        WORDS,
        4,
        dict(ctx_init=WORDS, depth=4, layers=dict(text_layers=2)),
    ),
    'maple_beyond_image': (
        twins.maple,
        WORDS,
        3,
        dict(ctx_init=WORDS, depth=4, layers=dict(image_layers=2)),
    ),
    'promptsrc_two_of_four': (
        twins.promptsrc,
        WORDS,
        2,
        dict(ctx_init='a_photo_of_a', depths=(4, 1), layers={}),
    ),
    'promptsrc_six': (
        twins.promptsrc,
        'X X X X X X',
        6,
        dict(ctx_init=WORDS, depths=(1, 4), layers={}, gpa_mean=2, gpa_std=1.0),
    ),
    'promptsrc_deeper': (
        twins.promptsrc,
        WORDS,
        4,
        dict(ctx_init=WORDS, depths=(3, 9), layers=dict(text_layers=2)),
    ),
    'lora_text': (twins.lora, 'text', 'all', dict(blocks=dict(text=range(5)))),
    'lora_bottom': (
        twins.lora,
        'both',
        'bottom',
        dict(blocks=dict(text=range(4), vision=range(4))),
    ),
    'lora_mid': (
        twins.lora,
        'vision',
        'mid',
        dict(blocks=dict(vision=[4, 5]), parts='k', rank=2, alpha=5),
    ),
    'zero_shot': (twins.zero_shot, dict(template='the {} here.')),
    'tcp_two_vectors': (tcp, 2, dict(layers=[3], shares=[0.35], weight=1.5)),
    'tcp_six_vectors': (tcp, 6, dict(layers=[1, 4], shares=[0.8, 1.0], weight=5.0, hidden=8)),
    'vpt': (twins.vpt, dict(tokens=3)),
    'clip_adapter': (twins.clip_adapter, dict(ratio=0.6, reduction=8)),
    'tip_adapter_f': (
        twins.tip_adapter_f,
        dict(alpha=2.0, beta=3.5, adamw=dict(betas=[0.8, 0.99], eps=1e-3, weight_decay=0.2)),
    ),
}


@pytest.fixture(scope='module')
def config():
    return Config.fromfile(ROOT / 'configs/_base_/few_shot.py')


@pytest.mark.parametrize('name', CASES)
def test_settings_of_the_case_count(name, config, tmp_path):
    make, *values, options = CASES[name]
    make(tmp_path, *values, **options)
    case = check_folder(tmp_path, config)['case']
    wrong = {k: t for k, t in case['tensors'].items() if not t.get('passed', True)}
    assert case['status'] == 'passed', (case.get('reason'), wrong)
    meta, arrays = read_npz(tmp_path / 'case.npz')
    assert set(case['tensors']) >= set(arrays)
    for key in (k for k in arrays if k.startswith(('grad/', 'out/logits'))):
        changed = dict(arrays, **{key: arrays[key] * (1 + 1e-6)})
        np.savez(tmp_path / 'case.npz', meta=json.dumps(meta), **changed)
        case = check_folder(tmp_path, config)['case']
        assert case['status'] == 'failed' and not case['tensors'][key]['passed']
        break


@pytest.mark.parametrize(
    'case, change, reason',
    [
        ('coop_end', dict(mood='good'), 'nothing here reads: mood'),
        ('clip_lora', dict(encoder='audio'), "encoder='audio'"),
        ('clip_lora', dict(position='top3'), 'the tower has 4: nothing is learnt'),
        ('clip_lora', dict(position='left'), "position='left'"),
        ('clip_lora', dict(dropout_rate=0.1), 'masks are random'),
        ('clip_lora', dict(scaling=0.5), 'scaling=0.5'),
        ('cocoop', dict(ctx_init=True), 'no words'),
        ('maple', dict(ctx_init='a photo', n_ctx=3), 'from the class name'),
        ('kgcoop', dict(class_specific_context=True), 'class_specific_context'),
        ('prograd_conflict', dict(class_token_position='middle'), "'middle'"),
        ('dpt_last', dict(K=3), 'K=3'),
        ('linear_probe', dict(search_list=[1, 2]), 'search_list'),
        ('tip_adapter', dict(augment_epochs=7), 'augment_epochs=7'),
        (
            'tip_adapter_f',
            dict(
                trajectory=dict(
                    epochs=3,
                    iterations_per_epoch=2,
                    base_lr=0.001,
                    nesterov=True,
                    schedule='cosine per step, minimum 0',
                    adamw=dict(eps=1e-4),
                )
            ),
            'nothing here reads: trajectory.nesterov',
        ),
        (
            'tip_adapter_f',
            dict(
                trajectory=dict(
                    epochs=3,
                    iterations_per_epoch=2,
                    base_lr=0.001,
                    schedule='linear',
                    adamw=dict(eps=1e-4),
                )
            ),
            "schedule 'linear'",
        ),
    ],
)
def test_settings_that_we_lack_are_named(case, change, reason, config, tmp_path):
    meta, arrays = read_npz(GOLDEN / f'{case}.npz')
    np.savez(tmp_path / 'case.npz', meta=json.dumps(dict(meta, **change)), **arrays)
    shutil.copy(GOLDEN / 'clip_tiny.npz', tmp_path)
    result = check_folder(tmp_path, config, ['case'])['case']
    assert result['status'] == 'not implemented' and reason in result['reason']


@pytest.mark.parametrize(
    'case, change',
    [
        ('kgcoop', dict(W=7.0)),
        ('prograd_conflict', dict(T=2.0)),
        ('prograd_conflict', dict(LAMBDA=0.5)),
        ('dpt_last', dict(alpha=0.2)),
        ('dpt_two_topk', dict(CPN=2, K=2)),
        ('vlp', dict(guided_epochs_C=0)),
        ('promptsrc', dict(image_loss_weight=9)),
        ('promptsrc', dict(gpa_std=1.0)),
        ('clip_lora', dict(logit_scale=99.0)),
        ('tip_adapter', dict(beta=2)),
        ('coop_middle', dict(class_token_position='front')),
    ],
)
def test_another_setting_gives_other_numbers(case, change, config, tmp_path):
    """Each is read: the file's numbers no longer fit."""
    meta, arrays = read_npz(GOLDEN / f'{case}.npz')
    np.savez(tmp_path / 'case.npz', meta=json.dumps(dict(meta, **change)), **arrays)
    shutil.copy(GOLDEN / 'clip_tiny.npz', tmp_path)
    result = check_folder(tmp_path, config, ['case'])['case']
    assert result['status'] == 'failed'
    assert any(not t.get('passed', True) for t in result['tensors'].values())


def test_deeper_lora_positions_are_not_guessed():
    assert lora_blocks('all', 24) == list(range(24))
    with pytest.raises(NotImplementedCase, match="position='half-up' in a tower of 24 blocks"):
        lora_blocks('half-up', 24)
