"""What a part of the classifier may know of the whole."""
from typing import Any, Callable, List, NamedTuple, Optional

import torch


class ModelInfo(NamedTuple):
    """Handed once to every part (``couple``), before anything is trained.

    Attributes:
        width (int): D, size of an image token; 0 where there are none.
        depth (int): Blocks of the image tower.
        text_depth (int): Blocks of the text tower.
        embed_dim (int): E, size of the joint space.
        classes (list[str]): The class names.
        templates (list[str]): The hand-written prompts.
        frozen_text (Callable): Gives the features of the filled templates,
            (C, E), normalised.
        image_proj (Tensor, optional): The image tower's frozen projection,
            (D, E).
        text_prompt (TextPrompt, optional): The learnt text prompt.
    """
    width: int
    depth: int
    text_depth: int
    embed_dim: int
    classes: List[str]
    templates: List[str]
    frozen_text: Callable[[], torch.Tensor]
    image_proj: Optional[torch.Tensor] = None
    text_prompt: Any = None
