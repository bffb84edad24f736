"""Nearest words: numbers against a plain search, names, the command line."""

import json

import pytest
import torch
from helpers.classifier import build
from helpers.tools import refused, tool

from mmdpt.visualization import nearest_words
from mmdpt.visualization.words import token_text


def place(model, words, shift=0.0):
    """Puts the context right beside words."""
    ids = model.text_tower.tokenizer.encode(words)
    with torch.no_grad():
        model.text_prompt.context[..., : len(ids), :] = (
            model.text_tower.token_embedding.weight[ids] + shift
        )
    return ids


@pytest.mark.parametrize('method', ['coop', 'cocoop', 'dpt', 'maple', 'promptsrc', 'kgcoop'])
def test_finds_the_words(method):
    model = build(method)
    ids = place(model, 'photo of')
    found = nearest_words(model, top_k=2)[None]
    assert len(found) == model.text_prompt.num_tokens
    assert [row[0].text for row in found[:2]] == ['photo', 'of']
    assert [row[0].token_id for row in found[:2]] == ids
    assert found[0][0].distance == 0 < found[0][1].distance


def test_equals_a_plain_search():
    model = build('coop')
    table = model.text_tower.token_embedding.weight
    place(model, 'a dog', shift=0.01)
    for row, context in zip(nearest_words(model, top_k=5)[None], model.text_prompt.context):
        distances = (table - context).square().sum(-1).sqrt()
        order = distances.argsort()[:5]
        assert [word.token_id for word in row] == order.tolist()
        assert [word.distance for word in row] == pytest.approx(distances[order].tolist(), 1e-12)


def test_class_specific():
    model = build('coop', text_prompt=dict(type='CoOp', num_tokens=2, class_specific=True))
    place(model, 'dog cat')
    with torch.no_grad():
        model.text_prompt.context[3] = model.text_prompt.context[3].flip(0)
    found = nearest_words(model, top_k=1)
    assert list(found) == list(model.classes)
    assert [row[0].text for row in found['cat']] == ['dog', 'cat']
    assert [row[0].text for row in found['ox']] == ['cat', 'dog']
    assert list(nearest_words(model, 1, classes=['ox'])) == ['ox']
    with pytest.raises(ValueError, match='Unknown class cow; the model has cat, '):
        nearest_words(model, classes=['cow'])


def test_special_tokens():
    model = build('coop')
    start = model.text_tower.tokenizer.sot_token_id
    with torch.no_grad():
        model.text_prompt.context[0] = model.text_tower.token_embedding.weight[start]
    assert nearest_words(model, 1)[None][0][0].text == '<start_of_text>'
    assert nearest_words(model, 1, exclude_special=True)[None][0][0].text != '<start_of_text>'


def test_tokens_as_they_are_read():
    tokenizer = build('coop').text_tower.tokenizer

    def read(symbols):
        return token_text(tokenizer, tokenizer.encoder[symbols])

    assert read('photo</w>') == 'photo' and read('photo') == 'photo-'
    part = tokenizer.byte_encoder[0xE6]  # the first of a character's three bytes
    assert read(part) == '\\xe6-'
    accent = ''.join(tokenizer.byte_encoder[b] for b in 'é'.encode())
    assert read(f'{accent}</w>') == 'é'


@pytest.mark.parametrize('method', ['zeroshot', 'vpt'])
def test_no_context(method):
    with pytest.raises(ValueError, match='No text context is learnt here .*NoneType.*; CoOp, '):
        nearest_words(build(method))
    lora = dict(tuning=dict(type='LoRA'), templates='a {}.')
    with pytest.raises(ValueError, match='No text context .*TemplatePrompt'):
        nearest_words(build('zeroshot', **lora))


def test_bad_values():
    model = build('coop')
    with pytest.raises(ValueError, match='top_k must be from 1 to 49408 .* but is 0'):
        nearest_words(model, top_k=0)
    with pytest.raises(ValueError, match='share one context here, .* leave out ox'):
        nearest_words(model, classes=['ox'])


def test_command_line(checkpoints, tmp_path, capsys):
    out = tmp_path / 'words.json'
    tool('nearest_words', checkpoints['dpt'], '--top-k', 2, '--exclude-special', '--json', out)
    rows = json.loads(out.read_text())
    assert [row['position'] for row in rows] == list(range(1, 9))
    first = rows[0]['words'][0]
    assert f'   1  {first["text"]} {first["distance"]:.4f}  ' in capsys.readouterr().out
    assert 'share one context' in refused(
        capsys, 'nearest_words', checkpoints['dpt'], '--classes', 'one,two'
    )
