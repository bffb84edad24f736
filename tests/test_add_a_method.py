"""docs/add_a_method.md: the worked example, from the page itself."""

import json
import re
import shlex
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from helpers import classifier, matrix
from helpers.tools import ROOT, tool

PAGE = Path(ROOT, 'docs', 'add_a_method.md')
BLOCK = re.compile(r'<!-- run -->\n```(\w+)\n(.*?)```', re.DOTALL)
FILES = (
    'shared_vpt.py',
    'configs/_base_/methods/shared_vpt.py',
    'configs/shared_vpt/shared_vpt_tiny_digits_16shot.py',
)


@pytest.fixture(scope='module')
def project(tmp_path_factory):
    """A folder with the page's files, the configs that they build on; its command and its row."""
    root = tmp_path_factory.mktemp('project')
    languages, texts = zip(*BLOCK.findall(PAGE.read_text(encoding='utf-8')))
    assert languages == ('python', 'python', 'python', 'bash', 'python')
    for base in Path(ROOT, 'configs', '_base_').rglob('*.py'):
        copy = root / base.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(base.read_text())
    for name, text in zip(FILES, texts):
        assert f'`{name}`' in PAGE.read_text(encoding='utf-8')
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    sys.path.insert(0, str(root))
    import shared_vpt  # noqa: F401

    yield root, texts[3], texts[4]
    sys.path.remove(str(root))


def test_it_trains(project, monkeypatch):
    root, command, _ = project
    monkeypatch.chdir(root)
    setting, python, script, *arguments = shlex.split(command)
    assert (setting, python, script) == ('PYTHONPATH=.', 'python', 'tools/train.py')
    tool('train', *arguments)
    results = json.loads(next(root.glob('work_dirs/*/results.json')).read_text())
    assert results['epochs'] == 2 and Path(results['config']).stem == Path(FILES[2]).stem


def test_its_row_of_the_matrix(project, monkeypatch):
    name, parts = re.match(r'(\w+) = (.*)', project[2], re.DOTALL).groups()
    row = eval(parts)
    monkeypatch.setitem(classifier.METHODS, name, row)
    monkeypatch.setitem(matrix.METHODS, name, row)
    images = torch.randn(5, 3, 32, 32)
    classifier.equals_the_plain_path(name, images)
    for tower, precision in (('small', 'fp32'), ('small', 'bf16'), ('uneven', 'fp32')):
        matrix.train_save_load_predict(name, tower, precision)
    matrix.on_resnet(name)


def test_the_text_prompt(monkeypatch):
    """The second example: a class from the page, and its row."""
    page = PAGE.read_text(encoding='utf-8')
    source, row = re.findall(r'<!-- run text -->\n```python\n(.*?)```', page, re.DOTALL)
    exec(compile(source, str(PAGE), 'exec'), {'__name__': 'class_tokens'})
    name, parts = re.match(r'(\w+) = (.*)', row, re.DOTALL).groups()
    monkeypatch.setitem(classifier.METHODS, name, eval(parts))
    monkeypatch.setitem(matrix.METHODS, name, eval(parts))
    classifier.equals_the_plain_path(name, torch.randn(5, 3, 32, 32))
    for tower, precision in (('small', 'fp32'), ('small', 'bf16'), ('uneven', 'fp32')):
        matrix.train_save_load_predict(name, tower, precision)
    with pytest.raises(ValueError, match='layer must be a block of the text tower, from 0 to 2'):
        classifier.build(name, text_prompt=dict(type='ClassTokenCoOp', layer=3))


def test_what_it_promises(project):
    """12 times fewer values than VPT-deep; bad options are refused."""
    from shared_vpt import SharedVPT

    from mmdpt.models import VPT
    from mmdpt.models.part import ModelInfo

    sizes = ModelInfo(SimpleNamespace(width=768, depth=12, embed_dim=512), classes=[])
    count = [sum(p.numel() for p in prompt(sizes).parameters()) for prompt in (VPT, SharedVPT)]
    assert count[0] == 12 * count[1]
    with pytest.raises(ValueError, match='num_tokens must be a whole number from 1'):
        SharedVPT(sizes, num_tokens=0)
