"""How fast a difference in the last digit grows in a training: figure and numbers.

    python tools/plot_repeats.py --out docs/img/repeats.png

Each method is trained twice on the built-in example, with the same images in the same order; the
second start differs from the first in one learnt value, by its last digit. Drawn is by how much
the losses of a step have differed at most so far. For developers; docs/repeats.md shows the figure.
"""

import argparse
import tempfile
from itertools import accumulate

import torch
from matplotlib.figure import Figure
from mmengine.config import Config
from mmengine.hooks import Hook

from mmdpt.engine import FewShotRunner
from mmdpt.results.few_shot_plot import COLOURS, STYLES
from mmdpt.sweep.named import named_config

PRECISIONS = ('fp64', 'fp32')


class Losses(Hook):
    """Notes the loss of each step."""

    priority = 'LOWEST'

    def __init__(self):
        self.values = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        """Note it."""
        self.values.append(outputs['loss'].item())


@torch.no_grad()
def nudge(model: torch.nn.Module) -> None:
    """Change the first learnt value by its last digit."""
    first = next(p for p in model.parameters() if p.requires_grad).view(-1)
    first[0] = torch.nextafter(first[0], first[0] + 1)


def train(config: str, precision: str, nudged: bool) -> tuple[list[float], float]:
    """Losses of all steps, and the accuracy on the test list."""
    cfg = Config.fromfile(named_config(config))
    cfg.model.precision, cfg.log_level = precision, 'ERROR'
    cfg.default_hooks.checkpoint = None
    del cfg.default_hooks.report
    with tempfile.TemporaryDirectory() as folder:
        cfg.work_dir = folder
        runner = FewShotRunner.from_cfg(cfg)
        losses = Losses()
        runner.register_hook(losses)
        if nudged:
            nudge(runner.model)
        runner.train()
        return losses.values, runner.test()['accuracy/top1']


def main() -> None:
    """Train, draw, tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--out', required=True, metavar='FILE')
    parser.add_argument(
        '--methods', nargs='+', default=['dpt', 'coop', 'clip_adapter', 'clip_lora']
    )
    args = parser.parse_args()
    figure = Figure(figsize=(4.6, 2.9), layout='constrained')
    axis = figure.subplots()
    for colour, method in zip(COLOURS, args.methods):
        for style, precision in zip(STYLES, PRECISIONS):
            config = f'{method}_tiny_digits_16shot'
            (one, first), (other, second) = (train(config, precision, n) for n in (False, True))
            far = [*accumulate((abs(a - b) for a, b in zip(one, other)), max)]
            label = f'{method.replace("_", " ")}, {precision}'
            axis.plot(range(1, len(far) + 1), far, style, label=label, color=colour, linewidth=1.1)
            steps = ', '.join(f'{step}: {far[step - 1]:.0e}' for step in (10, 50, 100, len(far)))
            print(f'{label}: {steps}; accuracies {first:.2f} and {second:.2f}', flush=True)
    axis.set(yscale='log', xlabel='Step', ylabel='Largest difference of losses')
    axis.grid(alpha=0.3, linewidth=0.5)
    axis.spines[['top', 'right']].set_visible(False)
    figure.legend(loc='outside lower center', ncols=len(args.methods), fontsize=7, frameon=False)
    figure.savefig(args.out, dpi=200)


if __name__ == '__main__':
    main()
