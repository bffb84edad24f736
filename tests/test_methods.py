"""Every method on every tower in every precision: train, save, load, predict.

A new method is one row in ``METHODS``.
"""

import pytest
import torch
from helpers.matrix import METHODS, build, on_resnet, train_save_load_predict

import mmdpt.engine  # noqa: F401


def test_resnet_equals_open_clip_and_keeps_its_statistics():
    model = build('coop', 'resnet', 'fp64').train()
    images = torch.randn(3, 3, 32, 32, dtype=torch.float64)
    visual = model.backbone.visual
    before = [b.clone() for b in visual.buffers()]
    features = model.match(images).image
    assert all(torch.equal(a, b) for a, b in zip(before, visual.buffers()))
    with torch.no_grad():
        assert torch.equal(features, visual.eval()(images))


@pytest.mark.parametrize('method', METHODS)
def test_resnet(method):
    on_resnet(method)


@pytest.mark.parametrize(
    'tower, precision',
    [
        ('small', 'fp64'),
        ('small', 'fp32'),
        ('small', 'bf16'),
        ('small', 'fp16'),
        ('uneven', 'fp32'),
    ],
)
@pytest.mark.parametrize('method', METHODS)
def test_train_save_load_predict(method, tower, precision):
    train_save_load_predict(method, tower, precision)
