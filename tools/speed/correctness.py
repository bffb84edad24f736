"""Is what a device computes right? Numbers of the reference, our two paths, half precision."""

import copy
from collections.abc import Iterator
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper

from .models import ROOT, TINY, build, for_three_blocks
from .setting import Setting, each
from .tasks import Task, differences

# Of the four methods that the suite times; the other cases come last.
OF_METHODS = ('dpt_', 'coop_', 'mmrl', 'twosfs_', 'zeroshot')
LIMITS = dict(fp64=1e-9, fp32=1e-3)  # tests/test_speed.py has the same
# What half precision may cost: relative error of the loss, cosine of the whole gradient.
HALF = dict(bf16=(0.03, 0.98), fp16=(0.01, 0.995))


def parity(dtype: str, first: bool):
    """A part: the golden numbers, recomputed on the device.

    Args:
        dtype (str): 'float64' or 'float32'.
        first (bool): The cases of the suite's methods, or all others.
    """

    def run(setting: Setting) -> Iterator[dict]:
        if setting.golden is None:
            yield dict(not_run='no folder of reference numbers was given (--golden)')
            return
        from parity import check_folder

        config = Config.fromfile(ROOT / 'configs/_base_/few_shot.py')
        exact_products()
        files = Path(setting.golden).glob('*.*')
        names = sorted({f.stem for f in files if f.suffix in ('.npz', '.json')})
        names = [n for n in names if n.startswith(OF_METHODS) == first]
        names = [n for n in names if not n.startswith('clip_tiny')]
        if not names:
            raise FileNotFoundError(f'{setting.golden} holds no case')
        if setting.small:
            names = [n for n in names if n.startswith('coop_')][:1]

        def check(case: str) -> dict:
            found = check_folder(Path(setting.golden), config, [case], dtype, setting.device)[case]
            reason = dict(reason=found['reason'][:300]) if 'reason' in found else {}
            return dict(
                status=found['status'],
                passed=found['status'] != 'failed',
                max_rel_error=found['max_rel_error'],
                **reason,
            )

        yield from each([dict(case=name) for name in names], check, setting)

    return run


def exact_products() -> None:
    """Leave TF32 out: cuDNN's convolutions take it by default."""
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False


def equality(dtype: str):
    """A part: our path and the plain one, losses and gradients."""

    def run(setting: Setting) -> Iterator[dict]:
        exact_products()

        def compare(method: str, slow: str) -> dict:
            model = build(4, TINY, setting.device, dtype, for_three_blocks(method))
            task = Task('train_step', model, 2 if setting.small else 8, slow)
            found = differences(task, task)
            return dict(found, passed=max(found.values()) < LIMITS[dtype])

        cells = [dict(method=method, slow='padded') for method in setting.methods]
        cells.insert(1, dict(method='dpt', slow='reference'))
        yield from each(cells, compare, setting)

    return run


def pretended(setting: Setting) -> Iterator[dict]:
    """Whether a step of each method keeps to one device: on a GPU that is only pretended."""
    from helpers.classifier import METHODS, build, samples
    from helpers.pretended_gpu import first_wait

    def check(method: str) -> dict:
        kinds = 1 if method == 'skiptuning' else 4
        return dict(first_wait=first_wait(build(method, precision='fp32'), samples(kinds)))

    yield from each([dict(method=m) for m in METHODS], check, setting)


def half_precision(setting: Setting) -> Iterator[dict]:
    """The same step with frozen towers in bfloat16 and float16, beside single precision."""
    exact_products()

    def compare(method: str, dtype: str) -> dict:
        config = for_three_blocks(method)
        # as many classes as the class-aware prompts stand for: a choice cannot change
        full, half = (build(10, TINY, setting.device, d, config) for d in ('fp32', dtype))
        half.load_state_dict(full.state_dict())
        ours, theirs = (Task('train_step', m, 8).run(False) for m in (half, full))
        error = float((ours[0] - theirs[0]).abs() / theirs[0].abs())
        flat = [torch.cat([g.flatten().float() for g in r[1:]]) for r in (ours, theirs)]
        cosine = float(torch.cosine_similarity(*flat, dim=0))
        most, least = HALF[dtype]
        return dict(
            loss=float(theirs[0]),
            relative_error_of_loss=error,
            cosine_of_gradients=cosine,
            passed=error < most and cosine > least,
        )

    cells = [dict(method=m, dtype=d) for d in HALF for m in setting.methods]
    yield from each(cells, compare, setting)


def loss_scaling(setting: Setting) -> Iterator[dict]:
    """float16 with MMEngine's loss scaling: an overflow skips the step and lowers the scale."""

    def train(method: str) -> dict:
        model = build(10, TINY, setting.device, 'fp16', for_three_blocks(method))
        task = Task('train_step', model, 8)
        optim = build_optim_wrapper(
            model,
            dict(
                type='AmpOptimWrapper',
                dtype='float16',
                loss_scale=dict(init_scale=2.0**40),
                constructor='PromptOptimWrapperConstructor',
                optimizer=dict(type='SGD', lr=1e-3),
            ),
        )
        before = copy.deepcopy({n: p for n, p in model.named_parameters() if p.requires_grad})
        changed, scales = [], []
        for _ in range(60):
            with optim.optim_context(model):
                total = model.parse_losses(model.loss(task.images, task.samples))[0]
            optim.update_params(total)
            scales.append(optim.loss_scaler.get_scale())
            now = dict(model.named_parameters())
            changed.append(any(not torch.equal(p, now[n]) for n, p in before.items()))
        finite = all(p.isfinite().all() for n, p in now.items() if n in before)
        return dict(
            first_scale=scales[0],
            last_scale=scales[-1],
            steps_skipped=changed.index(True) if True in changed else len(changed),
            loss=float(total),
            passed=bool(finite and scales[0] < 2.0**40 and not changed[0] and changed[-1]),
        )

    yield from each([dict(method=m) for m in ('dpt', 'coop')], train, setting)
