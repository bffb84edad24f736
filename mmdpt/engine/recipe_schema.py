"""What a recipe may say: a closed schema, down to each value.

A registry builds any dotted name, imports any ``_scope_`` and hands on any option; open_clip's
configs name tokenizers that run code. So what comes from a file is reduced to what stands here
before anything is built: known parts, known transforms, an architecture that open_clip or we
know or that its sizes describe. No name in it is ever taken for a file or a module.
"""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints, ValidationError, model_validator

from mmdpt.datasets.sentences import Carried
from mmdpt.models.clip.config import is_known
from mmdpt.models.heads.base import SimilarityHead
from mmdpt.models.prompts.base import TextPrompt, VisualPrompt
from mmdpt.models.tuning.base import Tuning
from mmdpt.utils.values import Closed, Count, Names, Number, NumClasses, Share, Size, first_fault

from .part_schema import AnyOf

VERSION = 1
MOST_PARAMETERS = 3e9  # of an architecture that a file describes
Sides = Size | Annotated[list[Size], Field(min_length=2, max_length=2)]
Byte = Annotated[int, Field(ge=0, le=255)]
Background = (
    Annotated[str, StringConstraints(pattern=r'^[#a-zA-Z0-9(),% ]+$', max_length=100)]
    | Annotated[list[Byte], Field(min_length=3, max_length=3)]
)
Factor = Annotated[float, Field(gt=0, le=4)]
Pixel = Annotated[float, Field(ge=-1e4, le=1e4)]
Deviation = Annotated[float, Field(ge=1e-3, le=1e4)]
Filter = Literal['nearest', 'bilinear', 'bicubic', 'area', 'lanczos', 'hamming', 'box']
Template = Annotated[str, Field(max_length=1000)]


class LoadPILImage(Closed):
    type: Literal['LoadPILImage']
    upright: bool = False
    background: Background = 'white'


class Resize(Closed):
    type: Literal['Resize']
    scale: Sides | None = None
    scale_factor: Factor | Annotated[list[Factor], Field(min_length=2, max_length=2)] | None = None
    keep_ratio: bool = False
    clip_object_border: bool = True
    backend: Literal['cv2', 'pillow'] = 'cv2'
    interpolation: Filter = 'bilinear'


class ResizeEdge(Closed):
    type: Literal['ResizeEdge']
    scale: Size
    edge: Literal['short', 'long', 'width', 'height'] = 'short'
    backend: Literal['cv2', 'pillow'] = 'cv2'
    interpolation: Filter = 'bilinear'


class Pad(Closed):
    type: Literal['Pad']
    size: Annotated[list[Size], Field(min_length=2, max_length=2)] | None = None
    size_divisor: Size | None = None
    pad_to_square: bool = False
    pad_val: Pixel | dict[Literal['img', 'seg'], Pixel] = 0.0
    padding_mode: Literal['constant', 'edge', 'reflect', 'symmetric'] = 'constant'


class CenterCrop(Closed):
    type: Literal['CenterCrop']
    crop_size: Sides
    auto_pad: bool = False
    pad_cfg: Pad | None = None
    clip_object_border: bool = True


class NumpyToPIL(Closed):
    type: Literal['NumpyToPIL']
    to_rgb: bool = False


class PILToNumpy(Closed):
    type: Literal['PILToNumpy']
    to_bgr: bool = False
    dtype: Literal['uint8', 'float32'] | None = None


class PackInputs(Closed):
    type: Literal['PackInputs']
    input_key: Literal['img'] = 'img'
    algorithm_keys: Names = []
    meta_keys: Names = []


Step = Annotated[
    LoadPILImage | Resize | ResizeEdge | Pad | CenterCrop | NumpyToPIL | PILToNumpy | PackInputs,
    Field(discriminator='type'),
]


class Vision(Closed):
    """open_clip's ``vision_cfg``."""

    image_size: Sides = 224
    layers: (
        Annotated[int, Field(ge=1, le=128)]
        | Annotated[list[Annotated[int, Field(ge=1, le=128)]], Field(min_length=4, max_length=4)]
    ) = 12
    width: Size = 768
    head_width: Size = 64
    mlp_ratio: Annotated[float, Field(gt=0, le=16)] = 4.0
    patch_size: Size = 16
    ls_init_value: Number | None = None
    patch_dropout: Share = 0.0
    no_ln_pre: bool = False
    pos_embed_type: Literal['learnable', 'sin_cos_2d'] = 'learnable'
    final_ln_after_pool: bool = False
    pool_type: Literal['tok', 'avg', 'none'] = 'tok'
    norm_kwargs: dict[Literal['eps'], Share] | None = None
    act_kwargs: dict[Literal['approximate'], Literal['none', 'tanh']] | None = None
    timm_model_name: (
        Annotated[str, StringConstraints(pattern=r'^[a-z0-9_.]+$', max_length=100)] | None
    ) = None
    timm_model_pretrained: Literal[False] = False
    timm_pool: Literal['', 'avg', 'token', 'map'] = 'avg'
    timm_proj: Literal['', 'linear', 'mlp', 'none'] = 'linear'
    timm_proj_bias: bool = False
    timm_drop: Share = 0.0
    timm_drop_path: Share | None = None


