"""Turn a trained model into files that need no mmdpt.

The command line: arguments/export.py.
"""

import logging
import os
import warnings
from pathlib import Path

from ..engine.cli import friendly_errors
from ..export import FORMATS, export, latency, load_for_export
from ..utils.files import write_json
from ..utils.outputs import Output, check_outputs
from .arguments.export import parse_args


def batch_size(text):
    """str | int: 'dynamic' or a number.

    Raises:
        ValueError: If it is neither.
    """
    if text == 'dynamic':
        return text
    if not text.isdigit() or int(text) < 1:
        raise ValueError(f'--batch must be dynamic or a number of images from 1 on, got {text}')
    return int(text)


def prefix(args):
    """str: Where the files go, without their endings."""
    stem = Path(args.checkpoint or args.config or '').stem
    if args.out is None:
        return str(Path(args.checkpoint or stem).with_suffix(''))
    if args.out.endswith(os.sep) or os.path.isdir(args.out):
        return os.path.join(args.out, stem)
    name, ending = os.path.splitext(args.out)
    return name if ending in FORMATS.values() else args.out


def check_files(args):
    """Refuse outputs that would cost a file."""
    outputs = [Output('--json', args.json, 'json')]
    if os.path.isdir(os.path.dirname(os.path.abspath(prefix(args)))):  # else it will be made
        forms = dict.fromkeys(args.format)
        outputs += [Output('--out', prefix(args) + FORMATS[form], form) for form in forms]
    check_outputs(outputs, [args.checkpoint, args.config, args.pretrained], args.overwrite)


def quiet():
    """Hide what the exporters say to developers of PyTorch."""
    warnings.filterwarnings('ignore', module=r'torch\.|onnxscript|copyreg')
    for name in ('torch.onnx', 'onnxscript', 'onnx_ir'):
        logging.getLogger(name).setLevel(logging.ERROR)


def run(args):
    """dict: What was written, how it compares, and how long an image takes."""
    batch = batch_size(args.batch)
    check_files(args)
    loaded = load_for_export(args.checkpoint, args.config, args.pretrained)
    if loaded.precision != 'fp32':
        print(
            f'note: the towers computed in {loaded.precision} in training; the files compute in '
            'fp32, and are compared with the model in fp32'
        )
    name = args.checkpoint and Path(args.checkpoint).name
    report = export(
        loaded.model,
        prefix(args),
        list(dict.fromkeys(args.format)),
        batch,
        args.opset,
        pipeline=loaded.pipeline,
        checkpoint=name,
        precision=loaded.precision,
        calibration=loaded.calibration,
    )
    for found in report.values():
        worst = max(found['differences'].values())
        sizes = ', '.join(map(str, found['differences']))
        print(
            f'{found["file"]}: {found["bytes"] / 1e6:.1f} MB, probabilities equal to {worst:.0e} '
            f'(batches of {sizes})'
        )
    result = dict(files=report)
    if loaded.calibration:
        print(
            f'calibrated: temperature {loaded.calibration.temperature:.3g} is inside; not sure '
            f'below a probability of {loaded.calibration.threshold:.3f}'
        )
    if args.time:
        result['milliseconds'] = latency(
            loaded.model, {form: found['file'] for form, found in report.items()}, args.time
        )
        print(
            'one image, one thread: '
            + ', '.join(f'{form} {ms:.1f} ms' for form, ms in result['milliseconds'].items())
        )
    return result


def main(argv: list[str] | None = None) -> None:
    """Exports."""
    args = parse_args(argv)
    if not args.debug:
        quiet()
    with friendly_errors(args.debug):
        result = run(args)
        if args.json:
            write_json(result, args.json, indent=2)
