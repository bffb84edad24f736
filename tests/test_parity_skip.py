"""SkipTuning and CoPrompt: the parity tool takes every setting from the case."""

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import twin_coprompt, twin_skip
from helpers.twin import GOLDEN
from helpers.twin_check import check, check_settings
from helpers.twin_coprompt import coprompt
from helpers.twin_skip import skiptuning
from parity.compare import compare, judge_changes
from parity.golden import read_npz
from parity.skiptuning import loss_by_rounding

ROOT = Path(__file__).resolve().parents[1]
NAMES = ['F-16A/B', 'Egyptian_Mau', "bishop's cap", 'ox', 'Cessna 172', 'Sea or Lake']
MORE = [*NAMES, 'a', 'b c', 'Boeing_717-200 (long)', 'river']
INPUTS = ('images', 'labels', 'param/', 'cache/', 'skip/', 'test/', 'traj/')
OTHER_SGD = dict(momentum=0.5, weight_decay=0.1, dampening=0, nesterov=True)
DAMPED = dict(momentum=0.4, weight_decay=0.0, dampening=0.3, nesterov=False)
SKIPTUNING = {  # changes of the run, and of the other settings
    'last_block': (
        dict(sgd=OTHER_SGD),
        dict(start_layer=2, template='itap of a {}.', sizes=dict(tlayers=3)),
    ),
    'all_blocks': (dict(epochs=1, warmup_epochs=0), dict(start_layer=0)),
    'towers': (
        dict(epochs=3, warmup_epochs=2, base_lr=0.001, image_tower_lr=0.005),
        dict(sizes=dict(tlayers=2, vlayers=4, twidth=128, vwidth=64, patch=16, embed=40)),
    ),
    'one_rate': (
        dict(staged_lr=False, image_tower_lr=9.0),
        dict(num_shots_setting=2, top_ratio=0.6, batch=3),
    ),
    'everything_kept': (
        dict(staged_lr=False, image_tower_lr=0.002, epochs=1),
        dict(num_shots_setting=1, top_ratio=1.0, max_top=3, batch=5),
    ),
    'more_than_all': (dict(epochs=1), dict(class_names=NAMES[:3], top_ratio=40, batch=3)),
    'a_number': (
        dict(epochs=1),
        dict(class_names=MORE, top_ratio=3.3, batch=1, per_class=1, lambda_=30.0),
    ),
    'capped': (dict(epochs=1), dict(class_names=MORE, top_ratio=0.9, max_top=2, lambda_=0.05)),
    'one_left': (dict(epochs=1), dict(top_ratio=5, num_shots_setting=-1, batch=4)),
    'slow': (
        dict(base_lr=1e-5, image_tower_lr=1e-6, warmup_constant_lr=1e-8),
        dict(class_names=NAMES[:4], sizes=dict(twidth=128)),
    ),
    'large_image': (
        dict(sgd=DAMPED, warmup_constant_lr=1e-3),
        dict(class_names=NAMES[:4], batch=3, sizes=dict(image=40, vwidth=192)),
    ),
}
COPROMPT = {
    'one_vector': (dict(warmup_epochs=0), dict(n_ctx=1, prompt_depth=1, W=0.5)),
    'three_vectors': (
        dict(warmup_epochs=2, epochs=3, sgd=DAMPED),
        dict(n_ctx=3, prompt_depth=2, ctx_init='A_photo of_a'),
    ),
    'three_words': ({}, dict(n_ctx=4, ctx_init='a photo, of', descriptions=['a {}'])),
    'words_ignored': (
        {},
        dict(n_ctx=6, image_adapter_m=0.7, text_adapter_m=1.0, adapter_reduction=5),
    ),
    'no_words': ({}, dict(ctx_init='', image_adapter_m=0.0, adapter_reduction=32, W=0)),
    'beyond_text': ({}, dict(prompt_depth=4, sizes=dict(tlayers=2, vlayers=4))),
    'beyond_image': (dict(sgd=OTHER_SGD), dict(prompt_depth=4, sizes=dict(tlayers=4, vlayers=2))),
    'beyond_both': (dict(sgd=OTHER_SGD), dict(prompt_depth=6)),
    'sizes': (
        dict(epochs=3, iterations_per_epoch=3),
        dict(
            adapter_reduction=7,
            batch=1,
            descriptions=['x {}', 'y', 'z  {}, Z {}', 'x {}'],
            sizes=dict(twidth=128, vwidth=64, patch=16, image=48, embed=50),
        ),
    ),
    'squares': ({}, dict(distill='mse', W=300, sizes=dict(embed=40))),
}


