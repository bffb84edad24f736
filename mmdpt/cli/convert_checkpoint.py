"""Convert checkpoints of the methods' public code into ours, and back.

    python tools/convert_checkpoint.py CONFIG [PREFIX=]FILE ... --out OURS.pth
    python tools/convert_checkpoint.py CONFIG OURS.pth --back --out THEIRS.pth

CONFIG describes the model: the same CLIP, method, sizes and classes. FILE is
such as ``prompt_learner/model.pth.tar-50``; PREFIX, where the file's names
lack it, is the part's path in the public model. The public files do not say
for which classes they were trained: their order must be CONFIG's.
"""

import argparse
import io

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS

from ..engine import read_checkpoint
from ..engine.cli import friendly_errors
from ..engine.convert import from_model, into_model, read_reference
from ..engine.entry import converted_meta
from ..paths import find_config, spoken
from ..utils.files import write_atomically
from ..utils.outputs import OVERWRITE, Output, check_outputs


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=spoken(__doc__), formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config file of the model, or the name of a shipped one')
    parser.add_argument('files', nargs='+', metavar='[PREFIX=]FILE')
    parser.add_argument('--out', required=True, help='file to write')
    parser.add_argument('--overwrite', **OVERWRITE)
    parser.add_argument('--back', action='store_true', help='from ours to the public form')
    parser.add_argument(
        '--method',
        default='DPT',
        help='MaPLe, PromptSRC, CLIP_Adapter, Tip-Adapter-F, '
        'CLIP-LoRA; CoOp, CoCoOp, KgCoOp, ProGrad, VPT, VLP '
        'and DPT need none',
    )
    parser.add_argument('--debug', action='store_true', help='show the traceback of an error')
    return parser.parse_args(argv)


def convert(args):
    paths = [file if args.back else file.rpartition('=')[2] for file in args.files]
    output = Output('--out', args.out, 'checkpoint')
    check_outputs([output], [args.config, *paths], args.overwrite)
    init_default_scope('mmpretrain')
    model = MODELS.build(Config.fromfile(find_config(args.config)).model)
    if args.back:
        model.load_state_dict(read_checkpoint(args.files[0])['state_dict'])
        content = dict(state_dict=from_model(model, args.method))
    else:
        tensors = {}
        for file in args.files:
            prefix, _, path = file.rpartition('=')
            tensors.update(read_reference(path, prefix))
        into_model(model, tensors, args.method)
        content = dict(
            state_dict=model.state_dict(), meta=converted_meta(model.identity(), list(args.files))
        )
    file = io.BytesIO()
    torch.save(content, file)
    write_atomically(file.getvalue(), args.out)
    print(f'{len(content["state_dict"])} tensors written to {args.out}')


def main(argv: list[str] | None = None) -> None:
    """The command."""
    args = parse_args(argv)
    with friendly_errors(args.debug):
        convert(args)
