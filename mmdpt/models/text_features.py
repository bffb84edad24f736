"""Text features of learnt and hand-written prompts, kept while they hold."""

from collections.abc import Sequence, Set
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from mmengine.dist import get_rank, get_world_size

from .class_shards import ClassShards, use_shards
from .clip.text_tower import TextTower
from .prompts.base import TextPrompt
from .prompts.sentences import ClassSentences
from .prompts.templates import TemplatePrompt
from .text_cache import TextCache
from .tuning.base import Tuning, frozen_towers

IMAGES_AT_ONCE = 16  # in evaluation, where each has text features of its own


class TextFeatures:
    """What the text side of the model gives.

    Args:
        tower (TextTower): The frozen text tower.
        templates (Sequence[TemplatePrompt]): The hand-written prompts.
        normalise (bool): Average the normalised features of the templates;
            False: the features as they are.
        shard (str | bool): Distribute the classes over the processes, see
            :func:`use_shards`.
        sentences (ClassSentences, optional): Describe the classes, instead of
            the templates.

    Attributes:
        prompt (TextPrompt, optional): The learnt text prompt; None: the
            templates classify.
        tuning (Tuning, optional): What learns in the towers.
        trusted (bool): Whether what is kept of prompts that no longer learn holds, without a
            look at them: from a training step on, until the model goes over to evaluation.
    """

    def __init__(
        self,
        tower: TextTower,
        templates: Sequence[TemplatePrompt],
        normalise: bool,
        shard: str | bool = 'auto',
        sentences: ClassSentences | None = None,
    ):
        if shard not in (True, False, 'auto'):
            raise ValueError(f"shard_classes must be True, False or 'auto', but is {shard!r}.")
        self.tower, self.templates, self.normalise = tower, templates, normalise
        self.shard, self.sentences = shard, sentences
        self.prompt: TextPrompt | None = None
        self.tuning: Tuning | None = None
        self._learnt, self._frozen = TextCache(), TextCache()
        self.trusted = False
        self._pretended: torch.Tensor | None = None
        self._shards: ClassShards | None = None

    @property
    def dtype(self) -> torch.dtype:
        """Of the features: the tower's, and at least single precision."""
        return torch.promote_types(self.tower.token_embedding.weight.dtype, torch.float32)

    @property
    def requires(self) -> frozenset[str]:
        """What the learnt prompt requires."""
        return frozenset() if self.prompt is None else self.prompt.requires

    @property
    def by_image(self) -> bool:
        """Whether learnt features differ from image to image."""
        return 'frozen_image' in self.requires

    @torch.no_grad()
    def frozen(self) -> torch.Tensor:
        """Features of the templates, (C, E), normalised: each template's
        (normalised) features, averaged and normalised again; of the sentences
        where there are some."""

        def compute():
            if self.sentences is not None:
                return self.sentences.features(self.tower, self.dtype)
            features = self.by_template()
            if self.normalise:
                features = [F.normalize(f, dim=-1) for f in features]
            return F.normalize(sum(features) / len(features), dim=-1)

        if self._pretended is not None:
            return self._pretended
        place = self.tower.token_embedding.weight[:0]  # device and type
        return self._frozen.get([place], compute)

    @torch.no_grad()
    def by_template(self) -> list[torch.Tensor]:
        """Features of the filled templates, (C, E) for each, not normalised."""
        with frozen_towers(self.tuning):
            return [self.tower(t())[0].to(self.dtype) for t in self.templates]

    @contextmanager
    def pretended(self, num_classes: int):
        """Inside this context :meth:`frozen` gives zeros, at no cost."""
        weight = self.tower.token_embedding.weight
        self._pretended = weight.new_zeros(num_classes, self.tower.embed_dim, dtype=self.dtype)
        try:
            yield
        finally:
            self._pretended = None

    def learnt(
        self, image: torch.Tensor | None = None, classes: Sequence[int] | None = None
    ) -> torch.Tensor:
        """Features of the learnt prompts, not normalised.

        In evaluation, and where nothing learns that they depend on, they are
        computed once and kept until something learnt changes, unless they depend on
        the image.

        Args:
            image (Tensor, optional): Frozen image features (B, E), where the
                prompts depend on them.
            classes (Sequence[int], optional): Only of these classes, in a
                training step.

        Returns:
            Tensor: (C, E), or (B, C, E) where they depend on the image; the
            templates' if nothing is learnt.
        """
        if self.prompt is None:
            return self.frozen() if classes is None else self.frozen()[list(classes)]
        if self.by_image:
            # In evaluation a few images at a time: memory grows with B * C.
            some = len(image) if torch.is_grad_enabled() else IMAGES_AT_ONCE
            parts = [self.tower(self.prompt(part)).to(self.dtype) for part in image.split(some)]
            return torch.cat(parts)
        if classes is not None:
            return self._encode(classes)
        if torch.is_grad_enabled():
            if self._learns():
                return self._encode()
            if self.trusted:
                return self._learnt.result
        place = self.tower.token_embedding.weight[:0]  # device and type
        return self._learnt.get([*self._sources(), place], self._encode)

    def _sources(self) -> list[torch.Tensor]:
        tuned = [] if self.tuning is None else self.tuning.text_parameters()
        return [*self.prompt.parameters(), *tuned]

    def _learns(self) -> bool:
        return any(source.requires_grad for source in self._sources())

    @torch.no_grad()
    def begin_step(self, required: Set[str]) -> None:
        """Have what a training step only reads, so that it computes, compares and changes
        nothing of it: a compiled step could not.

        Args:
            required (Set[str]): Fields of :class:`Match` that the step computes.
        """
        if self.prompt is None or required & {'frozen_text', 'class_ids'}:
            self.frozen()
        if self.prompt is None or self.by_image or self.trusted or self._learns():
            return
        self.learnt()
        self.trusted = True

    def _encode(self, classes: Sequence[int] | None = None) -> torch.Tensor:
        drops = self.tuning is not None and self.tuning.training and self.tuning.drops_text
        some = drops or classes is not None
        if some or not use_shards(self.shard, len(self.prompt.packing.order)):
            features = self.tower(self.prompt()._replace(classes=classes))
        else:
            if self._shards is None:
                self._shards = ClassShards(self.prompt.packing, get_rank(), get_world_size())
            features = self._shards.encode(self.tower, self.prompt)
        return features.to(self.dtype).squeeze(0)
