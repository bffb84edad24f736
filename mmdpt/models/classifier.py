"""The classifier: frozen CLIP, prompts in front of it, a head behind."""

from collections.abc import Sequence

import torch
import torch.nn as nn
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample

from mmdpt.datasets.model_classes import classes_and_templates, resolve_descriptions

from .build import build_parts
from .clip.image_tower import build_image_tower
from .clip.load import load_clip
from .clip.normalisation import preprocessing
from .clip.text_tower import TextTower
from .forward import forward_pass, match_features, states
from .heads.base import Chooser, SimilarityHead, batch_share, check_head
from .heads.match import Match
from .learnt_state import LearntState
from .match_classifier import MatchClassifier
from .part import ModelInfo
from .part_checks import check_model, check_parts
from .prompts.sentences import ClassSentences
from .prompts.templates import TemplatePrompt
from .second_view import second_view
from .sides import Sides
from .teacher import Teacher
from .text_features import TextFeatures


@MODELS.register_module()
class PromptedCLIP(MatchClassifier):
    """CLIP as an image classifier, adapted by prompts.

    Without prompts it is zero-shot CLIP. All that is learnt is in
    ``text_prompt``, ``visual_prompt``, ``tuning`` and ``head``; only that is in
    ``state_dict()``.

    Args:
        arch (str | dict): Architecture, see :func:`load_clip`.
        pretrained (str, optional): Weights, see :func:`load_clip`.
        classes (str | Sequence[str] | dict): Name of a benchmark, or the class
            names in the order of the labels, or the arguments of
            :func:`mmdpt.datasets.resolve_classes` (``benchmark``,
            ``data_root``, ``subset``) where names are read from the data.
        templates (str | Sequence[str], optional): Hand-written prompts with
            one ``{}`` for zero-shot classification; the features of several
            are averaged; None among them stands for the default. Defaults to
            the benchmark's, or to
            'a photo of a {}.' where ``classes`` are names.
        normalise_templates (bool): Average the normalised features of the
            templates; False: the features as they are (PromptSRC).
        descriptions (str | dict, optional): Sentences of each class, or a file
            of them (:func:`mmdpt.datasets.sentences.read_sentences`). They take
            the place of the templates in zero-shot classification, and wherever
            a method compares with frozen text features.
        text_prompt (dict, optional): Config of the learnt text prompt. None:
            the templates classify.
        visual_prompt (dict, optional): Config of the visual prompt.
        head (dict): Config of the head.
        tuning (dict, optional): Config of what learns in the towers
            themselves, :class:`LoRA`. Without ``text_prompt`` the one
            template, encoded anew in each step, gives the text features.
        teacher (dict, optional): A second frozen model, for heads that learn
            from its logits; the arguments of :class:`Teacher`.
        logit_scale (float, optional): Use this instead of CLIP's own.
        precision (str): Of the frozen towers, see :func:`load_clip`. What is
            learnt stays in (at least) single precision.
        tokenizer (str, optional): Folder of a Hugging Face tokenizer, see
            :func:`load_clip`.
        text_checkpointing (bool): Save memory in the text tower at the cost of
            time, for tens of thousands of classes.
        shard_classes (str | bool): With data-parallel training, let each
            process encode its share of the classes: True, False, or 'auto',
            from 256 classes on. The result is the same.
        data_preprocessor (dict, optional): Defaults to the normalisation
            that the weights were trained with (where open_clip does not know
            it: CLIP's), of BGR images as MMPretrain's pipelines give them.
        transfer (bool): Accept a checkpoint that was trained for other
            classes. Contexts, visual prompts and attention are taken over;
            the class evidence of CAVPT, which serves the training only, is
            not. Defaults to False.
        train_cfg (dict, optional): MMPretrain's batch augmentations (mixup,
            cutmix), for heads that take soft labels.
        init_cfg (dict, optional): See MMEngine's ``BaseModule``.

    Raises:
        ValueError: If the parts do not fit together or a value is out of
            range; see :func:`load_clip` for the weights.
    """

    def __init__(
        self,
        arch: str | dict,
        pretrained: str | None,
        classes: str | Sequence[str] | dict,
        templates: None | str | Sequence[str] = None,
        normalise_templates: bool = True,
        descriptions: None | str | dict = None,
        text_prompt: dict | None = None,
        visual_prompt: dict | None = None,
        head: dict = dict(type='SimilarityHead'),  # noqa: B006  never changed
        tuning: dict | None = None,
        teacher: dict | None = None,
        logit_scale: float | None = None,
        precision: str = 'fp32',
        tokenizer: str | None = None,
        text_checkpointing: bool = False,
        shard_classes: str | bool = 'auto',
        transfer: bool = False,
        data_preprocessor: dict | None = None,
        train_cfg: dict | None = None,
        init_cfg: dict | None = None,
    ):
        check_head(head)
        source, (classes, templates) = classes, classes_and_templates(classes, templates)
        sentences = resolve_descriptions(descriptions, source, classes)
        clip = load_clip(arch, pretrained, precision, tokenizer)
        prompting = visual_prompt or tuning
        tower = build_image_tower(clip, prompting and prompting['type'])
        tower.out_indices = (max(tower.depth - 1, 0),)  # of extract_feat
        super().__init__(
            backbone=tower,
            train_cfg=train_cfg,
            data_preprocessor=preprocessing(data_preprocessor, clip, len(classes)),
            init_cfg=init_cfg,
        )
        self.classes, self.descriptions = classes, sentences
        self.clip_identity, self.transfer = clip.identity, transfer
        self.text_tower = TextTower(clip, text_checkpointing)
        scale = clip.logit_scale
        if logit_scale is not None:
            scale = torch.full_like(scale, logit_scale)
        self.register_buffer('scale', scale, persistent=False)
        second = teacher and Teacher(**teacher, classes=classes, templates=templates)
        about = ModelInfo(
            tower, classes, self.text_tower, templates, self.frozen_text_features, teacher=second
        )
        self.templates = nn.ModuleList(TemplatePrompt(about, t) for t in templates)
        self.sentences = sentences and ClassSentences(about, sentences)
        self.text = TextFeatures(
            self.text_tower, self.templates, normalise_templates, shard_classes, self.sentences
        )
        configs = (text_prompt, visual_prompt, tuning, head)
        for name, part in build_parts(about, self.templates, scale.dtype, *configs).items():
            setattr(self, name, part)
        self.text.prompt, self.text.tuning = self.text_prompt, self.tuning
        self._plain_head = SimilarityHead(about)  # of zero-shot CLIP
        self._teacher = (second,)
        check_model(self)
        self.learnt_names = LearntState(self).names

    @property
    def sides(self) -> Sides:
        """What images pass through."""
        return Sides(
            self.backbone, self.text, self.scale, self.visual_prompt, self.tuning, self._teacher[0]
        )

    def parts(self) -> dict[str, nn.Module]:
        """The parts that learn, by name."""
        named = {n: getattr(self, n) for n in ('text_prompt', 'visual_prompt', 'tuning', 'head')}
        return {n: part for n, part in named.items() if part is not None}

    def identity(self) -> dict:
        """What a checkpoint of this model belongs to, in plain Python:
        ``classes`` and ``clip`` (arch, pretrained, fingerprint)."""
        return dict(classes=list(self.classes), clip=dict(self.clip_identity))

    def train(self, mode: bool = True) -> 'PromptedCLIP':
        self.text.trusted &= mode == self.training
        return super().train(mode)

    def check_trainable(self) -> None:
        """Raise ValueError if a part lacks what its training, unlike its predicting, requires."""
        check_parts(self.sides, self.head, self.text_prompt)

    def match(self, inputs: torch.Tensor, data_samples: list[DataSample] | None = None) -> Match:
        """One forward pass.

        Args:
            inputs (Tensor): Normalised images, (B, 3, H, W); or what
                :meth:`states` or :meth:`clip_features` gave of them.
            data_samples (list[DataSample], optional): In a training step, for
                heads that read a second view or choose among the classes.

        Returns:
            Match: Features, and what else the head needs.
        """
        second = choose = None
        required = self.head.requires if self.training else frozenset()
        if self.training and data_samples is not None:
            choose = self.head.chooser(data_samples)
            if 'second_image' in required and inputs.dim() != 2:
                second = second_view(self.data_preprocessor, data_samples)
        if inputs.dim() == 2:
            return self.match_features(inputs, choose)
        return forward_pass(self.sides, inputs, required, not self._zero_shot, second, choose)

    def states(self, inputs: torch.Tensor) -> torch.Tensor:
        """What of images (B, 3, H, W) no learnt value reaches: the tokens that
        enter block ``sides.constant_below``, (B, N, D)."""
        return states(self.sides, inputs)

    def text_features(self, image: torch.Tensor | None = None) -> torch.Tensor:
        """Features of the learnt prompts, see :meth:`TextFeatures.learnt`."""
        return self.text.learnt(image)

    def frozen_text_features(self) -> torch.Tensor:
        """Features of the templates, see :meth:`TextFeatures.frozen`."""
        return self.text.frozen()

    @property
    def kept_kind(self) -> str:
        """What frozen work is kept of an image: 'features', or 'pooled' for a head that works
        from the image before its last projection."""
        return 'pooled' if 'pooled' in self.head.requires else 'features'

    def clip_features(self, inputs: torch.Tensor, pooled: bool = False) -> torch.Tensor:
        """Frozen CLIP's image features, (B, E), not normalised; ``pooled``: what its
        last projection maps to them, (B, D)."""
        found = forward_pass(self.sides, inputs, adapted=False)
        return found.pooled if pooled else found.image

    def match_features(self, features: torch.Tensor, choose: Chooser | None = None) -> Match:
        """As :meth:`match`, from what :meth:`clip_features` gave, (B, E), or
        (B, D) where :attr:`kept_kind` says so; ``choose`` is the head's :meth:`chooser`.

        Raises:
            ValueError: If the image would have to be prompted, or shown to a teacher.
        """
        required = self.head.requires if self.training else frozenset()
        return match_features(
            self.sides, features, required, not self._zero_shot, self.kept_kind == 'pooled', choose
        )

    def loss(self, inputs: torch.Tensor, data_samples: list[DataSample]) -> dict:
        """Loss terms by name. With data-parallel training their mean over the
        processes is the loss of the whole batch, even if the processes
        have different numbers of images."""
        if self.tuning is not None:
            self.tuning.begin_step(data_samples, inputs.device, self.text.by_image)
        if self.sides.teacher is not None:
            self.sides.teacher.begin_step(data_samples)
        elif self.head.keeps:
            self.check_trainable()
        self.text.begin_step(self.sides.required(self.head.requires))
        losses = self.losses(inputs, data_samples)
        return batch_share(losses, len(inputs), self.scale)
