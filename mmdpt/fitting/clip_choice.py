"""Which CLIP: the one asked for, or the best whose weights are on this machine."""

from mmdpt.models.clip.config import BUILTIN, read_config
from mmdpt.models.clip.places import of_tag
from mmdpt.models.clip.weights import find_weights

TAG = 'openai'
PREFERRED = ('ViT-B-16-quickgelu', 'ViT-B-32-quickgelu', 'ViT-L-14-quickgelu', 'RN50-quickgelu')


def choose_clip(arch: str | None, pretrained: str | None) -> tuple[str, str]:
    """Architecture and weights, which are there afterwards.

    Args:
        arch (str, optional): An open_clip name, or 'mmdpt-tiny'. By default the first of
            :data:`PREFERRED` whose weights are kept on this machine, else the first, whose
            weights are downloaded. Never the built-in one, which knows typed characters only.
        pretrained (str, optional): A tag or a file; by default OpenAI's.

    Raises:
        ValueError: If there is no such architecture or tag.
        OSError: If the weights cannot be had; says what to do.
    """
    if arch is None and pretrained is None:
        arch = next((name for name in PREFERRED if is_kept(name)), PREFERRED[0])
    arch = arch or PREFERRED[0]
    pretrained = pretrained or (BUILTIN if arch == BUILTIN else TAG)
    name, config = read_config(arch)
    try:
        find_weights(name, config, pretrained)
    except OSError as error:
        raise type(error)(
            f'{error} --pretrained FILE names it. --arch {BUILTIN} tries the command without '
            'weights, with a CLIP that knows typed characters only.'
        ) from error
    return arch, pretrained


def is_kept(arch: str, tag: str = TAG) -> bool:
    """Whether these weights are on this machine."""
    import open_clip.pretrained as zoo

    return of_tag(arch, tag, zoo.get_pretrained_cfg(arch, tag) or {})[0] is not None
