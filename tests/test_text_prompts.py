import pytest
import torch
from helpers.plain import CLASSES, about, small_clip

from mmdpt.models.clip.load import load_clip
from mmdpt.models.clip.text_tower import TextTower
from mmdpt.models.prompts.coop import CoOp, split_prompt
from mmdpt.models.prompts.templates import TemplatePrompt, prompt_tokens


@pytest.fixture(scope='module')
def tower():
    torch.manual_seed(0)
    return TextTower(load_clip(small_clip(), None))


# Names that are hard to cut: punctuation, hyphens, case, other letters.
NAMES = [
    'DHC-8-100',
    "McDonald's",
    'St. Bernard Jr.',
    'C++',
    'what?',
    'Yak_42',
    'F-16A/B',
    'Café',
    '北京烤鸭',
    'Ærøskøbing',
    '  padded  ',
    'a.b.c.',
    'UPPER lower',
    '...',
]


@pytest.mark.parametrize('name', NAMES)
@pytest.mark.parametrize('position', ['end', 'middle', 'front'])
def test_token_order(tower, name, position):
    """Context and words stand where the position says; no token is lost."""
    prompt = CoOp(about(tower, [name, 'dog']), num_tokens=5, position=position)
    start, words, rest = split_prompt(tower, name, 5)
    text = name.replace('_', ' ').strip()
    joint = tower.tokenizer.encode(f'{text}.')
    assert start + words + rest == [
        tower.tokenizer.sot_token_id,
        *joint,
        tower.tokenizer.eot_token_id,
    ]
    assert len(words) == len(tower.tokenizer.encode(text))
    table = tower.token_embedding.weight
    context = [*prompt.context]
    before = dict(end=5, middle=2, front=0)[position]
    expected = torch.stack(
        [table[start[0]], *context[:before]]
        + [table[i] for i in words]
        + context[before:]
        + [table[i] for i in rest]
    )
    torch.testing.assert_close(prompt().unpack()[0][0], expected)


def test_names_without_final_punctuation_keep_the_stop_apart(tower):
    stop = tower.tokenizer.encode('.')
    for name in ('cat', 'F-16A/B', "McDonald's", 'Café'):
        _, words, rest = split_prompt(tower, name, 4)
        assert words == tower.tokenizer.encode(name)
        assert rest == [*stop, tower.tokenizer.eot_token_id]


def test_initial_words(tower):
    prompt = CoOp(about(tower, CLASSES), init_words='a photo of a')
    ids = tower.tokenizer.encode('a photo of a')
    torch.testing.assert_close(prompt.context.data, tower.token_embedding.weight[ids])
    with pytest.raises(ValueError, match='4 tokens, but num_tokens=5'):
        CoOp(about(tower, CLASSES), num_tokens=5, init_words='a photo of a')


def test_words_and_zeros(tower):
    """Zeros in front of the words; frozen words behind the context."""
    prompt = CoOp(
        about(tower, CLASSES),
        num_tokens=5,
        init_words='a photo',
        zero_fill=True,
        frozen_words='of a',
    )
    table, encode = tower.token_embedding.weight, tower.tokenizer.encode
    assert torch.equal(prompt.context[:3], torch.zeros(3, 64))
    assert torch.equal(prompt.context[3:], table[encode('a photo')])
    whole = prompt().unpack()[0][0]
    assert torch.equal(whole[6:9], table[encode('of a cat')])
    assert len(prompt.packing.prefix) == 8


def test_random_start(tower):
    torch.manual_seed(0)
    context = CoOp(about(tower, CLASSES), num_tokens=60).context
    assert context.std().item() == pytest.approx(0.02, rel=0.05)
    assert context.mean().item() == pytest.approx(0, abs=2e-3)
    assert CoOp(about(tower, CLASSES), num_tokens=4, class_specific=True).context.shape == (
        4,
        4,
        64,
    )


def test_only_the_context_is_learnt(tower):
    prompt = CoOp(about(tower, CLASSES), num_tokens=4)
    assert [n for n, _ in prompt.named_parameters()] == ['context']
    assert list(prompt.state_dict()) == ['context']
    assert not list(TemplatePrompt(about(tower, CLASSES), 'a {}.').parameters())


def test_too_long(tower):
    with pytest.raises(
        ValueError,
        match=r"'word word.*' with 16 context "
        r'tokens has 99 tokens, but the text tower takes 77',
    ):
        CoOp(about(tower, ['cat', ' '.join(['word'] * 80)]), num_tokens=16)
    # One token below and above the limit.
    name = ' '.join(['word'] * 58)
    assert len(prompt_tokens(tower, name, f'{name}.', 16)) == 61
    with pytest.raises(ValueError, match='has 78 tokens'):
        CoOp(about(tower, ['cat', f'{name} word']), num_tokens=16)
    with pytest.raises(ValueError, match='has 79 tokens'):
        TemplatePrompt(about(tower, [' '.join(['word'] * 76)]), '{}.')


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(position='left'), "position='left' is unknown; use one of end"),
        (dict(num_tokens=0), 'num_tokens must be a whole number of at least 1'),
        (dict(num_tokens='16'), "but is '16'"),
        (dict(init_words=' '), 'are 0 tokens'),
    ],
)
def test_bad_options(tower, options, message):
    with pytest.raises(ValueError, match=message):
        CoOp(about(tower, CLASSES), **options)


@pytest.mark.parametrize('template', ['a photo', '{} and {}', 7])
def test_bad_template(tower, template):
    with pytest.raises(ValueError, match='needs exactly one {}'):
        TemplatePrompt(about(tower, CLASSES), template)


def test_bad_names(tower):
    with pytest.raises(ValueError, match="' ' is empty"):
        CoOp(about(tower, ['cat', ' ']))
    with pytest.raises(ValueError, match='mark of a start or end of text'):
        TemplatePrompt(about(tower, CLASSES), '{} <end_of_text>')
