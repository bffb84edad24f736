"""SkipTuning's parts: which classes a step keeps, text of these alone, weights that learn."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from helpers.classifier import build, samples
from helpers.plain import CLASSES
from mmpretrain.structures import DataSample

from mmdpt.engine import LearntEMA
from mmdpt.models import ClassSkippingHead
from mmdpt.models.clip.padded_text import encode_whole
from mmdpt.models.heads.class_skipping import chances
from mmdpt.models.part import ModelInfo
from mmdpt.models.tuning.upper_blocks import merge_copies

NAMES = [f'class {i}' for i in range(9)]


def head(classes=NAMES, **options):
    return ClassSkippingHead(about=ModelInfo(None, list(classes)), **options)


@pytest.mark.parametrize('count, always, decay', [(10, 5, 2.0), (5, 3, 0.3), (7, 1, 1.0)])
def test_chances_by_the_formula(count, always, decay):
    left = count - always
    e = [math.exp(-5 * i / (left - 1) / decay) / decay for i in range(left)]
    wanted = [1.0] * always + [(x - min(e)) / (max(e) - min(e)) for x in e]
    found = chances(count, always, decay).tolist()
    assert found == pytest.approx(wanted, abs=1e-12)
    assert found[always] == 1 and found[-1] == 0


@pytest.mark.parametrize(
    'options, always',
    [
        (dict(keep=0.5), 5),
        (dict(keep=1), 9),
        (dict(keep=1, most=2), 9),  # nothing is skipped
        (dict(keep=0.9, most=4), 4),
        (dict(keep=3), 3),
        (dict(keep=20), 9),
    ],
)
def test_how_many_are_always_kept(options, always):
    found = head(**options)
    assert found.always == always and found.drawn[:always].all()
    assert always < 9 or found.drawn.all()


def test_of_one_left_over_nothing_is_kept():
    assert chances(9, 8, 0.3).tolist() == [1.0] * 8 + [0.0]
    assert not head(keep=0.8).drawn[8]


def test_the_draw_follows_the_chances():
    torch.manual_seed(0)
    kept = torch.stack([head(keep=0.3, decay=3.0).drawn for _ in range(2000)]).double().mean(0)
    torch.testing.assert_close(kept, chances(9, 3, 3.0), rtol=0, atol=0.05)


def test_choice_by_hand():
    found = head(keep=3)
    found.drawn[:] = torch.tensor([1, 1, 1, 1, 0, 1, 0, 0, 0], dtype=torch.bool)
    torch.manual_seed(1)
    image, text = torch.randn(2, 16), F.normalize(torch.randn(9, 16), dim=-1)
    target = torch.tensor([4, 7])
    best = [max(float(F.cosine_similarity(i, t, dim=0)) for i in image) for t in text]
    best[4] = best[7] = 9.0
    ranks = sorted(range(9), key=lambda c: -best[c])
    assert found.choose(target, image, text) == sorted([*ranks[:4], ranks[5]])


def test_a_label_is_never_left_out_silently():
    found = head(keep=2)
    found.drawn[:] = torch.arange(9) < 3
    image, text = torch.randn(4, 16), F.normalize(torch.randn(9, 16), dim=-1)
    assert set(found.choose(torch.tensor([1, 5, 8]), image[:3], text)) == {1, 5, 8}
    with pytest.raises(ValueError, match='images of 4 classes, .* always keeps 2 of 9: raise'):
        found.choose(torch.tensor([1, 5, 8, 2]), image, text)


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(keep=0), 'keep must be above 0'),
        (dict(keep=-1), 'keep must be a number of at least 0'),
        (dict(decay=0.0), 'decay must be above 0'),
        (dict(most=0), 'most must be a whole number from 1'),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        head(**options)


def test_mixed_labels_are_refused():
    mixed = [DataSample().set_gt_score(torch.full((9,), 1 / 9)) for _ in range(2)]
    with pytest.raises(ValueError, match='needs one label per image'):
        head().chooser(mixed)(torch.randn(2, 16), torch.randn(9, 16))


@pytest.mark.parametrize('method', ['coop', 'tcp', 'mmrl', 'maple'])
def test_text_of_some_classes_is_that_of_all(method):
    """Features and gradients, whatever enters the blocks, in any order."""
    model, some = build(method).train(), [3, 0, 2]
    learnt = list(model.text_prompt.parameters())
    weight = torch.randn(len(some), 32, dtype=torch.float64)
    results = []
    for text in (model.text.learnt(classes=some), model.text.learnt()[some]):
        loss = (text * weight).sum()
        results.append([text, *torch.autograd.grad(loss, learnt, allow_unused=True)])
    for few, whole in zip(*results):
        if few is None:
            assert whole is None
        else:
            torch.testing.assert_close(few, whole, rtol=1e-11, atol=1e-12)
    prompts = model.text_prompt()
    torch.testing.assert_close(
        encode_whole(model.text_tower, prompts._replace(classes=some)),
        encode_whole(model.text_tower, prompts)[:, some],
        rtol=1e-11,
        atol=1e-12,
    )


def shaken(seed=0):
    """A model whose learnt weights are no longer CLIP's."""
    model = build('skiptuning', seed)
    with torch.no_grad():
        for p in model.tuning.parameters():
            p += 0.05 * torch.randn_like(p)
    return model.eval()


