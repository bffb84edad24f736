"""Cases of 2SFS and PromptKD with settings and sizes unlike those of the reference's files."""

import functools
from pathlib import Path

import numpy as np
import open_clip.tokenizer
import pytest
import torch
from helpers.twin import GOLDEN
from helpers.twin_check import check_settings
from helpers.twin_draw import distillation, stages
from helpers.twin_files import read
from helpers.twin_promptkd import NOISE, promptkd
from helpers.twin_stages import two_stage
from mmengine.config import Config
from parity import check_folder

ROOT = Path(__file__).resolve().parents[1]
ADAMW = dict(betas=[0.8, 0.95], eps=1e-6, weight_decay=0.3)
SGD = dict(momentum=0.5, weight_decay=0.1, dampening=0, nesterov=True)
STAGES = {
    'text_tower': (
        'twosfs_stage1',
        dict(steps=5, base_lr=0.01, minimum_lr=1e-3, adamw=ADAMW),
        dict(
            ln_modality='text',
            ln_text_start=1,
            passes=3,
            order=[2, 0, 1, 1, 2],
            template='the {} here.',
            sizes=dict(image=16, patch=4, vwidth=128, tlayers=3, embed=48, scale=100.0),
        ),
    ),
    'first_blocks_above_one_tower': (
        'twosfs_stage1',
        dict(steps=3),
        dict(ln_vision_start=9, ln_text_start=1, batch=1),
    ),
    'names_differ_by_little': (
        'twosfs_stage2',
        dict(steps=3, adamw=ADAMW, minimum_lr=0.0),
        dict(
            class_names=['ox', 'american_bulldog', 'Cat'],
            new_class_names=['american bulldog', 'cat', 'OX'],
            mixed_categories=['american bulldog', 'Cat', 'cat', 'american_bulldog', 'Cat'],
            order=[1, 0, 0],
        ),
    ),
    'one_name': (
        'twosfs_stage2',
        dict(steps=1),
        dict(class_names=['ox', 'Cat'], new_class_names=['cat'], mixed_categories=['ox'], passes=1),
    ),
    'text_tower_base2new': (
        'twosfs_base2new',
        dict(n_iters=3, shots=4, n_iters_frac=0.42, minimum_lr=1e-4),
        dict(
            ln_modality='text',
            ln_text_start=1,
            passes=3,
            class_names=['sea', 'River Bank', 'ox'],
            new_class_names=['cat', 'Sea'],
            mixed_categories=['Sea', 'ox', 'sea'],
            order=[0, 2, 1, 2, 0, 2, 1, 0, 1, 0, 2, 1],
        ),
    ),
    # in floating point, 0.58 times 50 is a little less than 29
    'both_towers_standard': (
        'twosfs_all2all',
        dict(n_iters=25, shots=2, n_iters_frac=0.58, adamw=ADAMW, base_lr=1e-4),
        dict(
            ln_modality='both',
            ln_vision_start=1,
            ln_text_start=1,
            passes=3,
            batch=2,
            class_names=['ox', 'cat'],
            sizes=dict(image=16, vlayers=2),
        ),
    ),
}
PROMPTKD = {
    'other_words': (
        'promptkd_base2novel',
        dict(epochs=4, warmup_epochs=2, base_lr=0.01, warmup_constant_lr=1e-3, sgd=SGD),
        dict(
            class_names=['american_bulldog', 'Ox', 'cat', 'sun', 'sea'],
            n_ctx_vision=1,
            prompt_depth_vision=7,
            teacher_n_ctx_text=2,
            teacher_n_ctx_vision=5,
            teacher_prompt_depth_text=6,
            teacher_prompt_depth_vision=1,
            ctx_init='a_centered_satellite_photo',
            kd_weight=3.5,
            temperature=0.7,
            sizes=dict(image=16, patch=4, vwidth=128, embed=48),
            teacher_sizes=dict(image=16, twidth=128, embed=80),
        ),
    ),
    'more_vectors': (
        'promptkd_cross',
        dict(warmup_epochs=0),
        dict(
            class_names=['ox', 'cat', 'sun'],
            teacher_n_ctx_text=6,
            prompt_depth_vision=1,
            passes=1,
            teacher_sizes=dict(vlayers=2, tlayers=4, vwidth=128),
        ),
    ),
    'no_words': (
        'promptkd_base2novel',
        dict(warmup_epochs=-1, base_lr=1e-4),
        dict(
            class_names=['ox', 'cat', 'sun'],
            ctx_init='',
            teacher_n_ctx_text=3,
            teacher_prompt_depth_text=1,
            prompt_depth_vision=0,
            teacher_prompt_depth_vision=0,
            kd_weight=20,
            temperature=3,
        ),
    ),
}


@pytest.fixture(scope='module')
def config():
    return Config.fromfile(ROOT / 'configs/_base_/few_shot.py')


@pytest.fixture(autouse=True)
def one_tokenizer(monkeypatch):
    """Read the byte pairs once, not for each of the many models."""
    tokenizer = open_clip.tokenizer.SimpleTokenizer
    monkeypatch.setattr(open_clip.tokenizer, 'SimpleTokenizer', functools.cache(tokenizer))


def weights(name):
    with np.load(GOLDEN / name) as file:
        return {k: file[k] for k in file.files if k != 'meta'}


@pytest.mark.parametrize(
    'name',
    ['twosfs_stage1', 'twosfs_stage2', 'twosfs_base2new', 'twosfs_all2all', 'promptkd_cross'],
)
def test_the_twins_give_the_reference_numbers(name):
    old, given, theirs = read(name)
    clips = [weights(old[k]) for k in ('clip', 'teacher_clip') if k in old]
    meta, ours = (promptkd if len(clips) == 2 else two_stage)(old, given, *clips)
    assert set(ours) == set(theirs)
    for key in set(theirs) - {NOISE}:
        value = torch.as_tensor(ours[key]).detach().numpy()
        assert value.dtype == theirs[key].dtype
        assert np.abs(value - theirs[key]).max() <= 1e-12 * np.abs(theirs[key]).max(), key
    assert meta.pop('accuracies', {}) == pytest.approx(old.pop('accuracies', {}))
    assert meta == old


@pytest.mark.parametrize('name', STAGES)
def test_settings_of_2sfs_count(name, config, tmp_path):
    like, plan, changes = STAGES[name]
    stages(tmp_path, like, plan, **changes)
    assert check_folder(tmp_path, config, None, 'float32')['case']['status'] == 'passed'
    check_settings(tmp_path, config)


@pytest.mark.parametrize('name', PROMPTKD)
def test_settings_of_promptkd_count(name, config, tmp_path):
    like, plan, changes = PROMPTKD[name]
    distillation(tmp_path, like, plan, **changes)
    assert check_folder(tmp_path, config, None, 'float32')['case']['status'] == 'passed'
    check_settings(tmp_path, config)
