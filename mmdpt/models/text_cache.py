"""Text features kept while nothing that they depend on changes."""

from collections.abc import Callable, Iterable

import torch


class TextCache:
    """Keep one result until a tensor it came from has other values.

    Values are compared, not version counters: an exponential moving average,
    for one, swaps values without a trace. On a GPU to compare is to wait,
    so the steps of a training take ``result`` as it is (:meth:`TextFeatures.begin_step`).
    """

    def __init__(self):
        self._sources: list[torch.Tensor] | None = None
        self.result: torch.Tensor | None = None

    def get(
        self, sources: Iterable[torch.Tensor], compute: Callable[[], torch.Tensor]
    ) -> torch.Tensor:
        """Return the kept result, or compute it anew.

        Args:
            sources (Iterable[Tensor]): What the result depends on.
            compute (Callable): Gives the result.

        Returns:
            Tensor: The result, without gradient.
        """
        sources = list(sources)
        if not self._is_fresh(sources):
            self.result = compute().detach()
            self._sources = [s.detach().clone() for s in sources]
        return self.result

    def _is_fresh(self, sources) -> bool:
        return (
            self._sources is not None
            and len(sources) == len(self._sources)
            and all(
                a.device == b.device and a.dtype == b.dtype and (not a.numel() or torch.equal(a, b))
                for a, b in zip(sources, self._sources)
            )
        )
