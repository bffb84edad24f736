"""Our config of a case, from its metadata."""

from collections.abc import Callable

from . import inserted
from .golden import Golden, clip_config
from .settings import NotImplementedCase
from .words import context, context_words, split_words

# Blocks by the names of CLIP-LoRA's public code, for towers of 12 blocks.
# What CLIP-LoRA's public code calls the blocks of a tower of 12 (loralib/utils.py); its
# image towers know 'top' where the text tower knows 'top1' and 'top2'.
POSITIONS = {
    'top': [11],
    'top1': [11],
    'top2': [10, 11],
    'top3': [9, 10, 11],
    'bottom': [0, 1, 2, 3],
    'mid': [4, 5, 6, 7],
    'up': [8, 9, 10, 11],
    'half-up': [6, 7, 8, 9, 10, 11],
    'half-bottom': [0, 1, 2, 3, 4, 5],
    'all': list(range(12)),
}


def depths(golden: Golden) -> dict[str, int]:
    """Number of blocks of each tower."""
    config, _ = clip_config(golden.folder / golden.meta['clip'])
    return dict(image=config['vision_cfg']['layers'], text=config['text_cfg']['layers'])


def templates(meta: dict):
    """What the text is filled into."""
    return meta.get('templates_used') or meta.get('template')


def coop(meta: dict) -> dict:
    """Our config of the text prompt of a case."""
    options = context(meta, 'text_n_ctx')
    specific = meta.get('class_specific_context', False)
    return dict(
        type='CoOp',
        position=meta.get('class_token_position', 'end'),
        # The reference's context from words is always shared.
        class_specific=specific and 'init_words' not in options,
        **options,
    )


def zeroshot_parts(golden: Golden) -> dict:
    return dict(templates=templates(golden.meta))


def coop_parts(golden: Golden) -> dict:
    return dict(text_prompt=coop(golden.meta))


def cocoop_parts(golden: Golden) -> dict:
    meta = golden.meta
    meta.one_of('class_token_position', ['end'])
    meta.one_of('class_specific_context', [False])
    return dict(
        text_prompt=dict(
            type='CoCoOp', reduction=meta.get('reduction', 16), **context(meta, 'n_ctx')
        )
    )


def vpt_parts(golden: Golden) -> dict:
    return dict(visual_prompt=dict(type='VPT', num_tokens=golden.meta['visual_n_ctx']))


def vlp_parts(golden: Golden) -> dict:
    return dict(
        text_prompt=coop(golden.meta),
        head=dict(type='GuidedHead', guided_epochs=golden.meta['guided_epochs_C']),
        **vpt_parts(golden),
    )


def dpt_parts(golden: Golden) -> dict:
    meta = golden.meta
    # The reference lowers K to the number of classes by itself.
    top_k = min(meta['CPN'], len(meta['class_names']))
    meta.one_of('K', [top_k])
    return dict(
        text_prompt=coop(meta),
        visual_prompt=dict(
            type='CAVPT',
            num_tokens=meta['visual_n_ctx'],
            num_layers=depths(golden)['image'] - meta['BOTTOMLIMIT'] + 1,
            top_k=top_k,
        ),
        head=dict(type='DPTHead', guided_epochs=meta['guided_epochs_C'], aux_weight=meta['alpha']),
    )


def maple_parts(golden: Golden) -> dict:
    meta, most = golden.meta, depths(golden)
    depth = min(meta['prompt_depth'], max(most.values()))  # further layers act nowhere
    return dict(
        templates=meta.get('template', 'a photo of a {}.'),
        text_prompt=dict(
            type='DeepCoOp',
            num_layers=depth,
            surplus=depth > most['text'],
            **context(meta, 'n_ctx'),
        ),
        visual_prompt=dict(type='MaPLe'),
    )


