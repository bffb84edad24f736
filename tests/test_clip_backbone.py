"""CLIP's image tower as a backbone of MMPretrain's classifiers."""

import pytest
import torch
from helpers.plain import encode_image, small_clip
from mmengine.runner import load_checkpoint
from mmpretrain.registry import MODELS

import mmdpt.models  # noqa: F401  (registers)


def backbone(prompt=dict(type='VPT', num_tokens=3), seed=0, **options):  # noqa: B006
    torch.manual_seed(seed)
    return MODELS.build(
        {
            **dict(
                type='PromptedCLIPBackbone',
                arch=small_clip(),
                pretrained=None,
                visual_prompt=prompt,
            ),
            **options,
        }
    )


def classifier(**options):
    return MODELS.build(
        dict(
            type='ImageClassifier',
            backbone=backbone(**options),
            head=dict(type='LinearClsHead', num_classes=4, in_channels=32),
        )
    )


@pytest.mark.parametrize(
    'prompt', [None, dict(type='VPT', num_tokens=3), dict(type='VPT', num_tokens=3, deep=False)]
)
def test_features_are_those_of_the_tower(prompt):
    model = backbone(prompt, precision='fp64')
    images = torch.randn(2, 3, 32, 32, dtype=torch.double)
    (feature,) = model(images)
    wanted, *_ = encode_image(model.tower, images, model.visual_prompt)
    assert feature.shape == (2, model.embed_dim) == (2, 32)
    torch.testing.assert_close(feature, wanted, rtol=1e-10, atol=1e-12)
    assert feature.requires_grad == (prompt is not None)


def test_only_prompts_and_head_are_saved(tmp_path):
    model = classifier()
    model.init_weights()
    model.train()
    assert not model.backbone.tower.training
    assert model.backbone.visual_prompt.training
    file = str(tmp_path / 'learnt.pth')
    torch.save(dict(state_dict=model.state_dict(), meta={}), file)
    assert set(model.state_dict()) == {
        'backbone.visual_prompt.tokens',
        'head.fc.weight',
        'head.fc.bias',
    }
    again = classifier()
    load_checkpoint(again, file)
    images = torch.randn(2, 3, 32, 32)
    model.eval(), again.eval()
    assert torch.equal(again(images), model(images))
    with pytest.raises(ValueError, match='prompts fit only the weights'):
        load_checkpoint(classifier(seed=1), file)


def test_frozen_features_know_their_weights():
    """Without prompts there is nothing of the backbone to save, but the head
    belongs to its weights all the same."""
    state = classifier(prompt=None).state_dict()
    assert set(state) == {'head.fc.weight', 'head.fc.bias'}
    classifier(prompt=None).load_state_dict(state)
    with pytest.raises(ValueError, match='prompts fit only the weights'):
        classifier(prompt=None, seed=1).load_state_dict(state)


def test_half_precision_tower_gives_single_precision():
    model = backbone(precision='bf16')
    (feature,) = model(torch.randn(2, 3, 32, 32))
    assert feature.dtype == model.visual_prompt.tokens.dtype == torch.float32
    feature.sum().backward()
    assert model.visual_prompt.tokens.grad.abs().sum() > 0


@pytest.mark.parametrize('name', ['CAVPT', 'MaPLe'])
def test_text_is_needed(name):
    with pytest.raises(
        ValueError,
        match=f'{name} makes its tokens from text features, and PromptedCLIPBackbone has none',
    ):
        backbone(dict(type=name))


def test_resnet_towers():
    arch = dict(
        small_clip(), vision_cfg=dict(image_size=32, layers=[1, 1, 1, 1], width=8, head_width=32)
    )
    (feature,) = backbone(None, arch=arch)(torch.randn(2, 3, 32, 32))
    assert feature.shape == (2, 32)
    with pytest.raises(ValueError, match='is a ResNet'):
        backbone(arch=arch)


def test_other_weights_are_refused():
    model = backbone()
    weights = dict(model.tower.named_parameters(prefix='tower'))
    with pytest.raises(ValueError, match='set model.backbone.pretrained'):
        model.load_state_dict(weights)
