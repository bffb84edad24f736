"""Our config of a case, from its metadata."""
import re
from typing import Callable, Dict

import numpy as np

from .golden import Golden

DEFAULT_WORDS = 'a photo of a'  # where the metadata say only that there are


def coop(meta: dict) -> dict:
    """Our config of the text prompt of a case."""
    return dict(
        type='CoOp',
        num_tokens=meta['text_n_ctx'],
        position=meta['class_token_position'],
        class_specific=meta['class_specific_context'])


def context_words(meta: dict) -> str:
    """The words that the reference starts its context from, if any."""
    words = meta.get('ctx_init') or ''
    if isinstance(words, str):
        return words
    return template_words(meta) if meta['method'] == 'ProGrad' else \
        DEFAULT_WORDS


def template_words(meta: dict) -> str:
    return meta['template'].replace(' {}.', '')


def zeroshot_parts(golden: Golden) -> dict:
    return dict(templates=golden.meta['templates_used'])


def coop_parts(golden: Golden) -> dict:
    return dict(text_prompt=coop(golden.meta))


def cocoop_parts(golden: Golden) -> dict:
    return dict(
        text_prompt=dict(
            type='CoCoOp', init_words=golden.meta['ctx_init']))


def vpt_parts(golden: Golden) -> dict:
    return dict(
        visual_prompt=dict(type='VPT', num_tokens=golden.meta['visual_n_ctx']))


def vlp_parts(golden: Golden) -> dict:
    return dict(
        text_prompt=coop(golden.meta),
        head=dict(
            type='GuidedHead', guided_epochs=golden.meta['guided_epochs_C']),
        **vpt_parts(golden))


def dpt_parts(golden: Golden) -> dict:
    meta = golden.meta
    blocks = len({
        key.split('.')[3]
        for key in np.load(golden.folder / meta['clip']).files
        if key.startswith('visual.transformer.resblocks.')
    })
    return dict(
        text_prompt=coop(meta),
        visual_prompt=dict(
            type='CAVPT',
            num_tokens=meta['visual_n_ctx'],
            num_layers=blocks - meta['BOTTOMLIMIT'] + 1,
            # The reference lowers K to the number of classes by itself.
            top_k=min(meta['CPN'], len(meta['class_names']))),
        head=dict(
            type='DPTHead',
            guided_epochs=meta['guided_epochs_C'],
            aux_weight=meta['alpha']))


def maple_parts(golden: Golden) -> dict:
    meta = golden.meta
    words = meta['ctx_init'].split()
    return dict(
        templates=meta.get('template', 'a photo of a {}.'),
        text_prompt=dict(
            type='DeepCoOp',
            num_layers=meta['prompt_depth'],
            init_words=' '.join(words[:meta['n_ctx']]),
            frozen_words=' '.join(words[meta['n_ctx']:]) or None),
        visual_prompt=dict(type='MaPLe'))


def promptsrc_parts(golden: Golden) -> dict:
    meta = golden.meta
    return dict(
        templates=meta['templates_used'],
        normalise_templates=False,
        text_prompt=dict(
            type='DeepCoOp',
            num_layers=meta['prompt_depth_text'],
            init_words=meta['ctx_init']),
        visual_prompt=dict(
            type='VPT',
            num_tokens=meta['n_ctx_vision'],
            num_layers=meta['prompt_depth_vision'],
            pre_norm=True),
        head=dict(
            type='PromptSRCHead',
            text_weight=meta['text_loss_weight'],
            image_weight=meta['image_loss_weight']))


def kgcoop_parts(golden: Golden) -> dict:
    return dict(
        text_prompt=dict(type='CoOp', init_words=DEFAULT_WORDS),
        head=dict(type='KgCoOpHead', weight=golden.meta['W']))


def prograd_parts(golden: Golden) -> dict:
    meta = golden.meta
    text = template_words(meta)
    # The reference counts words where its context has tokens.
    tokens = re.findall(r"[a-z']+|[^\sa-z']", text.lower())
    count = len(text.split())
    return dict(
        text_prompt=dict(
            type='CoOp',
            num_tokens=meta['n_ctx'],
            init_words=' '.join(tokens[:count]),
            zero_fill=True,
            frozen_words=' '.join(tokens[count:]) or None),
        head=dict(type='ProGradHead', temperature=meta['T']))


def clip_adapter_parts(golden: Golden) -> dict:
    meta = golden.meta
    return dict(
        head=dict(
            type='CLIPAdapterHead',
            ratio=meta['ratio'],
            reduction=meta['reduction']))


def tip_adapter_parts(golden: Golden) -> dict:
    meta = golden.meta
    return dict(
        logit_scale=meta['logit_scale'],
        head=dict(
            type='TipAdapterHead',
            num_keys=meta['shots'] * len(meta['class_names']),
            alpha=meta['alpha'],
            beta=meta['beta']))


def clip_lora_parts(golden: Golden) -> dict:
    meta = golden.meta
    return dict(
        logit_scale=meta['logit_scale'],
        lora=dict(
            type='LoRA',
            rank=meta['r'],
            alpha=meta['alpha'],
            dropout=meta['dropout_rate'],
            parts=meta['lora_matrices']))


METHODS: Dict[str, Callable[[Golden], dict]] = dict(
    ZeroshotCLIP=zeroshot_parts,
    ZeroshotCLIP2=zeroshot_parts,
    CoOp=coop_parts,
    VPT=vpt_parts,
    CoCoOp=cocoop_parts,
    VLP=vlp_parts,
    DPT=dpt_parts,
    MaPLe=maple_parts,
    PromptSRC=promptsrc_parts,
    KgCoOp=kgcoop_parts,
    ProGrad=prograd_parts,
    CLIP_Adapter=clip_adapter_parts)
METHODS['Tip-Adapter'] = METHODS['Tip-Adapter-F'] = tip_adapter_parts
METHODS['CLIP-LoRA'] = clip_lora_parts
