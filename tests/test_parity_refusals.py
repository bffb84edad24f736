"""The parity tool names the settings that it lacks, and reads all others."""

from pathlib import Path

import pytest
from helpers.twin_check import with_settings
from parity.parts import lora_blocks
from parity.settings import NotImplementedCase

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(
    'case, change, reason',
    [
        ('coop_end', dict(mood='good'), 'nothing here reads: mood'),
        ('clip_lora', dict(encoder='audio'), "encoder='audio'"),
        ('clip_lora', dict(position='top3'), 'the tower has 4: nothing is learnt'),
        ('clip_lora', dict(position='left'), "position='left'"),
        ('clip_lora', dict(dropout_rate=0.1), 'masks are random'),
        ('clip_lora', dict(scaling=0.5), 'scaling=0.5'),
        ('cocoop', dict(ctx_init=True), 'not words'),
        ('maple', dict(ctx_init='a photo', n_ctx=3), 'from the class name'),
        ('kgcoop', dict(class_specific_context=True), 'class_specific_context'),
        ('prograd_conflict', dict(class_token_position='middle'), "'middle'"),
        ('dpt_last', dict(K=3), 'K=3'),
        ('linear_probe', dict(search_list=[1, 2]), 'search_list'),
        ('tip_adapter', dict(augment_epochs=7), 'augment_epochs=7'),
        ('skiptuning', dict(drop_ratio=0.1), 'drop_ratio=0.1'),
        ('skiptuning', dict(batch_mode='random'), 'with these shots'),
        ('skiptuning', dict(start_layer=4), 'a tower of 4 blocks: no block would learn'),
        ('skiptuning', dict(n_kept_first=6), 'n_kept_first=6'),
        ('coprompt', dict(ctx_init='a photo', n_ctx=3), 'from the class name'),
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
def test_settings_that_we_lack_are_named(case, change, reason, tmp_path):
    result = with_settings(case, change, tmp_path)
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
        ('skiptuning_few_shot', dict(start_layer=2)),
        ('coprompt', dict(W=7.0)),
        ('coprompt', dict(distill='mse')),
    ],
)
def test_another_setting_gives_other_numbers(case, change, tmp_path):
    """Each is read: the file's numbers no longer fit."""
    result = with_settings(case, change, tmp_path)
    assert result['status'] == 'failed'
    assert any(not t.get('passed', True) for t in result['tensors'].values())


def test_deeper_lora_positions_are_not_guessed():
    assert lora_blocks('all', 24) == list(range(24))
    with pytest.raises(NotImplementedCase, match="position='half-up' in a tower of 24 blocks"):
        lora_blocks('half-up', 24)
