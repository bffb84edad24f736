"""Tens of thousands of classes: evaluation without (B, C, E), sampled softmax."""

import copy
import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from benchmark_many_classes import made_up_names
from helpers.classifier import METHODS, build, samples
from helpers.tools import tool
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mmdpt.models import match_classifier
from mmdpt.models.clip import packed_text
from mmdpt.models.heads.class_sampler import ClassSampler

ROOT = Path(__file__).resolve().parents[1]
IMAGES, SIZE = 40, 32
NAMES = [f'{a} {b}' for a in 'cat dog ox cow hen bee ape elk emu fly'.split() for b in range(24)]


class Largest(TorchDispatchMode):
    """Remembers the most values of a tensor made inside it."""

    most = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        found = func(*args, **(kwargs or {}))
        given = {t.untyped_storage().data_ptr() for t in tensors((args, kwargs))}
        for tensor in tensors(found):
            if tensor.untyped_storage().data_ptr() not in given:
                self.most = max(self.most, tensor.numel())
        return found


def tensors(tree):
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor)]


EVALUATED = ['zeroshot', 'coop', 'cocoop', 'tcp', 'mmrl', 'maple', 'kgcoop', 'dpt', 'skiptuning']


@pytest.mark.parametrize('method', EVALUATED)
def test_no_tensor_of_images_times_classes_times_features(method, monkeypatch):
    monkeypatch.setattr(packed_text, 'TOKENS_ON_CPU', 64)
    monkeypatch.setattr(match_classifier, 'FEATURES_AT_ONCE', 2 * len(NAMES))
    options = {}
    if method == 'skiptuning':
        options = dict(tuning=dict(type='UpperBlocks', first=1))
    model = build(method, classes=NAMES, **options).eval()
    images = torch.randn(IMAGES, 3, 32, 32)
    with torch.no_grad(), Largest() as largest:
        scores = model(images)
    assert scores.shape == (IMAGES, len(NAMES))
    assert IMAGES * len(NAMES) <= largest.most < IMAGES * len(NAMES) * SIZE


