"""Cases of 2SFS and PromptKD with settings and sizes unlike those of the reference's files."""

import functools
import json
import shutil
from pathlib import Path

import numpy as np
import open_clip.tokenizer
import pytest
import torch
from helpers.twin import GOLDEN
from helpers.twin_check import check, check_settings
from helpers.twin_draw import distillation, stages
from helpers.twin_files import read
from helpers.twin_promptkd import NOISE, START, promptkd
from helpers.twin_stages import two_stage
from parity.golden import read_npz

ROOT = Path(__file__).resolve().parents[1]
ADAMW = dict(betas=[0.8, 0.95], eps=1e-6, weight_decay=0.3)
SGD = dict(momentum=0.5, weight_decay=0.1, dampening=0, nesterov=True)
CASES = {
    'text_tower': (
        'twosfs_stage1',
        dict(steps=5, base_lr=0.01, minimum_lr=1e-3, adamw=ADAMW),
        dict(
            ln_modality='text',
            ln_text_start=2,
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
            new_class_names=['cat'],
            mixed_categories=['american bulldog', 'Cat', 'OX', 'american_bulldog', 'Cat', 'cat'],
            order=[1, 0, 0],
        ),
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
            teacher_prompt_depth_text=0,
            prompt_depth_vision=0,
            teacher_prompt_depth_vision=0,
            kd_weight=20,
            temperature=3,
        ),
    ),
}


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


@pytest.mark.parametrize('name', CASES)
def test_settings_of_the_case_count(name, tmp_path):
    like, plan, changes = CASES[name]
    make = distillation if 'promptkd' in like else stages
    make(tmp_path, like, plan, **changes)
    assert check(tmp_path, dtype='float32')['case']['status'] == 'passed'
    check_settings(tmp_path)


@pytest.fixture(scope='module')
def small_cases(tmp_path_factory):
    """Folders with a small case each: a whole run, stage 2, PromptKD."""
    small = dict(image=16, vlayers=1, tlayers=1)
    names = dict(class_names=['ox', 'cat', 'sun', 'sea'], passes=1, sizes=small)
    lists = dict(new_class_names=['Sea', 'Ox'], mixed_categories=['Sea', 'ox', 'sun'])
    folders = {n: tmp_path_factory.mktemp(n) for n in ('whole', 'stage2', 'promptkd')}
    stages(folders['whole'], 'twosfs_all2all', dict(n_iters=2), ln_modality='both', **names)
    stages(folders['stage2'], 'twosfs_stage2', dict(steps=3), **names, **lists)
    distillation(
        folders['promptkd'], 'promptkd_base2novel', dict(epochs=3), teacher_sizes=small, **names
    )
    return folders


def check_changed(folder, change, to):
    """What the tool finds of a case with other settings, or parts of them."""
    shutil.copytree(folder, to, dirs_exist_ok=True)
    meta, arrays = read_npz(to / 'case.npz')
    change = {k: {**meta[k], **v} if isinstance(v, dict) else v for k, v in change.items()}
    np.savez(to / 'case.npz', meta=json.dumps(dict(meta, **change)), **arrays)
    return check(to)['case']


@pytest.mark.parametrize(
    'name, change, reason',
    [
        ('whole', dict(stage=3), 'stage=3'),
        ('whole', dict(setting='cross'), "setting='cross'"),
        ('whole', dict(peft='lora'), "peft='lora'"),
        ('whole', dict(ln_text_start=-1), 'ln_text_start=-1'),
        ('whole', dict(ln_vision_start=1, ln_text_start=7), 'nothing is learnt'),
        ('whole', dict(class_names=['ox', 'cat', 'ox']), "come twice: ['ox']"),
        ('whole', dict(trajectory=dict(schedule='linear')), "schedule 'linear'"),
        ('whole', dict(trajectory=dict(batches_per_pass=3)), 'batches_per_pass=3'),
        ('whole', dict(trajectory=dict(n_iters_frac=1.0)), 'a stage without a step'),
        ('whole', dict(trajectory=dict(shots=2)), 'total_steps=2'),
        ('promptkd', dict(modal='few_shot'), "modal='few_shot'"),
        ('promptkd', dict(ctx_init='a photo'), 'the rest would come from the class name'),
        ('promptkd', dict(teacher_n_ctx_text=3), 'of {4} vectors, not 3'),
        ('promptkd', dict(student_logit_scale=100.0), 'a logit scale of the student'),
        ('promptkd', dict(projector=dict(hidden=128)), 'a hidden layer of another size'),
        ('promptkd', dict(projector=dict(batchnorm=dict(eps=1e-3))), 'batch norm with'),
    ],
)
def test_settings_that_we_lack_are_named(name, change, reason, small_cases, tmp_path):
    result = check_changed(small_cases[name], change, tmp_path)
    assert result['status'] == 'not implemented' and reason in result['reason']


@pytest.mark.parametrize(
    'name, change, key',
    [
        ('stage2', dict(template='a {}.'), 'out/new_classifier'),
        ('stage2', dict(mixed_categories=['sea', 'ox', 'sun']), 'out/mixed_logits'),
        ('stage2', dict(trajectory=dict(minimum_lr=1e-5)), 'traj/lr'),
        ('stage2', dict(trajectory=dict(adamw=dict(weight_decay=0.06))), 'traj/final/classifier'),
        ('promptkd', dict(kd_weight=49), 'loss/total'),
        ('promptkd', dict(temperature=1.1), 'loss/kl_logits'),
        ('promptkd', dict(ctx_init='the photo of the'), START),
        ('promptkd', dict(n_base_classes=3), 'out/eval_logits_base'),
        ('promptkd', dict(trajectory=dict(warmup_epochs=2)), 'traj/lr'),
    ],
)
def test_another_setting_gives_other_numbers(name, change, key, small_cases, tmp_path):
    """Each is read: the file's numbers no longer fit."""
    result = check_changed(small_cases[name], change, tmp_path)
    assert result['status'] == 'failed' and not result['tensors'][key]['passed']


@pytest.mark.parametrize(
    'change, reason',
    [
        (dict(accuracies=dict(acc_test=51.0)), 'acc_test is 51.0'),
        (dict(learnable_stage1=dict(ln_final=[64])), 'not the same tensors'),
        (dict(learnable_stage2=dict(classifier=[5, 32])), 'not the same tensors or shapes'),
        (dict(trajectory=dict(stage1_steps=0)), 'not as the file says'),
    ],
)
def test_what_the_file_says_of_a_run_is_compared(change, reason, small_cases, tmp_path):
    result = check_changed(small_cases['whole'], change, tmp_path)
    assert result['status'] == 'failed' and reason in result['reason']
