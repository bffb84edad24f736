"""CLIP-Adapter, Tip-Adapter and low-rank updates."""

import copy

import pytest
import torch
import torch.nn.functional as F
from helpers.classifier import build as build_method
from helpers.classifier import samples
from helpers.matrix import PARTS
from helpers.plain import encode_image, encode_text

from mmdpt.models.heads.feature_space import FeatureSpace, Labelled, grid


def build(part, **options):
    plain = dict(mean=None, std=None)  # as PromptKD's teacher has it
    parts = {'data_preprocessor': plain, **copy.deepcopy(PARTS[part]), **options}
    return build_method('zeroshot', **parts)


@pytest.fixture
def images():
    torch.manual_seed(1)
    return torch.randn(5, 3, 32, 32)


def perturb(model):
    torch.manual_seed(2)
    with torch.no_grad():
        for p in model.parameters():
            if p.requires_grad:
                p.add_(torch.randn_like(p) * 0.1)


@pytest.mark.parametrize('part', PARTS)
def test_zero_shot_stays_what_it_was(part, images):
    """And the frozen features, whatever has been learnt."""
    model, frozen = build(part).eval(), build_method('zeroshot').eval()
    perturb(model)
    with torch.no_grad():
        expected = frozen(images)
        with model.zero_shot():
            torch.testing.assert_close(model(images), expected)
            for sample, row in zip(model(images, samples(), mode='predict'), expected):
                torch.testing.assert_close(sample.pred_score, row.softmax(0))
        assert (model(images) - expected).abs().max() > 1e-3
        torch.testing.assert_close(model.clip_features(images), frozen.clip_features(images))


