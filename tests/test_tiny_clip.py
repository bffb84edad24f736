"""The built-in tiny CLIP: its files, its vocabulary, its renderer, its making."""

import importlib.util
import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_clip_maker.captions import TRAITS, UNSTATED, agreement, chain, describe
from tiny_clip_maker.glyphs import DIGITS, LETTERS, draw_characters, name_of
from tiny_clip_maker.render import MEAN, STD, Painter, slant_trait, warp_grid
from tiny_clip_maker.words import draw_words

from mmdpt import tiny_clip

NAMES = ('zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine')
TOOL = Path(__file__).parents[1] / 'tools' / 'pretrain_tiny_clip.py'


def build():
    """Model and tokenizer by open_clip's ordinary classes, weights loaded strictly."""
    from open_clip import CLIP
    from open_clip.tokenizer import SimpleTokenizer
    from safetensors.torch import load_file

    config = json.loads(tiny_clip.CONFIG.read_text())
    model = CLIP(**config).eval()
    weights = {k: v.float() for k, v in load_file(tiny_clip.WEIGHTS).items()}
    model.load_state_dict(weights, strict=True)
    text = config['text_cfg']
    path = tiny_clip.CONFIG.parent / text['tokenizer_kwargs']['bpe_path']
    return model, SimpleTokenizer(bpe_path=str(path), context_length=text['context_length'])


@pytest.fixture(scope='module')
def clip():
    return build()


@pytest.fixture(scope='module')
def characters():
    return draw_characters()


