"""PromptKD's cases: a teacher from a checkpoint, a student that reads no label."""

import numpy as np
import torch
import torch.nn.functional as F
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample

from mmdpt.models.reference_names import rules_of, to_reference

from .compare import failed
from .golden import Golden, build_model, clip_config, to_arrays
from .parts import depths
from .probe import probe
from .promptkd_teacher import TEMPLATE, passed, taught, teacher_words, tokens, visual_prompt
from .runs import check_passes, check_schedule, learnt
from .settings import NotImplementedCase, check_names
from .trajectory import optimisation

START = 'init/teacher.prompt_learner.ctx'
NOISE = 'grad/VPT_image_trans.conv1.0.bias'  # cancelled by the batch norm: zero but for rounding
SAYS = ('template', 'projector', 'replaced', 'evaluation', 'note_zero_gradient')  # in words


def recompute(golden: Golden) -> dict[str, np.ndarray]:
    """Everything that we can say to a case, by the file's keys."""
    check_settings(golden)
    with taught(golden) as (config, taught_by):
        model = build_model(golden, **parts(golden), teacher=config)
        found = passed(golden, taught_by)
        found.update(tokens(golden, taught_by))
        if teacher_words(golden):
            found[START] = MODELS.build(
                dict(config['model'], type='PromptedCLIP', classes=golden.meta['class_names'])
            ).text_prompt.context
    batch_norm = model.head.projector[1]
    for name in batch_norm.saved_buffers:
        values = golden.tensor(f'buffer/VPT_image_trans.conv1.1.{name}')
        getattr(batch_norm, name).copy_(values)
    start = {n: t.clone() for n, t in model.state_dict().items()}
    found.update({f'out/eval_{k}': v for k, v in evaluated(golden, model).items()})
    found.update(step(golden, model))
    model.load_state_dict(start)
    found.update(trajectory(golden, model))
    return to_arrays({k: torch.as_tensor(v) for k, v in found.items()})


def check_settings(golden: Golden) -> None:
    """Raise unless the rest of the settings are those of our model."""
    meta = golden.meta
    for name in SAYS:
        meta.get(name)
    norm = meta['projector']['batchnorm']
    if norm != dict(eps=1e-5, momentum=0.1):
        raise NotImplementedCase(f'batch norm with {norm}')
    if meta['projector']['hidden'] != meta['projector']['output']:
        raise NotImplementedCase("a hidden layer of another size than the teacher's space")
    check_names(meta['class_names'])
    base = meta.one_of('modal', ['base2novel', 'cross']) == 'base2novel'
    if base != (meta['n_base_classes'] is not None):
        raise NotImplementedCase(f'{meta["n_base_classes"]} base classes, modal={meta["modal"]}')
    for name, clip in (('student', meta['clip']), ('teacher', meta['teacher_clip'])):
        _, weights = clip_config(golden.folder / clip)
        if abs(float(weights['logit_scale'].double().exp()) - meta[f'{name}_logit_scale']) > 1e-4:
            raise NotImplementedCase(f"a logit scale of the {name} that is not its CLIP's")


def parts(golden: Golden) -> dict:
    """Our config of the student."""
    meta = golden.meta
    return dict(
        templates=TEMPLATE,
        visual_prompt=visual_prompt(
            meta['n_ctx_vision'], meta['prompt_depth_vision'], depths(golden)['image']
        ),
        head=dict(
            type='PromptKDHead',
            size=meta['projector']['output'],
            weight=meta['kd_weight'],
            temperature=meta['temperature'],
        ),
    )


