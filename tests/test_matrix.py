"""Every method of the configs has a row in the tables that test all methods alike.

* train, save, load, predict on every tower in every precision: test_methods.py
* two processes are one: test_distributed.py
* SIGKILL and resume, bit for bit: test_resume.py
* export or refusal: test_export.py
* other classes, carried over or refused: here
"""

from pathlib import Path

import pytest
import torch
from helpers import gloo
from helpers.kill_and_resume import METHODS as RESUMED
from helpers.matrix import METHODS, build
from mmengine.config import Config
from test_export import EXPORTED

from mmdpt.sweep.published import EVALUATION_ONLY

BASES = Path(__file__).resolve().parents[1] / 'configs/_base_/methods'
LEARN = sorted({path.stem for path in BASES.glob('*.py')} - set(EVALUATION_ONLY))
PARTS = ('text_prompt', 'visual_prompt', 'tuning', 'head')
OTHER = ['dog', 'lynx', 'cat']
NOT_EXPORTED = ('cocoop',)  # refused: its text features depend on the image
REFUSED = (  # what is learnt belongs to the old classes, row by row
    *('tip', 'ape', 'linear_probe', 'gda', 'lppp', 'zs_lp', 'clap', 'crossmodal_lp'),
)


def kinds(model):
    """What the parts of a method are, by its config."""
    return {
        name: (model.get(name) or {}).get('type', 'SimilarityHead' if name == 'head' else None)
        for name in PARTS
    }


@pytest.mark.parametrize('method', LEARN)
def test_has_a_row_in_every_table(method):
    wanted = kinds(Config.fromfile(BASES / f'{method}.py').model)
    rows = {name for name, parts in METHODS.items() if kinds(parts) == wanted}
    assert rows, f'{method}: no row of tests/helpers/matrix.py has the parts {wanted}'
    assert rows <= set(gloo.CASES) and rows <= {*EXPORTED, *NOT_EXPORTED}
    assert method in RESUMED


@pytest.mark.parametrize('method', METHODS)
def test_other_classes(method):
    """Only on request; then what is learnt is carried over, or the reason why not is given."""
    state = build(method, 'small', 'fp32').state_dict()
    head = METHODS[method].get('head', {})
    if 'sentences' in head:  # there are none of the new classes
        head = {k: v for k, v in head.items() if k != 'sentences'}
    options = dict(classes=OTHER, **(dict(head=head) if head else {}))
    with pytest.raises(ValueError, match=r'trained for 4 classes.*set\s+model.transfer=True'):
        build(method, 'small', 'fp32', **options).load_state_dict(state)
    new = build(method, 'small', 'fp32', transfer=True, **options)
    if method in REFUSED:
        with pytest.raises(ValueError, match='transfer=True cannot carry'):
            new.load_state_dict(state)
        return
    new.load_state_dict(state)
    same = [n for n, t in new.state_dict().items() if n in state and torch.equal(t, state[n])]
    assert same
    with torch.no_grad():
        assert new.eval()(torch.randn(2, 3, 32, 32)).shape == (2, 3)