def test_lora_equals_merged_weights(images):
    """Outputs and gradients, against the plain path with W + s B A."""
    model = build('lora', tuning=dict(type='LoRA', rank=3, alpha=2.0, dropout=0.0))
    perturb(model)
    merged = build_method('zeroshot')
    learnt = [p for p in model.parameters() if p.requires_grad]
    merge(model, merged)
    prompts = [p[0] for p in model.templates[0]().unpack()]
    image, *_ = encode_image(merged.backbone, images)
    text = encode_text(merged.text_tower, prompts)
    ours = model.match(images)
    torch.testing.assert_close(ours.image, image, rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(ours.text, text, rtol=1e-9, atol=1e-11)
    assert len(learnt) == 2 * 3 * 3 * 2
    (ours.image.sum() + ours.text.sum()).backward()
    assert all(p.grad is not None for p in learnt)


def merge(model, target):
    for name, tower in (('image', target.backbone), ('text', target.text_tower)):
        for block, update in zip(tower.blocks, getattr(model.tuning, name)):
            parts = [update.parts[p] for p in 'qkv']
            with torch.no_grad():
                block.attn.in_proj_weight += torch.cat([p.scaling * p.B @ p.A for p in parts])


def test_lora_of_some_blocks():
    model = build(
        'lora', tuning=dict(type='LoRA', towers=['text'], blocks=dict(text=[1]), dropout=0.0)
    )
    assert {n.split('.parts')[0] for n, p in model.named_parameters() if p.requires_grad} == {
        'tuning.text.1'
    }
    updated = [hasattr(b.attn, 'low_rank') for b in model.text_tower.blocks]
    assert updated == [False, True, False]


def test_lora_dropout_in_training_only(images):
    model = build('lora', tuning=dict(type='LoRA', dropout=0.5))
    perturb(model)
    assert not torch.equal(model.train()(images), model(images))
    model.eval()
    assert torch.equal(model(images), model(images))


def test_lora_text_is_encoded_anew_when_it_has_learnt(images):
    model = build('lora').eval()
    with torch.no_grad():
        before = model.text_features()
        perturb(model)
        assert (model.text_features() - before).abs().max() > 1e-6
    with pytest.raises(ValueError, match='low-rank updates need the images'):
        model.predict_features(torch.zeros(1, 32))


def test_lora_in_a_copy_is_the_copy_s():
    model = build('lora')
    other = copy.deepcopy(model)
    assert other.backbone.blocks[0].attn.low_rank is other.tuning.image[0]
    assert not any('low_rank' in name for name in model.state_dict())


def test_clip_adapter(images):
    model = build('adapter')
    z = model.clip_features(images)
    w1, w2 = model.head.adapter[0].weight, model.head.adapter[2].weight
    mixed = 0.4 * ((z @ w1.t()).relu() @ w2.t()).relu() + 0.6 * z
    expected = model.scale * F.normalize(mixed, dim=-1) @ model.frozen_text_features().t()
    torch.testing.assert_close(model(images), expected)
    torch.testing.assert_close(
        torch.stack([s.pred_score for s in model.predict_features(z)]), expected.softmax(1)
    )


def filled(images):
    model = build('tip')
    torch.manual_seed(3)
    labels = torch.arange(8) % 4
    fill(model, torch.randn(2, 8, 32, dtype=torch.float64), labels)
    return model, labels


def fill(model, views, labels):
    match = model.match_features(views.flatten(0, 1))
    model.head.fit(FeatureSpace(Labelled(match, labels.repeat(len(views))), len(views), None, None))


def test_tip_adapter(images):
    model, labels = filled(images)
    head, match = model.head, model.match(images)
    f = F.normalize(match.image, dim=-1)
    assert torch.allclose(head.keys.norm(dim=1), torch.ones(8).double())
    expected = model.scale * f @ match.text.t()
    for b in range(5):
        for s in range(8):
            expected[b, labels[s]] += (-(1 - f[b] @ head.keys[s])).exp()
    torch.testing.assert_close(model(images), expected)


def test_tip_adapter_search_keeps_what_it_finds(images):
    model, labels = filled(images)
    match = model.match(images)._replace(scale=torch.tensor(0.5))
    with torch.no_grad():
        target = model.head(match).argmax(1)
    found = model.head.search(Labelled(match, target), (5, 5), (4, 3))
    assert found.accuracy.shape == (4, 3)
    assert found.accuracy.max() == 100 * model.head(match).argmax(1).eq(target).double().mean()
    other = build('tip')
    other.load_state_dict(model.state_dict())
    torch.testing.assert_close(other(images), model(images))
    assert grid(5, 2) == pytest.approx([0.1, 2.55])


@pytest.mark.parametrize(
    'part, options, message',
    [
        ('adapter', dict(ratio=1.5), 'ratio must be at most 1'),
        ('adapter', dict(reduction=33), 'image features have 32 values'),
        ('tip', dict(num_keys=0), 'num_keys must be'),
        ('tip', dict(alpha=-1), 'alpha must be'),
        ('lora', dict(rank=65), 'tokens of the image tower have 64 values'),
        ('lora', dict(dropout=1), 'dropout must be below 1'),
        ('lora', dict(parts='qx'), "parts must be some of q, k, v, but is 'qx'"),
        ('lora', dict(blocks=dict(image=[3])), 'image tower must be some of 0 to 2'),
        ('lora', dict(towers=['text'], blocks=dict(image=[0])), 'blocks must be by'),
        ('lora', dict(towers=('audio',)), 'towers must be some of image, text'),
    ],
)
def test_bad_options(part, options, message):
    (name,) = PARTS[part]
    with pytest.raises(ValueError, match=message):
        build(part, **{name: {**PARTS[part][name], **options}})


def test_what_does_not_fit():
    with pytest.raises(
        ValueError, match='room for 8 images, but the training set has 6: set model.head.num_keys=6'
    ):
        fill(build('tip'), torch.zeros(1, 6, 32), torch.zeros(6).long())
    with pytest.raises(ValueError, match='LoRA adapts the features of one'):
        build('lora', templates=['a {}.', 'the {}.'])
