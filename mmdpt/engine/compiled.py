"""A training step as one graph: torch.compile around all that is tensors alone."""

from typing import Any

import torch
from torch import nn

from mmdpt.models.heads.base import labels

GRAPHS = ('reduce-overhead', 'max-autotune')  # modes that use CUDA graphs


def compile_step(model: Any, **options: Any) -> None:
    """Compile the forward pass, the losses and the backward pass of a model's training steps.

    ``compile_step(model)`` is the compiled form, ``compile_step(model, mode='reduce-overhead')``
    the one in CUDA graphs; in a config, ``compile = True`` and ``compile =
    dict(mode='reduce-overhead')``. Samples are turned into labels before the graph, and
    what does not learn is computed before it. There is one graph per kind of
    step: guided or not, and for each size of a batch.

    Args:
        model (PromptedCLIP): The model.
        **options: Of ``torch.compile``. ``dynamic`` defaults to False: static shapes;
            ``fullgraph`` to True: one graph, or an error that says what breaks it.

    Raises:
        ValueError: If what a part does in a step is no function of tensors.
    """
    check_compilable(model)
    model.losses = CompiledLosses(model, options)


def check_compilable(model: Any) -> None:
    """Raise ValueError unless a model's training step is a function of tensors alone."""
    if not hasattr(type(model), 'match'):
        raise ValueError(
            f'compile: {type(model).__name__} has no step that could be compiled; take it out, or '
            "use model.type='PromptedCLIP'."
        )
    head, why = model.head, ''
    if getattr(head, 'skips_classes', False):
        why = f'{type(head).__name__} chooses the classes of each step'
    elif 'second_image' in head.requires:
        why = f'{type(head).__name__} needs a second view of each image'
    elif model.sides.teacher is not None or 'teacher' in head.requires:
        why = 'the answers of the teacher are looked up by sample'
    elif any(getattr(m, 'p', 0) for m in dropouts(model)):
        why = 'the dropout of model.tuning draws anew in each step'
    if why:
        raise ValueError(f'compile: {why}, outside of what torch.compile can follow; take it out.')


def dropouts(model: nn.Module) -> list[nn.Module]:
    """What draws from numbers of the step."""
    return [m for m in model.modules() if hasattr(m, 'begin_step') and hasattr(m, 'p')]


class CompiledLosses:
    """Stands in the place of a model's ``losses``.

    Args:
        model (PromptedCLIP): The model.
        options (dict): Of ``torch.compile``.
    """

    def __init__(self, model: Any, options: dict):
        self.text, self.ready = model.text, set[bool]()
        self.graphs = options.get('mode') in GRAPHS
        self.compiled = torch.compile(
            type(model).losses.__get__(model), **{'dynamic': False, 'fullgraph': True, **options}
        )

    def __call__(self, inputs: torch.Tensor, data_samples: list) -> dict[str, torch.Tensor]:
        """Loss terms by name, whose memory is their own."""
        autocast = torch.is_autocast_enabled(inputs.device.type)
        if autocast not in self.ready:
            self._prepare()
            self.ready.add(autocast)
        if self.graphs:
            torch.compiler.cudagraph_mark_step_begin()
        losses = self.compiled(inputs, labels(data_samples))
        return {k: v.clone() for k, v in losses.items()} if self.graphs else losses

    @torch.no_grad()
    def _prepare(self) -> None:
        """Compute the text states that nothing learnt reaches, which are kept."""
        if self.text.prompt is not None and not self.text.by_image:
            self.text.tower(self.text.prompt())
