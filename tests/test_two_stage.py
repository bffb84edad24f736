"""2SFS: learnt LayerNorms, and a classifier that starts at the text features."""

import pytest
import torch
import torch.nn.functional as F
from helpers import classifier
from helpers.plain import CLASSES, encode_text

from mmdpt.models import LoRA, Match
from mmdpt.models.tuning.base import frozen_towers


def build(method='layer_norms', **options):
    """Stage 1 begins in block 1 of the image tower."""
    head = dict(head=dict(type='TextStartHead')) if method == 'layer_norms' else {}
    return classifier.build(method, **{**head, **options})


@pytest.fixture
def images():
    torch.manual_seed(1)
    return torch.randn(5, 3, 32, 32, dtype=torch.float64)


def perturb(model):
    with torch.no_grad():
        for parameter in model.tuning.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)


def started(**options):
    """A model in stage 2, its rows moved and of other lengths."""
    model = build(**options)
    perturb(model)
    with torch.no_grad():
        model.eval().head.begin_stage(True, False, model.text_features)
        model.head.weight.mul_(torch.rand(len(model.classes), 1) + 0.5)
        model.head.weight.add_(torch.randn_like(model.head.weight), alpha=0.05)
    return model


def test_starts_as_clip(images):
    model = build().eval()
    with torch.no_grad():
        tuned = model(images)
        with model.zero_shot():
            torch.testing.assert_close(tuned, model(images), rtol=1e-12, atol=1e-12)


def test_the_frozen_towers_stay(images):
    model = build().eval()

    def text_features():
        with torch.no_grad(), frozen_towers(model.tuning):
            return F.normalize(model.text_tower(model.templates[0]())[0], dim=-1)

    frozen = text_features(), model.clip_features(images)
    perturb(model)
    assert torch.equal(text_features(), frozen[0])
    # the classes go through a tower that learns together, and in parts otherwise
    torch.testing.assert_close(model.frozen_text_features(), frozen[0], rtol=0, atol=1e-15)
    assert torch.equal(model.clip_features(images), frozen[1])
    assert (model.match(images).image - frozen[1]).abs().max() > 1e-3


@pytest.mark.parametrize('towers', [['image'], ['text'], ['image', 'text']])
def test_what_learns(towers):
    first = {t: 2 for t in towers}
    model = build(tuning=dict(type='LayerNorms', towers=towers, first=first))
    learnt = {n: p for n, p in model.named_parameters() if p.requires_grad}
    assert {n.rpartition('.')[0] for n in learnt} == {
        f'tuning.{t}.2.{ln}' for t in towers for ln in ('ln_1', 'ln_2')
    }
    assert all(p.shape == (64,) for p in learnt.values())


def test_text_below_the_first_learnt_block_is_computed_once(images):
    model = build(tuning=dict(type='LayerNorms', first=dict(text=2)))
    perturb(model)
    ran = []
    for depth, block in enumerate(model.text_tower.blocks):
        block.ln_2.register_forward_hook(lambda *_, depth=depth: ran.append(depth))
    prompts = [p[0] for p in model.templates[0]().unpack()]
    for _ in range(2):
        model.train()
        found = model.match(images).text
        torch.testing.assert_close(found, encode_text(model.text_tower, prompts), rtol=1e-9, atol=0)
    assert ran == [0, 1, 2, *range(3), 2, *range(3)]


def test_text_is_not_encoded_where_it_does_not_learn(images):
    """Stage 2, and a tuning of the image tower alone."""
    for model in (started(), build(tuning=dict(type='LayerNorms', towers=['image']))):
        if model.head.started:
            model.tuning.requires_grad_(False)
            model.head.weight.requires_grad_(True)
        perturb(model)
        model.train()
        model.match(images)
        model.text_tower.forward = None  # whoever calls it fails
        loss = model.head(model.match(images)).square().sum()
        loss.backward()
        learns = {n.split('.')[0] for n, p in model.named_parameters() if p.grad is not None}
        assert learns == ({'head'} if model.head.started else {'tuning'})


