"""What the command shows: one line per fact, at most 40."""

import sys
from typing import TextIO

from rich.console import Console
from rich.progress import Progress

from mmdpt.results.fit_schema import Chosen, Curve, Share, Tested, Tried
from mmdpt.utils.text import visible

from .photos import Photos

WARNINGS = 6  # that are shown; fit.json has all


class Screen:
    """Lines as they come, and a bar below them on a terminal.

    Args:
        quiet (bool): Show nothing.
        file (TextIO, optional): Instead of the standard output of now.
    """

    def __init__(self, quiet: bool = False, file: TextIO | None = None):
        self.console = Console(file=file or sys.stdout, quiet=quiet, highlight=False)
        self.bar = Progress(console=self.console, transient=True, disable=not self._moves())
        self.task = self.bar.add_task('', visible=False)

    def _moves(self) -> bool:
        return self.console.is_terminal and not self.console.quiet

    def say(self, text: str) -> None:
        """A line."""
        self.console.out(visible(text))

    def working(self, what: str, done: int = 0, total: int | None = None) -> None:
        """What goes on, on a terminal only."""
        self.bar.update(self.task, description=what, completed=done, total=total, visible=True)
        if self._moves():
            self.bar.start()
            self.bar.refresh()

    def close(self) -> None:
        """Take the bar away."""
        self.bar.stop()

    def photos(self, photos: Photos, folds: int) -> None:
        """The data, with warnings."""
        total, test = len(photos.train) + len(photos.test), len(photos.test)
        what = dict(given='the test part given', drawn='held out', none='none held out')
        held = f'{test} for the test ({what[photos.held_out]})' if test else 'none held out'
        self.say(
            f'Photos: {total} of {len(photos.classes)} classes: {len(photos.train)} to learn from '
            f'and to choose by ({folds} folds), {held}'
        )
        for text in photos.warnings[:WARNINGS]:
            self.say(f'note: {text}')
        if len(photos.warnings) > WARNINGS:
            self.say(f'note: {len(photos.warnings) - WARNINGS} more notes are in fit.json')

    def heading(self, clip: str, device: str, minutes: float) -> None:
        """What is compared."""
        self.say(f'CLIP: {clip} on {device}, at most {minutes:g} min')
        self.say(f'{"method":<26}{"accuracy":>10}{"95 % interval":>17}{"seconds":>9}')

    def row(self, tried: Tried) -> None:
        """A method that is done, or left out."""
        if tried.result is None:
            self.say(f'{tried.title:<26}left out: {tried.left_out}')
            return
        chosen = ', '.join(f'{key} {value:g}' for key, value in tried.settings.items())
        cells = figures(tried.result)
        self.say(f'{tried.title:<26}{cells}{tried.seconds:9.1f}  {chosen}'.rstrip())

    def chosen(self, chosen: Chosen, methods: list[Tried]) -> None:
        """The winner, and the figures that the choice hung on."""
        again = [
            f'{m.title} {m.result.accuracy:.1f} % ({m.repeats})'
            for m in methods
            if m.result and m.repeats > 1
        ]
        if again:
            self.say(f'Cross-validated again, with other folds: {", ".join(again)}')
        self.say(f'Chosen: {chosen.title}. {chosen.why}.')

    def tested(self, tested: Tested) -> None:
        """Its test."""
        self.say(f'Test on {tested.model.images} held-out photos')
        self.say(f'{"  the model":<26}{figures(tested.model)}')
        self.say(f'{"  zero-shot CLIP":<26}{figures(tested.zero_shot)}')
        if tested.warning:
            self.say(f'WARNING: {tested.warning}')

    def curve(self, curve: Curve) -> None:
        """Whether more photos would help."""
        if curve.left_out:
            self.say(f'Would more photos help? Not looked at: {curve.left_out}')
            return
        points = ', '.join(f'{p.train_images}: {p.accuracy:.1f} %' for p in curve.points)
        self.say(f'Would more photos help? {curve.title} by number of photos: {points}')


def figures(share: Share) -> str:
    """Accuracy and interval in two columns."""
    return f'{share.accuracy:8.1f} %{f"{share.low:.1f} to {share.high:.1f}":>17}'
