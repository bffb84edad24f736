"""What several command lines have."""

import argparse
from typing import Any, NoReturn

from mmdpt.paths import spoken
from mmdpt.utils.meant import beyond


def described_parser(text: str | None) -> argparse.ArgumentParser:
    """A parser whose help begins with a module's docstring, as it is written."""
    return argparse.ArgumentParser(
        description=spoken(text or ''), formatter_class=argparse.RawDescriptionHelpFormatter
    )


class LateOptions(argparse.Action):
    """``KEY=VALUE`` pairs; MMEngine, which reads them, is imported if there are any."""

    def __call__(self, parser, namespace, values, option_string=None):
        """Add the pairs to those before."""
        from .pairs import OptionAction

        read = OptionAction(self.option_strings, self.dest)
        read(parser, namespace, values, option_string)


class Parser(argparse.ArgumentParser):
    """One line, with a remedy, for what a command line has too much.

    Args:
        command (str): The command's name.
        **kwargs: Of the base class.
    """

    def __init__(self, command: str, **kwargs):
        super().__init__(**kwargs)
        self.command = command

    def error(self, message: str) -> NoReturn:
        """End the program; the stock message of too much says no remedy."""
        _, found, rest = message.partition('unrecognized arguments: ')
        if not found:
            super().error(message)
        self.exit(1, f'error: {beyond(self.command, rest, self._option_string_actions)}\n')
        raise AssertionError(message)  # exit does not come back


INTERVALS: dict[str, Any] = dict(
    action='store_true',
    help="show half of the mean's 95 %% interval over the seeds instead of the deviation",
)
VERBOSE: dict[str, Any] = dict(
    action='store_true',
    help='show all of the log on the screen: config, environment, hooks, each epoch',
)
UNSEALED: dict[str, Any] = dict(
    action='store_true', help='take results without a checksum, too, as mmdpt 0.1 wrote them'
)
PRETRAINED: dict[str, Any] = dict(
    metavar='FILE',
    help="CLIP's weights: a file, a tag of open_clip, a folder of transformers, or OWNER/NAME "
    "in the hub's cache; by default those of the training",
)
CFG_OPTIONS: dict[str, Any] = dict(
    nargs='+', action=LateOptions, default={}, metavar='KEY=VALUE'
)  # of --cfg-options


def add_common_arguments(parser):
    """Add the arguments that both tools have."""
    parser.add_argument(
        '--work-dir',
        help='folder for logs and results; by default the one that '
        'the config names, else work_dirs/CONFIG_NAME (of a test: its subfolder '
        'test)',
    )
    parser.add_argument('--seed', type=int, help='seed of the few-shot draw and of the training')
    parser.add_argument(
        '--cfg-options',
        **CFG_OPTIONS,
        help='override settings of the config, for example train_cfg.max_epochs=10 or key="[a,b]"',
    )
    parser.add_argument(
        '--no-pin-memory', action='store_true', help='do not pin the memory of loaded batches'
    )
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='how several processes were launched',
    )
    parser.add_argument('--debug', action='store_true', help='show the full traceback of an error')
    # torch.distributed.launch passes it; torchrun sets LOCAL_RANK instead
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)
