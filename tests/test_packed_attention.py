"""Packed text in parts, and its attention, against slow and obvious twins."""

import pytest
import torch
from helpers.classifier import build, equals_the_plain_path
from helpers.plain import CLASSES, about, small_clip

from mmdpt.models.clip import packed_text
from mmdpt.models.clip.load import load_clip
from mmdpt.models.clip.packed_attention import PackedAttention
from mmdpt.models.clip.packing import Layout, later_tokens
from mmdpt.models.clip.text_tower import TextTower
from mmdpt.models.prompts.coop import CoOp


def sequence_by_sequence(qkv, shared, groups, heads):
    """Causal attention of each class's whole prompt, for one row of packed tokens."""
    query, key, value = (t.unflatten(1, (heads, -1)) for t in qkv.chunk(3, -1))
    found, start = [], shared
    sizes = [0] + [length for length, count in groups for _ in range(count)]
    for size in sizes:
        rows = [*range(shared), *range(start, start + size)]
        scores = torch.einsum('ihd,jhd->hij', query[rows], key[rows]) / query.shape[-1] ** 0.5
        hidden = torch.full(scores.shape[1:], float('-inf'), dtype=qkv.dtype).triu(1)
        mixed = torch.einsum('hij,jhd->ihd', (scores + hidden).softmax(-1), value[rows])
        found.append(mixed.flatten(1)[shared if size else 0 :])
        start += size
    return torch.cat(found)


@pytest.mark.parametrize(
    'images, shared, groups, heads',
    [(1, 5, [(2, 3), (4, 2)], 2), (3, 1, [(3, 2)], 2), (2, 4, [(1, 1), (2, 1)], 1)],
)
def test_attention_by_hand(images, shared, groups, heads):
    torch.manual_seed(0)
    count = shared + sum(a * b for a, b in groups)
    qkv = torch.randn(images, count, 24 * heads, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(images, count, 8 * heads, dtype=torch.float64)
    fast = PackedAttention.apply(qkv, shared, groups, heads, later_tokens(6))
    slow = torch.stack([sequence_by_sequence(row, shared, groups, heads) for row in qkv])
    torch.testing.assert_close(fast, slow, rtol=1e-9, atol=1e-12)
    grads = [torch.autograd.grad((x * weight).sum(), qkv)[0] for x in (fast, slow)]
    torch.testing.assert_close(*grads, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize('checkpointing', [False, True])
@pytest.mark.parametrize('method', ['coop', 'tcp', 'mmrl', 'maple', 'cocoop', 'dpt'])
def test_parts_equal_the_plain_path(method, checkpointing, monkeypatch):
    """Few tokens at once: several parts, edits in each of them, also by image."""
    monkeypatch.setattr(packed_text, 'TOKENS_ON_CPU', 7)
    torch.manual_seed(1)
    images = torch.randn(5, 3, 32, 32)
    equals_the_plain_path(method, images, text_checkpointing=checkpointing)


def test_layouts_of_parts():
    layout = Layout(2, [(1, 2), (3, 3), (9, 1)], torch.tensor([0, 1, 4, 7, 10, 19]), None)
    parts = layout.parts(7)
    assert [p.groups for p in parts] == [[(1, 2), (3, 1)], [(3, 2)], [(9, 1)]]
    assert [p.last.tolist() for p in parts] == [[0, 1, 4], [2, 5], [8]]
    assert [p.own for p in parts] == [5, 6, 9] and all(p.shared == 2 for p in parts)
    assert layout.parts(100)[0].groups == layout.groups


def test_what_a_step_keeps():
    """Per block and token no more than its input, queries, keys, values, the state
    between attention and MLP, and the MLP's hidden units: (1 + 3 + 1 + 4) W."""
    torch.manual_seed(0)
    layers, width = 6, 64
    tower = TextTower(load_clip(small_clip(layers), None, 'fp64'))
    prompt = CoOp(about(tower, CLASSES), num_tokens=16)
    own = {t.untyped_storage().data_ptr() for t in (*tower.parameters(), *tower.buffers())}
    kept = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        features = tower(prompt())
    assert features.requires_grad
    tokens = prompt.packing.position.numel()
    assert sum(kept.values()) < 1.1 * 9 * width * 8 * tokens * layers


def test_a_tower_that_learns_takes_all_at_once(monkeypatch):
    monkeypatch.setattr(packed_text, 'TOKENS_ON_CPU', 7)
    model = build('layer_norms')
    x = torch.zeros(1, 30, 64)
    assert packed_text.tokens_at_once(model.text_tower, x) == 30
    with torch.no_grad():
        assert packed_text.tokens_at_once(model.text_tower, x) == 7
    assert packed_text.tokens_at_once(build('coop').text_tower, x) == 7
