"""Trainings in one process that take turns: one works at a time, in its own world."""

import random
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

import numpy as np
import torch
from mmengine.logging import MessageHub, MMLogger

CLOCKS = dict(wall=time.time, processor=time.process_time)
CURRENT: tuple[Any, ...] = (MMLogger, MessageHub)  # MMEngine asks for the one that is current


class World:
    """What a training takes for its own though the process has one of each: random generators,
    MMEngine's current logger and message hub, standard output.

    Args:
        stream (TextIO, optional): Where its output goes. None: stays.
    """

    def __init__(self, stream: TextIO | None = None):
        self.stream = stream
        self._names: dict[type, str] = {}
        self._kept: tuple | None = None

    def leave(self) -> None:
        """Keep the state of all of it."""
        devices = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None
        self._kept = random.getstate(), np.random.get_state(), torch.get_rng_state(), devices
        self._names = {
            kind: kind.get_current_instance().instance_name
            for kind in CURRENT
            if kind._instance_dict
        }

    def enter(self) -> None:
        """Bring it back."""
        if self._kept is not None:
            python, numpy, cpu, devices = self._kept
            random.setstate(python)
            np.random.set_state(numpy)
            torch.set_rng_state(cpu)
            if devices is not None:
                torch.cuda.set_rng_state_all(devices)
        kind: Any
        for kind, name in self._names.items():
            kind._instance_dict.move_to_end(name)  # the last one is the current one
        if self.stream is not None:
            sys.stdout = sys.stderr = self.stream

    @contextmanager
    def undisturbed(self) -> Iterator[None]:
        """Let others in, and be as before afterwards."""
        streams = sys.stdout, sys.stderr
        self.leave()
        try:
            yield
        finally:
            sys.stdout, sys.stderr = streams
            self.enter()


class Turns:
    """Lets threads work one at a time, in order, and meet.

    Args:
        worlds (Sequence[World]): One per thread, which is called by its place.
    """

    def __init__(self, worlds: Sequence[World]):
        self._worlds = list(worlds)
        self._working = set(range(len(self._worlds)))
        self._condition = threading.Condition()
        self._turn = 0
        self._given: dict[int, Any] = {}
        self._taken: dict[int, Any] = {}
        self._act: Callable[[list], Sequence] | None = None
        self._spent = [dict.fromkeys(CLOCKS, 0.0) for _ in self._worlds]
        self._since = _now()
        self.stop: BaseException | None = None  # raised in each thread at its next meeting

    def begin(self, place: int) -> None:
        """Wait for the first turn."""
        self._wait(place)

    def meet(self, place: int, value: Any, act: Callable[[list], Sequence]) -> Any:
        """Wait until every thread at work has given a value.

        Args:
            place (int): Of the calling thread.
            value: What it gives.
            act (Callable): Makes of all values, in order, as many results; the
                same function for all.

        Returns:
            This thread's result.

        Raises:
            BaseException: What ``act`` has raised, in all of them; or ``stop``.
        """
        self._given[place], self._act = value, act
        self._settle()
        self._worlds[place].leave()
        self._pass_on(place)
        self._wait(place)
        if self.stop is not None:
            raise type(self.stop)(*self.stop.args)
        result = self._taken.pop(place)
        if isinstance(result, Exception):
            raise result
        return result

    def end(self, place: int) -> None:
        """Leave; the others go on."""
        self._working.discard(place)
        self._settle()
        self._pass_on(place)

    def _settle(self) -> None:
        """Act, if all have given."""
        if not self._working or set(self._given) != self._working:
            return
        places = sorted(self._given)
        self._count([self._turn])
        try:
            assert self._act is not None
            results = list(self._act([self._given[place] for place in places]))
        except Exception as error:  # every run's
            results = [error] * len(places)
        self._taken = dict(zip(places, results))
        self._given = {}
        self._count(places)

    def clock(self, place: int, name: str) -> float:
        """Seconds of a thread: of its turns, and its share of what is done for all.

        Args:
            place (int): Of the calling thread.
            name (str): Out of ``CLOCKS``.
        """
        self._count([place])
        return self._spent[place][name]

    def _count(self, places: Sequence[int]) -> None:
        """Share the seconds since the last call among threads."""
        before, self._since = self._since, _now()
        for place in places:
            for name in CLOCKS:
                self._spent[place][name] += (self._since[name] - before[name]) / len(places)

    def _pass_on(self, place: int) -> None:
        self._count([place])
        count = len(self._worlds)
        following = [(place + step) % count for step in range(1, count + 1)]
        with self._condition:
            self._turn = next((p for p in following if p in self._working), -1)
            self._condition.notify_all()

    def _wait(self, place: int) -> None:
        with self._condition:
            self._condition.wait_for(lambda: self._turn == place)
        self._worlds[place].enter()


def _now() -> dict[str, float]:
    return {name: clock() for name, clock in CLOCKS.items()}
