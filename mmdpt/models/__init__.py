"""Models: CLIP's frozen towers, prompts, heads, the classifier."""

from .classifier import PromptedCLIP
from .clip.image_tower import FrozenTower, ImageTower
from .clip.text_tower import TextTower
from .clip.timm_tower import TimmTower
from .heads.ape import APEHead
from .heads.base import SimilarityHead
from .heads.clap import CLAPHead, CrossModalHead, ZSLPHead
from .heads.class_skipping import ClassSkippingHead
from .heads.clip_adapter import CLIPAdapterHead
from .heads.coprompt import CoPromptHead
from .heads.dpt import DPTHead, GuidedHead
from .heads.feature_space import FeatureHead
from .heads.gda import GDAHead
from .heads.kgcoop import KgCoOpHead
from .heads.linear_probe import LinearProbeHead
from .heads.lppp import LPPPHead
from .heads.match import Match
from .heads.mmrl import MMRLHead
from .heads.prograd import ProGradHead
from .heads.prolip import ProLIPHead
from .heads.promptkd import PromptKDHead
from .heads.promptsrc import PromptSRCHead
from .heads.text_start import TextStartHead
from .heads.tip_adapter import TipAdapterHead
from .mmpretrain.clip_backbone import PromptedCLIPBackbone
from .mmpretrain.vit import PromptedVisionTransformer
from .prompts.base import TextPrompt, VisualPrompt
from .prompts.class_aware import CAVPT
from .prompts.cocoop import CoCoOp
from .prompts.coop import CoOp
from .prompts.deep_coop import DeepCoOp
from .prompts.maple import MaPLe
from .prompts.mmrl import RepresentationImage, RepresentationText
from .prompts.tcp import TCP
from .prompts.templates import TemplatePrompt
from .prompts.vpt import VPT
from .tuning.layer_norms import LayerNorms
from .tuning.lora import LoRA
from .tuning.upper_blocks import UpperBlocks

__all__ = [
    'APEHead',
    'CAVPT',
    'CLAPHead',
    'CLIPAdapterHead',
    'ClassSkippingHead',
    'CoCoOp',
    'CoOp',
    'CoPromptHead',
    'CrossModalHead',
    'DPTHead',
    'DeepCoOp',
    'FeatureHead',
    'FrozenTower',
    'GDAHead',
    'GuidedHead',
    'ImageTower',
    'KgCoOpHead',
    'LayerNorms',
    'LPPPHead',
    'LinearProbeHead',
    'LoRA',
    'MMRLHead',
    'MaPLe',
    'Match',
    'ProGradHead',
    'PromptKDHead',
    'ProLIPHead',
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
    'TextStartHead',
    'TextTower',
    'TimmTower',
    'TipAdapterHead',
    'UpperBlocks',
    'VPT',
    'VisualPrompt',
    'ZSLPHead',
]
