import pytest
import torch
import torch.nn.functional as F
from helpers.classifier import CAVPT, METHODS, build, equals_the_plain_path, samples

import mmdpt.models  # noqa: F401


@pytest.fixture
def images():
    torch.manual_seed(1)
    return torch.randn(5, 3, 32, 32)


@pytest.mark.parametrize('method', METHODS)
def test_equals_the_plain_path(method, images):
    equals_the_plain_path(method, images)


@pytest.mark.parametrize('method', METHODS)
def test_every_learnt_tensor_learns(method, images):
    """In both phases, and only what is meant to be learnt."""
    model = build(method).train()
    learnt = {n for n, p in model.named_parameters() if p.requires_grad}
    kept = {f'head.{name}' for name in getattr(model.head, 'saved_buffers', ())}
    assert learnt == set(model.state_dict()) - kept
    assert all(n.startswith(tuple(f'{part}.' for part in model.parts())) for n in learnt)
    assert bool(learnt) == (method != 'zeroshot')
    if not learnt:
        return
    for epoch in (0, 5):
        model.head.set_epoch(epoch)
        model.zero_grad()
        given = samples(getattr(model.head, 'always', 4))
        total, _ = model.parse_losses(model.loss(images, given))
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
        (dict(classes=['cat', 'dog', 'cat']), ValueError, "'cat' appears more"),
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
