"""Convert checkpoints of the methods' public code into ours, and back.

The command line: arguments/convert_checkpoint.py.
"""

from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS

from ..engine import read_checkpoint
from ..engine.checkpoint_hook import write_checkpoint
from ..engine.cli import friendly_errors
from ..engine.convert import from_model, into_model, read_reference
from ..engine.entry import converted_meta
from ..paths import find_config
from ..utils.outputs import Output, check_outputs
from .arguments.convert_checkpoint import parse_args


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
    write_checkpoint(content, args.out)
    print(f'{len(content["state_dict"])} tensors written to {args.out}')


def main(argv: list[str] | None = None) -> None:
    """The command."""
    args = parse_args(argv)
    with friendly_errors(args.debug):
        convert(args)
