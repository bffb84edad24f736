"""Names of learnt tensors in the methods' public code.

A rule ``(theirs, ours)`` holds for one name, or with ``{}`` for many;
``{+1}`` on our side means a number larger by one. ``name[{}]`` are the slices
of one tensor along its first dimension.
"""

import re
from collections.abc import Sequence

import torch

Tensors = dict[str, torch.Tensor]
Rules = Sequence[tuple[str, str]]
_VISION = 'image_encoder.transformer.'
_EXTRACTOR = f'{_VISION}extractor.'
_PARTS = {
    'meta_nets.{}': 'class_proj',
    'attns.{}.qmlp': 'query',
    'attns.{}.kmlp': 'key',
    'attns.{}.vmlp': 'value',
    'lns.{}': 'evidence_norm',
    'classfiers.{}': 'evidence',  # spelt so there
    'lns2.{}': 'prompt_norm',
}
# CoOp, CoCoOp, VPT, DPT, and whatever learns only a context
DPT = (
    [
        ('prompt_learner.ctx', 'text_prompt.context'),
        (f'{_VISION}ctx_learner.ctx', 'visual_prompt.tokens'),
        (f'{_EXTRACTOR}ctx[{{}}]', 'visual_prompt.layers.{}.tokens'),
    ]
    + [
        (f'{_EXTRACTOR}{theirs}.{kind}', f'visual_prompt.layers.{{}}.{ours}.{kind}')
        for theirs, ours in _PARTS.items()
        for kind in ('weight', 'bias')
    ]
    + [
        (f'prompt_learner.meta_net.{layer}.{kind}', f'text_prompt.meta_net.{layer}.{kind}')
        for layer in ('linear1', 'linear2')
        for kind in ('weight', 'bias')
    ]
)
_LORA = {
    f'{theirs}transformer.resblocks.{{}}.attn.{part}_proj.w_lora_{matrix}': (
        f'tuning.{ours}.{{}}.parts.{part}.{matrix}'
    )
    for theirs, ours in (('visual.', 'image'), ('', 'text'))
    for part in 'qkv'
    for matrix in 'AB'
}
_RESBLOCK = 'transformer.resblocks.{}.VPT_shallow'
RULES: dict[str, Rules] = dict(  # of the methods with names of their own
    MaPLe=[
        ('prompt_learner.ctx', 'text_prompt.context'),
        ('prompt_learner.compound_prompts_text.{}', 'text_prompt.deep[{}]'),
    ]
    + [
        (f'prompt_learner.{theirs}.{kind}', f'visual_prompt.projections.{ours}.{kind}')
        for theirs, ours in (('proj', '0'), ('compound_prompt_projections.{}', '{+1}'))
        for kind in ('weight', 'bias')
    ],
    PromptSRC=[
        ('prompt_learner.ctx', 'text_prompt.context'),
        (f'text_encoder.{_RESBLOCK}', 'text_prompt.deep[{-1}]'),
        ('image_encoder.VPT', 'visual_prompt.tokens[0]'),
        (f'image_encoder.{_RESBLOCK}', 'visual_prompt.tokens[{}]'),
    ],
)
# The class tokens' network has the names of CoCoOp's: TCP needs no rules of its own.
_MMRL = 'representation_learner.'
_TOWERS = dict(r2t='text_prompt', r2v='visual_prompt')
_TOKENS = (f'{_MMRL}compound_rep_tokens', 'text_prompt.tokens')
RULES['MMRL'] = [_TOKENS, ('image_encoder.proj_rep', 'head.proj')] + [
    (
        f'{_MMRL}compound_rep_tokens_{theirs}proj.{{}}.{kind}',
        f'{ours}.projections.layers.{{}}.{kind}',
    )
    for theirs, ours in _TOWERS.items()
    for kind in ('weight', 'bias')
]
RULES['MMRL++'] = (
    [_TOKENS]
    + [(f'image_encoder.{m}', f'head.{m}') for m in 'AB']
    + [
        (f'{_MMRL}srra_{theirs}proj.weight', f'{ours}.projections.weight')
        for theirs, ours in _TOWERS.items()
    ]
    + [
        (f'{_MMRL}srra_{theirs}proj.srra.{{}}.{kind}', f'{ours}.projections.{kind}.{{}}')
        for theirs, ours in _TOWERS.items()
        for kind in ('A', 'B', 'bias')
    ]
)
RULES['PromptKD'] = RULES['PromptSRC'][2:] + [
    (f'VPT_image_trans.conv1.{i}.{kind}', f'head.projector.{i}.{kind}')
    for i, kinds in {
        '0': ('weight', 'bias'),
        '1': ('weight', 'bias', 'running_mean', 'running_var'),
        '3': ('weight', 'bias'),
    }.items()
    for kind in kinds
]
_CONVOLUTION = re.compile(r'VPT_image_trans\.conv1\.[03]\.weight')  # of one pixel: a matrix
RULES['CLIP_Adapter'] = [(f'adapter.fc.{i}.weight', f'head.adapter.{i}.weight') for i in (0, 2)]
RULES['Tip-Adapter-F'] = [('adapter.weight', 'head.keys')]
RULES['CLIP-LoRA'] = list(_LORA.items())
RULES['2SFS'] = [('classifier', 'head.weight')] + [
    (f'{theirs}transformer.resblocks.{{}}.{ln}.{kind}', f'tuning.{ours}.{{}}.{ln}.{kind}')
    for theirs, ours in (('visual.', 'image'), ('', 'text'))
    for ln in ('ln_1', 'ln_2')
    for kind in ('weight', 'bias')
]

