"""Photos in, names and probabilities out."""

from .inferencer import PromptInferencer
from .photos import find_images

__all__ = ['PromptInferencer', 'find_images']
