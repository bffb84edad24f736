"""What a trained model looks at, and which words its contexts are near."""

from .attention import ImageAttention, attention_maps, patch_map, shares, visible_image
from .figure import draw_attention, to_array
from .hooks import AttentionVisualizationHook
from .recorder import class_token_attention
from .words import Word, nearest_words

__all__ = [
    'AttentionVisualizationHook',
    'ImageAttention',
    'Word',
    'attention_maps',
    'class_token_attention',
    'draw_attention',
    'nearest_words',
    'patch_map',
    'shares',
    'to_array',
    'visible_image',
]