def test_before_its_stage_the_text_classifies(images):
    model = build().train()
    match = model.match(images)
    assert torch.equal(model.head.classifier(match.text), match.text)
    model.eval()
    torch.testing.assert_close(
        model.head.classifier(match.text), F.normalize(match.text, dim=-1), rtol=0, atol=0
    )


def test_rows_start_at_the_adapted_text(images):
    model = build()
    perturb(model)
    with torch.no_grad():
        model.eval().head.begin_stage(False, False, model.text_features)
        assert not model.head.started and not model.head.weight.any()
        model.head.begin_stage(True, False, model.text_features)
        text = F.normalize(model.text_features(), dim=-1)
        assert torch.equal(model.head.weight, text) and model.head.started
        perturb(model)
        model.head.begin_stage(True, True, model.text_features)  # a third stage goes on
    assert torch.equal(model.head.weight, text)


@pytest.mark.parametrize(
    'classes', [CLASSES, ['dog', 'lynx'], ['lynx', 'ox', 'dog', 'cat'], CLASSES[::-1]]
)
def test_selective_inference(classes, images):
    old = started()
    new = build(classes=classes, transfer=True)
    new.load_state_dict(old.state_dict())
    prompts = [p[0] for p in new.templates[0]().unpack()]
    with torch.no_grad():
        text = encode_text(new.text_tower, prompts)
        rows = torch.stack(
            [
                old.head.weight[CLASSES.index(name)] if name in CLASSES else text[i]
                for i, name in enumerate(classes)
            ]
        )
        match = old.eval().match(images)
        wanted = match.scale * F.cosine_similarity(match.image[:, None], rows[None], dim=-1)
        torch.testing.assert_close(new.eval()(images), wanted, rtol=1e-9, atol=1e-9)


def test_names_are_compared_exactly(images):
    new = build(classes=['Cat', 'ox'], transfer=True)
    new.load_state_dict(started().state_dict())
    assert new.head.own_rows.tolist() == [-1, 3]


def test_length_of_a_row_does_not_matter():
    model = started().eval()
    image, text = torch.randn(2, 5, 32, dtype=torch.float64)
    match = Match(image, text[:4], model.scale)
    before = model.head(match)
    model.head.weight.data *= 3
    torch.testing.assert_close(model.head(match), before, rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(towers=['audio']), 'towers must be some of image, text'),
        (dict(towers=[]), 'towers must be some of image, text'),
        (dict(towers=['text'], first=dict(image=1)), 'first must be by tower, text'),
        (dict(first=dict(image=3)), r"first\['image'\] must be a block .* from 0 to 2, but is 3"),
        (dict(first=dict(text=-1)), r"first\['text'\] must be a block"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(ValueError, match=message):
        build(tuning=dict(type='LayerNorms', **options))


def test_head_needs_a_shared_text():
    with pytest.raises(ValueError, match='TextStartHead needs text features that all images share'):
        build(text_prompt=dict(type='CoCoOp', num_tokens=2), tuning=None)


def test_beside_a_prompt_that_enters_a_middle_block(images):
    """States below its first block are no constants where LayerNorms learn."""
    prompt = dict(type='RepresentationText', num_tokens=3, space_dim=24, layers=[3])
    model = build('mmrl', text_prompt=prompt, tuning=dict(type='LayerNorms'))
    before = model.text_features().detach()
    perturb(model)
    model.train()
    model.match(images).text.sum().backward()
    assert all(p.grad is not None for n, p in model.tuning.named_parameters() if 'text' in n)
    assert (model.text_features() - before).abs().max() > 1e-3


def test_lora_keeps_its_text_gradient(images):
    model = build('coop', tuning=dict(type='LoRA', towers=['text']))
    assert isinstance(model.tuning, LoRA)
    model.train().match(images).text.sum().backward()
    assert all(p.grad is not None for p in model.tuning.parameters())
