"""What is left of a trained model when its classes no longer change."""

import copy
from collections.abc import Sequence

import torch
import torch.nn as nn

from mmdpt.models import PromptedCLIP
from mmdpt.models.forward import forward_pass
from mmdpt.models.part import ModelInfo
from mmdpt.models.prompts.base import LayeredPrompt
from mmdpt.models.sides import Sides
from mmdpt.models.tuning.layer_norms import merge_norms
from mmdpt.models.tuning.upper_blocks import merge_copies


class FixedText(nn.Module):
    """The text side as constants.

    Args:
        model (PromptedCLIP): The trained model.
    """

    requires: frozenset[str] = frozenset()

    def __init__(self, model: PromptedCLIP):
        super().__init__()
        self.register_buffer('frozen_features', model.frozen_text_features().clone())
        self.register_buffer('learnt_features', model.text_features().clone())

    def frozen(self) -> torch.Tensor:
        """The features of the templates, (C, E)."""
        return self.frozen_features

    def learnt(
        self, image: torch.Tensor | None = None, classes: Sequence[int] | None = None
    ) -> torch.Tensor:
        """The learnt text features, (C, E)."""
        return self.learnt_features


class FixedTokens(LayeredPrompt):
    """Visual prompts as constants, wherever they came from (MaPLe: the text).

    Args:
        prompt (LayeredPrompt): The learnt one.
    """

    def __init__(self, prompt: LayeredPrompt):
        super().__init__(ModelInfo(None, classes=[]))
        self.num_layers, self.pre_norm = prompt.num_layers, prompt.pre_norm
        layers = [prompt.layer(i) for i in range(prompt.num_layers)]
        self.register_buffer('tokens', torch.stack(layers).detach().clone())

    def layer(self, depth: int) -> torch.Tensor:
        return self.tokens[depth]


class ExportedClassifier(nn.Module):
    """Image in, probabilities out; text features are constants.

    It runs :func:`forward_pass` and the head as they are, on copies:
    the model that it is made from stays as it was. There is no text tower in it.
    What a tuning has learnt is merged into the weights.

    Args:
        model (PromptedCLIP): The trained model, in single precision.
        temperature (float): Of a calibration, divides the logits.

    Attributes:
        image_size (tuple[int, int]): Height and width of the input.

    Raises:
        ValueError: If it is not such a model, or its text depends on the image
            (CoCoOp).
    """

    def __init__(self, model: PromptedCLIP, temperature: float = 1.0):
        super().__init__()
        check_exportable(model)
        model.eval()
        self.image_size, self.temperature = model.backbone.image_size, temperature
        self.backbone = copy.deepcopy(model.backbone)
        if model.tuning is not None:
            merge_low_rank(self.backbone)
            merge_norms(self.backbone)
            merge_copies(self.backbone)
        self.visual_prompt = fixed(model.visual_prompt)
        self.head = copy.deepcopy(model.head)
        with torch.no_grad():
            self.text = FixedText(model)
        self.register_buffer('scale', model.scale.clone())
        self._keep_normalisation(model.data_preprocessor)
        self.requires_grad_(False).eval()

    def _keep_normalisation(self, preprocessor: nn.Module) -> None:
        mean, std = normalisation(preprocessor)
        self.register_buffer('mean', mean.float().reshape(3, 1, 1).clone())
        self.register_buffer('std', std.float().reshape(3, 1, 1).clone())
        self.to_bgr = not preprocessor.to_rgb  # files of images are read as BGR

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Classify.

        Args:
            image (Tensor): RGB from 0 to 255, uint8, (B, 3, H, W).

        Returns:
            Tensor: Probabilities, (B, C).
        """
        if self.to_bgr:
            image = image.flip(1)
        inputs = (image.float() - self.mean) / self.std
        sides = Sides(self.backbone, self.text, self.scale, self.visual_prompt)
        logits = self.head(forward_pass(sides, inputs))
        if self.temperature != 1:  # else the graph is that of no calibration
            logits = logits / self.temperature
        return logits.softmax(dim=1)


def check_exportable(model: nn.Module) -> None:
    """Raise ValueError unless a model can become an ExportedClassifier."""
    if not isinstance(model, PromptedCLIP):
        raise ValueError(
            f'only PromptedCLIP is exported here, but the model is a '
            f'{type(model).__name__}: for other classifiers of MMPretrain use '
            'MMDeploy, or torch.export itself'
        )
    if model.text.by_image:
        name = type(model.text_prompt).__name__
        raise ValueError(
            f'{name} cannot be exported: its text features depend on the image, so the file '
            'would have to hold the text tower and run it for every image and every class. Use '
            'tools/predict.py, or train a method with a fixed text (CoOp, KgCoOp, DPT, ...)'
        )
    found = {p.dtype for p in model.backbone.parameters()}
    if found != {torch.float32}:
        names = ', '.join(str(d).replace('torch.', '') for d in found)
        raise ValueError(
            f'the image tower is in {names}, but files are exported in single '
            "precision: build the model with precision='fp32'"
        )
    if model.data_preprocessor.pad_size_divisor > 1:
        raise ValueError(
            'data_preprocessor.pad_size_divisor > 1 has no meaning for a CLIP, whose '
            'images have one size: leave it out'
        )


def fixed(prompt):
    """A copy of a visual prompt that depends on nothing outside; None of None."""
    if isinstance(prompt, LayeredPrompt):
        return FixedTokens(prompt)
    return copy.deepcopy(prompt)


@torch.no_grad()
def merge_low_rank(tower: nn.Module) -> None:
    """Add the low-rank updates of a tower's blocks to their weights."""
    for block in tower.blocks:
        update = block.attn.__dict__.pop('low_rank', None)
        if update is None:
            continue
        weight = block.attn.in_proj_weight
        identity = torch.eye(weight.shape[1], dtype=weight.dtype, device=weight.device)
        weight += update(
            identity, 0, 3
        ).t()  # linear: its matrix is its output for the unit vectors


def normalisation(preprocessor: nn.Module):
    """tuple: Mean and standard deviation, (3,), of what the model is given,
    RGB from 0 to 255 (BGR if the model was trained so)."""
    if not preprocessor._enable_normalize:
        return torch.zeros(3), torch.ones(3)
    return preprocessor.mean.flatten(), preprocessor.std.flatten()
