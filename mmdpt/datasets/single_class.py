"""Batches that hold images of one class."""

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
from mmengine.dataset import DefaultSampler
from mmpretrain.registry import DATA_SAMPLERS
from torch.utils.data import BatchSampler


@DATA_SAMPLERS.register_module()
class SingleClassBatchSampler(BatchSampler):
    """Each batch is drawn from one class (SkipTuning).

    The images of each class are shuffled and cut into batches; what is left
    of a class is not used in this epoch. Then a class that still has batches is
    drawn, and one of its batches, until there are none.

    With N processes the batch of all of them, N times ``batch_size``, is of
    one class: together they take what one process would.

    Args:
        sampler (DefaultSampler): Gives the dataset, the seed, the epoch and
            this process's rank.
        batch_size (int): Samples per batch and process.
        drop_last (bool): True; there is no other way.

    Raises:
        ValueError: If the sampler has another type, or a class has fewer
            images than a batch.
    """

    def __init__(self, sampler: DefaultSampler, batch_size: int, drop_last: bool = True) -> None:
        if not isinstance(sampler, DefaultSampler) or not drop_last:
            raise ValueError(
                'SingleClassBatchSampler draws whole batches by itself: set sampler=dict(type='
                '"DefaultSampler", shuffle=True) and leave drop_last out.'
            )
        super().__init__(sampler, batch_size, drop_last)
        self.source, self.size = sampler, batch_size * sampler.world_size
        self.classes: dict[int, list[int]] = defaultdict(list)
        dataset = sampler.dataset
        for index in range(len(dataset)):
            self.classes[int(dataset.get_data_info(index)['gt_label'])].append(index)
        few = {label: len(own) for label, own in self.classes.items() if len(own) < self.size}
        if few:
            label, count = next(iter(few.items()))
            names = (getattr(dataset, 'metainfo', None) or {}).get('classes') or {}
            name = names[label] if label < len(names) else label
            raise ValueError(
                f'A batch takes {self.size} images of one class, but {len(few)} classes have '
                f'fewer, such as {name!r} with {count}: lower train_dataloader.batch_size, or use '
                'batch_sampler=dict(type="FewShotBatchSampler"), whose batches are mixed.'
            )

    def __iter__(self) -> Iterator[list[int]]:
        """Indices of this process's share of one batch after another."""
        sampler = self.source
        draw = np.random.default_rng((sampler.seed, sampler.epoch))
        left = []
        for label in sorted(self.classes):
            own = draw.permutation(self.classes[label])
            count = len(own) // self.size
            left.append(list(own[: count * self.size].reshape(count, self.size)))
        while left:
            place = int(draw.integers(len(left)))
            batch = left[place].pop(int(draw.integers(len(left[place]))))
            if not left[place]:
                del left[place]
            yield batch[sampler.rank :: sampler.world_size].tolist()

    def __len__(self) -> int:
        """Number of batches."""
        return sum(len(own) // self.size for own in self.classes.values())
