"""Sentences per class in place of templates: features, anchors, checkpoints, prediction."""

import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from helpers.checkpoints import METHODS, NAMES, PIPELINE, TINY
from helpers.plain import encode_text
from helpers.tools import refused, tool
from mmengine.config import Config
from mmpretrain.registry import MODELS
from PIL import Image

from mmdpt.apis import PromptInferencer
from mmdpt.engine.recipe import make_recipe
from mmdpt.models.prompts import sentences as module
from mmdpt.results.read import result_rows

SENTENCES = {
    name: [f'{name} has {i} legs, seen from the side.' for i in range(1 + k)]
    for k, name in enumerate(NAMES)
}
KGCOOP = dict(text_prompt=dict(type='CoOp', num_tokens=4), head=dict(type='KgCoOpHead'))


@pytest.fixture
def file(tmp_path):
    path = tmp_path / 'sentences.json'
    path.write_text(json.dumps(SENTENCES))
    return str(path)


def build(**model):
    torch.manual_seed(0)
    return MODELS.build(dict(dict(TINY, classes=NAMES), **model)).eval()


def slow(model):
    """One sentence at a time."""
    tower, rows = model.text_tower, []
    for name in NAMES:
        found = []
        for text in SENTENCES[name]:
            tokens = [*tower.start, *tower.tokenizer.encode(text), *tower.end]
            feature = encode_text(tower, [tower.token_embedding(torch.tensor(tokens))])
            found.append(F.normalize(feature, dim=-1)[0])
        rows.append(F.normalize(sum(found) / len(found), dim=-1))
    return torch.stack(rows)


@pytest.mark.parametrize('at_once', [1000, 2])
def test_features_equal_one_sentence_at_a_time(file, at_once, monkeypatch):
    monkeypatch.setattr(module, 'AT_ONCE', at_once)
    model = build(descriptions=file)
    with torch.no_grad():
        torch.testing.assert_close(model.frozen_text_features(), slow(model))
        # zero-shot: they classify
        torch.testing.assert_close(model.text_features(), slow(model))
    assert (build().frozen_text_features() - slow(model)).abs().max() > 1e-3
    assert not any('sentences' in name for name in model.state_dict())


def test_they_are_the_anchors_of_methods(file):
    torch.manual_seed(1)
    images, target = torch.randn(2, 3, 32, 32), torch.tensor([0, 1])
    model = build(descriptions=file, **KGCOOP)
    match = model.train().match(images)
    torch.testing.assert_close(match.frozen_text, slow(model))
    _, apart = model.head.terms(match, target)['kg']
    expected = 1 - F.cosine_similarity(match.text, slow(model), dim=-1).mean()
    torch.testing.assert_close(apart, expected)


def test_a_part_of_a_benchmark_takes_its_part_of_the_file(tmp_path):
    from mmdpt.datasets.class_names import EUROSAT

    path = tmp_path / 'all.json'
    path.write_text(json.dumps({name: [f'Seen from above: {name}.'] for name in EUROSAT}))
    model = build(classes=dict(benchmark='EuroSAT', subset='new'), descriptions=str(path))
    assert list(model.descriptions) == list(EUROSAT[5:])
    path.write_text(json.dumps({name: ['x'] for name in EUROSAT[5:]}))
    with pytest.raises(ValueError, match="without a description: 'Annual Crop Land'"):
        build(classes=dict(benchmark='EuroSAT', subset='new'), descriptions=str(path))


def test_a_sentence_too_long_names_its_class(tmp_path):
    long = {**SENTENCES, NAMES[1]: ['fur ' * 80]}
    with pytest.raises(ValueError, match=f'class {NAMES[1]!r} has .* tokens'):
        build(descriptions=long)


def saved(path, descriptions, **parts):
    """A checkpoint as training would write it."""
    cfg = Config(
        dict(
            model=dict(TINY, classes=NAMES, descriptions=descriptions, **parts),
            test_dataloader=dict(dataset=dict(pipeline=PIPELINE)),
        )
    )
    torch.manual_seed(0)
    built = MODELS.build(cfg.model)
    about = dict(built.identity(), recipe=make_recipe(cfg, built.descriptions))
    torch.save(dict(state_dict=built.state_dict(), meta=dict(mmdpt=about)), path)
    return built.eval()


def test_a_checkpoint_predicts_without_the_file(file, tmp_path):
    model = saved(tmp_path / 'dpt.pth', file, **METHODS['dpt'])
    Path(file).unlink()
    loaded = PromptInferencer(tmp_path / 'dpt.pth', device='cpu').model
    torch.testing.assert_close(loaded.frozen_text_features(), model.frozen_text_features())
    fewer = PromptInferencer(tmp_path / 'dpt.pth', classes=NAMES[:3], device='cpu').model
    torch.testing.assert_close(fewer.frozen_text_features(), model.frozen_text_features()[:3])
    with pytest.raises(ValueError, match="none of 'otter': give --descriptions FILE"):
        PromptInferencer(tmp_path / 'dpt.pth', classes=['otter', NAMES[0]], device='cpu')
    with pytest.raises(ValueError, match='--descriptions FILE'):
        PromptInferencer(tmp_path / 'dpt.pth', templates=['a {}.'], device='cpu')


def test_anchors_of_the_training_are_not_asked_for_other_classes(file, tmp_path):
    saved(tmp_path / 'kgcoop.pth', file, **KGCOOP)
    others = ['otter', 'seal']
    found = PromptInferencer(tmp_path / 'kgcoop.pth', classes=others, device='cpu')
    assert found.classes == others
    with pytest.raises(ValueError, match='--descriptions would change nothing'):
        PromptInferencer(tmp_path / 'kgcoop.pth', descriptions=file, device='cpu')


def test_too_many_sentences_for_a_checkpoint_are_told(file):
    cfg = Config(
        dict(model=dict(TINY, classes=NAMES), test_dataloader=dict(dataset=dict(pipeline=PIPELINE)))
    )
    many = {f'class {i}': ['x'] * 1000 for i in range(101)}
    assert '100000 sentences' in make_recipe(cfg, many)['missing']
    assert 'missing' not in make_recipe(cfg, SENTENCES)


def test_command_predicts_zero_shot(file, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Image.new('RGB', (40, 40), 'red').save('red.png')
    options = ['zero-shot', 'red.png', '--arch', 'mmdpt-tiny', '--pretrained', 'mmdpt-tiny']
    options += ['--device', 'cpu', '--quiet', '--top-k', len(NAMES)]
    tool('predict', *options, '--classes', ','.join(NAMES), '--descriptions', file, '--json', 'a')
    (row,) = json.loads(Path('a').read_text())
    images = PromptInferencer.zero_shot(NAMES, None, 'mmdpt-tiny', 'mmdpt-tiny', 'cpu')
    (plain,) = images.stream(['red.png'])
    told = {c['name']: c['probability'] for c in row['classes']}
    assert max(abs(told[n] - p) for n, p in zip(NAMES, plain['pred_scores'])) > 1e-3
    line = refused(capsys, 'predict', *options, '--classes', 'x,y', '--descriptions', file)
    assert 'classes without a description' in line and 'descriptions of no class' in line


def test_results_tell_the_two_kinds_of_zero_shot_apart():
    common = dict(shots=16, seed=1, few_shot={'accuracy/top1': 90.0}, config='coop_tiny_digits.py')
    results = dict(common, zero_shot={'accuracy/top1': 60.0}, described=True)
    assert [row.method for row in result_rows(results, Path(__file__))][
        1
    ] == 'zero_shot_descriptions'
