"""A GPU that is only pretended: PyTorch's fake tensors know their device, and hold no numbers.

So a forward pass on "cuda" runs without a GPU, in no time. It raises where tensors of two
devices meet, and where a value would have to be known on the host, which on a GPU is a wait.
(A backward pass asks for a real device; and numbers that are drawn on the CPU are fake as well, so
that reading them looks like a wait.)
"""

import copy

import torch
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensorMode,
)


def first_wait(model, samples: list) -> str:
    """Take the forward half of a training step on a pretended GPU.

    Args:
        model (PromptedCLIP): On the CPU; it stays as it is.
        samples (list[DataSample]): Of the step's images.

    Returns:
        str: The first operation at which the host waits for the device, or ''.

    Raises:
        FakeTensorDeviceMismatchError: If tensors of two devices meet.
    """
    size = model.backbone.image_size
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        # whatever refers to a tensor of the model refers to its fake one in the copy
        memo = {id(t): fake(t, mode) for t in (*model.parameters(), *model.buffers())}
        model = copy.deepcopy(model, memo).train()
        model.data_preprocessor.to('cuda')
        model.head.set_epoch(0)
        images = torch.empty(len(samples), 3, *size, device='cuda')
        try:
            model.parse_losses(model.loss(images, [s.to('cuda') for s in samples]))
        except (DataDependentOutputException, DynamicOutputShapeException) as wait:
            return str(wait.func)
    return ''


def fake(tensor: torch.Tensor, mode: FakeTensorMode) -> torch.Tensor:
    """A tensor's likeness on the pretended GPU."""
    moved = mode.from_tensor(tensor.detach()).to('cuda')
    if isinstance(tensor, torch.nn.Parameter):
        return torch.nn.Parameter(moved, tensor.requires_grad)
    return moved
