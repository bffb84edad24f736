"""How many seeds a wanted interval needs, from the runs that are finished."""

import re
from statistics import fmean, stdev

from ..utils.intervals import check_width, half_width, values_needed
from .state import accuracy

SEED = re.compile(r'_seed\d+$')


def experiments(board) -> dict[str, list[float]]:
    """Accuracies of finished trainings, by the runs' names without their seeds."""
    found: dict[str, list[float]] = {}
    for run in board.runs:
        state = board.states[run.name]
        if run.tool == 'train':
            values = found.setdefault(SEED.sub('', run.name), [])
            values += [accuracy(state.results)] if state.state == 'finished' else []
    return found


def interval_lines(board, wanted: float) -> list[str]:
    """A line per experiment: what its seeds say, and how many a wanted interval needs.

    Args:
        board (Board): The runs and their states.
        wanted (float): Half the width of a 95 % interval, in points.

    Raises:
        ValueError: If nothing is trained, or the width is no number above 0.
    """
    check_width(wanted)
    lines, most = [], 0
    groups = experiments(board)
    if not groups:
        raise ValueError('--interval counts seeds, and no run of this sweep is trained')
    width = max(map(len, groups))
    for name, values in groups.items():
        if len(values) < 2:
            text = f'{len(values)} finished: a deviation needs two seeds, better five'
        else:
            deviation = stdev(values)
            needed = values_needed(deviation, wanted)
            most = max(most, needed)
            now = half_width(deviation, len(values))
            text = (
                f'{fmean(values):6.2f} ± {now:.2f} with {len(values)} seeds (deviation '
                f'{deviation:.2f}); ± {wanted:g} needs {needed}'
            )
        lines.append(f'{name:{width}}  {text}')
    if most:
        lines.append(f'95 % intervals; all of these: {most} seeds, such as --seeds $(seq {most})')
    return lines
