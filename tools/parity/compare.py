"""How far our numbers are from the reference's, and how far they may be."""

import numpy as np

# (absolute, relative to the tensor's largest entry); either one suffices.
EXACT = (0.0, 0.0)
FLOAT64 = (0.0, 1e-9)
# Single precision, as the reference's README suggests, by the key's start.
FLOAT32 = (
    ('loss', (1e-4, 0.0)),
    ('grad', (0.0, 2e-4)),
    ('allmiss/loss', (1e-4, 0.0)),
    ('allmiss/grad', (0.0, 2e-4)),
    ('traj/loss', (5e-4, 0.0)),
    ('traj/terms', (5e-4, 0.0)),
    ('traj/final_logits', (1e-3, 0.0)),
    ('traj/final/', (5e-5, 0.0)),
    ('traj/last/', (5e-5, 0.0)),
    ('traj/lr', (0.0, 1e-9)),
    ('', (1e-3, 1e-4)),
)


# The second set of fixtures asks for more of its training runs.
FLOAT32_PEERS = (
    ('traj/loss', (1e-4, 0.0)),
    ('traj/final_logits', (1e-3, 0.0)),
    ('traj/final/', (2e-6, 0.0)),
    ('traj/last/', (2e-6, 0.0)),
) + FLOAT32
# The fourth set; all limits are relative to the largest entry.
FLOAT32_STAGES = (
    ('grad', (0.0, 2e-4)),
    ('stage2/grad', (0.0, 2e-4)),
    ('traj/final_logits', (0.0, 5e-5)),
    ('traj/final_test_logits', (0.0, 5e-5)),
    ('traj/final_eval_logits', (0.0, 5e-5)),
    ('traj/final', (0.0, 3e-6)),
    ('traj/after_stage1', (0.0, 3e-6)),
    ('traj/lr', (0.0, 1e-9)),
    ('', (0.0, 2e-5)),
)
STAGES = '2SFS (two-stage few-shot adaptation)'
OF_METHOD = {
    STAGES: FLOAT32_STAGES,
    'SkipTuning': FLOAT32_STAGES,
    'PromptKD': FLOAT32_STAGES,
    'CoPrompt': (('traj/final/', (0.0, 1e-5)), *FLOAT32_STAGES),
}
# The fifth set counts in shares of each array's largest entry.
FLOAT32_FEATURES = (
    ('traj/proj_selected', (0.0, 5e-5)),
    ('traj/final/proj', (0.0, 5e-5)),
    ('', (0.0, 1e-5)),
)
FEATURE_METHODS = (
    'GDA (few-shot)',
    'GDA (base-to-new, nearest-neighbour synthesis)',
    'LP++',
    'zs_lp',
    'clap',
    'clap_adaptive',
    'crossmodal_lp',
    'ProLIP',
    'APE (training-free)',
)
FIRST_SET = ('ZeroshotCLIP', 'ZeroshotCLIP2', 'CoOp', 'CoCoOp', 'VPT', 'VLP', 'DPT', None)


def tolerance(key: str, dtype: str, method: str | None = None) -> tuple:
    """Tolerated (absolute, relative) error of a key."""
    if dtype == 'float64':
        # The file keeps these gradients in single precision.
        return (0.0, 1e-6) if key.startswith('allmiss/grad') else FLOAT64
    if method == 'TransCLIP':
        return (0.0, 1e-5)
    table = FLOAT32 if method in FIRST_SET else FLOAT32_PEERS
    table = OF_METHOD.get(method or '', table)
    if method in FEATURE_METHODS:
        table = FLOAT32_FEATURES
    return next(limits for start, limits in table if key.startswith(start))


def compare(
    key: str, ours: np.ndarray, theirs: np.ndarray, dtype: str, method: str | None = None
) -> dict[str, object]:
    """Compare one array.

    Args:
        key (str): Its name in the file, which decides the tolerance.
        ours (ndarray): What we computed.
        theirs (ndarray): What the file holds.
        dtype (str): 'float64' or 'float32', the precision we computed in.
        method (str, optional): The case's method, which decides, too.

    Returns:
        dict: ``max_abs_error``, ``max_rel_error`` (of the largest entry),
        ``passed`` and, where the shapes differ, ``reason``.
    """
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    if ours.shape != theirs.shape:
        return failed(f'shape {ours.shape}, expected {theirs.shape}')
    if not theirs.size:
        return dict(max_abs_error=0.0, max_rel_error=0.0, passed=True)
    integer = theirs.dtype.kind in 'biu'
    ours, theirs = ours.astype(np.float64), theirs.astype(np.float64)
    if (np.isnan(ours) != np.isnan(theirs)).any():
        return failed('NaN where the reference has a number, or the reverse')
    with np.errstate(invalid='ignore'):  # of infinities, of which equal ones are no error
        errors = np.nan_to_num(np.where(ours == theirs, 0, np.abs(ours - theirs)))
    error = float(errors.max())
    largest = float(np.abs(theirs[np.isfinite(theirs)]).max(initial=0))
    relative = error / largest if largest else error
    limits = EXACT if integer else tolerance(key, dtype, method)
    return dict(
        max_abs_error=error,
        max_rel_error=relative,
        passed=bool(error <= limits[0] or relative <= limits[1]),
    )