def evaluated(golden: Golden, model) -> dict:
    """Logits of the test images in evaluation; of halves through a transfer, as a user's
    checkpoint of all classes is tested on some, without the teacher."""
    model.eval()
    images, names = golden.images('test/images'), golden.meta['class_names']
    half = golden.meta['n_base_classes']
    with torch.no_grad():
        if half is None:
            return dict(logits_all=model(images))
        found = {}
        for part, classes in (('base', names[:half]), ('new', names[half:])):
            if len(classes) == 1:  # no model of ours: a column of all
                found[f'logits_{part}'] = model(images)[:, [names.index(*classes)]]
                continue
            new = build_model(golden, False, classes=classes, transfer=True, **parts(golden))
            new.load_state_dict(model.state_dict())
            found[f'logits_{part}'] = new.eval()(images)
    return found


def step(golden: Golden, model) -> dict:
    """One training step: what it passes through, its loss, its gradients."""
    model.train()
    model.zero_grad()
    seen_norm = []
    handle = model.head.projector[1].register_forward_hook(lambda *a: seen_norm.append(a[-1]))
    with probe(model) as seen:
        total, _ = model.parse_losses(model.loss(golden.images(), unlabelled(golden.images())))
    handle.remove()
    total.backward()
    match, ((_, divergence),) = seen.match, seen.terms.values()
    with torch.no_grad():  # from the same batch norm, which has moved its running statistics
        projected = model.head.projector[2:](seen_norm[0])
    feature = F.normalize(projected, dim=-1)
    found = {
        'out/image_features': match.image,
        'mid/projector_batchnorm': seen_norm[0],
        'mid/projected_features': projected,
        'mid/student_features': feature,
        'out/logits': match.scale * feature @ model.head.text.t(),
        'out/teacher_text_features': model.head.text,
        'out/teacher_logits': match.teacher,
        'loss/kl_logits': divergence,
        'loss/total': total,
    }
    found.update({f'mid/block_{b}_cls': t for b, t in seen.class_tokens.items()})
    grads = to_reference({n: p.grad for n, p in learnt(model).items()}, rules_of('PromptKD'))
    found.update({f'grad/{n}': g for n, g in grads.items()})
    return {k: v.detach().clone() for k, v in found.items()}


def unlabelled(images: torch.Tensor) -> list:
    return [DataSample() for _ in images]


def trajectory(golden: Golden, model) -> dict:
    """Train as ``meta.trajectory`` says, and predict."""
    plan = golden.meta['trajectory']
    optim, schedule = optimisation(plan, model, {})
    model.zero_grad()
    images = golden.images('traj/images')
    check_passes(plan, images)
    schedule_says = 'cosine per epoch, constant warm-up (README.md, Optimisation)'
    if plan.get('schedule') != schedule_says:
        check_schedule(plan)
    rates, losses = [], []
    for _ in range(plan['epochs']):
        rates.append(optim.get_lr()['lr'][0])
        for batch in images:
            logs = model.train().train_step(
                dict(inputs=batch, data_samples=unlabelled(batch)), optim
            )
            losses.append(logs['loss'].item())
        schedule.step()
    found = {
        'traj/lr': np.array(rates),
        'traj/loss': np.array(losses).reshape(plan['epochs'], len(images)),
    }
    state = {n: t for n, t in model.state_dict().items() if n != 'head.text'}
    final = to_reference(state, rules_of('PromptKD'))
    found.update({f'traj/final/{n}': t.clone() for n, t in final.items()})
    found.update({f'traj/final_eval_{k}': v for k, v in evaluated(golden, model).items()})
    return found


def judged_apart(found: dict, arrays: dict, dtype: str) -> dict[str, dict]:
    """Judge the gradient that is zero but for rounding, by the size of its layer's; a start
    that no words give is not judged."""
    limit = dict(float64=1e-12, float32=2e-4)[dtype]
    if NOISE not in found:
        return {NOISE: failed('we compute nothing of this name')}
    size = float(np.abs(arrays[NOISE.replace('bias', 'weight')]).max())
    error = float(np.abs([found[NOISE], arrays[NOISE]]).max())
    entry = dict(max_abs_error=error, max_rel_error=error / size, passed=error <= limit * size)
    random = START in arrays and START not in found
    return {NOISE: entry, **({START: dict(skipped='drawn at random there')} if random else {})}
