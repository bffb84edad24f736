"""Edits of the text tower's blocks: the packed path beside one prompt at a time."""

import pytest
import torch
from helpers.classifier import build
from helpers.plain import CLASSES, about, encode_text, small_clip

from mmdpt.models import CoOp, TextTower
from mmdpt.models.clip.edits import Edit, apply_edit
from mmdpt.models.clip.load import load_clip
from mmdpt.models.clip.packed_text import edit_packed

WIDTH = 64


@pytest.fixture
def tower():
    torch.manual_seed(0)
    return TextTower(load_clip(small_clip(), None, 'fp64'))


def tokens(*shape):
    return torch.randn(*shape, WIDTH, dtype=torch.float64, requires_grad=True)


EDITS = {
    'shared, within the prefix': lambda: {1: Edit(tokens(2))},
    'shared, beyond the prefix': lambda: {1: Edit(tokens(4))},
    'one set per class': lambda: {1: Edit(tokens(len(CLASSES), 3))},
    'mixed': lambda: {1: Edit(tokens(2), weight=0.3), 2: Edit(tokens(len(CLASSES), 2), weight=0.7)},
    'inserted': lambda: {0: Edit(tokens(3), 'insert'), 2: Edit(tokens(3), weight=0.4)},
    'inserted per class': lambda: {1: Edit(tokens(len(CLASSES), 2), 'insert')},
    'inserted into prompts that share no more': lambda: {
        0: Edit(tokens(len(CLASSES), 1)),
        1: Edit(tokens(2), 'insert'),
    },
}


@pytest.mark.parametrize('position', ['end', 'front'])
@pytest.mark.parametrize('name', EDITS)
def test_packed_equals_one_at_a_time(tower, name, position):
    """Features and gradients, of tokens and context."""
    torch.manual_seed(1)
    edits = EDITS[name]()
    prompt = CoOp(about(tower, CLASSES), num_tokens=3, position=position)
    prompt.at_block = edits.get
    weight = torch.randn(len(CLASSES), tower.embed_dim, dtype=torch.float64)
    learnt = [prompt.context, *(e.tokens for e in edits.values())]
    packed = prompt()
    results = []
    for features in (
        tower(packed)[0],
        encode_text(tower, [p[0] for p in packed.unpack()], edits.get),
    ):
        grads = torch.autograd.grad((features * weight).sum(), learnt, retain_graph=True)
        results.append([features, *grads])
    for fast, slow in zip(*results):
        torch.testing.assert_close(fast, slow, rtol=1e-9, atol=1e-11)
    assert all(g.abs().max() > 0 for g in results[0][2:])


def test_sharing_ends_only_where_classes_differ(tower):
    prompt = CoOp(about(tower, CLASSES), num_tokens=3)
    packed = prompt()
    layout = packed.packing.layout()
    x = torch.randn(1, len(packed.packing.position), WIDTH, dtype=torch.float64)
    _, kept = edit_packed(Edit(tokens(3)), x, layout, packed.packing.order, 1)
    assert kept[:2] == layout[:2] and kept.last is layout.last
    _, grown = edit_packed(Edit(tokens(2), 'insert'), x, layout, packed.packing.order, 1)
    assert grown[:2] == (layout.shared + 2, layout.groups) and grown.last is layout.last
    _, ended = edit_packed(Edit(tokens(len(CLASSES), 3)), x, layout, packed.packing.order, 1)
    assert ended.shared == 1
    assert ended.groups == [(n + layout.shared - 1, c) for n, c in layout.groups]
    lengths = torch.tensor([n for n, c in ended.groups for _ in range(c)])
    assert torch.equal(ended.last, lengths.cumsum(0) - 1)


def test_states_below_the_first_learnt_value_run_once():
    model = build('mmrl').train()
    tower, ran = model.text_tower, []
    below, above = tower.blocks[0], tower.blocks[1]
    for name, block in dict(below=below, above=above).items():
        block.ln_1.register_forward_hook(lambda *_, name=name: ran.append(name))
    with torch.no_grad():
        before = model.frozen_text_features()  # the plain templates run through all blocks
    ran.clear()
    for _ in range(3):
        model.text_features().sum().backward()
    assert ran == ['below', 'above', 'above', 'above']
    assert before.shape == (len(CLASSES), model.backbone.embed_dim)


@pytest.mark.parametrize(
    'edit, message',
    [
        (Edit(torch.zeros(2, 5)), 'of width 5 does not fit'),
        (Edit(torch.zeros(9, 8)), '9 tokens .* does not fit into sequences of 6 tokens'),
        (
            Edit(torch.zeros(2, 8), 'behind'),
            "how='behind' is unknown; use one of replace, insert, append",
        ),
    ],
)
def test_what_does_not_fit(edit, message):
    with pytest.raises(ValueError, match=message):
        apply_edit(edit, torch.zeros(1, 6, 8), 1)


@pytest.mark.parametrize(
    'method, options, message',
    [
        ('tcp', dict(text_prompt=dict(type='TCP', layers=[3])), 'layers must be .* from 0 to 2'),
        ('tcp', dict(text_prompt=dict(type='TCP', layers=[1, 1])), 'in ascending order'),
        ('tcp', dict(text_prompt=dict(type='TCP', layers=[1], weights=[2.0])), 'weights must be'),
        ('tcp', dict(text_prompt=dict(type='TCP', layers=[1], template='{}')), 'a longer template'),
        ('tcp', dict(text_prompt=dict(type='TCP', layers=[1], template='X X')), 'exactly one {}'),
        ('mmrl', dict(text_prompt=dict(type='CoOp')), 'maps the tokens of a RepresentationText'),
        (
            'mmrl',
            dict(text_prompt=dict(type='RepresentationText', layers=[2, 9])),
            'go beyond both towers',
        ),
        (
            'mmrl',
            dict(text_prompt=dict(type='RepresentationText', layers=[4])),
            r'layers\[0\] must be .* from 1 to 3',
        ),
        ('mmrl', dict(templates=['a {}.', 'the {}.']), 'learns with one template'),
        ('mmrl', dict(visual_prompt=None), 'which NoneType in a ImageTower does not give'),
        ('mmrl', dict(head=dict(type='MMRLHead', fusion='sometimes')), 'fusion must be one of'),
        ('mmrl', dict(head=dict(type='MMRLHead', alpha=2.0)), 'alpha must be at most 1'),
    ],
)
def test_settings_that_do_not_fit(method, options, message):
    with pytest.raises(ValueError, match=message):
        build(method, **options)


@pytest.mark.parametrize('fusion, fuses', [('trained', False), ('always', True)])
def test_new_classes_are_scored_by_their_rule(fusion, fuses):
    head = dict(type='MMRLHead', fusion=fusion)
    old = build('mmrl', head=head)
    new = build('mmrl', head=head, classes=['dog', 'lynx'], transfer=True).eval()
    new.load_state_dict(old.state_dict())
    with torch.no_grad():
        match = new.match(torch.randn(2, 3, 32, 32))
        plain, own = new.head.class_logits(match), new.head.token_logits(match)
        wanted = 0.7 * plain + 0.3 * own if fuses else plain
        torch.testing.assert_close(new.head(match), wanted)
        assert (plain - own).abs().max() > 1e-3
