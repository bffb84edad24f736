"""What a profiler sees of a step: launches, gaps between kernels, waits of the host."""

import warnings
from collections.abc import Callable, Iterable

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

# Operations that make the host wait for a device, by PyTorch's names.
WAITS = ('aten::_local_scalar_dense', 'aten::nonzero', 'aten::equal', 'aten::masked_select')


def launches(step: Callable, device: str, steps: int) -> dict:
    """Profile some steps.

    Args:
        step (Callable): Warmed up.
        device (str): 'cpu', 'cuda', ...
        steps (int): How many to profile.

    Returns:
        dict: ``operations`` of PyTorch and ``waits`` of the host per step, and which; of a CUDA
        device ``kernels`` per step, ``busy_share`` of the time between the first kernel and the end of
        the last, and where in the code the host waited; elsewhere the reason why not.
    """
    cuda = device.startswith('cuda')
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]
    with profile(activities=activities) as seen:
        for _ in range(steps):
            step()
        if cuda:
            torch.cuda.synchronize()
    events = list(seen.events())
    names = [e.name for e in events if e.device_type == DeviceType.CPU]
    waits = {n: names.count(n) / steps for n in WAITS if n in names}
    found = dict(
        operations=sum(n.startswith('aten::') for n in names) / steps,
        waits=sum(waits.values()),
        which=', '.join(f'{n[len("aten::") :]} {c:g}' for n, c in waits.items()),
    )
    if not cuda:
        return dict(found, not_run='kernels and gaps need CUDA')
    kernels = [
        (e.time_range.start, e.time_range.end)
        for e in events
        if e.device_type == DeviceType.CUDA and not getattr(e, 'is_user_annotation', False)
    ]
    return dict(
        found, kernels=len(kernels) / steps, busy_share=busy_share(kernels), places=places(step)
    )


def busy_share(spans: Iterable[tuple[float, float]]) -> float:
    """Share of the time from the first start to the last end that some span covers."""
    spans = sorted(spans)
    if not spans:
        return 0.0
    busy, reached = 0.0, spans[0][0]
    for start, end in spans:
        busy += max(end - max(start, reached), 0.0)
        reached = max(reached, end)
    return busy / max(reached - spans[0][0], 1e-12)


def places(step: Callable) -> str:
    """Where in the code a step makes the host wait for a CUDA device."""
    torch.cuda.set_sync_debug_mode('warn')
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter('always')
            step()
    finally:
        torch.cuda.set_sync_debug_mode('default')
    found = [f'{w.filename}:{w.lineno}' for w in caught if 'synchroniz' in str(w.message)]
    return ', '.join(dict.fromkeys(found))
