"""Cases of the methods that learn from kept features (README-features.md)."""

from collections.abc import Callable

import numpy as np

from .clap import clap
from .closed_form import ape, gda
from .golden import Golden, to_arrays
from .linear import lppp, prolip

CLAP_CODE = 'jusiro/CLAP'  # whatever the file calls the method
METHODS: dict[str, Callable[[Golden], dict]] = {
    'GDA (few-shot)': gda,
    'GDA (base-to-new, nearest-neighbour synthesis)': gda,
    'LP++': lppp,
    'zs_lp': clap,
    'clap': clap,
    'clap_adaptive': clap,
    'crossmodal_lp': clap,
    'ProLIP': prolip,
    'APE (training-free)': ape,
}


def recompute(golden: Golden) -> dict[str, np.ndarray]:
    """Everything that we can say to a case, by the file's keys."""
    return to_arrays(METHODS[golden.meta['method']](golden))
