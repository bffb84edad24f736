"""CoPrompt: adapted features stay close to sentences and to a second view."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmpretrain.registry import MODELS

from mmdpt.datasets.sentences import read_sentences
from mmdpt.utils.checks import check_count, check_weight
from mmdpt.utils.values import OwnPath, Share, Size

from ..clip.blocks import first_tuned
from ..clip.texts import encode_tokens, prompt_tokens
from ..part import ModelInfo
from ..randomness import mix, step_seed
from .base import TermsHead
from .match import Match, similarity


class Adapter(nn.Module):
    """A bottleneck mixed with its input: m relu(W2 relu(W1 z)) + (1 - m) z.

    Args:
        dim (int): E.
        reduction (int): The hidden layer has E // reduction units.
        share (float): m.
    """

    def __init__(self, dim: int, reduction: int, share: float):
        super().__init__()
        self.share = share
        self.layers = nn.Sequential(
            nn.Linear(dim, dim // reduction, bias=False),
            nn.ReLU(),
            nn.Linear(dim // reduction, dim, bias=False),
            nn.ReLU(),
        )

    def forward(self, feature: torch.Tensor) -> torch.Tensor:
        """Map features (..., E) to (..., E)."""
        return self.share * self.layers(feature) + (1 - self.share) * feature


@MODELS.register_module()
class CoPromptHead(TermsHead):
    """Adapters on both features, and consistency with frozen CLIP's.

    `Consistency-guided Prompt Learning <https://arxiv.org/abs/2306.01195>`_,
    equations 3-7: 1 - mean cosine of the text features and the frozen ones of
    a sentence per class, and of the image features and the frozen ones of a
    second view. Each step draws the number of the sentence, the same for all
    classes; one with fewer sentences begins again at its first.

    Args:
        about (ModelInfo): The model.
        sentences (str, optional): Path of a .json or .csv file, see
            :func:`read_sentences`, which may describe other classes as well.
            Only the training needs it.
        weight (float): Of both terms.
        image_share (float): Share of the adapted image feature.
        text_share (float): Share of the adapted text feature.
        reduction (int): The adapters' hidden layers have E // reduction units.
        **kwargs: See :class:`SimilarityHead`.

    Raises:
        OSError, ValueError: If a value is out of range, or the sentences are
            not those of the classes.
    """

    keeps = frozenset({'sentences'})
    requires = frozenset({'second_image', 'text_prompt', 'shared_text'}) | keeps
    takes_soft_labels = False

    def __init__(
        self,
        about: ModelInfo,
        sentences: OwnPath | None = None,
        weight: float = 8.0,
        image_share: Share = 0.1,
        text_share: Share = 0.2,
        reduction: Size = 4,
        **kwargs,
    ):
        super().__init__(about, **kwargs)
        check_weight('weight', weight)
        for name, share in (('image_share', image_share), ('text_share', text_share)):
            check_weight(name, share)
            if share > 1:
                raise ValueError(f'{name} must be at most 1, but is {share!r}.')
        dim = about.image_tower.embed_dim
        check_count('reduction', reduction, 1, dim, f'image features have {dim} values')
        self.weight = weight
        self.image_adapter = Adapter(dim, reduction, image_share)
        self.text_adapter = Adapter(dim, reduction, text_share)
        given = read_sentences(sentences, about.classes, others=True) if sentences else {}
        tower = about.text_tower
        if first_tuned(tower.blocks) < len(tower.blocks):
            raise ValueError(
                'CoPromptHead keeps features of the frozen text tower, which model.tuning '
                'changes: take one of the two out.'
            )
        self.sentences = [  # token ids, by number and class
            [prompt_tokens(tower, name, own[k % len(own)]) for name, own in given.items()]
            for k in range(max(map(len, given.values()), default=0))
        ]
        self._tower = (tower,)  # not a submodule: it is the model's
        self.register_buffer('_features', None, persistent=False)

    def forward(self, match: Match) -> torch.Tensor:
        return similarity(
            self.image_adapter(match.image), self.text_adapter(match.text), match.scale
        )

    def draw(self) -> int:
        """Which sentence a step takes: a function of seed and iteration, so the
        same in all processes and after a resume."""
        return mix(*step_seed()) % len(self.sentences)

    @torch.no_grad()
    def sentence_features(self) -> torch.Tensor:
        """Frozen features of all sentences, normalised, (K, C, E); computed once."""
        if self._features is None:
            found = torch.stack([encode_tokens(self._tower[0], s) for s in self.sentences])
            self._features = F.normalize(found, dim=-1)
        return self._features

    def terms(self, match, target):
        if target.dim() > 1:
            self.check_soft_labels()
        text, image = self.text_adapter(match.text), self.image_adapter(match.image)
        pairs = dict(
            text=(text, self.sentence_features()[self.draw()].to(text)),
            image=(image, match.second_image),
        )
        logits = similarity(image, text, match.scale)
        return dict(
            logits=(1.0, self.cross_entropy(logits, target)),
            **{
                f'{name}_consistency': (self.weight, 1 - F.cosine_similarity(*pair).mean())
                for name, pair in pairs.items()
            },
        )