class Text(Closed):
    """open_clip's ``text_cfg`` without tokenizers: those of files and hubs may run code."""

    context_length: Size = 77
    vocab_size: Annotated[int, Field(ge=1, le=1_000_000)] = 49408
    width: Size = 512
    heads: Size = 8
    layers: Annotated[int, Field(ge=1, le=128)] = 12
    mlp_ratio: Annotated[float, Field(gt=0, le=16)] = 4.0
    ls_init_value: Number | None = None
    embed_cls: bool = False
    pad_id: Count = 0
    eos_id: Annotated[int, Field(ge=0, le=1_000_000)] = 2
    no_causal_mask: bool = False
    final_ln_after_pool: bool = False
    pool_type: Literal['argmax', 'first', 'last', 'none'] = 'argmax'
    proj_bias: bool = False
    proj_type: Literal['linear', 'none'] = 'linear'
    norm_kwargs: dict[Literal['eps'], Share] = {}
    act_kwargs: dict[Literal['approximate'], Literal['none', 'tanh']] = {}


class Architecture(Closed):
    """An open_clip config of sizes."""

    embed_dim: Size
    vision_cfg: Vision
    text_cfg: Text
    quick_gelu: bool = False
    custom_text: bool = False
    init_logit_scale: Annotated[float, Field(ge=-10, le=10)] = 2.6593
    init_logit_bias: Annotated[float, Field(ge=-100, le=100)] | None = None

    @model_validator(mode='after')
    def _of_sane_size(self):
        vision, text = self.vision_cfg, self.text_cfg
        layers = sum(vision.layers) if isinstance(vision.layers, list) else vision.layers
        if (
            12 * (layers * vision.width**2 + text.layers * text.width**2)
            + text.vocab_size * text.width
            > MOST_PARAMETERS
        ):
            raise ValueError(f'describes more than {MOST_PARAMETERS:.0g} parameters')
        return self


def _known(arch: str) -> str:
    if not is_known(arch):
        raise ValueError('is not an architecture that open_clip knows')
    return arch


class Preprocessor(Closed):
    """MMPretrain's normalisation."""

    type: Literal['ClsDataPreprocessor'] = 'ClsDataPreprocessor'
    mean: Annotated[list[Pixel], Field(min_length=3, max_length=3)] | None = None
    std: Annotated[list[Deviation], Field(min_length=3, max_length=3)] | None = None
    pad_size_divisor: Size = 1
    pad_value: Pixel = 0.0
    to_rgb: bool = False
    to_onehot: bool = False
    num_classes: NumClasses | None = None


class Model(Closed):
    """A :class:`PromptedCLIP` without its classes."""

    type: Literal['PromptedCLIP']
    arch: Annotated[str, Field(max_length=200), AfterValidator(_known)] | Architecture
    pretrained: Annotated[str, Field(max_length=4096)] | None = None
    templates: Annotated[list[Template], Field(min_length=1, max_length=256)]
    normalise_templates: bool = True
    descriptions: Carried | None = None
    text_prompt: Annotated[Any, AnyOf(TextPrompt)] | None = None
    visual_prompt: Annotated[Any, AnyOf(VisualPrompt)] | None = None
    head: Annotated[Any, AnyOf(SimilarityHead)] = dict(type='SimilarityHead')
    tuning: Annotated[Any, AnyOf(Tuning)] | None = None
    logit_scale: Annotated[float, Field(gt=0, le=1000)] | None = None
    precision: Literal['fp64', 'fp32', 'bf16', 'fp16'] = 'fp32'
    tokenizer: None = None  # a path: from one's own config only
    text_checkpointing: bool = False
    data_preprocessor: Preprocessor | None = None


def _whole(steps: list[Closed]) -> list[Closed]:
    ends = [s for s in steps if isinstance(s, (LoadPILImage, PackInputs))]
    if ends != [steps[0], steps[-1]] or not isinstance(ends[0], LoadPILImage):
        raise ValueError('begin with the only LoadPILImage, end with the only PackInputs')
    return steps


class Recipe(Closed):
    """All that predicting needs beside tensors and class names."""

    version: Literal[1]
    model: Model
    pipeline: Annotated[list[Step], Field(min_length=2, max_length=20), AfterValidator(_whole)]


def parsed(recipe: dict[str, Any]) -> dict[str, Any]:
    """Return a recipe as plain dicts of what the schema knows.

    Raises:
        ValueError: Names the first place that does not fit.
    """
    try:
        return Recipe.model_validate(recipe).model_dump(exclude_unset=True)
    except ValidationError as error:
        raise ValueError(first_fault(error)) from None