_BLOCK = [f'{m}.{kind}' for m in ('ln_1', 'ln_2', 'attn.out_proj') for kind in ('weight', 'bias')]
_BLOCK += [f'mlp.{m}.{kind}' for m in ('c_fc', 'c_proj') for kind in ('weight', 'bias')]
_BLOCK += [f'attn.in_proj_{kind}' for kind in ('weight', 'bias')]
RULES['SkipTuning'] = [
    (f'{theirs}.transformer.resblocks.{{}}.{name}', f'tuning.{ours}.{{}}.{name}')
    for theirs, ours in (
        ('image_encoder', 'image.visual.transformer.resblocks'),
        ('text_encoder', 'text.blocks'),
    )
    for name in _BLOCK
] + [
    (f'{theirs}.{name}', f'tuning.{ours}.{name}')
    for theirs, ours, names in (
        ('image_encoder', 'image.visual', ('ln_post.weight', 'ln_post.bias', 'proj')),
        ('text_encoder', 'text', ('ln_final.weight', 'ln_final.bias', 'text_projection')),
    )
    for name in names
]
RULES['CoPrompt'] = [
    *RULES['MaPLe'],
    *(
        (f'adapter_{side}.fc.{layer}.weight', f'head.{side}_adapter.layers.{layer}.weight')
        for side in ('image', 'text')
        for layer in (0, 2)
    ),
]


def rules_of(method: str) -> Rules:
    """The rules of a method, by its name in the public code, perhaps with words in brackets."""
    return RULES.get(method.split(' (')[0], DPT)


def is_learnt(name: str, rules: Rules = DPT, ours: bool = False) -> bool:
    """Whether the reference learns a tensor of this name, theirs or ours."""
    whole = [(re.sub(r'\[.*\]', '', _number(*rule)[ours]), '', 0) for rule in rules]
    return _rename(name, whole) is not None


def from_reference(tensors: Tensors, rules: Rules = DPT) -> Tensors:
    """Rename the reference's learnt tensors to ours.

    Args:
        tensors (dict): By their path in the reference model.
        rules (Sequence[tuple[str, str]]): The method's.

    Returns:
        dict: By their name in :class:`PromptedCLIP`.

    Raises:
        ValueError: If a name is unknown.
    """
    return _translate(
        # without the plain prompts of a DPT that has none: BOTTOMLIMIT 1
        {name: _matrix(name, tensor) for name, tensor in tensors.items() if tensor.numel()},
        [_number(*rule) for rule in rules],
        'is not a learnt tensor of this method (default: CoOp, '
        'CoCoOp, VPT, DPT) that this version knows',
    )


def to_reference(tensors: Tensors, rules: Rules = DPT) -> Tensors:
    """Rename our learnt tensors to the reference's; the way back of
    :func:`from_reference`."""
    back = [(ours, theirs, -shift) for theirs, ours, shift in (_number(*rule) for rule in rules)]
    lacking = 'has no name in the reference code of this method (choose with --method)'
    found = _translate(tensors, back, lacking)
    return {
        name: tensor[..., None, None] if _CONVOLUTION.fullmatch(name) else tensor
        for name, tensor in found.items()
    }


def _matrix(name: str, tensor: torch.Tensor) -> torch.Tensor:
    """A convolution of one pixel as the matrix that it is."""
    is_one = _CONVOLUTION.fullmatch(name) and tensor.shape[2:] == (1, 1)
    return tensor[..., 0, 0] if is_one else tensor


def _number(theirs: str, ours: str) -> tuple[str, str, int]:
    """Take the shift out of a rule."""
    shift = re.search(r'\{([+-]\d+)\}', ours)
    return theirs, re.sub(r'\{[+-]\d+\}', '{}', ours), int(shift[1]) if shift else 0


def _translate(tensors: Tensors, rules, error: str) -> Tensors:
    sliced = {source[: source.index('[')] for source, _, _ in rules if '[' in source}
    found = {}
    for name, tensor in tensors.items():
        pieces = (
            {name: tensor}
            if name not in sliced
            else {f'{name}[{i}]': piece for i, piece in enumerate(tensor)}
        )
        for piece_name, piece in pieces.items():
            target = _rename(piece_name, rules)
            if target is None:
                raise ValueError(f'{name} {error}.')
            found[target] = piece
    return _joined(found)


def _rename(name: str, rules):
    for source, target, shift in rules:
        pattern = re.escape(source).replace(r'\{\}', r'(\d+)')
        match = re.fullmatch(pattern, name)
        if match:
            numbers = [int(n) + shift for n in match.groups()]
            return target.format(*numbers)
    return None


def _joined(tensors: Tensors) -> Tensors:
    """Stack the slices of one tensor."""
    whole, slices = {}, {}
    for name, tensor in tensors.items():
        match = re.fullmatch(r'(.+)\[(\d+)\]', name)
        if match is None:
            whole[name] = tensor
        else:
            slices.setdefault(match[1], {})[int(match[2])] = tensor
    for name, parts in slices.items():
        whole[name] = torch.stack([parts[i] for i in range(len(parts))])
    return whole
