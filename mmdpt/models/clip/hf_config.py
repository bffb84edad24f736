"""``config.json`` of Hugging Face's ``CLIPModel``: read, and compared with an architecture."""

from pathlib import Path
from typing import Any

from pydantic import ConfigDict, Field, ValidationError

from mmdpt.utils.files import read_regular
from mmdpt.utils.values import Closed, first_fault

LARGEST_JSON = 2**24  # bytes
GELUS = {'quick_gelu': True, 'gelu': False}
# Of open_clip's configs, what a CLIPModel can express; another key is another model.
SAME = {'embed_dim', 'quick_gelu', 'vision_cfg', 'text_cfg', 'init_logit_scale'}
BOTH = {'width', 'layers', 'mlp_ratio', 'norm_kwargs', 'output_tokens'}
VISION = BOTH | {'image_size', 'patch_size', 'head_width', 'patch_dropout'}
TEXT = BOTH | {'context_length', 'vocab_size', 'heads', 'tokenizer_kwargs'}


class Tower(Closed):
    """What both towers have; defaults are those of transformers, which leaves them out."""

    model_config = ConfigDict(extra='ignore')

    num_hidden_layers: int = Field(12, ge=1, le=1000)
    hidden_act: str = Field('quick_gelu', max_length=100)
    layer_norm_eps: float = Field(1e-5, ge=0, le=1)


class Text(Tower):
    """``text_config``."""

    vocab_size: int = 49408
    hidden_size: int = Field(512, ge=1, le=100_000)
    intermediate_size: int = 2048
    num_attention_heads: int = Field(8, ge=1)
    max_position_embeddings: int = 77
    eos_token_id: int | None = 49407


class Vision(Tower):
    """``vision_config``."""

    hidden_size: int = Field(768, ge=1, le=100_000)
    intermediate_size: int = 3072
    num_attention_heads: int = Field(12, ge=1)
    num_channels: int = 3
    image_size: int = 224
    patch_size: int = 32


class HFConfig(Closed):
    """``config.json``; older files say the towers' values a second time, and these count."""

    model_config = ConfigDict(extra='ignore')

    model_type: str = Field(max_length=100)
    projection_dim: int = 512
    text_config: dict[str, Any] | None = None
    vision_config: dict[str, Any] | None = None
    text_config_dict: dict[str, Any] | None = None
    vision_config_dict: dict[str, Any] | None = None

    @property
    def text(self) -> Text:
        """The text tower."""
        return _tower(Text, self.text_config, self.text_config_dict)

    @property
    def vision(self) -> Vision:
        """The image tower."""
        return _tower(Vision, self.vision_config, self.vision_config_dict)


def _tower(kind, values, second):
    """As transformers does: a second statement counts, with the defaults of what it leaves out."""
    if second is not None:
        values = {**(values or {}), **kind.model_validate(second).model_dump()}
    return kind.model_validate(values or {})


def read_hf_config(path: Path) -> dict[str, Any]:
    """Read ``config.json`` and tell what it is in open_clip's terms.

    Args:
        path (Path): The file.

    Returns:
        dict: Values by name, as :func:`of_architecture` gives them.

    Raises:
        ValueError: If it is damaged, of another kind of model, or of one that open_clip's
            CLIP cannot compute.
    """
    try:
        config = HFConfig.model_validate_json(read_regular(str(path), LARGEST_JSON))
        text, vision = config.text, config.vision
    except ValidationError as error:
        raise ValueError(f'{path} is no config of a CLIPModel: {first_fault(error)}.') from None
    except ValueError as error:
        raise ValueError(f'{path} cannot be read: {error}.') from None
    if config.model_type != 'clip':
        raise ValueError(
            f'{path} is of a model of type {config.model_type!r}; of the transformers layout only '
            "'clip' (CLIPModel) is read. open_clip has weights of others (SigLIP, ...) as tags."
        )
    for name, tower in (('text', text), ('vision', vision)):
        if tower.hidden_act not in GELUS:
            raise ValueError(
                f'{path}: {name}_config.hidden_act is {tower.hidden_act!r}; open_clip computes '
                f'{" or ".join(GELUS)}.'
            )
    if text.hidden_act != vision.hidden_act:
        raise ValueError(f'{path}: the towers have different activations, which open_clip has not.')
    if text.eos_token_id not in (2, text.vocab_size - 1):  # 2: transformers before 4.31
        raise ValueError(
            f'{path}: text_config.eos_token_id is {text.eos_token_id}; features are read at the '
            f'last word of the vocabulary, {text.vocab_size - 1}.'
        )
    found = dict(embed_dim=config.projection_dim, quick_gelu=GELUS[text.hidden_act])
    found |= {f'image tower: {k}': v for k, v in _sizes(vision).items()}
    return found | {f'text tower: {k}': v for k, v in _sizes(text).items()}