def promptsrc_parts(golden: Golden) -> dict:
    meta, most = golden.meta, depths(golden)
    for name in ('gpa_mean', 'gpa_std'):
        meta.get(name)  # of no effect without a training run
    return dict(
        templates=templates(meta),
        normalise_templates=False,
        text_prompt=dict(
            type='DeepCoOp',
            # Only blocks that there are can have prompts of their own.
            num_layers=min(meta['prompt_depth_text'], most['text']),
            **context(meta, 'n_ctx_text'),
        ),
        visual_prompt=dict(
            type='VPT',
            num_tokens=meta['n_ctx_vision'],
            num_layers=min(meta['prompt_depth_vision'], most['image']),
            pre_norm=True,
        ),
        head=dict(
            type='PromptSRCHead',
            text_weight=meta['text_loss_weight'],
            image_weight=meta['image_loss_weight'],
        ),
    )


def kgcoop_parts(golden: Golden) -> dict:
    meta = golden.meta
    meta.get('class_token_position')  # the reference ignores it
    meta.one_of('class_specific_context', [False])
    return dict(
        text_prompt=dict(type='CoOp', **context(meta, 'n_ctx')),
        head=dict(type='KgCoOpHead', weight=meta['W']),
    )


def prograd_parts(golden: Golden) -> dict:
    meta = golden.meta
    options = dict(num_tokens=meta['n_ctx'])
    text = context_words(meta)
    if text:
        # The reference counts words where its context has tokens.
        learnt, frozen = split_words(text.lower(), len(text.split()))
        options.update(init_words=learnt, zero_fill=True, frozen_words=frozen or None)
    specific = meta.get('class_specific_context', False)
    return dict(
        text_prompt=dict(
            type='CoOp',
            position=meta.one_of('class_token_position', ['end', 'front']),
            class_specific=specific and not text,
            **options,
        ),
        head=dict(type='ProGradHead', temperature=meta['T']),
    )


def clip_adapter_parts(golden: Golden) -> dict:
    meta = golden.meta
    return dict(head=dict(type='CLIPAdapterHead', ratio=meta['ratio'], reduction=meta['reduction']))


def tip_adapter_parts(golden: Golden) -> dict:
    meta, arrays = golden.meta, golden.arrays
    labels = 'support/labels' if 'support/labels' in arrays else 'cache/labels'
    return dict(
        templates=templates(meta),
        head=dict(
            type='TipAdapterHead',
            num_keys=len(arrays[labels]),
            alpha=meta['alpha'],
            beta=meta['beta'],
        ),
    )


def lora_blocks(position: str, depth: int, tower: str = 'text') -> list:
    """Indices of the blocks that a named position means."""
    known = dict(all=list(range(depth))) if depth == 24 else POSITIONS
    foreign = ('top1', 'top2') if tower == 'image' else ('top',)
    if position not in known or position in foreign:
        raise NotImplementedCase(f'position={position!r} in a tower of {depth} blocks ({tower})')
    blocks = [i for i in known[position] if i < depth]
    if not blocks:
        raise NotImplementedCase(
            f'position={position!r} means blocks {known[position]}, but the '
            f'tower has {depth}: nothing is learnt'
        )
    return blocks


def clip_lora_parts(golden: Golden) -> dict:
    meta = golden.meta
    scaling = meta['alpha'] / meta['r'] ** 0.5
    if abs(meta.get('scaling', scaling) - scaling) > 1e-12:
        raise NotImplementedCase(f'scaling={meta["scaling"]}: ours is alpha / sqrt(r)')
    if meta['dropout_rate']:
        raise NotImplementedCase(f'dropout_rate={meta["dropout_rate"]}: the masks are random')
    known = dict(both=['image', 'text'], text=['text'], vision=['image'])
    towers = known[meta.one_of('encoder', list(known))]
    position, depth = meta.get('position', 'all'), depths(golden)
    return dict(
        tuning=dict(
            type='LoRA',
            rank=meta['r'],
            alpha=meta['alpha'],
            dropout=0.0,
            parts=meta['lora_matrices'],
            towers=towers,
            blocks={t: lora_blocks(position, depth[t], t) for t in towers},
        )
    )


METHODS: dict[str, Callable[[Golden], dict]] = dict(
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
    CLIP_Adapter=clip_adapter_parts,
)
METHODS['Tip-Adapter'] = METHODS['Tip-Adapter-F'] = tip_adapter_parts
METHODS['CLIP-LoRA'] = clip_lora_parts
METHODS['TCP'] = inserted.tcp_parts
METHODS['MMRL'] = METHODS['MMRL++'] = inserted.mmrl_parts