def judge_run(
    ours: dict[str, np.ndarray],
    theirs: dict[str, np.ndarray],
    tensors: dict[str, dict],
    rate: float,
) -> dict[str, dict]:
    """Judge where a run of AdamW ended in single precision.

    An entry with almost no gradient may go its own way by whole steps: of all
    learnt entries together the 99.9 % quantile counts, and that none is off
    by more than two steps.

    Args:
        ours (dict): What we computed, by key.
        theirs (dict): What the file holds.
        tensors (dict): The entries of :func:`compare`.
        rate (float): Base rate of the run.

    Returns:
        dict: The entries of ``traj/final/*``, judged anew.
    """
    keys = [
        k
        for k, t in tensors.items()
        if k.startswith('traj/final/') and t.get('max_abs_error') is not None
    ]
    if not keys:
        return {}
    errors = np.concatenate(
        [np.abs(np.asarray(ours[k], np.float64) - theirs[k]).ravel() for k in keys]
    )
    common = np.quantile(errors, 0.999) <= 0.01 * rate
    return {
        k: dict(tensors[k], passed=bool(common and tensors[k]['max_abs_error'] <= 2 * rate))
        for k in keys
    }


def judge_entries(ours: np.ndarray, theirs: np.ndarray, entry: dict) -> dict[str, object]:
    """Judge where Adam ended in single precision: where its eps outweighs a gradient, the
    rounding of the gradient counts rate / eps times. The 99.9 % quantile must keep the
    tolerance, and no entry be off by twice as much."""
    if entry.get('max_abs_error') is None:
        return entry
    errors = np.abs(np.asarray(ours, np.float64) - theirs) / np.abs(theirs).max()
    _, most = tolerance('traj/final/proj', 'float32', 'ProLIP')
    return dict(entry, passed=bool(np.quantile(errors, 0.999) <= most and errors.max() <= 2 * most))


def judge_changes(ours: dict, theirs: dict, tensors: dict[str, dict]) -> dict[str, dict]:
    """Judge how far tensors moved in single precision, which rounds them in every step.

    The steps may have lost ``rounding/NAME`` of what we computed, which is little unless they
    are hardly larger than what is rounded.

    Returns:
        dict: The entries of ``traj/change_norm/*``, judged anew.
    """
    found, start = {}, 'traj/change_norm/'
    for key in (k for k in tensors if k.startswith(start)):
        change, error = float(theirs[key]), tensors[key]['max_abs_error']
        most = tolerance(key, 'float32', 'SkipTuning')[1] * change
        most += float(ours[f'rounding/{key.removeprefix(start)}'])
        found[key] = dict(tensors[key], passed=error is not None and error <= most)
    return found


def compare_lists(ours, theirs) -> dict[str, object]:
    """Compare what must be equal, such as lists of images.

    Returns:
        dict: As :func:`compare`; the error is the number of places that
        differ.
    """
    if ours == theirs:
        return dict(max_abs_error=0.0, max_rel_error=0.0, passed=True)
    if not (isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs)):
        return failed(f'{str(ours)[:60]} instead of {str(theirs)[:60]}')
    wrong = [i for i, pair in enumerate(zip(ours, theirs)) if len(set(map(str, pair))) > 1]
    return dict(
        max_abs_error=float(len(wrong)),
        max_rel_error=len(wrong) / len(theirs),
        passed=False,
        reason=f'place {wrong[0]} is {ours[wrong[0]]}, expected {theirs[wrong[0]]}',
    )


def failed(reason: str) -> dict[str, object]:
    """The entry of a tensor that cannot be compared."""
    return dict(max_abs_error=None, max_rel_error=None, passed=False, reason=reason)


def worst(tensors: dict[str, dict], name: str) -> float | None:
    """Largest error of a case; None if nothing could be compared."""
    values = [t[name] for t in tensors.values() if t.get(name) is not None]
    return max(values, default=None)
