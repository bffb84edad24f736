"""Draw where a model looks: python tools/visualize_attention.py CHECKPOINT IMAGE... [--out DIR]

For each image one figure: the image as the network saw it, the classes with
their zero-shot ranks, the class token's attention with and without prompts,
and the class-aware prompts' attention. See docs/attention.md.
"""

import argparse
from collections import Counter
from pathlib import Path

from ..apis import PromptInferencer
from ..engine.cli import PRETRAINED, friendly_errors
from ..utils.files import replacing
from ..utils.outputs import OVERWRITE, Output, check_outputs
from ..visualization import attention_maps, draw_attention, visible_image
from ..visualization.attention import check_model

FORMATS = ('.png', '.pdf')


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description='Draw where a trained model looks')
    parser.add_argument('checkpoint', help='checkpoint of the training')
    parser.add_argument('images', nargs='+', metavar='image', help='image files')
    parser.add_argument('--config', help='config file, for checkpoints that do not carry their own')
    parser.add_argument('--pretrained', **PRETRAINED)
    parser.add_argument(
        '--out',
        default='attention',
        metavar='DIR|FILE',
        help='folder for IMAGE.png of each image, or, of one image, the .png or '
        '.pdf file to write; by default the folder attention',
    )
    parser.add_argument('--overwrite', **OVERWRITE)
    parser.add_argument(
        '--top-k',
        type=int,
        metavar='K',
        help='classes to show; by default all that the model has class-aware prompts for, else 5',
    )
    parser.add_argument('--device', help='cpu, cuda, ...; by default the best there is')
    parser.add_argument('--debug', action='store_true', help='show the traceback of an error')
    return parser.parse_args(argv)


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
        attention = attention_maps(model, inputs, args.top_k)[0]
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
