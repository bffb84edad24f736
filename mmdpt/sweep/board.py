"""What a sweep prints: its table of states, and a line for each run that ends."""

import os.path as osp
import sys
import time
from collections import Counter

from .job import LOG
from .state import STATES, accuracy, status


class Board:
    """Keep count of the runs.

    Args:
        runs (list[Run]): All of the sweep.
        work_dir (str): Its folder.
    """

    def __init__(self, runs, work_dir):
        self.runs, self.work_dir = runs, work_dir
        self.started, self.ended, self.waiting = time.time(), 0, 0
        self.refresh()

    def refresh(self):
        """Read all states again."""
        self.states = {run.name: status(run, self.work_dir) for run in self.runs}

    def count(self, state):
        """int: Runs in a state."""
        return sum(s.state == state for s in self.states.values())

    def pending(self, retry_failed=False):
        """list[Run]: Those to start now."""
        done = ('finished',) if retry_failed else ('finished', 'failed')
        return [r for r in self.runs if self.states[r.name].state not in done]

    def begin(self, runs):
        """Start the clock."""
        self.started, self.waiting = time.time(), len(runs)
        print(f'{self.summary()}; {len(runs)} to run, results in {self.work_dir}', flush=True)

    def end(self, run, job):
        """Print how a run has ended."""
        now = status(run, self.work_dir)
        if now.state not in ('finished', 'failed'):
            now = now._replace(error=now.error or submission_error(job))
        self.states[run.name] = now
        self.ended += 1
        count = f'[{self.count("finished")}/{len(self.runs)}]'
        if now.state == 'finished':
            print(
                f'{count} {run.name}  {accuracy(now.results):.2f} %  {now.seconds or 0:.1f} s  '
                f'{self._left()}',
                flush=True,
            )
            return
        log = osp.join(self.work_dir, run.name, LOG)
        print(
            f'{count} {now.state.upper()} {run.name}: {now.error}\n    log: {log}',
            file=sys.stderr,
            flush=True,
        )

    def _left(self):
        remaining = self.waiting - self.ended
        seconds = (time.time() - self.started) / self.ended * remaining
        failed = self.count('failed')
        return f'{duration(seconds)} left' + (f', {failed} failed' if failed else '')

    def summary(self):
        """str: How many runs are in which state."""
        counts = Counter(s.state for s in self.states.values())
        parts = [f'{counts[state]} {state}' for state in STATES if counts[state]]
        return f'{len(self.runs)} runs: {", ".join(parts)}'

    def lines(self):
        """list[str]: One line per run."""
        width = max(len(run.name) for run in self.runs)
        return [f'{run.name:{width}}  {_text(self.states[run.name])}' for run in self.runs]

    def table(self):
        """list[dict]: The same, for a JSON file."""
        return [
            dict(
                name=run.name,
                hash=run.hash,
                config=run.source,
                tool=run.tool,
                state=s.state,
                error=s.error,
                seconds=s.seconds,
                accuracy=accuracy(s.results) if s.results else None,
                folder=osp.join(self.work_dir, run.name),
            )
            for run in self.runs
            for s in [self.states[run.name]]
        ]


def _text(state):
    if state.state == 'finished':
        return f'finished     {accuracy(state.results):6.2f} %'
    return f'{state.state:12}' + (f' {state.error}' if state.error else '')


def duration(seconds):
    """str: Seconds in words, such as '1 h 05 min'."""
    if seconds < 100:
        return f'{seconds:.0f} s'
    minutes = round(seconds / 60)
    return f'{minutes // 60} h {minutes % 60:02} min' if minutes >= 60 else f'{minutes} min'


def submission_error(job):
    """str: Why a job ended before the run began, as far as submitit knows."""
    text = (job.stdout() or '') if hasattr(job, 'stdout') else ''
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else f'the job ended early ({job.state})'
