import copy

import pytest
import torch
import torch.nn.functional as F
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from plain import CLASSES, cosine_logits, encode_text, match, small_clip

import mmdpt.models  # noqa: F401

COOP = dict(type='CoOp', num_tokens=4)
CAVPT = dict(type='CAVPT', num_tokens=3, top_k=2)
METHODS = dict(
    zeroshot=dict(),
    coop=dict(text_prompt=COOP),
    cocoop=dict(text_prompt=dict(type='CoCoOp', num_tokens=4, reduction=8)),
    vpt=dict(visual_prompt=dict(type='VPT', num_tokens=3)),
    shallow=dict(visual_prompt=dict(type='VPT', num_tokens=3, deep=False)),
    vlp=dict(
        text_prompt=COOP,
        visual_prompt=dict(type='VPT', num_tokens=3),
        head=dict(type='GuidedHead', guided_epochs=2),
    ),
    maple=dict(
        text_prompt=dict(type='DeepCoOp', num_layers=2, num_tokens=2, frozen_words='of a'),
        visual_prompt=dict(type='MaPLe'),
    ),
    promptsrc=dict(
        text_prompt=dict(type='DeepCoOp', num_layers=3, num_tokens=2),
        visual_prompt=dict(type='VPT', num_tokens=3, num_layers=2, pre_norm=True),
        head=dict(type='PromptSRCHead'),
    ),
    kgcoop=dict(text_prompt=COOP, head=dict(type='KgCoOpHead')),
    tcp=dict(
        text_prompt=dict(type='TCP', num_tokens=3, layers=[1, 2], weights=[1.0, 0.5]),
        head=dict(type='KgCoOpHead'),
    ),
    mmrl=dict(
        text_prompt=dict(type='RepresentationText', num_tokens=3, space_dim=24, layers=[2, 3]),
        visual_prompt=dict(type='RepresentationImage'),
        head=dict(type='MMRLHead'),
    ),
    mmrlpp=dict(
        text_prompt=dict(
            type='RepresentationText', num_tokens=3, space_dim=24, layers=[1, 3], rank=2, mix=0.6
        ),
        visual_prompt=dict(type='RepresentationImage'),
        head=dict(type='MMRLHead', rank=4),
    ),
    prograd=dict(text_prompt=COOP, head=dict(type='ProGradHead')),
    dpt=dict(text_prompt=COOP, visual_prompt=CAVPT, head=dict(type='DPTHead', guided_epochs=2)),
)


def build(method='dpt', seed=0, **options):
    init_default_scope('mmpretrain')
    torch.manual_seed(seed)
    return MODELS.build(
        dict(
            dict(
                type='PromptedCLIP',
                arch=small_clip(),
                pretrained=None,
                classes=CLASSES,
                precision='fp64',
            ),
            **{**copy.deepcopy(METHODS[method]), **options},
        )
    )


@pytest.fixture
def images():
    torch.manual_seed(1)
    return torch.randn(5, 3, 32, 32)


def samples():
    return [DataSample().set_gt_label(i % 4) for i in range(5)]


