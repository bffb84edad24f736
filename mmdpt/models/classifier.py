"""The classifier: frozen CLIP, prompts in front of it, a head behind."""

from collections.abc import Sequence
from contextlib import contextmanager, nullcontext

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmengine.dist import get_rank, get_world_size
from mmpretrain.models import ImageClassifier
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample

from mmdpt.datasets.model_classes import classes_and_templates

from .class_shards import ClassShards, use_shards
from .clip.image_tower import build_image_tower
from .clip.load import load_clip
from .clip.normalisation import preprocessing
from .clip.text_tower import TextTower
from .heads.base import SimilarityHead, batch_share, check_head
from .heads.match import Match, similarity
from .learnt_state import keep_learnt_only
from .part import ModelInfo
from .prompts.templates import TemplatePrompt
from .text_cache import TextCache

STAGES = ('backbone', 'neck', 'pre_logits')
IMAGES_AT_ONCE = 16  # in evaluation, where each has text features of its own


@MODELS.register_module()
class PromptedCLIP(ImageClassifier):
    """CLIP as an image classifier, adapted by prompts.

    Without prompts it is zero-shot CLIP. All that is learnt lies in
    ``text_prompt`` and ``visual_prompt``; only that is in ``state_dict()``.

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
        text_prompt (dict, optional): Config of the learnt text prompt. None:
            the templates classify.
        visual_prompt (dict, optional): Config of the visual prompt.
        head (dict): Config of the head.
        lora (dict, optional): Config of low-rank updates of the towers,
            :class:`LoRA`. Without ``text_prompt`` the one template, encoded
            anew in each step, gives the text features.
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
            range; see :func:`load_clip` for what concerns the weights.
    """

    def __init__(
        self,
        arch: str | dict,
        pretrained: str | None,
        classes: str | Sequence[str] | dict,
        templates: None | str | Sequence[str] = None,
        normalise_templates: bool = True,
        text_prompt: dict | None = None,
        visual_prompt: dict | None = None,
        head: dict = dict(type='SimilarityHead'),  # noqa: B006  never changed
        lora: dict | None = None,
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
        classes, templates = classes_and_templates(classes, templates)
        clip = load_clip(arch, pretrained, precision, tokenizer)
        prompting = visual_prompt or lora
        tower = build_image_tower(clip, prompting and prompting['type'])
        tower.out_indices = (max(tower.depth - 1, 0),)  # of extract_feat
        super().__init__(
            backbone=tower,
            head=head,
            train_cfg=train_cfg,
            data_preprocessor=preprocessing(data_preprocessor, clip, len(classes)),
            init_cfg=init_cfg,
        )
        self.classes, self._other_meta = classes, {}
        self.clip_identity = clip.identity
        self.text_tower = TextTower(clip, text_checkpointing)
        scale = (
            clip.logit_scale
            if logit_scale is None
            else torch.full_like(clip.logit_scale, logit_scale)
        )
        self.register_buffer('scale', scale, persistent=False)
        self.templates = nn.ModuleList(
            TemplatePrompt(self.text_tower, classes, t) for t in templates
        )
        self.text_prompt = text_prompt and MODELS.build(
            text_prompt, default_args=dict(tower=self.text_tower, classes=classes)
        )
        self.lora = lora and MODELS.build(
            lora, default_args=dict(backbone=tower, text_tower=self.text_tower)
        )
        if self.lora is not None and self.text_prompt is None:
            self.text_prompt = self._only_template()
        self.visual_prompt = visual_prompt and MODELS.build(
            visual_prompt,
            default_args=dict(
                width=tower.width,
                depth=tower.depth,
                embed_dim=tower.embed_dim,
                num_classes=len(classes),
            ),
        )
        self.normalise_templates = normalise_templates
        self._learnt_text = TextCache()
        self._frozen_text = TextCache()
        self._couple(templates)
        if self.lora is not None:
            self.lora.to(self.scale.dtype)
        self.head.to(self.scale.dtype)
        self._plain_head = SimilarityHead()  # of zero-shot CLIP
        self.transfer = transfer
        self._check_parts()
        self._zero_shot = False
        self._shards = None
        self.shard_classes = shard_classes
        if shard_classes not in (True, False, 'auto'):
            raise ValueError(
                f"shard_classes must be True, False or 'auto', but is {shard_classes!r}."
            )
        keep_learnt_only(self)

    def parts(self) -> dict[str, nn.Module]:
        """The parts that learn, by name."""
        named = {n: getattr(self, n) for n in ('text_prompt', 'visual_prompt', 'lora', 'head')}
        return {n: part for n, part in named.items() if part is not None}

    def _couple(self, templates: list[str]) -> None:
        """Let every part get to know the model."""
        tower = self.backbone
        about = ModelInfo(
            width=tower.width,
            depth=tower.depth,
            text_depth=len(self.text_tower.blocks),
            embed_dim=tower.embed_dim,
            classes=list(self.classes),
            templates=list(templates),
            frozen_text=self.frozen_text_features,
            image_proj=tower.proj,
            text_prompt=self.text_prompt,
        )
        for part in (self.text_prompt, self.visual_prompt, self.head):
            if part is not None:
                part.couple(about)
        if self.visual_prompt is not None:
            self.visual_prompt.to(self.scale.dtype)

    def _only_template(self) -> TemplatePrompt:
        if len(self.templates) > 1:
            raise ValueError(
                f'LoRA adapts the features of one template, but there are '
                f'{len(self.templates)}: set templates to one of them.'
            )
        return self.templates[0]

    def _check_parts(self) -> None:
        head, visual = self.head, self.visual_prompt
        name = type(head).__name__
        if getattr(self.data_preprocessor, 'batch_augments', None):
            head.check_soft_labels()
        if 'evidence' in head.requires and not (visual and visual.has_evidence):
            raise ValueError(
                f'{name} needs class evidence, but visual_prompt is '
                f'{type(visual).__name__}: use CAVPT, or GuidedHead.'
            )
        if 'prompt_tokens' in head.requires and not (
            visual and visual.gives_tokens and self.backbone.gives_tokens
        ):
            raise ValueError(
                f"{name} reads what became of the visual prompt's tokens, which "
                f'{type(visual).__name__} in a {type(self.backbone).__name__} does not give: use '
                'RepresentationImage and a CLIP ViT such as ViT-B-16-quickgelu.'
            )
        if 'text_prompt' in head.requires and self.text_prompt is None:
            raise ValueError(
                f'{name} guides learnt text features, but '
                'text_prompt is None: use CoOp, or '
                'SimilarityHead.'
            )
        by_image = self.text_prompt is not None and self.text_prompt.needs_image
        shared = 'shared_text' in head.requires
        if by_image and (visual and visual.top_k or shared):
            part = name if shared else type(visual).__name__
            raise ValueError(
                f'{part} needs text features that all images share, but those '
                f'of {type(self.text_prompt).__name__} depend on the image: '
                'use CoOp.'
            )

    def identity(self) -> dict:
        """What a checkpoint of this model belongs to, in plain Python:
        ``classes`` and ``clip`` (arch, pretrained, fingerprint)."""
        return dict(classes=list(self.classes), clip=dict(self.clip_identity))

    def match(self, inputs: torch.Tensor) -> Match:
        """One forward pass.

        Args:
            inputs (Tensor): Normalised images, (B, 3, H, W).

        Returns:
            Match: Features, and what the head needs beside them.
        """
        tokens = self.backbone.embed(inputs)
        prompted = not self._zero_shot and (self.visual_prompt is not None or self.lora is not None)
        visual = None if self._zero_shot else self.visual_prompt
        text_prompt = None if self._zero_shot else self.text_prompt
        selects = visual is not None and visual.top_k > 0
        required = self.head.requires if self.training else ()
        by_image = text_prompt is not None and text_prompt.needs_image

        frozen_image = frozen_text = class_ids = classes = None
        if not prompted or selects or by_image or 'frozen_image' in required:
            with torch.no_grad(), self._frozen_towers():
                frozen_image = self._wide(self.backbone(tokens).feature)
        if text_prompt is None or selects or 'frozen_text' in required:
            frozen_text = self.frozen_text_features()

        text = frozen_text if text_prompt is None else self.text_features(frozen_image)
        if selects:
            logits = similarity(frozen_image, frozen_text, self.scale)
            class_ids = logits.topk(visual.top_k).indices  # (B, K)
            classes = F.embedding(class_ids, text)  # (B, K, E)
        if prompted:
            image, evidence, given = self.backbone(tokens, visual, classes)
        else:
            image, evidence, given = frozen_image, [], None
        return Match(
            self._wide(image),
            text,
            self.scale,
            frozen_image,
            frozen_text,
            class_ids,
            torch.stack(evidence) if evidence else None,
            None if given is None else self._wide(given),
        )

    def _frozen_towers(self):
        return nullcontext() if self.lora is None else self.lora.off()

    def _wide(self, features: torch.Tensor) -> torch.Tensor:
        """Heads compare in (at least) single precision."""
        return features.to(self.scale.dtype)

    def text_features(self, image: torch.Tensor | None = None) -> torch.Tensor:
        """Features of the learnt prompts, not normalised.

        In evaluation they are computed once and kept until something learnt
        changes, unless they depend on the image.

        Args:
            image (Tensor, optional): Frozen image features (B, E), where the
                prompts depend on them.

        Returns:
            Tensor: (C, E), or (B, C, E) where they depend on the image.
        """
        if self.text_prompt.needs_image:
            # In evaluation a few images at a time: memory goes with B * C.
            some = len(image) if torch.is_grad_enabled() else IMAGES_AT_ONCE
            return torch.cat(
                [self._wide(self.text_tower(self.text_prompt(part))) for part in image.split(some)]
            )

        def compute():
            if not self._drops_text() and use_shards(self.shard_classes, len(self.classes)):
                features = self._encode_share()
            else:
                features = self.text_tower(self.text_prompt())
            return self._wide(features).squeeze(0)

        if torch.is_grad_enabled():
            return compute()
        sources = list(self.text_prompt.parameters())
        if self.lora is not None:
            sources += self.lora.parameters()
        return self._learnt_text.get(sources, compute)

    def _drops_text(self) -> bool:
        """Whether all processes must encode all classes, because the dropout
        in their features has to be the same."""
        return self.training and self.lora is not None and self.lora.drops_text

    def _encode_share(self) -> torch.Tensor:
        if self._shards is None:
            self._shards = ClassShards(self.text_prompt.packing, get_rank(), get_world_size())
        return self._shards.encode(self.text_tower, self.text_prompt)

    @torch.no_grad()
    def frozen_text_features(self) -> torch.Tensor:
        """Features of the templates, (C, E), normalised: each template's
        (normalised) features, averaged and normalised again."""

        def compute():
            features = [self._wide(self.text_tower(t())[0]) for t in self.templates]
            if self.normalise_templates:
                features = [F.normalize(f, dim=-1) for f in features]
            return F.normalize(sum(features) / len(features), dim=-1)

        with self._frozen_towers():
            return self._frozen_text.get([self.scale], compute)

    def clip_features(self, inputs: torch.Tensor) -> torch.Tensor:
        """Frozen CLIP's image features, (B, E), not normalised."""
        with torch.no_grad(), self._frozen_towers():
            return self._wide(self.backbone(self.backbone.embed(inputs)).feature)

    @torch.no_grad()
    def predict_features(
        self, features: torch.Tensor, data_samples: list[DataSample] | None = None
    ) -> list[DataSample]:
        """Predict from what :meth:`clip_features` gave, (B, E).

        Raises:
            ValueError: If the image would have to be prompted.
        """
        return self._active_head.predict(self.match_features(features), data_samples)

    def match_features(self, features: torch.Tensor) -> Match:
        """As :meth:`match`, from what :meth:`clip_features` gave, (B, E).

        Raises:
            ValueError: If the image would have to be prompted.
        """
        zero_shot = self._zero_shot or self.text_prompt is None
        if not self._zero_shot and (self.visual_prompt is not None or self.lora is not None):
            raise ValueError(
                'Visual prompts and low-rank updates need the images, not their frozen features.'
            )
        image = features.to(self.scale)
        text = self.frozen_text_features() if zero_shot else self.text_features(image)
        return Match(image, text, self.scale)

    @property
    def _active_head(self) -> SimilarityHead:
        return self._plain_head if self._zero_shot else self.head

    @contextmanager
    def zero_shot(self):
        """Classify with frozen CLIP and the templates inside this context."""
        self._zero_shot = True
        try:
            yield self
        finally:
            self._zero_shot = False

    @property
    def _dataset_meta(self) -> dict:
        """What MMPretrain's inferencers read: the classes are the model's,
        whatever data or checkpoint say (after a transfer they differ)."""
        return dict(self._other_meta, classes=list(self.classes))

    @_dataset_meta.setter
    def _dataset_meta(self, meta: dict | None) -> None:
        self._other_meta = dict(meta or {})

    def extract_feat(self, inputs: torch.Tensor, stage: str = 'neck'):
        """MMPretrain's interface: the image features, not normalised.

        Args:
            inputs (Tensor): Normalised images, (B, 3, H, W).
            stage (str): 'backbone' or 'neck', which are the same here, or
                'pre_logits'.

        Returns:
            tuple[Tensor] | Tensor: One (B, E) in a tuple; for 'pre_logits'
            without the tuple.

        Raises:
            ValueError: If there is no such stage.
        """
        if stage not in STAGES:
            raise ValueError(f'stage must be one of {", ".join(STAGES)}, but is {stage!r}.')
        image = self.match(inputs).image
        return image if stage == 'pre_logits' else (image,)

    def forward(
        self,
        inputs: torch.Tensor,
        data_samples: list[DataSample] | None = None,
        mode: str = 'tensor',
    ):
        """MMPretrain's interface; 'tensor' gives the logits, (B, C)."""
        if mode == 'tensor':
            return self._active_head(self.match(inputs))
        return super().forward(inputs, data_samples, mode)

    def loss(self, inputs: torch.Tensor, data_samples: list[DataSample]) -> dict:
        """Loss terms by name. With data-parallel training their mean over the
        processes is the loss of the whole batch, also where the processes
        have different numbers of images."""
        if self.lora is not None:
            by_image = self.text_prompt.needs_image
            self.lora.begin_step(data_samples, inputs.device, by_image)
        losses = self.head.loss(self.match(inputs), data_samples)
        share = batch_share(len(inputs), self.scale)
        return {name: value * share for name, value in losses.items()}

    def parse_losses(self, losses: dict) -> tuple:
        """The sum of the losses and what is logged; with a head that has a
        second loss (ProGrad) the pair of both, which only the optimizer's
        wrapper made for it takes."""
        total, logs = super().parse_losses(losses)
        if self.head.second_loss is not None:
            total = torch.stack([total, losses[self.head.second_loss]])
        return total, logs

    def predict(
        self, inputs: torch.Tensor, data_samples: list[DataSample] | None = None, **kwargs
    ) -> list[DataSample]:
        """Predictions with scores (C,) and label."""
        return self._active_head.predict(self.match(inputs), data_samples, **kwargs)
