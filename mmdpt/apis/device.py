"""Where a model runs."""

import torch


def usable_device(name: str | torch.device) -> torch.device:
    """A device that this machine has.

    Raises:
        ValueError: If it has none of that name.
    """
    try:
        torch.zeros(1, device=name)
        return torch.device(name)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(
            f'the device {str(name)!r} cannot be used here '
            f'({str(error).splitlines()[0]}): cpu always can'
        ) from error
