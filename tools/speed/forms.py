"""The forms of a training step: eager, compiled, in CUDA graphs."""

from collections.abc import Callable

import torch
from mmengine.optim import build_optim_wrapper

from mmdpt.engine.compiled import compile_step

from .tasks import Task

FORMS = ('eager', 'compiled', 'graphs')


def training_step(task: Task, form: str = 'eager', **options) -> Callable[[], torch.Tensor]:
    """A whole step as MMEngine's loop takes it: normalisation, forward, backward, update.

    Args:
        task (Task): Model, images, labels.
        form (str): Out of ``FORMS``.
        **options: Of ``torch.compile``, such as ``backend``.

    Returns:
        Callable: Takes a step and gives its loss.
    """
    model = task.model
    images = (task.images * 64 + 128).clamp(0, 255).byte()
    batch = dict(inputs=images, data_samples=task.samples)
    optim = build_optim_wrapper(
        model,
        dict(
            constructor='PromptOptimWrapperConstructor',
            optimizer=dict(type='SGD', lr=1e-4, momentum=0.9),
        ),
    )
    if form == 'graphs':
        options['mode'] = 'reduce-overhead'
    if form != 'eager':
        torch._dynamo.reset()  # an earlier cell's shapes would count as recompilations
        compile_step(model, **options)
    return lambda: model.train_step(batch, optim)['loss']
