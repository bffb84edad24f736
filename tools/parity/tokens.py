"""Token ids as the reference pads them."""

import numpy as np
import torch


def template_tokens(model) -> np.ndarray:
    """Token ids of the filled templates, (templates, C, context)."""
    rows = []
    for template in model.templates:
        ids = torch.tensor(list(template.frozen.row))
        packing = template.packing
        rows.append(
            [
                pad(ids[prompt.cpu()].tolist(), model)
                for prompt in packing.unpack(packing.prefix, packing.own, dim=0)
            ]
        )
    return np.array(rows)


def pad(ids: list, model) -> list:
    """With zeros up to the context length."""
    return ids + [0] * (model.text_tower.context_length - len(ids))
