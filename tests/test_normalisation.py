"""Images are normalised as in the training of the weights."""

import pytest
import torch
from helpers.classifier import build

from mmdpt.models import classifier
from mmdpt.models.clip.load import load_clip
from mmdpt.models.clip.normalisation import (
    CLIP_MEAN,
    CLIP_STD,
    check_normalisation,
    trained_normalisation,
)


@pytest.mark.parametrize(
    'arch, pretrained, mean',
    [
        ('ViT-B-16-quickgelu', 'openai', CLIP_MEAN),
        ('ViT-B-16-SigLIP', 'webli', [127.5] * 3),
        ('ViT-B-16-SigLIP', 'some/file.pt', [127.5] * 3),
        ('ViT-L-14', 'laion2b_s32b_b82k', [127.5] * 3),
    ],
)
def test_known(arch, pretrained, mean):
    assert trained_normalisation(arch, pretrained).mean == pytest.approx(mean)


def test_unknown():
    """No such architecture, or a file where the tags differ."""
    assert trained_normalisation('custom', None) is None
    assert trained_normalisation('ViT-L-14', 'some/file.pt') is None
    check_normalisation(dict(mean=[0, 0, 0], std=[1, 1, 1]), None, 'x')


def test_refused_and_default(monkeypatch):
    wanted = trained_normalisation('ViT-B-16-SigLIP', 'webli')
    monkeypatch.setattr(
        classifier, 'load_clip', lambda *args: load_clip(*args)._replace(normalisation=wanted)
    )
    with pytest.raises(
        ValueError,
        match='was trained with images of mean '
        r'\[127.5, 127.5, 127.5\].*set data_preprocessor=dict',
    ):
        build('zeroshot', data_preprocessor=dict(mean=CLIP_MEAN, std=CLIP_STD, to_rgb=True))
    model = build('zeroshot')
    torch.testing.assert_close(model.data_preprocessor.mean.flatten(), torch.full((3,), 127.5))
    build('zeroshot', data_preprocessor=dict(mean=None, std=None))
