"""Batches of few-shot training."""
from mmpretrain.registry import DATA_SAMPLERS
from torch.utils.data import BatchSampler, Sampler


@DATA_SAMPLERS.register_module()
class FewShotBatchSampler(BatchSampler):
    """Batches of which an incomplete last one is dropped, if others remain.

    The public benchmark's rule (Dassl, ``build_data_loader``): with fewer
    images than a batch holds, the only batch is the incomplete one.

    Args:
        sampler (Sampler): Gives the order of the samples.
        batch_size (int): Samples a batch.
    """

    def __init__(self, sampler: Sampler, batch_size: int) -> None:
        super().__init__(
            sampler, batch_size, drop_last=len(sampler) >= batch_size)