def test_images_in_blocks_score_as_they_do_together(monkeypatch):
    model = build('cocoop', classes=NAMES[:6]).eval()
    images = torch.randn(5, 3, 32, 32)
    with torch.no_grad():
        together = model(images)
        monkeypatch.setattr(match_classifier, 'FEATURES_AT_ONCE', 6)
        alone = model(images)
        kept = model.predict_features(model.clip_features(images))
        with model.zero_shot():
            zero_shot = model(images)
    torch.testing.assert_close(alone, together, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(
        torch.stack([s.pred_logits for s in kept]), together, rtol=1e-9, atol=1e-9
    )
    assert not torch.allclose(zero_shot, together)


def sampled(count, method='coop', **options):
    head = dict(METHODS[method].get('head', dict(type='SimilarityHead')), sample_classes=count)
    return build(method, classes=NAMES[:20], head=head, **options).train()


def step(model, images, given):
    losses = model.loss(images, given)
    learnt = [p for p in model.parameters() if p.requires_grad]
    return losses['loss'], *torch.autograd.grad(losses['loss'], learnt)


@pytest.mark.parametrize('count', [20, 10**6])
def test_sampling_all_is_exact(count):
    images, given = torch.randn(5, 3, 32, 32), samples()
    exact = step(build('coop', classes=NAMES[:20]).train(), images, given)
    for a, b in zip(step(sampled(count), images, given), exact):
        assert torch.equal(a, b)


def test_all_that_is_left_is_exact():
    """16 others and the 4 of the batch are all 20 classes, by the other path."""
    images, given = torch.randn(5, 3, 32, 32), samples()
    exact = step(build('coop', classes=NAMES[:20]).train(), images, given)
    for a, b in zip(step(sampled(16), images, given), exact):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize('kept', [False, True])
def test_a_step_is_the_softmax_over_its_classes(kept):
    model, given = sampled(6), samples()
    images = torch.randn(5, 3, 32, 32)
    inputs = model.clip_features(images) if kept else images
    again = copy.deepcopy(model.head.sampler)
    target = torch.cat([s.gt_label for s in given])
    classes = again.choose(target, None, None)
    assert len(classes) == 10 and {0, 1, 2, 3} < set(classes) and classes == sorted(classes)
    found = model.match(inputs, given)
    assert list(found.classes) == classes
    with torch.no_grad():
        full = F.normalize(found.image, dim=-1) @ F.normalize(model.text.learnt(), dim=-1).t()
        wanted = F.cross_entropy(model.scale * full[:, classes], target)
    got = model.head.loss(found, given)['loss']
    torch.testing.assert_close(got.detach(), wanted, rtol=1e-9, atol=1e-11)
    assert wanted < F.cross_entropy(model.scale * full, target)


def test_the_draw_is_part_of_the_checkpoint():
    model, target = sampled(3), torch.tensor([5, 5, 7])
    first = [model.head.sampler.choose(target, None, None) for _ in range(4)]
    state = {n: t.clone() for n, t in model.state_dict().items()}
    assert 'head.sampler.draws' in state
    then = [model.head.sampler.choose(target, None, None) for _ in range(4)]
    other = sampled(3, seed=9)
    other.load_state_dict(state)
    assert [other.head.sampler.choose(target, None, None) for _ in range(4)] == then != first


def test_every_other_class_is_equally_likely():
    torch.manual_seed(0)
    sampler, hits = ClassSampler(8, 2), torch.zeros(8)
    for _ in range(3000):
        hits[sampler.choose(torch.tensor([1, 4]), None, None)] += 1
    assert hits[1] == hits[4] == 3000
    others = hits[[0, 2, 3, 5, 6, 7]] / 3000
    torch.testing.assert_close(others, torch.full((6,), 1 / 3), rtol=0, atol=0.05)


@pytest.mark.parametrize('count', [0, -1, 2.5, True])
def test_bad_numbers(count):
    with pytest.raises(ValueError, match='sample_classes must be a whole number'):
        sampled(count)


@pytest.mark.parametrize('method', ['kgcoop', 'mmrl', 'skiptuning', 'vlp', 'promptsrc', 'coprompt'])
def test_methods_that_read_all_classes_refuse(method):
    with pytest.raises(ValueError, match='cannot sample classes: its .* is its own'):
        sampled(5, method)


def test_text_by_image_and_class_aware_prompts_refuse():
    with pytest.raises(ValueError, match='needs text features that all images share'):
        sampled(5, 'cocoop')
    with pytest.raises(ValueError, match='leaves out classes, whose text CAVPT may need'):
        build('dpt', classes=NAMES[:20], head=dict(type='SimilarityHead', sample_classes=5))


def test_the_tool_measures(tmp_path):
    tool(
        'benchmark_many_classes',
        *('--arch', ROOT / 'mmdpt/tiny_clip/config.json'),
        *('--num-classes', '60', '--few', '20', '--json', tmp_path / 'many.json'),
    )
    about, *rows = json.loads((tmp_path / 'many.json').read_text())
    assert about['classes'] == 60 and about['tokens'] > 60 * 3
    assert [row['classes'] for row in rows] == [20, 20, 60]
    assert all(row['cpu_s'] > 0 and row['ms_per_class'] > 0 for row in rows)


def test_made_up_names_are_distinct_and_imagenet_s_come_first():
    names = made_up_names(21_841)
    assert len(names) == len(set(names)) == 21_841
    assert names[0] == 'tench' and all(name.strip() == name for name in names)


def test_mixed_labels_are_refused():
    model, given = sampled(5), samples()
    for sample in given:
        sample.set_gt_score(torch.full((20,), 0.05))
    with pytest.raises(ValueError, match='sample_classes needs one label per image'):
        model.loss(torch.randn(5, 3, 32, 32), given)