def _sizes(tower: Any) -> dict[str, Any]:
    found = dict(
        width=tower.hidden_size,
        layers=tower.num_hidden_layers,
        heads=tower.num_attention_heads,
        mlp=tower.intermediate_size,
        norm_eps=tower.layer_norm_eps,
    )
    if isinstance(tower, Vision):
        return found | dict(
            image_size=tower.image_size, patch_size=tower.patch_size, channels=tower.num_channels
        )
    return found | dict(context_length=tower.max_position_embeddings, vocab_size=tower.vocab_size)


def of_architecture(config: dict) -> dict[str, Any]:
    """The same values of an open_clip config; ``other`` (list) is what no CLIPModel has."""
    vision, text = config['vision_cfg'], config['text_cfg']
    width = vision.get('width', 768)
    image = vision.get('image_size', 224)
    if isinstance(image, (list, tuple)) and len(set(image)) == 1:
        image = image[0]
    sizes = {
        'image tower': dict(
            _common(vision, width),
            heads=width // vision.get('head_width', 64),
            image_size=image,
            patch_size=vision.get('patch_size', 16),
            channels=3,
        ),
        'text tower': dict(
            _common(text, text.get('width', 512)),
            heads=text.get('heads', 8),
            context_length=text.get('context_length', 77),
            vocab_size=text.get('vocab_size', 49408),
        ),
    }
    found = dict(embed_dim=config['embed_dim'], quick_gelu=config.get('quick_gelu', False))
    found |= {f'{tower}: {k}': v for tower, values in sizes.items() for k, v in values.items()}
    pairs = ((config, SAME), (vision, VISION), (text, TEXT))
    other = [key for part, known in pairs for key in sorted(set(part) - known) if part[key]]
    return found | (dict(other=other) if other else {})


def _common(tower: dict, width: int) -> dict[str, Any]:
    return dict(
        width=width,
        layers=tower.get('layers', 12),
        mlp=int(width * tower.get('mlp_ratio', 4.0)),
        norm_eps=(tower.get('norm_kwargs') or {}).get('eps', 1e-5),
    )


def check_same(path: Path, found: dict, name: str, config: dict) -> None:
    """Raise ValueError unless a folder's model is that of an architecture.

    Args:
        path (Path): The folder, for the message.
        found (dict): Of :func:`read_hf_config`.
        name (str): The architecture.
        config (dict): Of the architecture, in open_clip's form.
    """
    wanted = of_architecture(config)
    if wanted == found:
        return
    if 'other' in wanted:
        differs = f'{name} sets {", ".join(wanted["other"])}, which no CLIPModel has'
    else:
        differs = '; '.join(
            f'{key} is {value} there and {wanted[key]} in {name}'
            for key, value in found.items()
            if wanted[key] != value
        )
    fitting = _architectures(found)
    remedy = f'arch={fitting[0]!r}' if fitting else 'a JSON config of your own as arch'
    raise ValueError(f'{path} holds another model than {name}: {differs}. Use {remedy}.')


def _architectures(found: dict) -> list[str]:
    """Names of open_clip's architectures that a folder's model is of."""
    import open_clip

    configs = {name: open_clip.get_model_config(name) for name in open_clip.list_models()}
    fitting = [n for n, c in configs.items() if c and of_architecture(c) == found]
    return sorted(fitting, key=len)
