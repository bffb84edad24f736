"""Layers of MaPLe's and CoPrompt's prompts that a tower has no block for.

The reference has their tensors all the same. They get no gradient, so that nothing ever
moves them, weight decay included.
"""

import re

import numpy as np

from .golden import Golden
from .parts import depths


def _layer(name: str) -> int:
    """The block before which a tensor acts; 0 for all but the deep prompts'."""
    found = re.search(r'\.compound_prompt(?:s_text|_projections)\.(\d+)', name)
    return int(found[1]) + 1 if found else 0


def served(golden: Golden) -> Golden:
    """The case without the layers beyond both towers, which our model does not have."""
    most = max(depths(golden).values())
    return golden._replace(arrays={k: v for k, v in golden.arrays.items() if _layer(k) < most})


def idle(golden: Golden) -> dict[str, np.ndarray]:
    """Start values of the learnable tensors that act in no tower, by the reference's name."""
    depth = depths(golden)
    return {
        name: start
        for name, start in golden.starts('param/').items()
        if _layer(name) >= (depth['image'] if 'projections' in name else max(depth.values()))
    }
