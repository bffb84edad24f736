"""Cases of 2SFS: its stages one by one, and whole runs."""

import numpy as np
import torch
import torch.nn.functional as F

from mmdpt.models.reference_names import from_reference, rules_of

from . import methods
from .golden import Golden, build_model, to_arrays
from .parts import depths
from .settings import NotImplementedCase
from .staged_run import check_learnable, learn, one_stage, whole_run

METHOD = '2SFS (two-stage few-shot adaptation)'
TOWERS = dict(both=('image', 'text'), vision=('image',), text=('text',))


def recompute(golden: Golden) -> dict[str, np.ndarray]:
    """Everything that we can say to a case, by the file's keys."""
    meta = golden.meta
    stage = meta.one_of('stage', [None, 1, 2]) or 1
    alone = 'stage' in meta
    if not alone:
        meta.one_of('setting', ['standard', 'base2new'])
    model = build(golden)
    state = {n: t.clone() for n, t in model.state_dict().items()}
    start = {k: torch.from_numpy(v) for k, v in golden.starts('param/').items()}
    model.load_state_dict({**state, **from_reference(start, rules_of(METHOD))})
    model.head.started.fill_(stage == 2)
    learn(model, stage)
    check_learnable(golden, model, 'learnable' if alone else 'learnable_stage1')
    model.frozen_text_features()  # kept: what is watched is the tuned tower alone
    model.text_prompt.packing.constant.clear()  # and it is watched from its first block on
    found = methods.forward(golden, model)
    found['tok/template_prompts'] = methods.template_tokens(model)[0]
    found.update(methods.losses(golden, model, 'loss', 'grad', 0))
    if 'init/classifier' in golden.arrays:
        found['init/classifier'] = official_start(model)
    found.update(one_stage(golden, model) if alone else whole_run(golden, model))
    found.update(inference(golden, model))
    return to_arrays(found)


def build(golden: Golden, **options):
    """Our model of a case, with CLIP's values."""
    meta = golden.meta
    meta.one_of('peft', ['ln'])
    first, towers = first_blocks(golden), TOWERS[meta.one_of('ln_modality', list(TOWERS))]
    first = {tower: block for tower, block in first.items() if tower in towers}
    if not first:
        raise NotImplementedCase('first blocks above the towers: nothing is learnt in stage 1')
    meta.get('logit_scale')  # CLIP's own
    return build_model(
        golden,
        **{
            **dict(
                start_values=False,
                logit_scale=None,
                tuning=dict(type='LayerNorms', towers=list(first), first=first),
                head=dict(type='TextStartHead'),
            ),
            **options,
        },
    )


def first_blocks(golden: Golden) -> dict[str, int]:
    """The first learnt block of each tower that has one: above its last there is none."""
    found = {}
    for tower, layers in depths(golden).items():
        name = dict(image='ln_vision_start', text='ln_text_start')[tower]
        found[tower] = golden.meta.get(name, 0)
        if found[tower] < 0:
            raise NotImplementedCase(f'{name}={found[tower]}')
        if found[tower] >= layers:
            del found[tower]
    return found


def official_start(model) -> torch.Tensor:
    """The classifier that stage 2 starts at."""
    kept = model.head.weight.data
    with torch.no_grad():
        model.head.begin_stage(True, False, model.text_features)
    official, model.head.weight.data = model.head.weight.data, kept
    return official


def inference(golden: Golden, model) -> dict:
    """Selective inference, from what a checkpoint holds."""
    meta, found, right = golden.meta, {}, {}
    test = 'test/images' if 'test/images' in golden.arrays else 'images'
    new = 'test_new/images' if 'test_new/images' in golden.arrays else 'images'
    lists = dict(
        test=(meta['class_names'], test),
        seen=(meta['class_names'], 'images'),
        new=(meta.get('new_class_names'), new),
        mixed=(meta.get('mixed_categories'), new),
    )
    meta.get('inference'), meta.get('fixed')  # what the keys mean, in words
    for name, (classes, images) in lists.items():
        if f'out/{name}_logits' not in golden.arrays:
            continue
        names, places = classes_of_a_model(classes)
        one = build(golden, classes=names, transfer=True)
        one.load_state_dict(model.state_dict())
        with torch.no_grad():
            match = one.eval().match(golden.images(images))
            rows = F.normalize(one.head.classifier(match.text), dim=-1)
            found[f'out/{name}_logits'] = one.head(match)[:, places]
            found[f'out/{name}_classifier'] = rows[places]
        labels = golden.arrays.get(images.replace('images', 'labels'))
        right[name] = 100 * np.mean(found[f'out/{name}_logits'].argmax(1).cpu().numpy() == labels)
        if name == 'new':
            found['tok/new_template_prompts'] = methods.template_tokens(one)[0][places]
    check_accuracies(meta.get('accuracies', {}), right)
    return found


def classes_of_a_model(classes: list[str]) -> tuple[list[str], list[int]]:
    """Names for a model of ours, which are several and all different, and where any list's are."""
    names = list(dict.fromkeys(classes))
    return [*names, *['nothing'] * (len(names) == 1)], [names.index(c) for c in classes]


def check_accuracies(theirs: dict, ours: dict) -> None:
    """Raise unless the file's accuracies are ours."""
    names = dict(acc_test='test', acc_test_base='test', acc_test_new='new')
    for name, value in theirs.items():
        if abs(ours[names[name]] - value) > 1e-9:
            raise ValueError(f'{name} is {value}, ours is {ours[names[name]]}')
