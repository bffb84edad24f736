"""One part of the work, by our path and by a slow one."""

import torch
from mmpretrain.structures import DataSample

SLOW = ('padded', 'reference')


class Task:
    """One part of the work, by our path and by a slow one.

    Args:
        part (str): 'text', 'train_step' or 'evaluation'.
        model (PromptedCLIP): The model.
        batch_size (int): Images per step.
        slow (str): The slow path: 'padded' (tests/helpers/plain.py), or
            'reference' (tests/helpers/reference.py), DPT only.
        guided (bool): Whether it is one of the first epochs, of methods that
            train differently in them.
    """

    def __init__(
        self, part: str, model, batch_size: int, slow: str = 'padded', guided: bool = False
    ):
        self.part, self.model = part, model
        device = model.scale.device
        torch.manual_seed(1)
        self.images = torch.randn(batch_size, 3, *model.backbone.image_size, device=device)
        count = len(model.classes)
        kinds = 1 if hasattr(model.head, 'drawn') else count  # SkipTuning: batches of one class
        self.labels = torch.arange(batch_size, device=device) % kinds
        self.samples = [DataSample().set_gt_label(i % kinds).to(device) for i in range(batch_size)]
        for sample, image in zip(self.samples, self.images):
            sample.set_field(image.flip(-1).cpu(), 'img2')
        self.weight = torch.randn(count, model.backbone.embed_dim, device=device)
        model.train(part != 'evaluation')
        if part == 'evaluation':
            model.requires_grad_(False)
        model.head.set_epoch(0 if guided else 10**6)
        # Both paths know the templates' features beforehand.
        self.filled = model.frozen_text_features()
        self.reference = None
        if slow == 'reference':
            from helpers.reference import ReferenceDPT

            self.reference = ReferenceDPT(model, self.filled)

    def run(self, slow: bool) -> list[torch.Tensor]:
        """Outputs, then gradients."""
        if self.part == 'evaluation':
            with torch.no_grad():
                return [self._logits(slow)]
        if self.part == 'text':
            learnt = list(self.model.text_prompt.parameters())
            output = self._text(slow)
            total = (output * self.weight).sum()
        else:
            learnt = [p for p in self.model.parameters() if p.requires_grad]
            output = self._loss(slow)  # a pair for ProGrad
            total = output.sum()
        return [output.detach(), *torch.autograd.grad(total, learnt)]

    def _logits(self, slow: bool) -> torch.Tensor:
        from helpers.plain import match

        if slow and self.reference:
            return self.reference.predict(self.images)
        model = self.model
        return model.head(
            match(model, self.images, self.filled) if slow else model.match(self.images)
        )

    def _text(self, slow: bool) -> torch.Tensor:
        from helpers.plain import learnt_text

        if slow and self.reference:
            return self.reference.text()
        return learnt_text(self.model) if slow else self.model.text_features()

    def _loss(self, slow: bool) -> torch.Tensor:
        from helpers.plain import match

        if slow and self.reference:
            return self.reference.loss(self.images, self.labels)
        model = self.model
        found = (
            match(model, self.images, self.filled, self.samples)
            if slow
            else model.match(self.images, self.samples)
        )
        torch.manual_seed(0)  # of what a loss draws
        return model.parse_losses(model.head.loss(found, self.samples))[0]


def differences(task: Task, slow_task: Task) -> dict:
    """Largest difference of outputs, and of gradients relative to the largest
    entry of each tensor."""
    ours, slow = task.run(False), slow_task.run(True)
    gradients = [
        float((a - b).abs().max() / b.abs().max().clamp(min=1e-30))
        for a, b in zip(ours[1:], slow[1:])
    ]
    return dict(
        max_abs_diff=float((ours[0] - slow[0]).abs().max()),
        max_rel_grad_diff=max(gradients, default=0.0),
    )
