"""Models: CLIP's frozen towers, prompts, heads, the classifier."""

from .adapter_heads import CLIPAdapterHead, TipAdapterHead
from .classifier import PromptedCLIP
from .clip_backbone import PromptedCLIPBackbone
from .cocoop import CoCoOp
from .deep_prompts import DeepCoOp, MaPLe
from .heads import DPTHead, GuidedHead, Match, SimilarityHead
from .linear_probe_head import LinearProbeHead
from .lora import LoRA
from .mmrl import RepresentationImage, RepresentationText
from .mmrl_head import MMRLHead
from .regularised_heads import KgCoOpHead, ProGradHead, PromptSRCHead
from .tcp import TCP
from .text_prompts import CoOp, TemplatePrompt, TextPrompt
from .timm_tower import TimmTower
from .towers import FrozenTower, ImageTower, TextTower
from .visual_prompts import CAVPT, VPT, VisualPrompt
from .vit import PromptedVisionTransformer

__all__ = [
    'CAVPT',
    'CLIPAdapterHead',
    'CoCoOp',
    'CoOp',
    'DPTHead',
    'DeepCoOp',
    'FrozenTower',
    'GuidedHead',
    'ImageTower',
    'KgCoOpHead',
    'LinearProbeHead',
    'LoRA',
    'MMRLHead',
    'MaPLe',
    'Match',
    'ProGradHead',
    'PromptSRCHead',
    'PromptedCLIP',
    'PromptedCLIPBackbone',
    'PromptedVisionTransformer',
    'RepresentationImage',
    'RepresentationText',
    'SimilarityHead',
    'TCP',
    'TemplatePrompt',
    'TextPrompt',
    'TextTower',
    'TimmTower',
    'TipAdapterHead',
    'VPT',
    'VisualPrompt',
]