@pytest.fixture(scope='module')
def tool():
    spec = importlib.util.spec_from_file_location('pretrain_tiny_clip', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_package_data_is_small_and_half_precision():
    from safetensors.torch import load_file

    files = (tiny_clip.CONFIG, tiny_clip.BPE, tiny_clip.WEIGHTS)
    assert sum(path.stat().st_size for path in files) <= 8 * 2**20
    assert {v.dtype for v in load_file(tiny_clip.WEIGHTS).values()} == {torch.float16}


def test_vocabulary_is_the_tokenizers(clip):
    model, tokenizer = clip
    assert model.vocab_size == tokenizer.vocab_size
    # argmax pooling reads the feature at the end token, which must be the largest id.
    assert tokenizer.eot_token_id == tokenizer.vocab_size - 1


ODD = (
    'forest',
    'Forest road',
    "jack-o'-lantern",
    'naïve',
    'Übergrößenträger',
    'λόγος',
    '森林',
    'annual_crop',
    'pneumonoultramicroscopic',
    'Boeing 737-800',
    'x',
    '!?',
    'forests',
)


def test_any_class_name_has_a_feature_of_its_own(clip):
    model, tokenizer = clip
    tokens = tokenizer([f'a photo of a {name}.' for name in ODD])
    assert (tokens.argmax(1) < 76).all(), 'nothing is cut off'
    with torch.no_grad():
        features = model.encode_text(tokens, normalize=True)
    assert features.isfinite().all()
    similar = features @ features.T - 2 * torch.eye(len(ODD))
    assert similar.max() < 0.995


def test_similar_spelling_is_nearer_than_other_words(clip):
    model, tokenizer = clip
    with torch.no_grad():
        f = model.encode_text(
            tokenizer([f'the word {w}' for w in ('forest', 'forests', 'bicycle')]), normalize=True
        )
    assert f[0] @ f[1] > f[0] @ f[2] + 0.1


def test_zero_shot_on_handwritten_digits(clip):
    from sklearn.datasets import load_digits

    model, tokenizer = clip
    digits = load_digits()
    pictures = []
    for gray in digits.images[898:]:
        picture = Image.fromarray(np.rint(gray * 255 / 16).astype(np.uint8))
        enlarged = np.asarray(picture.resize((32, 32), Image.Resampling.BICUBIC)) / 255
        pictures.append((enlarged - np.reshape(MEAN, (3, 1, 1))) / np.reshape(STD, (3, 1, 1)))
    with torch.no_grad():
        images = model.encode_image(torch.tensor(np.array(pictures)).float(), normalize=True)
        texts = tokenizer([f'a photo of the digit {name}.' for name in NAMES])
        scores = images @ model.encode_text(texts, normalize=True).T
    accuracy = (scores.argmax(1).numpy() == digits.target[898:]).mean()
    assert 0.45 <= accuracy <= 0.80


def test_rendering_is_a_function_of_the_seed(characters):
    painter = Painter(characters[:200] + draw_words(5, random.Random(1)))
    first, again, other = (
        painter.sample(16, 1.0, torch.Generator().manual_seed(seed)) for seed in (3, 3, 4)
    )
    assert torch.equal(first.images, again.images) and torch.equal(first.traits, again.traits)
    assert not torch.equal(first.images, other.images)


def test_images_fit_the_towers_input(characters):
    batch = Painter(characters).sample(64, 1.0, torch.Generator().manual_seed(0))
    assert batch.images.shape == (64, 3, 32, 32)
    raw = batch.images * torch.tensor(STD).view(3, 1, 1) + torch.tensor(MEAN).view(3, 1, 1)
    assert raw.min() >= -1e-5 and raw.max() <= 1 + 1e-5
    assert batch.traits.shape == (64, len(TRAITS) - 2)
    assert raw.std(dim=(1, 2, 3)).median() > 0.05, 'something is drawn'


def test_lean_is_what_a_drawn_stroke_shows(characters):
    upright = next(m for m in characters if m.concept == 'l' and m.font == 'DejaVuSans')
    rng = torch.Generator().manual_seed(0)
    grid, _, lean, _ = warp_grid(torch.full((50,), 0.5), torch.zeros(50, dtype=bool), rng)
    stroke = torch.from_numpy(upright.distance).float().expand(50, 1, -1, -1)
    drawn = (
        torch.nn.functional.grid_sample(stroke, grid, padding_mode='border', align_corners=False)[
            :, 0
        ]
        > 0
    )
    slopes = []
    for ink in drawn.numpy():
        rows, columns = np.nonzero(ink)
        slopes.append(-np.polyfit(rows, columns, 1)[0])  # rows count downwards
    assert np.corrcoef(slopes, lean)[0, 1] > 0.8
    assert slant_trait(torch.tensor([0.0, 0.1, 0.3, -0.3])).tolist() == [0, UNSTATED, 1, 2]


def test_every_digit_and_letter_is_drawn_in_many_fonts(characters):
    for concept in DIGITS + LETTERS:
        drawn = [m for m in characters if m.concept == concept]
        assert len(drawn) >= 20
        assert all((m.distance > 0).any() for m in drawn), concept


def test_words_repeat_for_a_seed():
    first, again = (draw_words(20, random.Random(7), ('ing', 'st')) for _ in range(2))
    assert [m.concept for m in first] == [m.concept for m in again]
    assert all(np.array_equal(a.distance, b.distance) for a, b in zip(first, again))


def test_captions_state_only_what_is_true():
    traits = [5, UNSTATED, 3, 1, 0, 1, UNSTATED, 0, 1, 2]
    caption = describe('7', traits, 1.0, random.Random(0))
    assert ('seven' in caption.text or '7' in caption.text) and 'on white' in caption.text
    assert all(s in (UNSTATED, t) for s, t in zip(caption.traits, traits))
    silent = describe('7', traits, 0.0, random.Random(0))
    assert silent.traits == [5] + [UNSTATED] * 9
    joined = chain([silent, caption])
    assert joined.traits == caption.traits and joined.text.startswith(silent.text.rstrip('.'))


def test_agreement_knows_true_captions_of_other_images():
    truth = np.array([[1, -1, 0], [1, -1, 2], [3, -1, 0]])
    stated = np.array([[1, -1, -1], [1, -1, 2], [3, -1, 0]])
    assert agreement(stated, truth).tolist() == [
        [True, False, False],
        [True, True, False],
        [False, False, True],
    ]


def test_names_of_characters():
    assert [name_of(c) for c in '7aAλ+'] == [
        'seven',
        'a',
        'a',
        'greek small letter lamda',
        'plus sign',
    ]


def test_short_text_path_equals_open_clips(clip, tool):
    model, tokenizer = clip
    tokens = tokenizer(['seven', 'a photo of the digit seven.', 'the word forest on white'])
    with torch.no_grad():
        expected = model.encode_text(tokens, normalize=True)
        actual = tool.encode_text(model, tokens, chunk=2)
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5)


def test_loss_leaves_out_true_captions(tool):
    image = text = torch.nn.functional.normalize(torch.ones(2, 4), dim=1)
    eye = torch.eye(2, dtype=torch.bool)
    scale = torch.tensor(10.0)
    assert tool.contrastive_loss(image, text, scale, eye).item() == pytest.approx(np.log(2))
    assert tool.contrastive_loss(image, text, scale, eye | True).item() == pytest.approx(0)


def test_two_steps_of_pretraining_repeat_exactly(tool, tmp_path, characters):
    from open_clip import CLIP

    lines, weights = [], []
    for _ in range(2):
        tools = tool.prepare(tmp_path, 0, 20, 30, characters)
        torch.manual_seed(0)
        model = CLIP(
            16,
            dict(image_size=32, patch_size=16, width=32, layers=1, head_width=16),
            dict(
                context_length=77,
                vocab_size=tools.tokenizer.vocab_size,
                width=32,
                heads=2,
                layers=1,
            ),
        )
        before = model.visual.proj.detach().clone()
        tool.train(model, tools, steps=2, batch=8, rate=1e-3, seed=0, log=lines.append)
        assert not torch.equal(before, model.visual.proj)
        weights.append(model.state_dict())
    assert 'step 2/2' in lines[0] and 'loss' in lines[0]
    assert all(torch.equal(v, weights[1][k]) for k, v in weights[0].items())
