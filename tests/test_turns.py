"""Threads that work one at a time, each with its own random numbers, and meet."""

import random
import threading

import numpy as np
import torch

from mmdpt.engine.turns import Turns, World


def in_turns(works, worlds=None):
    """Each work in a thread, which is given its place and the turns."""
    turns, raised = Turns(worlds or [World() for _ in works]), {}

    def go(place, work):
        turns.begin(place)
        try:
            work(place, turns)
        except BaseException as error:
            raised[place] = error
        turns.end(place)

    threads = [threading.Thread(target=go, args=item) for item in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    return raised


def test_meetings_wait_for_those_at_work():
    rounds = []

    def act(values):
        rounds.append(values)
        return [10 * value for value in values]

    def work(place, turns):
        for step in range(place + 1):  # 1, 2, 3 steps
            assert turns.meet(place, 3 * step + place, act) == 10 * (3 * step + place)

    assert in_turns([work] * 3) == {}
    assert rounds == [[0, 1, 2], [4, 5], [8]]


def test_what_fails_for_all_is_told_to_all():
    def act(values):
        raise MemoryError('too many images')

    found = in_turns([lambda place, turns: turns.meet(place, 0, act)] * 2)
    assert [str(found[place]) for place in (0, 1)] == ['too many images'] * 2


def test_a_stop_reaches_all_at_their_next_step():
    def work(place, turns):
        turns.meet(place, 0, lambda values: values)
        turns.stop = KeyboardInterrupt()
        turns.meet(place, 0, lambda values: values)

    found = in_turns([work] * 2)
    assert [type(found[place]) for place in (0, 1)] == [KeyboardInterrupt] * 2


def test_each_draws_its_own_numbers():
    def draw(seed):
        def work(place, turns):
            random.seed(seed), np.random.seed(seed), torch.manual_seed(seed)
            for _ in range(3):
                found[place].append((random.random(), np.random.rand(), float(torch.rand(()))))
                turns.meet(place, 0, lambda values: values)

        return work

    found = [[], [], []]
    assert in_turns([draw(1), draw(1), draw(2)]) == {}
    assert found[0] == found[1] != found[2] and len(set(found[0])) == 3
