"""What the model looks at in a few photos."""

from collections.abc import Sequence

from PIL import Image

from mmdpt.utils.data_uri import data_uri

from .content import Photo
from .data import PhotoFiles
from .run import RunFolder

MOST = 4  # photos
WIDEST = 900  # pixels


def choose(wrong: Sequence[Photo], unsure: Sequence[Photo]) -> list[Photo]:
    """The surest mistakes, and photos of which the model is least sure: those of the page."""
    first = list(wrong[: MOST // 2])
    return (first + list(unsure))[:MOST]


def draw(
    run: RunFolder, files: PhotoFiles | None, photos: Sequence[Photo], pretrained: str | None
) -> tuple[dict[str, str], str]:
    """Draw the attention in photos.

    Args:
        run (RunFolder): With a checkpoint.
        files (PhotoFiles, optional): Where the photos are.
        photos (Sequence[Photo]): Which ones.
        pretrained (str, optional): Where CLIP's weights are on this machine.

    Returns:
        tuple[dict[str, str], str]: Data URIs by image, and the reason if there is none.
    """
    if files is None:
        return {}, 'the photos cannot be read'
    if run.checkpoint is None:
        return {}, 'the checkpoint is no longer in the folder'
    from mmdpt.apis import PromptInferencer
    from mmdpt.visualization.attention import check_model

    try:
        infer = PromptInferencer(run.checkpoint, pretrained=pretrained)
        check_model(infer.model)
        return {p.image: _draw(infer, files, p) for p in photos}, ''
    except (ValueError, OSError) as error:
        return {}, str(error)


def _draw(infer, files: PhotoFiles, photo: Photo) -> str:
    from mmdpt.visualization import attention_maps, draw_attention, to_array, visible_image

    pixels = files.read(photo.image)[..., ::-1].copy()  # BGR, as the pipeline has it
    batch = next(iter(infer.preprocess([pixels])))
    inputs = infer.model.data_preprocessor(batch, False)['inputs']
    attention = attention_maps(infer.model, inputs, temperature=infer.temperature)[0]
    seen = visible_image(infer.model.data_preprocessor, inputs[0])
    figure = draw_attention(seen, attention, infer.model.classes)
    picture = Image.fromarray(to_array(figure))
    picture.thumbnail((WIDEST, WIDEST))
    return data_uri(picture.convert('P', palette=Image.Palette.ADAPTIVE, colors=128), 'PNG')
