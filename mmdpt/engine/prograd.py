"""ProGrad's rule: no step against what zero-shot CLIP knows."""

import torch
from mmengine.dist import all_reduce
from mmengine.optim import OptimWrapper
from mmpretrain.registry import OPTIM_WRAPPERS


def align(gradient: torch.Tensor, general: torch.Tensor, strength: float) -> torch.Tensor:
    """Take the part out of a gradient that opposes a general direction.

    `Prompt-aligned Gradient <https://arxiv.org/abs/2205.14865>`_, equation 6.

    Args:
        gradient (Tensor): Of the task's loss.
        general (Tensor): Of the second loss; only its direction counts.
        strength (float): Lambda; 1 takes all of that part out.

    Returns:
        Tensor: The gradient to follow.
    """
    direction = general / general.norm().clamp_min(torch.finfo(general.dtype).tiny)
    overlap = (gradient * direction).sum()
    return gradient - strength * overlap.clamp(max=0) * direction


@OPTIM_WRAPPERS.register_module()
class ProGradOptimWrapper(OptimWrapper):
    """MMEngine's wrapper for models that give a pair of losses.

    The first is followed, tensor by tensor, except where it opposes the
    gradient of the second. With data-parallel training both gradients are
    averaged over the processes before the rule.

    Args:
        strength (float): Lambda. Defaults to 1.
        **kwargs: See MMEngine's ``OptimWrapper``.
    """

    def __init__(self, *args, strength: float = 1.0, **kwargs):
        super().__init__(*args, **kwargs)
        self.strength = strength
        self._general: list[torch.Tensor] | None = None

    def backward(self, loss: torch.Tensor, **kwargs) -> None:
        """Backward pass of both losses, (2,).

        Raises:
            ValueError: If there is only one loss.
        """
        if loss.shape != (2,):
            raise ValueError(
                'ProGradOptimWrapper needs a pair of losses, as '
                "head=dict(type='ProGradHead') gives them; with "
                "other heads use type='OptimWrapper'."
            )
        task, general = loss.unbind()
        # Not seen by data-parallel hooks, which wait for the task's gradient.
        found = torch.autograd.grad(
            general, self._learnt(), retain_graph=True, allow_unused=True, materialize_grads=True
        )
        if self._general is not None:  # gradients are being accumulated
            found = tuple(a + b for a, b in zip(self._general, found))
        self._general = list(found)
        super().backward(task, **kwargs)

    def step(self, **kwargs) -> None:
        """Apply the rule, then let the optimizer step."""
        self.apply_rule()
        super().step(**kwargs)

    @torch.no_grad()
    def apply_rule(self) -> None:
        """Replace the gradients by those to follow."""
        for p, general in zip(self._learnt(), self._general):
            all_reduce(general, 'mean')
            p.grad.copy_(align(p.grad, general, self.strength))
        self._general = None

    def _learnt(self) -> list[torch.Tensor]:
        return [
            p for group in self.optimizer.param_groups for p in group['params'] if p.requires_grad
        ]
