"""The parity tool takes every setting from the case, and assumes none."""

from pathlib import Path

import helpers.twin_adapters as adapters
import helpers.twin_methods as twins
import helpers.twin_towers as towers
import pytest
from helpers.twin_check import check_settings
from helpers.twin_dpt import dpt, vlp
from helpers.twin_mmrl import mmrl
from helpers.twin_prograd import prograd
from helpers.twin_run import plan
from helpers.twin_tcp import tcp

ROOT = Path(__file__).resolve().parents[1]
WORDS = 'a photo of a'
SGD = dict(momentum=0.7, weight_decay=0.01, dampening=0, nesterov=False)
DPT_RUN = plan(
    base_lr=[0.02, 0.005, 0.01],
    warmup_epochs=[2, 0, 1],
    guided_epochs_C=1,
    sgd=SGD,
    optimisers=[
        'image_encoder.transformer.ctx_learner',
        'image_encoder.transformer.extractor',
        'prompt_learner',
    ],
    loss_terms=['ce_text_guide', 'ce_image_guide', 'ce_logits', 'aux'],
)
PROGRAD_RUN = plan(base_lr=0.05, sgd=SGD, loss_terms=['kl', 'ce_logits'])
MMRL_RUN = plan(
    base_lr=0.003,
    optimiser=dict(
        name='AdamW',
        betas=[0.8, 0.95],
        eps=1e-5,
        weight_decay=0.1,
        amsgrad=False,
        decay='decoupled',
    ),
    loss_terms=['cos_text', 'ce_logits_rep', 'cos_image', 'ce_logits'],
    accuracy_from='logits_fusion',
)
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
    'prograd_no_words': (prograd, 'X X X X X', 5, dict(ctx_init='', n_ctx=5, T=1.5, LAMBDA=0.3)),
    'prograd_run': (prograd, 'X X X', 3, dict(n_ctx=3, T=0.7, LAMBDA=0.6, plan=PROGRAD_RUN)),
    'maple_two_of_four': (
        towers.maple,
        WORDS,
        2,
        dict(ctx_init='a_photo_of_a', depth=2, layers={}),
    ),
    'maple_six': (towers.maple, 'X X X X X X', 6, dict(ctx_init=WORDS, depth=1, layers={})),
    'maple_beyond_text': (
        towers.maple,
        WORDS,
        4,
        dict(ctx_init=WORDS, depth=4, layers=dict(text_layers=2)),
    ),
    'maple_beyond_image': (
        towers.maple,
        WORDS,
        3,
        dict(ctx_init=WORDS, depth=4, layers=dict(image_layers=2)),
    ),
    'maple_beyond_both': (
        towers.maple,
        'a photo, of',  # three words, four tokens
        4,
        dict(ctx_init='a_photo,_of', depth=6, layers=dict(image_layers=2, text_layers=3)),
    ),
    'promptsrc_two_of_four': (
        towers.promptsrc,
        WORDS,
        2,
        dict(ctx_init='a_photo_of_a', depths=(4, 1), layers={}),
    ),
    'promptsrc_six': (
        towers.promptsrc,
        'X X X X X X',
        6,
        dict(ctx_init=WORDS, depths=(1, 4), layers={}, gpa_mean=2, gpa_std=1.0),
    ),
    'promptsrc_deeper': (
        towers.promptsrc,
        WORDS,
        4,
        dict(ctx_init=WORDS, depths=(3, 9), layers=dict(text_layers=2)),
    ),
    'lora_text': (towers.lora, 'text', 'all', dict(blocks=dict(text=range(5)))),
    'lora_bottom': (
        towers.lora,
        'both',
        'bottom',
        dict(blocks=dict(text=range(4), vision=range(4))),
    ),
    'lora_mid': (
        towers.lora,
        'vision',
        'mid',
        dict(blocks=dict(vision=[4, 5]), parts='k', rank=2, alpha=5),
    ),
    'zero_shot': (twins.zero_shot, dict(template='the {} here.')),
    'dpt_one_class': (dpt, 5, 'end', 3, dict(bottom=2, cpn=1, alpha=2.5, specific=True)),
    'dpt_two_classes': (
        dpt,
        3,
        'front',
        6,
        dict(bottom=5, cpn=2, alpha=0.2, image_layers=6, plan=DPT_RUN),
    ),
    'dpt_every_block': (dpt, 4, 'end', 3, dict(bottom=1, cpn=3, alpha=0.5, plan=DPT_RUN)),
    'dpt_all_classes': (dpt, 8, 'middle', 1, dict(bottom=3, cpn=9, alpha=0.0)),
    'vlp_middle': (vlp, 5, 'middle', 2, dict(specific=True, image_layers=5)),
    'vlp_front': (vlp, 2, 'front', 7, {}),
    'mmrl_one_layer': (mmrl, 1, 40, [4], 1.0, 0.0, 'CD', {}),
    'mmrl_beyond_text': (mmrl, 4, 200, [2, 3, 5], 0.2, 3.0, 'B2N', dict(towers=(3, 5))),
    'mmrl_beyond_image': (mmrl, 7, 30, [3, 5], 0.55, 9.0, 'FS', dict(towers=(5, 3))),
    'mmrl_run': (mmrl, 2, 24, [1, 2, 4], 0.3, 1.5, 'B2N', dict(plan=MMRL_RUN)),
    'mmrlpp_small_share': (
        mmrl,
        3,
        50,
        [2, 4],
        0.9,
        0.7,
        'FS',
        dict(ranks=(1, 5), beta=0.05, plan=MMRL_RUN),
    ),
    'mmrlpp_beyond_text': (
        mmrl,
        6,
        90,
        [1, 4, 5],
        0.1,
        2.0,
        'CD',
        dict(ranks=(7, 3), beta=0.6, towers=(2, 5)),
    ),
    'tcp_two_vectors': (tcp, 2, dict(layers=[3], shares=[0.35], weight=1.5)),
    'tcp_six_vectors': (tcp, 6, dict(layers=[1, 4], shares=[0.8, 1.0], weight=5.0, hidden=8)),
    'vpt': (towers.vpt, dict(tokens=3)),
    'clip_adapter': (adapters.clip_adapter, dict(ratio=0.6, reduction=8)),
    'tip_adapter_f': (
        adapters.tip_adapter_f,
        dict(alpha=2.0, beta=3.5, adamw=dict(betas=[0.8, 0.99], eps=1e-3, weight_decay=0.2)),
    ),
}


@pytest.mark.parametrize('name', CASES)
def test_settings_of_the_case_count(name, tmp_path):
    make, *values, options = CASES[name]
    make(tmp_path, *values, **options)
    check_settings(tmp_path)
