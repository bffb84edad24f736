"""Models: CLIP's frozen towers, prompts, heads, the classifier."""
from .classifier import PromptedCLIP
from .cocoop import CoCoOp
from .heads import DPTHead, GuidedHead, Match, SimilarityHead
from .text_prompts import CoOp, TemplatePrompt, TextPrompt
from .towers import ImageTower, TextTower
from .visual_prompts import CAVPT, VPT, VisualPrompt

__all__ = [
    'CAVPT', 'CoCoOp', 'CoOp', 'DPTHead', 'GuidedHead', 'ImageTower', 'Match',
    'PromptedCLIP', 'SimilarityHead', 'TemplatePrompt', 'TextPrompt',
    'TextTower', 'VPT', 'VisualPrompt'
]