@pytest.mark.parametrize('method', METHODS)
def test_equals_the_plain_path(method, images):
    """Logits, losses and gradients, against nothing shared or cached."""
    model = build(method).train()
    filled = F.normalize(
        encode_text(model.text_tower, [p[0] for p in model.templates[0]().unpack()]), dim=-1
    )
    learnt = [p for p in model.parameters() if p.requires_grad]
    for epoch in (0, 5):
        model.head.set_epoch(epoch)
        results = []
        for path in (model.match, lambda x: match(model, x, filled)):
            found = path(images)
            losses = model.head.loss(found, samples())
            result = [cosine_logits(found.image, found.text, found.scale)]
            if learnt:
                total, _ = model.parse_losses(losses)
                result += torch.autograd.grad(total.sum(), learnt)
            results.append(result)
        for fast, slow in zip(*results):
            torch.testing.assert_close(fast, slow, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize('method', METHODS)
def test_every_learnt_tensor_learns(method, images):
    """In both phases, and only what is meant to be learnt."""
    model = build(method).train()
    learnt = {n for n, p in model.named_parameters() if p.requires_grad}
    assert learnt == set(model.state_dict())
    assert all(n.startswith(tuple(f'{part}.' for part in model.parts())) for n in learnt)
    assert bool(learnt) == (method != 'zeroshot')
    if not learnt:
        return
    for epoch in (0, 5):
        model.head.set_epoch(epoch)
        model.zero_grad()
        total, _ = model.parse_losses(model.loss(images, samples()))
        total.sum().backward()
        for name, p in model.named_parameters():
            assert (p.grad is not None) == (name in learnt), name


@pytest.mark.parametrize('method', ['coop', 'dpt'])
def test_zero_shot(method, images):
    model = build(method).eval()
    with torch.no_grad(), model.zero_shot():
        inside = model(images)
    reference = build('zeroshot').eval()
    with torch.no_grad():
        torch.testing.assert_close(inside, reference(images))
        assert (model(images) - inside).abs().max() > 1e-3


def test_templates_are_averaged():
    templates = ['a photo of a {}.', 'art of the {}.']
    single = [build('zeroshot', templates=t).frozen_text_features() for t in templates]
    both = build('zeroshot', templates=templates).frozen_text_features()
    torch.testing.assert_close(both, F.normalize(sum(single) / 2, dim=-1))


def test_none_among_the_templates_is_the_default():
    model = build('zeroshot', classes='EuroSAT', templates=['a {}.', None])
    own = build('zeroshot', classes='EuroSAT')
    assert torch.equal(model.templates[1]().own, own.templates[0]().own)


def test_text_is_encoded_once_an_evaluation(images):
    model, count = build('dpt').eval(), []
    model.text_tower.register_forward_hook(lambda *a: count.append(1))
    with torch.no_grad():
        first = model(images)
        assert len(count) == 2  # templates and learnt prompts
        torch.testing.assert_close(model(images), first, rtol=0, atol=0)
        assert len(count) == 2
        context = model.text_prompt.context
        context.data.copy_(context.data.flip(-1))  # leaves no version trace
        assert (model(images) - first).abs().max() > 1e-6
        assert len(count) == 3


def test_text_features_by_image(images):
    """One image alone, several, and in evaluation more than go at once."""
    model = build('cocoop')
    together = model(images)
    for i in range(len(images)):
        torch.testing.assert_close(model(images[i : i + 1])[0], together[i])
    many = images.repeat(4, 1, 1, 1)
    with torch.no_grad():
        torch.testing.assert_close(model.eval()(many), together.repeat(4, 1))
        features = model.clip_features(images)
        for sample, row in zip(model.predict_features(features), together):
            torch.testing.assert_close(sample.pred_score, row.softmax(0))
    assert (model.text_features(features)[0] - model.text_features(features)[1]).abs().max() > 1e-6


def test_frozen_pass_only_where_needed(images):
    passes = []
    for method, phase, expected in [
        ('zeroshot', 5, 1),
        ('coop', 5, 1),
        ('vpt', 5, 1),
        ('vlp', 0, 2),
        ('vlp', 5, 1),
        ('dpt', 5, 2),
    ]:
        model, count = build(method).train(), []
        model.backbone.register_forward_hook(lambda *a: count.append(1))
        model.head.set_epoch(phase)
        model(images)
        passes.append((method, phase, len(count)))
        assert len(count) == expected, passes


def test_predictions(images):
    model = build('dpt').eval()
    with torch.no_grad():
        predictions = model(images, samples(), mode='predict')
        logits = model(images)
    for sample, row in zip(predictions, logits):
        torch.testing.assert_close(sample.pred_score, row.softmax(0))
        assert sample.pred_label.item() == row.argmax().item()
    (feature,) = model.extract_feat(images)
    assert feature.shape == (5, 32)


@pytest.mark.parametrize('precision, limit', [('fp32', 1e-4), ('bf16', 1.0), ('fp16', 0.2)])
def test_other_precisions(precision, limit, images):
    """What is learnt stays wide; the logits stay close to the exact ones."""
    exact, other = build('dpt'), build('dpt', precision=precision)
    for model in (exact, other):
        model.head.set_epoch(0)
    other.load_state_dict(exact.state_dict())
    assert all(p.dtype == torch.float32 for p in other.parameters() if p.requires_grad)
    with torch.no_grad():
        difference = (exact.eval()(images) - other.eval()(images)).abs().max()
    assert difference < limit
    total, _ = other.train().parse_losses(other.loss(images, samples()))
    total.backward()
    assert all(torch.isfinite(p.grad).all() for p in other.parameters() if p.requires_grad)


def test_learnt_values_are_few():
    model = build('dpt')
    learnt = sum(p.numel() for p in model.state_dict().values())
    assert learnt == sum(p.numel() for p in model.parameters() if p.requires_grad)


@pytest.mark.parametrize(
    'options, error, message',
    [
        (dict(classes=[]), ValueError, 'at least two classes, but classes has 0'),
        (dict(classes=['cat']), ValueError, 'at least two classes'),
        (dict(classes=['cat', 'dog', 'cat']), ValueError, "'cat' stands more"),
        (dict(classes=['cat', 3]), TypeError, 'must be text, but one is 3'),
        (dict(templates=[]), ValueError, 'templates is empty'),
        (dict(classes='EuroSad'), (ValueError, KeyError), 'EuroSAT'),
        (dict(templates='photo'), ValueError, 'exactly one {}'),
    ],
)
def test_bad_classes_and_templates(options, error, message):
    with pytest.raises(error, match=message):
        build('zeroshot', **options)


def test_parts_that_do_not_fit():
    with pytest.raises(ValueError, match='DPTHead needs class evidence'):
        build('coop', head=dict(type='DPTHead', guided_epochs=1))
    with pytest.raises(
        ValueError,
        match='CAVPT needs text features that all images share, but those of CoCoOp depend',
    ):
        build('cocoop', visual_prompt=CAVPT)
    with pytest.raises(ValueError, match='GuidedHead guides learnt text'):
        build('vpt', head=dict(type='GuidedHead', guided_epochs=1))


def test_benchmark_gives_classes_and_template():
    model = build('zeroshot', classes='EuroSAT')
    assert len(model.classes) == 10 and model.classes[1] == 'Forest'
    assert len(model.templates) == 1
