"""Training steps and evaluation of the suite's methods, over numbers of classes and images."""

from collections.abc import Callable, Iterator

import torch

from .forms import training_step
from .launches import launches
from .meter import Meter, flops, in_turn, peak_tflops
from .models import build
from .pair import benchmark
from .setting import Setting, each
from .tasks import Task

# Classes and images per step, the most telling ones first: a part without time has those.
SHAPES = (
    (100, 4),
    (100, 32),
    (10, 4),
    (1000, 4),
    (1000, 32),
    (10, 32),
    (100, 128),
    (10, 128),
    (1000, 128),
)


def cells(setting: Setting, shapes=SHAPES) -> list[dict]:
    """Shapes, each in the precisions of the frozen towers that are measured."""
    dtypes = ['bf16', 'fp32'] if setting.cuda and not setting.small else ['fp32']
    shapes = [(3, 2)] if setting.small else shapes
    return [dict(dtype=d, classes=c, batch=b) for d in dtypes for c, b in shapes]


def task_of(setting: Setting, method: str, dtype: str, classes: int, batch: int) -> Task:
    """A training step in a guided epoch, where there are such."""
    model = build(classes, setting.tower, setting.device, dtype, setting.method(method))
    return Task('train_step', model, batch, guided=True)


def steps(method: str, form: str):
    """A part: the steps of a method in one form, and how far their losses are from the eager
    form's.

    Args:
        method (str): A file of ``configs/_base_/methods``.
        form (str): Out of ``FORMS``.
    """

    def run(setting: Setting) -> Iterator[dict]:
        # a compiler's back end takes a minute per graph on a CPU
        options = dict(backend='aot_eager') if form == 'compiled' and setting.small else {}

        def measure(**cell) -> dict:
            eager = training_step(task_of(setting, method, **cell))
            expected = [float(eager()) for _ in range(2)]
            work, step, more = flops(eager), eager, {}
            if form != 'eager':
                step = training_step(task_of(setting, method, **cell), form, **options)
                found = [float(step()) for _ in range(2)]
                error = max(abs(a - b) / abs(b) for a, b in zip(found, expected))
                limit = 1e-3 if cell['dtype'] == 'fp32' else 0.03
                more = dict(loss_error=error, passed=error < limit, **options)
            return dict(speed(step, setting, cell['batch'], work, cell['dtype']), **more)

        yield from each(cells(setting), measure, setting)

    return run


def speed(step: Callable, setting: Setting, batch: int, work: float | None, dtype: str) -> dict:
    """Time, images per second, share of the card's peak and memory of a call."""
    times = 10 if setting.cuda and not setting.small else 1

    def several() -> None:
        for _ in range(times):
            step()

    calls, repeat = dict(step=several), 1 if setting.small else setting.repeat
    seconds, peak = in_turn(calls, Meter(setting.device), repeat, 0 if setting.small else 2)['step']
    seconds /= times
    found = dict(ms=1000 * seconds, images_per_s=batch / seconds, peak_mib=peak)
    if work is not None:
        found['tflops_per_s'] = work / seconds / 1e12
        most = peak_tflops(setting.device, dtype)
        found['share_of_peak'] = found['tflops_per_s'] / most if most else None
    return found


def launch_gaps(setting: Setting) -> Iterator[dict]:
    """How long the device waits for the host in a step, and what makes the host wait for it."""

    def measure(method: str, form: str, **cell) -> dict:
        step = training_step(task_of(setting, method, **cell), form)
        for _ in range(1 if setting.small else 4):
            step()
        return launches(step, setting.device, 1 if setting.small else 5)

    some = cells(setting, ((100, 4), (100, 32)))
    forms = ('eager', 'graphs') if setting.cuda else ('eager',)
    wanted = [dict(method=m, form=f, **c) for m in ('dpt', 'coop') for f in forms for c in some]
    yield from each(wanted, measure, setting)
    if not setting.cuda:
        yield dict(form='graphs', not_run='needs CUDA')


def evaluation(setting: Setting) -> Iterator[dict]:
    """Prediction of batches; the learnt text is encoded once, before."""

    def measure(method: str, **cell) -> dict:
        task = task_of(setting, method, **cell)
        model = task.model.eval()
        images = (task.images * 64 + 128).clamp(0, 255).byte()
        batch = dict(inputs=images, data_samples=task.samples)

        def test() -> None:
            with torch.no_grad():
                model.test_step(batch)

        test()
        return speed(test, setting, cell['batch'], None, cell['dtype'])

    some = cells(setting, ((100, 100), (1000, 100), (100, 500)))
    methods = ('dpt', 'coop', 'mmrl')
    yield from each([dict(method=m, **c) for m in methods for c in some], measure, setting)


def beside(slow: str, methods: tuple[str, ...], clock: str = 'wall'):
    """A part: our training step beside a slow one, in turn.

    Args:
        slow (str): 'padded' or 'reference'.
        methods (tuple[str]): Of ``configs/_base_/methods``.
        clock (str): 'wall' or 'cpu'.
    """

    def run(setting: Setting) -> Iterator[dict]:
        def measure(method: str, dtype: str, classes: int, batch: int) -> dict:
            row = benchmark(
                'train_step',
                classes,
                setting.tower,
                batch,
                device=setting.device,
                dtype=dtype,
                plain_dtype=dtype,
                repeat=1 if setting.small else setting.repeat,
                plain_limit=classes,
                warm_up=0 if setting.small else 1,
                count_flops=False,
                method=setting.method(method),
                clock=clock,
                slow=slow,
                guided=True,
            )
            keys = ('ours_s', 'plain_s', 'ratio', 'ours_peak_mib', 'plain_peak_mib')
            found = {k: row[k] for k in (*keys, 'max_abs_diff', 'max_rel_grad_diff')}
            exact = dtype == 'fp32'
            return dict(found, passed=row['max_abs_diff'] < (1e-3 if exact else 0.1))

        shapes = ((10, 4), (100, 4), (100, 32)) if setting.cuda else ((10, 4),)
        wanted = [dict(method=m, **c) for m in methods for c in cells(setting, shapes)]
        yield from each(wanted, measure, setting)

    return run