def write(folder, name, **changes):
    """A case of that name."""
    if name in COPROMPT:
        plan, own = COPROMPT[name]
        own = dict(class_names=NAMES, batch=3) | own
        coprompt(folder, dict(epochs=2, base_lr=0.02) | plan, **own)
    else:
        plan, own = SKIPTUNING[name]
        own = dict(class_names=NAMES, start_layer=1) | own | changes
        skiptuning(folder, dict(epochs=2) | plan, **own)


@pytest.mark.parametrize('name', [*SKIPTUNING, *COPROMPT])
def test_settings_of_the_case_count(name, tmp_path):
    write(tmp_path, name)
    check_settings(tmp_path)


@pytest.mark.parametrize('name', ['slow', 'beyond_both', 'squares'])
def test_in_single_precision(name, tmp_path):
    write(tmp_path, name)
    case = check(tmp_path, dtype='float32')['case']
    wrong = {k: t for k, t in case['tensors'].items() if not t.get('passed', True)}
    assert case['status'] == 'passed', (case.get('reason'), wrong)


def test_a_change_may_be_off_by_what_its_steps_lost():

    key = 'traj/change_norm/x'

    def judge(off, lost):
        ours, theirs = {key: np.array(1 + off), 'rounding/x': lost}, {key: np.array(1.0)}
        entry = compare(key, ours[key], theirs[key], 'float32', 'SkipTuning')
        return judge_changes(ours, theirs, {key: entry})[key]['passed']

    assert judge(1e-5, 0.0) and not judge(3e-5, 0.0)
    assert judge(0.09, 0.1) and not judge(0.11, 0.1)


def test_what_a_step_loses_by_rounding():
    before = torch.full((9,), 0.1).double()
    none, little, much = (loss_by_rounding(before, before + x) for x in (0.0, 1e-9, 1e-3))
    assert none == pytest.approx(2**-24 * 0.3) and little == pytest.approx(none)
    assert much == pytest.approx(none**2 / 3e-3, rel=0.05)


def test_labels_that_are_left_out_are_named(tmp_path):
    write(tmp_path, 'one_rate', batch=6, per_class=2, top_ratio=0.3)
    case = check(tmp_path)['case']
    assert case['status'] == 'not implemented'
    assert 'classes, of which only 3 are surely kept' in case['reason']


@pytest.mark.parametrize(
    'twin, name',
    [(twin_skip, 'skiptuning'), (twin_skip, 'skiptuning_few_shot'), (twin_coprompt, 'coprompt')],
)
def test_the_twin_gives_the_reference_s_numbers(twin, name):
    meta, arrays = read_npz(GOLDEN / f'{name}.npz')
    learnable, found = twin.recompute(read_npz(GOLDEN / meta['clip']), meta, arrays)
    assert learnable == meta['learnable']
    left = set(arrays) - set(found)
    assert all(k.startswith(INPUTS) for k in left), left
    for key, ours in found.items():
        ours, theirs = np.asarray(ours.detach() if torch.is_tensor(ours) else ours), arrays[key]
        assert ours.dtype == theirs.dtype, key
        np.testing.assert_allclose(ours, theirs, 0, 1e-12 * np.abs(theirs).max(), err_msg=key)