def test_learnt_weights_are_as_a_clip_of_these_weights():
    """And only what stands in front of them: the frozen tower is beside it, untouched."""
    model, images = shaken(), torch.randn(2, 3, 32, 32)
    frozen, plain = build('zeroshot').eval()(images), build('zeroshot').eval()
    with torch.no_grad(), model.zero_shot():
        assert torch.equal(model(images), frozen)
    for name, tower in dict(image=plain.backbone, text=plain.text_tower).items():
        own = dict(tower.named_parameters())
        for path, learnt in getattr(model.tuning, name).named_parameters():
            own[path].data.copy_(learnt)
    torch.testing.assert_close(model(images), plain(images), rtol=1e-10, atol=1e-10)
    assert (model(images) - frozen).abs().max() > 1e-2


def test_off_may_be_nested():
    model, images = shaken(), torch.randn(2, 3, 32, 32)
    before = model.match(images).image
    with model.tuning.off():
        with model.tuning.off():
            pass
        frozen = model.match(images).image
    assert torch.equal(frozen, model.clip_features(images))
    assert torch.equal(model.match(images).image, before) and not torch.equal(before, frozen)


def test_what_learns_and_where_it_is():
    model = build('skiptuning')
    names = {n for n, p in model.named_parameters() if p.requires_grad}
    blocks = {n.split('resblocks.')[1][0] for n in names if 'resblocks' in n}
    assert blocks == {'1', '2'} and all(n.startswith('tuning.') for n in names)
    kinds = {n.removeprefix('tuning.') for n in names if 'blocks' not in n}
    ends = ('visual.ln_post.weight', 'visual.ln_post.bias', 'visual.proj')
    assert kinds == {
        *(f'image.{n}' for n in ends),
        *(f'text.{n}' for n in ('ln_final.weight', 'ln_final.bias', 'text_projection')),
    }


def test_a_copy_learns_on_its_own():
    """A moving average, and a tower merged for export."""
    model, images = shaken(), torch.randn(2, 3, 32, 32)
    average = LearntEMA(model, momentum=0.5)
    tower = copy.deepcopy(model.backbone)
    merge_copies(tower)
    before = model.match(images).image
    assert not any('weight' in vars(m) for m in tower.modules())
    torch.testing.assert_close(tower(tower.embed(images)).feature, before, rtol=1e-12, atol=1e-12)
    with torch.no_grad():
        for p in model.tuning.parameters():
            p.zero_()
    torch.testing.assert_close(average.module.match(images).image, before)
    average.update_parameters(model)  # the first one copies
    assert not average.module.match(images).image.any()


@pytest.mark.parametrize('first', [-1, 3, 1.5, True])
def test_there_must_be_such_a_block(first):
    with pytest.raises(ValueError, match='first must be a whole number from 0 to 2'):
        build('zeroshot', tuning=dict(type='UpperBlocks', first=first))


def test_other_classes_take_over_the_weights():
    """Their number may differ; the draw by rank stays behind."""
    old = shaken()
    new = build('skiptuning', classes=[*CLASSES, 'zebra', 'a b'], transfer=True)
    own = new.head.drawn.clone()
    new.load_state_dict(old.state_dict())
    assert torch.equal(new.head.drawn, own)
    images = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(new.eval().match(images).text[:4], old.match(images).text)
    torch.testing.assert_close(new.match(images).image, old.match(images).image)


def test_class_skipping_needs_text_that_all_images_share():
    with pytest.raises(ValueError, match='ClassSkippingHead needs text features that all'):
        build('cocoop', head=dict(type='ClassSkippingHead'))
    with pytest.raises(ValueError, match='ClassSkippingHead leaves out classes, .* CAVPT'):
        build('dpt', head=dict(type='ClassSkippingHead'))


@pytest.mark.parametrize('method', ['coop', 'maple', 'vpt'])
def test_it_works_on_other_methods(method):
    """Losses over the kept classes are those of all logits cut down."""
    model = build(method, head=dict(type='ClassSkippingHead', keep=0.5, decay=9.0)).train()
    images, given = torch.randn(5, 3, 32, 32), samples(2)
    match = model.match(images, given)
    assert 2 <= len(match.classes) == len(match.text) == int(model.head.drawn.sum()) < 4
    loss = model.head.loss(match, given)['loss']
    logits = model.head(model.match(images))[:, match.classes]
    target = torch.tensor([match.classes.index(int(s.gt_label)) for s in given])
    torch.testing.assert_close(loss, F.cross_entropy(logits, target), rtol=1e-10, atol=0)
