"""The parity tool takes every setting of the feature-space methods from the case."""

from pathlib import Path

import numpy as np
import pytest
from helpers.twin import CLASSES, weights
from helpers.twin_check import check_settings
from helpers.twin_space import OUTPUTS, make, outputs, reference, split

ROOT = Path(__file__).resolve().parents[1]
PETS = ['american_bulldog', 'Egyptian Mau', 'ox']
LAND = ['River', 'Forest', 'Pasture Land']


def sizes(query=(2, 1, 2), support=(2, 2, 2), val=(2, 3, 1), new=(3,), views=2):
    return dict(query=query, support=support, val=val, new=new, views=views)


def labels_of_others(inputs):
    """No validation image is classified right."""
    inputs['val/labels'] = (inputs['val/labels'] + 1) % 3


CASES = {
    'gda_unequal': (
        'gda',
        sizes(support=(3, 1, 2), views=3),
        dict(alpha_grid=[3.0, 0.3, 30.0, 30.1], logit_scale=40.0, template='the {} here.'),
    ),
    'gda_nothing_right': (
        'gda',
        sizes(views=1),
        dict(alpha_grid=[100.0, 1000.0], alpha_start=0.7, change=labels_of_others),
    ),
    'gda_no_copies': (
        'gda_base2new',
        sizes(support=(3, 2, 4), new=(1, 4)),
        dict(k=5, text_copies=0, new_class_names=['cat', 'River'], logit_scale=60.0),
    ),
    'gda_new_of_all_rows': (
        'gda_base2new',
        sizes(support=(1, 2, 1), views=3, new=(1, 2, 1, 1, 1)),
        dict(
            k=12,
            text_copies=3,
            new_class_names=[*CLASSES, 'River'],
            new_template='a photo of the {}.',
            alpha_grid=[0.5, 2.0],
        ),
    ),
    'lppp_seven': (
        'lppp',
        sizes(),
        dict(epochs=7, alpha_period=3, momentum=0.5, stored_epochs=[0, 2, 6], shots=2),
    ),
    'lppp_alpha_fixed': (
        'lppp',
        sizes(support=(3, 3, 3), val=(1, 1, 1)),
        dict(epochs=5, alpha_period=9, momentum=0.0, stored_epochs=[4], shots=3, val_shots=1),
    ),
    'lppp_every_epoch': (
        'lppp',
        sizes(support=(1, 1, 1), val=(4, 4, 4)),
        dict(epochs=12, alpha_period=1, stored_epochs=[1, 11], shots=1, template='{} texture.'),
    ),
    'zs_lp_many_batches': (
        'zs_lp',
        sizes(support=(4, 2, 1), views=1),
        dict(batch_size=2, epochs=4, stored_steps=[3, 11], warmup_epochs=2, weight_decay=0.05),
    ),
    'clap_corrected': (
        'clap',
        sizes(),
        dict(constraint='l2_corrected', batch_size=50, epochs=5, stored_steps=[4], lr=0.5),
    ),
    'clap_constant': (
        'clap',
        sizes(support=(1, 2, 4)),
        dict(
            constraint='l2_constant',
            batch_size=3,
            epochs=3,
            stored_steps=[1],
            warmup_epochs=0,
            momentum=0.0,
        ),
    ),
    'clap_balanced': (
        'clap',
        sizes(views=3),
        dict(constraint='balanced_l2', batch_size=6, epochs=4, stored_steps=[1], warmup_lr=0.3),
    ),
    'clap_adaptive_corrected': (
        'clap_adaptive',
        sizes(),
        dict(
            constraint='l2_corrected_constant_adaptative',
            batch_size=2,
            epochs=6,
            stored_steps=[5, 17],
            lr=0.04,
            method='clap_adaptive_corrected',
        ),
    ),
    'clap_adaptive_balanced': (
        'clap_adaptive',
        sizes(views=1),
        dict(constraint='adaptative_balanced_l2', epochs=5, stored_steps=[0, 4], weight_decay=0.01),
    ),
    'crossmodal_large_batch': (
        'crossmodal_lp',
        sizes(),
        dict(batch_size=9, epochs=4, stored_steps=[3], zero_token_rows=[]),
    ),
    'crossmodal_small_batch': (
        'crossmodal_lp',
        sizes(support=(1, 3, 2), views=3),
        dict(batch_size=2, epochs=3, stored_steps=[0, 8], momentum=0.3, weight_decay=0.1),
    ),
    'prolip_one_view': (
        'prolip',
        sizes(support=(3, 3, 3), views=1),
        dict(epochs=3, shots=3, lambda_rule='1/shots^2', lambda_value=1 / 3**2, stored_steps=[2]),
    ),
    'prolip_few_epochs': (
        'prolip',
        sizes(views=5),
        dict(epochs=2, lr=1e-5, lambda_rule='given', lambda_value=0.3, stored_steps=[0, 1]),
    ),
    'prolip_unequal': (
        'prolip',
        sizes(support=(1, 3, 2)),
        dict(epochs=4, shots=3, lambda_value=1 / 3, logit_scale=30.0, stored_steps=[1, 3]),
    ),
    'prolip_grid': (
        'prolip_search',
        sizes(views=3),
        dict(epochs=3, lr_grid=[1e-4, 1e-2, 1e-3], lambda_grid=[0.0, 3.0]),
    ),
    'prolip_grid_of_one': (
        'prolip_search',
        sizes(views=1),
        dict(epochs=2, lr_grid=[1e-3], lambda_grid=[0.5]),
    ),
    'ape_few_channels': (
        'ape',
        sizes(views=3, val=(4, 4, 4)),
        dict(
            training_free_feat_num=5,
            w_training_free=[0.2, 0.9],
            search_scale=[3, 5.5, 2],
            search_step=[3, 2, 4],
            init_beta_alpha_gamma=[2.5, 0.4, 1.5],
            logit_scale=35.0,
            text='one template',
        ),
    ),
    'ape_all_channels': (
        'ape',
        sizes(support=(1, 1, 1), views=1),
        dict(training_free_feat_num=64, w_training_free=[1, 0], search_step=[1, 3, 1]),
    ),
    'ape_nothing_right': (
        'ape',
        sizes(views=1),
        dict(search_step=[1, 1, 1], logit_scale=1e-9, change=labels_of_others),
    ),
    'transclip_small': (
        'transclip_zero_shot',
        sizes(query=(3, 2, 4)),
        dict(
            max_iter=3,
            inner_iterations=2,
            neighbours=2,
            lambda_value=0.7,
            logit_scale=30.0,
            gamma_list=[0.1, 5],
        ),
    ),
    'transclip_temperature': (
        'transclip_few_shot',
        sizes(query=(3, 5, 4), support=(1, 3, 2)),
        dict(temperature=7, gamma_list=[0.3, 0.05], max_iter=4, neighbours=5, shots=3),
    ),
    'transclip_one_gamma': (
        'transclip_few_shot',
        sizes(query=(4, 2, 2), support=(4, 4, 4), val=(4, 4, 4)),
        dict(gamma_list=[1.0], inner_iterations=1, neighbours=1, lambda_value=2, shots=4),
    ),
}


@pytest.mark.parametrize('name', OUTPUTS)
def test_twin_is_the_reference(name):
    """From the inputs of the reference's file it computes all of its other keys."""
    meta, arrays = reference(name)
    inputs, wanted = split(arrays, name)
    found = outputs(name, meta, inputs, weights())
    assert set(found) == set(wanted)
    for key, value in wanted.items():
        assert (found[key].shape, found[key].dtype) == (value.shape, value.dtype), key
        np.testing.assert_allclose(
            found[key], value, rtol=0, atol=1e-12 * np.abs(value).max(), err_msg=key
        )


@pytest.mark.parametrize('name', CASES)
def test_settings_of_the_case_count(name, tmp_path):
    reference_name, given, settings = CASES[name]
    names = LAND if reference_name.startswith(('gda', 'ape')) else PETS
    make(tmp_path, reference_name, given, **{'class_names': names, **settings})
    check_settings(tmp_path)
