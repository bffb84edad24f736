import pytest
import torch
from helpers.plain import CLASSES, about, encode_text, small_clip

from mmdpt.models.clip.load import load_clip
from mmdpt.models.clip.packed_text import encode
from mmdpt.models.clip.packing import PackedPrompts, Packing, shared_length
from mmdpt.models.clip.text_tower import TextTower
from mmdpt.models.prompts.coop import CoOp
from mmdpt.models.prompts.templates import TemplatePrompt


@pytest.fixture(scope='module')
def tower():
    torch.manual_seed(0)
    return TextTower(load_clip(small_clip(), None, 'fp64'))


CASES = [
    dict(num_tokens=5, position='end'),
    dict(num_tokens=5, position='middle'),
    dict(num_tokens=4, position='front'),
    dict(num_tokens=3, position='end', class_specific=True),
    dict(num_tokens=3, position='middle', class_specific=True),
    dict(init_words='a photo of a'),
]


@pytest.mark.parametrize('options', CASES)
def test_equals_the_plain_path(tower, options):
    """Outputs and gradients, against 77 tokens a class and nothing shared."""
    prompt = CoOp(about(tower, CLASSES), **options)
    weight = torch.randn(len(CLASSES), 32, dtype=torch.float64)
    results = []
    for path in (
        lambda: encode(tower, prompt())[0],
        lambda: encode_text(tower, [p[0] for p in prompt().unpack()]),
    ):
        prompt.zero_grad()
        features = path()
        (features * weight).sum().backward()
        results.append((features.detach(), prompt.context.grad.clone()))
    for fast, slow in zip(*results):
        torch.testing.assert_close(fast, slow, rtol=1e-9, atol=1e-11)


def test_equals_open_clip(tower):
    """A template's features against open_clip's own encode_text."""
    torch.manual_seed(0)
    clip = load_clip(small_clip(), None, 'fp64')
    template = 'a photo of a {}, a type of pet.'
    ours = TextTower(clip)(TemplatePrompt(about(TextTower(clip), CLASSES), template)())[0]
    clip.model.register_buffer('attn_mask', torch.full((77, 77), float('-inf')).triu(1).double())
    texts = [template.format(c.replace('_', ' ')) for c in CLASSES]
    theirs = clip.model.encode_text(clip.tokenizer(texts))
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize('options', CASES[:3])
def test_order_of_classes_does_not_matter(tower, options):
    torch.manual_seed(1)
    prompt = CoOp(about(tower, CLASSES), **options)
    order = [2, 0, 3, 1]
    other = CoOp(about(tower, [CLASSES[i] for i in order]), **options)
    other.context.data.copy_(prompt.context.data)
    torch.testing.assert_close(tower(prompt())[0, order], tower(other())[0], rtol=1e-10, atol=1e-12)


def test_context_that_differs_by_image(tower):
    """G > 1 groups (contexts made from images) equal G separate calls."""
    prompt = CoOp(about(tower, CLASSES), num_tokens=4)
    prefix, own, packing, *_ = prompt()
    shift = torch.randn(3, 1, prefix.shape[-1], dtype=prefix.dtype)
    together = encode(tower, PackedPrompts(prefix + shift, own, packing))
    for i in range(3):
        alone = encode(tower, PackedPrompts(prefix + shift[i], own, packing))
        torch.testing.assert_close(together[i], alone[0])


def test_prefix_is_shared_and_nothing_padded(tower):
    count = {
        position: CoOp(about(tower, CLASSES), num_tokens=16, position=position).packing
        for position in ('end', 'middle', 'front')
    }
    assert len(count['end'].prefix) == 17
    assert len(count['middle'].prefix) == 9
    assert len(count['front'].prefix) == 1
    names = [len(tower.tokenizer.encode(c.replace('_', ' '))) for c in CLASSES]
    assert len(count['end'].own) == sum(names) + 2 * len(names)  # '.', end
    specific = CoOp(about(tower, CLASSES), num_tokens=16, class_specific=True)
    assert len(specific.packing.prefix) == 1


def test_shared_length_leaves_each_class_a_token():
    assert shared_length([[1, 2, 3], [1, 2, 4]]) == 2
    assert shared_length([[1, 2], [1, 2, 3]]) == 1
    assert shared_length([[1, 2, 3]]) == 2


def test_packing_puts_classes_together_again():
    prompts = [[9, 1, 2, 3], [9, 4, 5], [9, 6, 7, 8]]
    packing = Packing(prompts)
    unpacked = packing.unpack(packing.prefix, packing.own, dim=0)
    assert [p.tolist() for p in unpacked] == prompts
    assert packing.groups == [(2, 1), (3, 2)]


def test_checkpointing_changes_nothing(tower):
    prompt = CoOp(about(tower, CLASSES), num_tokens=4)
    gradients = []
    for tower.checkpointing in (True, False):
        prompt.zero_grad()
        tower(prompt()).square().sum().backward()
        gradients.append(prompt.context.grad.clone())
    torch.testing.assert_close(*gradients, rtol=1e-12, atol=1e-14)
