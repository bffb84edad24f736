"""The parts that a checkpoint may name, each with its options, their types and ranges.

The options are those of the constructor, but for ``about`` and ``init_cfg``.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=0, le=10_000)]
Size = Annotated[int, Field(ge=1, le=4096)]
Number = Annotated[float, Field(ge=-1e6, le=1e6)]
Share = Annotated[float, Field(ge=0, le=1)]
Words = Annotated[str, Field(max_length=1000)]
Layers = Annotated[list[Count], Field(max_length=128)]
Names = Annotated[list[Words], Field(max_length=50)]
PerClass = Annotated[list[Number], Field(max_length=50_000)]


class Closed(BaseModel):
    """Base of what is read from a file: no other keys, no conversion, no NaN."""

    model_config = ConfigDict(strict=True, extra='forbid', allow_inf_nan=False)


# ---- text prompts


class CoOp(Closed):
    type: Literal['CoOp']
    num_tokens: Count | None = None
    position: Literal['end', 'middle', 'front'] = 'end'
    class_specific: bool = False
    init_words: Words | None = None
    zero_fill: bool = False
    frozen_words: Words | None = None


class CoCoOp(Closed):
    type: Literal['CoCoOp']
    num_tokens: Count | None = None
    init_words: Words | None = None
    reduction: Size = 16


class DeepCoOp(Closed):
    type: Literal['DeepCoOp']
    num_layers: Count = 9
    num_tokens: Count | None = None
    init_words: Words | None = None
    frozen_words: Words | None = None
    surplus: bool = False


class TCP(Closed):
    type: Literal['TCP']
    template: Words = 'X X X X {}.'
    num_tokens: Count | None = None
    init_words: Words | None = None
    layers: Layers = [8]
    weights: Annotated[list[Number], Field(max_length=128)] | None = None
    reduction: Size = 4


class RepresentationText(Closed):
    type: Literal['RepresentationText']
    num_tokens: Count = 5
    space_dim: Size = 512
    layers: Layers = [6, 7, 8, 9, 10, 11, 12]
    rank: Size | None = None
    mix: Number = 1.0


# ---- visual prompts, tuning


class CAVPT(Closed):
    type: Literal['CAVPT']
    num_tokens: Count = 10
    num_layers: Count = 1
    top_k: Count = 10


class MaPLe(Closed):
    type: Literal['MaPLe']


class VPT(Closed):
    type: Literal['VPT']
    num_tokens: Count = 10
    deep: bool = True
    num_layers: Count | None = None
    pre_norm: bool = False


class RepresentationImage(Closed):
    type: Literal['RepresentationImage']


class LoRA(Closed):
    type: Literal['LoRA']
    rank: Size = 2
    alpha: Number = 1.0
    dropout: Share = 0.25
    parts: Annotated[str, Field(max_length=3)] | Names = ['q', 'k', 'v']
    towers: Names = ['image', 'text']
    blocks: dict[Literal['image', 'text'], Layers] | None = None


# ---- heads


class CrossEntropyLoss(Closed):
    type: Literal['CrossEntropyLoss']
    use_sigmoid: bool = False
    use_soft: bool = False
    reduction: Literal['none', 'mean', 'sum'] = 'mean'
    loss_weight: Number = 1.0
    class_weight: PerClass | None = None
    pos_weight: PerClass | None = None


class LabelSmoothLoss(Closed):
    type: Literal['LabelSmoothLoss']
    label_smooth_val: Share
    num_classes: Annotated[int, Field(ge=1, le=50_000)] | None = None
    use_sigmoid: bool | None = None
    mode: Literal['original', 'classy_vision', 'multi_label'] = 'original'
    reduction: Literal['none', 'mean', 'sum'] = 'mean'
    loss_weight: Number = 1.0
    class_weight: PerClass | None = None
    pos_weight: PerClass | None = None


class FocalLoss(Closed):
    type: Literal['FocalLoss']
    gamma: Number = 2.0
    alpha: Number = 0.25
    reduction: Literal['none', 'mean', 'sum'] = 'mean'
    loss_weight: Number = 1.0


class HeadOptions(Closed):
    """Of every head."""

    loss: Annotated[CrossEntropyLoss | LabelSmoothLoss | FocalLoss, Field(discriminator='type')] = (
        CrossEntropyLoss(type='CrossEntropyLoss')
    )
    topk: Size | Annotated[list[Size], Field(min_length=1, max_length=20)] = [1]
    cal_acc: bool = False


class SimilarityHead(HeadOptions):
    type: Literal['SimilarityHead']


class LinearProbeHead(HeadOptions):
    type: Literal['LinearProbeHead']


class CLIPAdapterHead(HeadOptions):
    type: Literal['CLIPAdapterHead']
    ratio: Number = 0.2
    reduction: Size = 4


class TipAdapterHead(HeadOptions):
    type: Literal['TipAdapterHead']
    num_keys: Annotated[int, Field(ge=1, le=1_000_000)]
    alpha: Number = 1.0
    beta: Number = 1.0


class GuidedHead(HeadOptions):
    type: Literal['GuidedHead']
    guided_epochs: Number
    logits_weight: Number = 0.1


class DPTHead(HeadOptions):
    type: Literal['DPTHead']
    guided_epochs: Number
    logits_weight: Number = 0.1
    aux_weight: Number = 0.3


class KgCoOpHead(HeadOptions):
    type: Literal['KgCoOpHead']
    weight: Number = 8.0


class ProGradHead(HeadOptions):
    type: Literal['ProGradHead']
    temperature: Number = 1.0


class PromptSRCHead(HeadOptions):
    type: Literal['PromptSRCHead']
    text_weight: Number = 25.0
    image_weight: Number = 10.0


class MMRLHead(HeadOptions):
    type: Literal['MMRLHead']
    alpha: Number = 0.7
    weight: Number = 0.5
    fusion: Literal['trained', 'always', 'never'] = 'trained'
    rank: Size | None = None


TextPrompt = Annotated[
    CoOp | CoCoOp | DeepCoOp | TCP | RepresentationText, Field(discriminator='type')
]
VisualPrompt = Annotated[CAVPT | MaPLe | VPT | RepresentationImage, Field(discriminator='type')]
Head = Annotated[
    SimilarityHead
    | LinearProbeHead
    | CLIPAdapterHead
    | TipAdapterHead
    | GuidedHead
    | DPTHead
    | KgCoOpHead
    | ProGradHead
    | PromptSRCHead
    | MMRLHead,
    Field(discriminator='type'),
]
