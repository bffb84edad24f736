"""No method mixes devices in a training step, and most leave the host free; see the helper."""

import pytest
import torch
from helpers.classifier import METHODS, build, samples
from helpers.pretended_gpu import first_wait
from torch._subclasses.fake_tensor import FakeTensorDeviceMismatchError

# Where the host waits, or (CoPrompt) reads a number that is drawn on the CPU.
WAITS = dict(skiptuning='aten.nonzero.default', coprompt='aten._local_scalar_dense.default')


def given(method):
    return samples(1 if method == 'skiptuning' else 4)


@pytest.mark.parametrize('method', METHODS)
def test_a_step_keeps_to_one_device(method):
    wait = first_wait(build(method, precision='fp32'), given(method))
    assert wait in ('', WAITS.get(method))


def test_two_devices_are_noticed():
    model = build('coop', precision='fp32')
    model.head.forward = lambda match: match.image @ torch.ones(32, 4)
    with pytest.raises(FakeTensorDeviceMismatchError, match='cpu'):
        first_wait(model, given('coop'))


def test_a_wait_is_noticed():
    model = build('coop', precision='fp32')
    model.head.forward = lambda match: match.image * match.image.sum().item()
    assert first_wait(model, given('coop')) == 'aten._local_scalar_dense.default'
