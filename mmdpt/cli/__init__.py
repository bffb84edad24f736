"""The commands: ``mmdpt NAME ARGUMENTS``, or in a checkout ``python tools/NAME.py ARGUMENTS``.

One module per command, with ``main(argv)``. Importing this package imports none of them.
"""

import difflib
import gc
import sys
from importlib import import_module

from mmdpt.utils.stack import check_stack, explain
from mmdpt.version import __version__

COMMANDS = {
    'fit': 'from a folder of photos to a classifier and a report',
    'train': 'train a model',
    'test': 'test a checkpoint, or a model that learns nothing',
    'predict': 'classify photos, with a checkpoint or with class names alone',
    'sweep': 'run many trainings: datasets x shots x seeds x methods',
    'report': 'a page about a finished training',
    'compare': 'runs side by side',
    'collect_results': 'put runs into tables',
    'plot_few_shot': 'draw accuracy over shots',
    'test_protocol': 'base-to-new, cross-dataset, domain generalisation',
    'reproduce': 'repeat the experiment of a paper, with its figures beside ours',
    'verify': 'check that a run is what it says',
    'check_dataset': 'check data on the disk',
    'make_split': 'make a split file where the published one is missing',
    'few_shot': 'print a few-shot draw',
    'visualize_attention': 'draw where a model looks',
    'nearest_words': 'the words nearest to a learnt context',
    'export': 'turn a model into a file that needs no mmdpt',
    'convert_checkpoint': "turn checkpoints of the methods' public code into ours, and back",
    'calibrate': 'make probabilities believable, and find when to say "not sure"',
    'suggest': 'choose the photos to label next',
    'publish': 'share a trained model without pickles',
    'cache': 'list or clear the kept features of frozen models',
    'demo': 'a local web page to try models',
}
LIGHT = ('collect_results', 'plot_few_shot', 'cache')  # they need neither torch nor MMPretrain


def overview() -> str:
    """What ``mmdpt --help`` prints."""
    lines = [f'  {name:20} {text}' for name, text in COMMANDS.items()]
    return '\n'.join(
        [
            'usage: mmdpt COMMAND [ARGUMENTS]',
            '',
            'Few-shot prompt tuning of CLIP. Commands (mmdpt COMMAND --help tells more):',
            '',
            *lines,
        ]
    )


def main(argv: list[str] | None = None) -> int | None:
    """Run a command by its name; return its exit status."""
    argv = sys.argv[1:] if argv is None else argv
    if not argv or argv[0] in ('-h', '--help'):
        print(overview())
        return None if argv else 2
    if argv[0] in ('-V', '--version'):
        print(f'mmdpt {__version__}')
        return None
    name = argv[0].replace('-', '_')
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, 1)
        hint = f'did you mean {near[0]}?' if near else 'mmdpt --help lists them'
        print(f'error: no command {argv[0]}: {hint}', file=sys.stderr)
        return 2
    sys.argv = [f'mmdpt {name}', *argv[1:]]  # as messages and argparse name it
    return run(name, argv[1:])


def run(name: str, argv: list[str]) -> int | None:
    """Run a command; ``--help`` and mistakes are answered before anything heavy is imported."""
    import_module(f'mmdpt.cli.arguments.{name}').parse_args(argv)
    if name not in LIGHT:
        try:
            check_stack()
            load_package()
        except ImportError as error:
            reason = explain(error)
            if reason is None:
                raise
            print(f'error: {reason}', file=sys.stderr)
            return 1
    command = import_module(f'mmdpt.cli.{name}')
    if not gc.isenabled():  # see mmdpt_command.py
        gc.freeze()
        gc.enable()
    if name in LIGHT:
        return command.main(argv)
    from mmdpt.engine.cli import friendly_errors

    # again around the command's own: PyTorch tells that a loading process has died from a
    # signal handler, which may break into the telling of what followed from that
    with friendly_errors():
        return command.main(argv)


def load_package() -> None:
    """Run mmdpt/__init__.py, unless that is done already: mmdpt_command.py skips it."""
    package = sys.modules['mmdpt']
    if not hasattr(package, '__version__'):
        spec = package.__spec__
        assert spec is not None and spec.loader is not None  # mmdpt is a regular package
        spec.loader.exec_module(package)
