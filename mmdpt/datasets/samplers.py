"""Batches of few-shot training."""

from collections.abc import Iterator
from itertools import islice

from mmengine.dataset import DefaultSampler
from mmpretrain.registry import DATA_SAMPLERS
from torch.utils.data import BatchSampler, Sampler


@DATA_SAMPLERS.register_module()
class FewShotBatchSampler(BatchSampler):
    """Batches whose incomplete last one is dropped, if others remain.

    The public benchmark's rule (Dassl, ``build_data_loader``): with fewer
    images than a batch holds, the only batch is the incomplete one.

    With N processes the rule holds for the batch of all of them, N times
    ``batch_size``: together they take the batches of one process, image by
    image. ``DefaultSampler`` distributes the images in turn and repeats some
    where N does not divide their number; those repetitions are never used.

    Args:
        sampler (Sampler): Gives the order of the samples.
        batch_size (int): Samples per batch and process.
        keep_last (bool): Keep an incomplete last batch (2SFS). Defaults to False.

    Raises:
        ValueError: If a batch has fewer images than there are processes.
    """

    def __init__(self, sampler: Sampler, batch_size: int, keep_last: bool = False) -> None:
        drop_last = not keep_last and len(sampler) >= batch_size  # type: ignore[arg-type]
        super().__init__(sampler, batch_size, drop_last=drop_last)
        # Other samplers give each process a share of its own.
        self._count = (
            _share(sampler, batch_size, keep_last)
            if isinstance(sampler, DefaultSampler) and sampler.world_size > 1
            else None
        )

    def __iter__(self) -> Iterator[list[int]]:
        """Indices of one batch after another."""
        if self._count is None:
            yield from super().__iter__()
            return
        indices = list(islice(self.sampler, self._count))
        for start in range(0, self._count, self.batch_size):
            yield indices[start : start + self.batch_size]

    def __len__(self) -> int:
        """Number of batches."""
        if self._count is None:
            return super().__len__()
        return -(-self._count // self.batch_size)


def _share(sampler: DefaultSampler, batch_size: int, keep_last: bool) -> int:
    """How many images this process takes in an epoch."""
    images, world = len(sampler.dataset), sampler.world_size
    if images < world:
        raise ValueError(
            f'{images} training images are too few for {world} processes: start fewer processes.'
        )
    batches, rest = divmod(images, batch_size * world)
    if batches and not keep_last:
        return batches * batch_size
    if 0 < rest < world:
        raise ValueError(
            f'The last batch has {rest} of {images} images, too few for {world} processes: start '
            'fewer processes, or set train_dataloader.batch_sampler.keep_last=False.'
        )
    return batches * batch_size + len(range(sampler.rank, rest, world))
