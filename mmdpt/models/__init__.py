"""Models: CLIP's frozen towers, prompts, heads, the classifier."""
from .adapter_heads import CLIPAdapterHead, TipAdapterHead
from .classifier import PromptedCLIP
from .clip_backbone import PromptedCLIPBackbone
from .cocoop import CoCoOp
from .deep_prompts import DeepCoOp, MaPLe
from .heads import DPTHead, GuidedHead, Match, SimilarityHead
from .lora import LoRA
from .regularised_heads import KgCoOpHead, ProGradHead, PromptSRCHead
from .text_prompts import CoOp, TemplatePrompt, TextPrompt
from .towers import ImageTower, TextTower
from .visual_prompts import CAVPT, VPT, VisualPrompt
from .vit import PromptedVisionTransformer

__all__ = [
    'CAVPT', 'CLIPAdapterHead', 'LoRA', 'TipAdapterHead', 'CoCoOp', 'CoOp', 'DPTHead', 'DeepCoOp', 'GuidedHead',
    'ImageTower', 'KgCoOpHead', 'MaPLe', 'Match', 'ProGradHead',
    'PromptSRCHead', 'PromptedCLIP', 'PromptedCLIPBackbone',
    'PromptedVisionTransformer', 'SimilarityHead', 'TemplatePrompt',
    'TextPrompt', 'TextTower', 'VPT', 'VisualPrompt'
]
