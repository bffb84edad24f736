"""What MMPretrain's tools ask of a classifier."""

import pytest
import torch
import torch.nn.functional as F
from helpers.classifier import METHODS, build, samples
from mmengine.analysis import get_model_complexity_info
from mmpretrain.structures import DataSample

SOFT = torch.tensor(
    [[0.7, 0.3, 0, 0], [0, 1, 0, 0], [0, 0, 0.5, 0.5], [0.1, 0.2, 0.3, 0.4], [0, 0.4, 0.6, 0]],
    dtype=torch.float64,
)
MIXUP = dict(augments=[dict(type='Mixup', alpha=0.8), dict(type='CutMix', alpha=1.0)])


@pytest.fixture
def images():
    torch.manual_seed(1)
    return torch.randn(5, 3, 32, 32)


def mixed():
    return [DataSample().set_gt_score(row) for row in SOFT]


def batch():
    return dict(
        inputs=[torch.full((3, 32, 32), 50 * i, dtype=torch.uint8) for i in range(5)],
        data_samples=samples(),
    )


@pytest.mark.parametrize('method', METHODS)
def test_stages_of_the_features(method, images):
    model = build(method).eval()
    with torch.no_grad():
        found = {s: model.extract_feat(images, stage=s) for s in ('backbone', 'neck')}
        bare = model.extract_feat(images, stage='pre_logits')
        wanted = model.match(images).image
    assert bare.shape == (5, 32) and torch.equal(bare, wanted)
    for features in found.values():
        assert isinstance(features, tuple) and len(features) == 1
        assert torch.equal(features[0], bare)
    assert model.backbone.out_indices == (2,)
    with pytest.raises(ValueError, match="one of backbone, neck, pre_logits, but is 'head'"):
        model.extract_feat(images, stage='head')


def test_classes_are_the_models():
    """Whatever data or checkpoint say, for MMPretrain's inferencers."""
    model = build('coop')
    model._dataset_meta = dict(classes=['wrong'], palette=[1])
    assert model._dataset_meta == dict(classes=model.classes, palette=[1])
    model._dataset_meta = None
    assert model._dataset_meta == dict(classes=model.classes)


def test_flops():
    model = build('dpt', precision='fp32').eval()
    model.forward = model.extract_feat
    found = get_model_complexity_info(model, (3, 32, 32), show_table=False, show_arch=False)
    assert found['flops'] > 1e6
    assert found['params'] == sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize('method', [m for m in METHODS if not m.startswith('dpt')])
def test_soft_labels(method, images):
    """Cross-entropy with mixed labels; one-hot ones give the plain loss."""
    model = build(method, train_cfg=MIXUP).train()
    model.head.set_epoch(0)
    match = model.match(images)
    soft, hard = model.head.loss(match, mixed()), model.head.loss(match, samples())
    name = 'loss' if 'loss' in soft else 'loss_logits'
    weight, logits = getattr(model.head, 'logits_weight', 1), model.head
    if method.startswith('mmrl'):  # its two logits have a loss each
        weight, logits = model.head.alpha, model.head.class_logits
    wanted = -(SOFT * logits(match).log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(soft[name], weight * wanted)
    labelled = [DataSample().set_gt_score(F.one_hot(s.gt_label[0], 4).double()) for s in samples()]
    for name, value in model.head.loss(match, labelled).items():
        torch.testing.assert_close(value, hard[name])


def test_a_batch_is_mixed():
    """The config's way: images and labels change, and the loss has a gradient."""
    model = build('coop', precision='fp32', train_cfg=MIXUP).train()
    torch.manual_seed(0)
    data = model.data_preprocessor(batch(), training=True)
    scores = torch.stack([s.gt_score for s in data['data_samples']])
    torch.testing.assert_close(scores.sum(1), torch.ones(5))
    assert ((scores > 0).sum(1) == 2).any()
    model.parse_losses(model(**data, mode='loss'))[0].backward()
    assert model.text_prompt.context.grad.abs().max() > 0
    plain = model.data_preprocessor(batch(), training=False)
    assert not torch.equal(plain['inputs'], data['inputs'])


@pytest.mark.parametrize(
    'method, options, message',
    [
        ('dpt', dict(), 'DPTHead needs one label per image, which batch augmentation'),
        (
            'coop',
            dict(head=dict(type='SimilarityHead', cal_acc=True)),
            'cal_acc=True needs one label',
        ),
    ],
)
def test_mixing_is_refused_at_build_time(method, options, message):
    with pytest.raises(ValueError, match=message):
        build(method, train_cfg=MIXUP, **options)
    with pytest.raises(ValueError, match=message):
        build(method, data_preprocessor=dict(batch_augments=MIXUP), **options)


@pytest.mark.parametrize('method', METHODS)
def test_accuracy_of_negative_logits(method, images):
    """MMPretrain's threshold of 0 would take them for misses."""
    head = dict(METHODS[method].get('head', dict(type='SimilarityHead')), cal_acc=True, topk=(1, 4))
    model = build(method, head=head).train()
    model.head.set_epoch(0)
    match = model.match(images)
    match = match._replace(text=match.text - 100 * match.image.mean(0), image=match.image)
    logits = model.head(match)
    assert logits.max() < 0
    losses = model.head.loss(match, samples())
    wanted = 100 * (logits.argmax(1) == torch.arange(5) % 4).double().mean()
    assert losses['accuracy_top-1'].item() == pytest.approx(wanted.item())
    assert losses['accuracy_top-4'].item() == 100
    total, logs = model.parse_losses(losses)
    assert 'accuracy_top-1' in logs and total.requires_grad == bool(model.state_dict())


def test_label_smoothing(images):
    """MMPretrain's loss, also of the cross-entropies of DPT."""
    smooth = dict(type='LabelSmoothLoss', label_smooth_val=0.1, mode='original')
    for method in ('coop', 'dpt'):
        head = dict(METHODS[method].get('head', dict(type='SimilarityHead')), loss=smooth)
        model = build(method, head=head).train()
        model.head.set_epoch(9)
        match = model.match(images)
        losses = model.head.loss(match, samples())
        found = losses.get('loss_logits', losses.get('loss'))
        wanted = F.cross_entropy(model.head(match), torch.arange(5) % 4, label_smoothing=0.1)
        torch.testing.assert_close(found, wanted)
