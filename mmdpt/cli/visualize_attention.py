"""Draw where a model looks.

The command line: arguments/visualize_attention.py.
"""

from collections import Counter
from pathlib import Path

from ..apis import PromptInferencer
from ..engine.cli import friendly_errors
from ..utils.files import replacing
from ..utils.outputs import Output, check_outputs
from ..visualization import attention_maps, draw_attention, visible_image
from ..visualization.attention import check_model
from .arguments.visualize_attention import parse_args

FORMATS = ('.png', '.pdf')


def output_files(images, out):
    """list[Path]: Where the figure of each image goes.

    Raises:
        FileNotFoundError: If an image is not a file.
        ValueError: If two figures would have the same name, or ``out`` is a
            file of another kind, or one file for several images.
    """
    for image in images:
        if not Path(image).is_file():
            what = (
                'is a folder: give the images in it' if Path(image).is_dir() else 'does not exist'
            )
            raise FileNotFoundError(f'the image {image} {what}')
    out = Path(out)
    if out.suffix and not out.is_dir():
        if out.suffix.lower() not in FORMATS:
            raise ValueError(f'--out {out} must end in {" or ".join(FORMATS)}, or be a folder')
        if len(images) > 1:
            raise ValueError(
                f'--out {out} is one file, but there are {len(images)} images: give a folder'
            )
        return [out]
    files = [out / f'{Path(image).stem}.png' for image in images]
    twice = [str(file) for file, count in Counter(files).items() if count > 1]
    if twice:
        raise ValueError(
            f'several images would be drawn to {", ".join(twice)}: draw them in '
            'separate calls, with another --out'
        )
    return files


def check_files(args, files):
    """Refuse outputs that would cost a file."""
    outputs = [Output('--out', str(file), file.suffix[1:].lower()) for file in files]
    if files[0].parent.is_dir():  # else it will be made
        read = [args.checkpoint, args.config, args.pretrained, *args.images]
        check_outputs(outputs, read, args.overwrite)


def visualize(args):
    """Draw one figure per image, and say what it cannot show."""
    files = output_files(args.images, args.out)
    check_files(args, files)
    infer = PromptInferencer(
        args.checkpoint, config=args.config, pretrained=args.pretrained, device=args.device
    )
    model = infer.model
    check_model(model)
    files[0].parent.mkdir(parents=True, exist_ok=True)
    if not model.sides.adapts_images:
        print(
            f'{type(model.text_prompt).__name__} leaves the image tower as it is, so there is '
            'one attention map, without a comparison'
        )
    elif model.visual_prompt is None or 'class_ids' not in model.visual_prompt.requires:
        print(
            f'{type(model.visual_prompt or model.tuning).__name__} has no class-aware prompts, so '
            'only the class token is compared'
        )
    for path, file in zip(args.images, files):
        batch = next(iter(infer.preprocess([path])))
        inputs = model.data_preprocessor(batch, False)['inputs']
        attention = attention_maps(model, inputs, args.top_k, infer.temperature)[0]
        seen = visible_image(model.data_preprocessor, inputs[0])
        figure = draw_attention(seen, attention, model.classes, Path(path).name)
        with replacing(str(file)) as place:
            figure.savefig(place, dpi=200, format=file.suffix[1:].lower())
        print(f'{path}: {file}')


def main(argv: list[str] | None = None) -> None:
    """Draws."""
    args = parse_args(argv)
    with friendly_errors(args.debug):
        visualize(args)
