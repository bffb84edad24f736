"""docs/backbones.md says what each architecture of open_clip gets."""

from fnmatch import fnmatchcase
from pathlib import Path

import open_clip
import pytest
import torch

from mmdpt.models import TextTower
from mmdpt.models.clip.config import check_supported, read_config
from mmdpt.models.clip.image_tower import build_image_tower
from mmdpt.models.clip.load import CLIPModel, _construct

DOC = Path(__file__).resolve().parents[1] / 'docs/backbones.md'
NAMES = open_clip.list_models()


class Marks:
    """Stands for a tokenizer: what is around a text."""

    sot_token_id, eot_token_id = 0, 1


def rows():
    """Patterns of each row of the first table, and what they get."""
    text = DOC.read_text().split('|---|---|---|---|\n')[1].split('\n\n')[0]
    cells = [[c.strip() for c in line.strip('|').split('|')] for line in text.splitlines()]
    return [([p.strip('`') for p in row[0].split()], row[1:]) for row in cells]


def row_of(name):
    return next(
        i for i, (patterns, _) in enumerate(rows()) if any(fnmatchcase(name, p) for p in patterns)
    )


def found(name):
    """Build an architecture without memory: tower, text path, tokenizer."""
    _, config = read_config(name)
    try:
        check_supported(name, config)
    except ValueError as error:
        kind = (
            'writes captions' if 'CoCa' in str(error) else 'the text tower is a Hugging Face model'
        )
        return [f'refused: {kind}', '', '']
    vision, text = config['vision_cfg'], config['text_cfg']
    if 'timm_model_name' not in vision and isinstance(vision['layers'], int):
        vision['layers'] = 1
    text['layers'] = 1
    with torch.device('meta'):
        model = _construct(config)
    clip = CLIPModel(model, Marks, None, dict(arch=name), config['embed_dim'])
    return [
        type(build_image_tower(clip)).__name__,
        'shared' if TextTower(clip).causal else 'whole',
        'Hugging Face' if text.get('hf_tokenizer_name') else 'byte pairs',
    ]


def test_one_of_each_row():
    first = {}
    for name in NAMES:
        first.setdefault(row_of(name), name)
    assert len(first) == len(rows()) == 14
    for row, name in first.items():
        assert found(name) == rows()[row][1], name


@pytest.mark.slow
@pytest.mark.parametrize('name', NAMES)
def test_all(name):
    assert found(name) == rows()[row_of(name)][1]
