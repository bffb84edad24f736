"""A training step that waits for no GPU, and is one graph: counted on the CPU."""

import pytest
import torch
from helpers.short_runs import short_config
from helpers.step_meter import StepMeter
from mmengine.hooks import Hook
from torch._dynamo.utils import counters

from mmdpt.engine import deferred
from mmdpt.engine.cli import build_runner

# three epochs of two steps: guided, then not; one stage, then the other
METHODS = dict(coop={}, vpt={}, dpt=dict(model__head__guided_epochs=1), mmrl={}, twosfs={})
GRAPHS = dict(dpt=[1, 1, 2, 2, 2, 2], twosfs=[1, 1, 1, 2, 2, 2])  # after each step
LOGGED = dict(tolist=2)  # where the log is written: once for it, once for the check
# stages of three steps; text features that no longer learn, compared after a test
WAITS = dict(twosfs=[{}, LOGGED, {}, {}, LOGGED, dict(equal=12, **LOGGED)])


class Losses(Hook):
    """Keeps what is logged of every iteration."""

    priority = 'HIGHEST'

    def __init__(self):
        self.found = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.found.append({name: value.detach().clone() for name, value in outputs.items()})


def trained(method, work_dir, **options):
    """Train in double precision, with a test after each epoch."""
    options = {**METHODS[method], 'train_cfg__val_interval': 1, **options}
    options |= {'model__precision': 'fp64', 'default_hooks__checkpoint__interval': 99}
    runner, losses = build_runner(short_config(method, work_dir, epochs=3, **options)), Losses()
    meter = StepMeter(count='compile' not in options)
    runner.register_hook(meter)
    runner.register_hook(losses)
    runner.train()
    return meter, losses.found, runner.model.state_dict()


@pytest.fixture
def on_a_device(monkeypatch):
    """Let hooks treat every tensor as if it were on a GPU."""
    monkeypatch.setattr(deferred, 'waits', lambda value: True)


@pytest.mark.parametrize('method', METHODS)
@pytest.mark.usefixtures('on_a_device')
def test_step_waits_for_nothing_and_is_one_graph(method, tmp_path):
    """Each step but those in which the log is written, whatever is trained; compiled, there is
    a graph per kind of step, and none is made after the first step of its kind. Losses and
    learnt values are those of the plain steps, across the end of the guidance, a change of
    stage and the tests in between."""
    plain, losses, values = trained(method, tmp_path / 'plain')
    assert plain.waits == WAITS.get(method, [{}, LOGGED] * 3)
    torch._dynamo.reset()
    counters.clear()
    compiled, same_losses, same_values = trained(
        method, tmp_path / 'compiled', compile=dict(backend='eager')
    )
    assert not counters['graph_break']
    assert compiled.graphs == GRAPHS.get(method, [1] * 6)
    for one, other in zip([*losses, values], [*same_losses, same_values], strict=True):
        torch.testing.assert_close(other, one, rtol=1e-9, atol=1e-9)
