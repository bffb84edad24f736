"""What the page says about a model: method, classes, accuracy, data, licence."""

import os.path as osp
from typing import Any

from mmdpt.evaluation.intervals import wilson_percent
from mmdpt.utils.seal import in_bounds, read_sealed
from mmdpt.utils.text import visible

RESULTS = 'results.json'
LICENCES = {  # of CLIP's weights, by the tag that config and checkpoint name
    'openai': "OpenAI's, under the MIT licence",
    'mmdpt-tiny': "this project's, under its licence",
}
NAMED = 8  # classes


def card(method: str, classes: list[str], pretrained: Any, path: str = '') -> str:
    """Markdown lines about a model.

    Args:
        method (str): What learnt, such as 'DPT'.
        classes (list[str]): Its class names.
        pretrained (Any): What names CLIP's weights.
        path (str): The checkpoint; figures are read from the ``results.json`` beside it.
    """
    shown = ', '.join(classes[:NAMED]) + (', ...' if len(classes) > NAMED else '')
    lines = [f'**Method**: {method}', f'**Classes**: {len(classes)} ({shown})']
    lines += _figures(path) if path else ['**Accuracy**: not measured, nothing was learnt']
    source = LICENCES.get(str(pretrained), f'{osp.basename(str(pretrained))}; see its publisher')
    lines.append(f"**CLIP's weights**: {source}")
    return '\n'.join(f'- {_plain(line)}' for line in lines)


def _figures(path: str) -> list[str]:
    """Accuracy and data of the training that wrote a checkpoint, where they are beside it."""
    unknown = ['**Accuracy**: not known, there is no results.json beside the checkpoint']
    try:
        found = read_sealed(osp.join(osp.dirname(path), RESULTS))
        top, count = found['few_shot'], int(found['test_images'])
        if not in_bounds(top) or not in_bounds(found['zero_shot']) or count < 1:
            return unknown
        accuracy, before = (found[key]['accuracy/top1'] for key in ('few_shot', 'zero_shot'))
        low, high = wilson_percent(accuracy, count)
    except (OSError, ValueError, KeyError, TypeError):
        return unknown
    shots = f'{found["shots"]} photos per class' if found.get('shots') else 'all training photos'
    return [
        f'**Accuracy**: {accuracy:.1f} % of {count} test photos, 95 % interval '
        f'{low:.1f} to {high:.1f} % (zero-shot: {before:.1f} %)',
        f'**Data**: {found.get("benchmark")}, {shots}, seed {found.get("seed")}',
    ]


def _plain(line: str) -> str:
    """Names from outside are shown, not read as Markdown or HTML."""
    return visible(line).replace('<', '&lt;').replace('`', "'").replace('[', '&#91;')
