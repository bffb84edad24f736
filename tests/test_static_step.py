"""A training step that waits for no GPU, and is one graph: counted on the CPU."""

import pytest
import torch
from helpers.short_runs import Recorder, short_config
from helpers.step_meter import StepMeter
from torch._dynamo.utils import counters

from mmdpt.engine import deferred
from mmdpt.engine.cli import build_runner

# two steps per epoch, three epochs: guided, then not; one stage, then the other
METHODS = dict(
    coop={},
    vpt={},
    dpt=dict(model__head__guided_epochs=1),
    mmrl={},
    twosfs={},
)


def trained(method, work_dir, monkeypatch, **options):
    """Train in double precision, with a test after each epoch; give meter, losses, values."""
    options = {**METHODS[method], 'train_cfg__val_interval': 1, **options}
    options |= {'model__precision': 'fp64', 'default_hooks__checkpoint__interval': 99}
    runner = build_runner(short_config(method, work_dir, epochs=3, **options))
    meter = StepMeter(runner, monkeypatch)
    losses = Recorder(lambda runner: None)
    losses.after_train_iter = lambda runner, batch_idx, data_batch=None, outputs=None: (
        losses.found.append({k: v.detach().clone() for k, v in outputs.items()})
    )
    runner.register_hook(losses)
    runner.train()
    learnt = {n: p.detach() for n, p in runner.model.named_parameters() if n in runner.model.state_dict()}
    return meter, losses.found, learnt


@pytest.fixture
def on_a_device(monkeypatch):
    """Let hooks treat every tensor as if it were on a GPU."""
    monkeypatch.setattr(deferred, 'waits', lambda value: True)


@pytest.mark.parametrize('method', METHODS)
def test_step_waits_for_nothing_and_is_one_graph(method, tmp_path, monkeypatch, on_a_device):
    """Each step but those in which the log is written, whatever is trained; compiled, there is
    a graph per kind of step, and none is made after the first step of its kind. Losses and
    learnt values are those of the plain steps, across the end of the guidance, a change of
    stage and the tests in between."""
    plain, losses, values = trained(method, tmp_path / 'plain', monkeypatch)
    torch._dynamo.reset()
    counters.clear()
    compiled, same_losses, same_values = trained(
        method, tmp_path / 'compiled', monkeypatch, compile=dict(backend='eager')
    )
    for i, (step, _) in enumerate(plain.steps):
        last_of_epoch = i % 2 == 1  # the log is written
        assert sum(step.waits.values()) <= 2 * last_of_epoch, (i, step.waits)
    assert not counters['graph_break']
    graphs = [count for _, count in compiled.steps]
    kinds = 2 if method in ('dpt', 'twosfs') else 1
    assert graphs[-1] == kinds and set(graphs) == set(range(1, kinds + 1)), graphs
    for one, other in zip(losses, same_losses, strict=True):
        for name in one:
            torch.testing.assert_close(other[name], one[name], rtol=1e-9, atol=1e-9)
    for name, value in values.items():
        torch.testing.assert_close(same_values[name], value, rtol=1e-9, atol=1e-9)
