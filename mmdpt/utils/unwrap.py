"""The model itself, out of its wrappers."""

from typing import Any

from mmengine.model import is_model_wrapper


def unwrapped(model: Any) -> Any:
    """Return the model inside data-parallel and test-time-augmentation wrappers."""
    while is_model_wrapper(model) or not hasattr(model, 'identity') and hasattr(model, 'module'):
        model = model.module
    return model
