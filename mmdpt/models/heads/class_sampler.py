"""Sampled softmax: the classes of one training step."""

import torch
import torch.nn as nn

from mmdpt.utils.checks import check_count


class ClassSampler(nn.Module):
    """Draws the classes of a step: the labels of its images, and N others, all
    equally likely, without repetition.

    A step then costs the text of N classes, not of all. It is an approximation:
    the softmax lacks the classes that were not drawn, so the loss is at most that
    over all classes, and its gradient, expectation included, differs from the
    exact one by terms that fall with 1 / N; classes that are hard to tell apart
    compete only in the steps that draw both. It is exact where N reaches the number
    of classes. `On Using Very Large Target Vocabulary
    <https://arxiv.org/abs/1412.2007>`_, section 3, with uniform proposals, whose
    correction is the same for all others and is left out; on the bias: `Adaptive
    Sampled Softmax with Kernel Based Sampling <https://arxiv.org/abs/1712.00527>`_,
    section 2.

    Args:
        num_classes (int): C.
        count (int): N.

    Attributes:
        takes_all (bool): Whether N leaves nothing to draw.
        draws (Tensor): State of the random generator, part of the checkpoint: a
            resumed training draws what the uninterrupted one would have drawn.
            Its seed comes from PyTorch's generator when the model is built.

    Raises:
        ValueError: If N is not a whole number of at least 1.
    """

    saved_buffers = ('draws',)

    def __init__(self, num_classes: int, count: int):
        super().__init__()
        check_count('sample_classes', count, 1, 10**9, 'classes besides those of a batch')
        self.num_classes, self.count = num_classes, count
        self.takes_all = count >= num_classes
        generator = torch.Generator().manual_seed(int(torch.randint(2**31, ())))
        self.register_buffer('draws', generator.get_state())

    @torch.no_grad()
    def choose(
        self, target: torch.Tensor, image: torch.Tensor, frozen_text: torch.Tensor | None
    ) -> list[int]:
        """The classes of a step, in ascending order.

        Args:
            target (Tensor): Labels, (B,).
            image (Tensor): Not read.
            frozen_text (Tensor, optional): Not read.

        Raises:
            ValueError: If labels are mixed.
        """
        if target.dim() > 1:
            raise ValueError(
                'sample_classes needs one label per image, which batch augmentation (mixup, '
                'cutmix) mixes: take one of the two out.'
            )
        generator = torch.Generator()
        generator.set_state(self.draws.cpu())
        order = torch.randperm(self.num_classes, generator=generator)
        self.draws.copy_(generator.get_state())
        present = target.unique().cpu()
        others = order[~torch.isin(order, present)][: self.count]
        return torch.cat([present, others]).sort().values.tolist()
