"""Batches of one class: what each epoch holds, the same for any number of processes."""

from collections import Counter
from types import SimpleNamespace

import pytest
from mmengine.dataset import DefaultSampler

from mmdpt.datasets import SingleClassBatchSampler

LABELS = [0, 2, 0, 1, 2, 2, 1, 0, 2, 1, 0, 2, 2]  # 4, 3 and 6 images


class Labels:
    """A dataset that knows labels only."""

    metainfo = dict(classes=('cat', 'dog', 'ox'))

    def __len__(self):
        return len(LABELS)

    def get_data_info(self, index):
        return dict(gt_label=LABELS[index])


def sampler(batch_size=2, rank=0, world=1, seed=3, epoch=0):
    found = DefaultSampler(Labels(), shuffle=True, seed=seed)
    found.rank, found.world_size = rank, world
    found.set_epoch(epoch)
    return SingleClassBatchSampler(found, batch_size)


def test_each_batch_is_of_one_class_and_leftovers_are_dropped():
    batches = list(sampler())
    assert all(len(batch) == 2 and len({LABELS[i] for i in batch}) == 1 for batch in batches)
    assert Counter(LABELS[batch[0]] for batch in batches) == {0: 2, 1: 1, 2: 3}
    used = [i for batch in batches for i in batch]
    assert len(used) == len(set(used)) == 12
    assert len(sampler()) == len(batches) == 6


def test_an_epoch_is_drawn_anew_and_again_the_same():
    assert list(sampler(epoch=1)) == list(sampler(epoch=1))
    assert list(sampler(epoch=1)) != list(sampler(epoch=2)) != list(sampler(seed=4, epoch=2))
    left = {i for epoch in range(30) for i in set(range(13)) - set(sum(sampler(epoch=epoch), []))}
    assert left == {3, 6, 9}  # of class 1 another image each time


def test_classes_are_drawn_first_then_a_batch():
    """The class with most batches does not come first more often."""
    first = Counter(LABELS[next(iter(sampler(seed=seed)))[0]] for seed in range(600))
    assert all(150 < count < 250 for count in first.values())


def test_two_processes_take_what_one_takes():
    one = list(sampler(batch_size=2))
    two = [list(sampler(batch_size=1, rank=rank, world=2)) for rank in range(2)]
    assert [sorted(sum(parts, [])) for parts in zip(*two)] == [sorted(batch) for batch in one]
    assert all(len(batch) == 1 for part in two for batch in part)


@pytest.mark.parametrize('size, world', [(4, 1), (2, 2)])
def test_too_few_images_of_a_class(size, world):
    with pytest.raises(ValueError, match="takes 4 images of one class, .*'dog' with 3: lower"):
        sampler(batch_size=size, world=world)


def test_other_samplers_are_refused():
    with pytest.raises(ValueError, match='sampler=dict'):
        SingleClassBatchSampler(SimpleNamespace(dataset=Labels()), 2)
