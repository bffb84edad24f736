"""The linear probe against the public protocol's numbers."""

from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from mmdpt.datasets import DigitsDataset
from mmdpt.evaluation import (
    accuracy,
    fit_logistic,
    pixel_features,
    search_linear_probe,
    stored_images,
)
from mmdpt.evaluation.baselines import SMALL

GOLDEN = np.load(Path(__file__).parent / 'data/golden/linear_probe.npz')


@pytest.mark.parametrize('shots', [1, 2, 4, 8, 16])
@pytest.mark.filterwarnings('ignore:lbfgs failed to converge')
def test_search_equals_the_public_one(shots):
    key = f'shot_{shots}/'
    parts = [
        (
            GOLDEN[f'{s}/features'][GOLDEN[f'{key}{s}_indices']],
            GOLDEN[f'{s}/labels'][GOLDEN[f'{key}{s}_indices']],
        )
        for s in ('train', 'val')
    ]
    probe = search_linear_probe(*parts)
    assert probe.first_val_accuracy == GOLDEN[f'{key}initial_val_accuracy'].tolist()
    np.testing.assert_allclose(
        [r.c for r in probe.rounds], GOLDEN[f'{key}C_left_right'], rtol=1e-12
    )
    assert np.array_equal(
        [r.val_accuracy for r in probe.rounds], GOLDEN[f'{key}val_accuracy_left_right']
    )
    np.testing.assert_allclose(
        [r.kept.C for r in probe.rounds], GOLDEN[f'{key}C_final'], rtol=1e-12
    )
    test = GOLDEN['test/features'], GOLDEN['test/labels']
    np.testing.assert_allclose(
        [100 * accuracy(r.kept, *test) for r in probe.rounds],
        GOLDEN[f'{key}test_accuracy'],
        atol=100 / 60 + 1e-9,
    )
    predicted = probe.classifier.predict(test[0].astype(np.float64))
    assert (predicted != GOLDEN[f'{key}test_prediction']).sum() <= 1


@pytest.mark.parametrize('images, threads', [(40, 1), (4 * SMALL // 10, 2)])
def test_threads_of_blas(monkeypatch, images, threads):
    """One for small features: on a busy machine two took 16 times as long."""
    seen = []

    def fit(self, features, labels):
        seen.extend(i['num_threads'] for i in threadpool_info() if i['user_api'] == 'blas')

    monkeypatch.setattr('sklearn.linear_model.LogisticRegression.fit', fit)
    with threadpool_limits(2):
        fit_logistic(np.zeros((images, 3)), np.arange(images) % 2, 1.0)
    assert set(seen) == {threads}


def test_raw_pixels_of_the_digits():
    train, test = (stored_images(DigitsDataset(split=s, shots=16)) for s in ('train', 'test'))
    assert train[0].shape == (160, 8, 8, 3)
    features = pixel_features(train[0])
    assert features.shape == (160, 192) and 0 <= features.min()
    assert features.max() == 1
    classifier = fit_logistic(features, train[1], 1.0)
    assert 0.8 < accuracy(classifier, pixel_features(test[0]), test[1]) < 0.97


@pytest.mark.parametrize(
    'change, words',
    [
        (
            dict(train=(np.zeros((3, 2)), np.zeros(2))),
            r'train must be features \(N, D\) and labels \(N,\), got .*\(3, 2\)',
        ),
        (dict(val=(np.zeros(3), np.zeros(3))), 'val must be features'),
        (dict(rounds=0), 'rounds must be at least 1'),
    ],
)
def test_wrong_input(change, words):
    right = np.zeros((2, 2)), np.arange(2)
    with pytest.raises(ValueError, match=words):
        search_linear_probe(**{**dict(train=right, val=right), **change})


def test_images_that_are_not_kept_or_differ():
    dataset = DigitsDataset(split='test')
    path = dataset.get_data_info(3)['img_path']
    dataset.images[path] = np.zeros((9, 9, 3), np.uint8)
    with pytest.raises(ValueError, match='images of Digits differ in size'):
        stored_images(dataset)
    del dataset.images[path]
    with pytest.raises(ValueError, match='set dataset.cache_images=True'):
        stored_images(dataset)
