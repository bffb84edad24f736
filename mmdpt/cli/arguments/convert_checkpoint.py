"""Convert checkpoints of the methods' public code into ours, and back.

    python tools/convert_checkpoint.py CONFIG [PREFIX=]FILE ... --out OURS.pth
    python tools/convert_checkpoint.py CONFIG OURS.pth --back --out THEIRS.pth

CONFIG describes the model: the same CLIP, method, sizes and classes. FILE is
such as ``prompt_learner/model.pth.tar-50``; PREFIX, where the file's names
lack it, is the part's path in the public model. The public files do not say
for which classes they were trained: their order must be CONFIG's.
"""

import argparse

from mmdpt.utils.outputs import OVERWRITE

from .common import described_parser

ALIKE = ('CoOp', 'CoCoOp', 'KgCoOp', 'ProGrad', 'TCP', 'VPT', 'VLP', 'DPT')
OWN_NAMES = (  # the methods whose tensors have other names; see models/reference_names.py
    *('MaPLe', 'PromptSRC', 'MMRL', 'MMRL++', 'PromptKD', 'CLIP_Adapter', 'Tip-Adapter-F'),
    *('CLIP-LoRA', '2SFS', 'SkipTuning', 'CoPrompt'),
)


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = described_parser(__doc__)
    parser.add_argument('config', help='config file of the model, or the name of a shipped one')
    parser.add_argument('files', nargs='+', metavar='[PREFIX=]FILE')
    parser.add_argument('--out', required=True, help='file to write')
    parser.add_argument('--overwrite', **OVERWRITE)
    parser.add_argument('--back', action='store_true', help='from ours to the public form')
    parser.add_argument(
        '--method',
        default='DPT',
        choices=(*ALIKE, *OWN_NAMES),
        metavar='M',
        help=f'its name in the public code: {", ".join(OWN_NAMES)}; {", ".join(ALIKE)} need none',
    )
    parser.add_argument('--debug', action='store_true', help='show the traceback of an error')
    return parser.parse_args(argv)
