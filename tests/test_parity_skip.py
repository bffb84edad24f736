"""SkipTuning and CoPrompt: the parity tool takes every setting from the case."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import twin_coprompt, twin_skip
from helpers.twin import GOLDEN
from helpers.twin_check import check_settings
from helpers.twin_coprompt import coprompt
from helpers.twin_skip import skiptuning
from mmengine.config import Config
from parity import check_folder
from parity.golden import read_npz

ROOT = Path(__file__).resolve().parents[1]
NAMES = ['F-16A/B', 'Egyptian_Mau', "bishop's cap", 'ox', 'Cessna 172', 'Sea or Lake']
MORE = [*NAMES, 'a', 'b c', 'Boeing_717-200 (long)', 'river']
INPUTS = ('images', 'labels', 'param/', 'cache/', 'skip/', 'test/', 'traj/')
OTHER_SGD = dict(momentum=0.5, weight_decay=0.1, nesterov=True)
SKIPTUNING = {
    'last_block': (
        NAMES,
        dict(start_layer=2, sgd=OTHER_SGD, template='itap of a {}.', sizes=dict(tlayers=3)),
    ),
    'all_blocks': (NAMES, dict(start_layer=0, epochs=1, warmup_epochs=0)),
    'towers': (
        NAMES,
        dict(
            start_layer=1,
            image_tower_lr=5e-3,
            warmup_epochs=2,
            epochs=3,
            sizes=dict(tlayers=2, vlayers=4, twidth=128, vwidth=64, patch=16, embed=40),
        ),
    ),
    'one_rate': (
        NAMES,
        dict(num_shots_setting=2, staged_lr=False, image_tower_lr=9.0, top_ratio=0.6, batch=3),
    ),
    'everything_kept': (
        NAMES,
        dict(top_ratio=1.0, max_top=3, num_shots_setting=1, staged_lr=False, batch=5),
    ),
    'more_than_all': (NAMES[:3], dict(top_ratio=40, batch=3)),
    'a_number': (MORE, dict(top_ratio=4, batch=1, per_class=1, lambda_=1.5)),
    'not_whole': (MORE, dict(top_ratio=2.3, batch=3, epochs=1, lambda_=30.0)),
    'capped': (MORE, dict(top_ratio=0.9, max_top=2, epochs=1, lambda_=0.05)),
    'one_left': (NAMES, dict(top_ratio=5, num_shots_setting=-1, batch=4)),
    'large_image': (
        NAMES[:4],
        dict(
            batch=3,
            sgd=dict(momentum=0.4, weight_decay=0.0, dampening=0.3),
            sizes=dict(image=40, vwidth=192, tlayers=3, vlayers=3),
        ),
    ),
}
COPROMPT = {
    'one_vector': dict(n_ctx=1, prompt_depth=1, W=0.5, warmup_epochs=0),
    'three_vectors': dict(
        n_ctx=3,
        prompt_depth=2,
        ctx_init='A_photo of_a',
        warmup_epochs=2,
        epochs=3,
        sgd=dict(momentum=0.5, dampening=0.4),
    ),
    'three_words': dict(n_ctx=4, ctx_init='a photo, of', descriptions=['a {}']),
    'words_ignored': dict(n_ctx=6, image_adapter_m=0.7, text_adapter_m=1.0, adapter_reduction=5),
    'no_words': dict(n_ctx=2, ctx_init='', image_adapter_m=0.0, adapter_reduction=32, W=0),
    'beyond_text': dict(prompt_depth=4, sizes=dict(tlayers=2, vlayers=4)),
    'beyond_image': dict(prompt_depth=4, sizes=dict(tlayers=4, vlayers=2), sgd=OTHER_SGD),
    'beyond_both': dict(prompt_depth=6, sizes=dict(tlayers=2, vlayers=3), sgd=OTHER_SGD),
    'sizes': dict(
        adapter_reduction=7,
        batch=1,
        epochs=3,
        steps=3,
        descriptions=['x {}', 'y', 'z {} z {}', 'x {}'],
        sizes=dict(twidth=128, vwidth=64, patch=16, image=48, embed=50),
    ),
    'squares': dict(distill='mse', W=300, sizes=dict(embed=40)),
}


@pytest.fixture(scope='module')
def config():
    return Config.fromfile(ROOT / 'configs/_base_/few_shot.py')


def write(folder, name, **options):
    """A case of that name; both towers have two blocks unless it says otherwise."""
    if name in COPROMPT:
        coprompt(folder, NAMES, **COPROMPT[name] | options)
    else:
        names, own = SKIPTUNING[name]
        skiptuning(folder, names, **dict(start_layer=1) | own | options)


@pytest.mark.parametrize('name', [*SKIPTUNING, *COPROMPT])
def test_settings_of_the_case_count(name, config, tmp_path):
    write(tmp_path, name)
    check_settings(tmp_path, config)


@pytest.mark.parametrize('name', ['towers', 'beyond_both', 'squares'])
def test_in_single_precision(name, config, tmp_path):
    write(tmp_path, name)
    case = check_folder(tmp_path, config, dtype='float32')['case']
    wrong = {k: t for k, t in case['tensors'].items() if not t.get('passed', True)}
    assert case['status'] == 'passed', (case.get('reason'), wrong)


def test_labels_that_are_left_out_are_named(config, tmp_path):
    write(tmp_path, 'one_rate', batch=6, per_class=2, top_ratio=0.3)
    case = check_folder(tmp_path, config)['case']
    assert case['status'] == 'not implemented'
    assert 'classes, of which only 3 are surely kept' in case['reason']


@pytest.mark.parametrize(
    'twin, name',
    [(twin_skip, 'skiptuning'), (twin_skip, 'skiptuning_few_shot'), (twin_coprompt, 'coprompt')],
)
def test_the_twin_gives_the_reference_s_numbers(twin, name):
    meta, arrays = read_npz(GOLDEN / f'{name}.npz')
    found = twin.recompute(read_npz(GOLDEN / meta['clip']), meta, arrays)
    assert json.loads(json.dumps(found.pop('learnable'))) == meta['learnable']
    left = set(arrays) - set(found)
    assert all(k.startswith(INPUTS) for k in left), left
    for key, ours in found.items():
        ours, theirs = np.asarray(ours.detach() if torch.is_tensor(ours) else ours), arrays[key]
        assert ours.dtype == theirs.dtype, key
        np.testing.assert_allclose(ours, theirs, 0, 1e-12 * np.abs(theirs).max(), err_msg=key)
