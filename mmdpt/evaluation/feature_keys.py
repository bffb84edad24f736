"""What features depend on, as hashes: of a set of images, and of each by itself."""

import hashlib
import os


def cache_key(
    model,
    dataset,
    indices: list[int],
    also: str = '',
    pooled: bool = False,
    view: int | None = None,
) -> str:
    """Hash of all that the features depend on: 32 hex digits."""
    digest = _setting(model, dataset, also, pooled, view)
    for i in indices:
        digest.update(_image(dataset, i))
    return digest.hexdigest()[:32]


def row_keys(model, dataset, indices: list[int], also: str, pooled: bool) -> list[str]:
    """As :func:`cache_key`, of each image by itself."""
    setting, keys = _setting(model, dataset, also, pooled, None), []
    for i in indices:
        digest = setting.copy()
        digest.update(_image(dataset, i))
        keys.append(digest.hexdigest())
    return keys


def _setting(model, dataset, also: str, pooled: bool, view: int | None) -> 'hashlib._Hash':
    digest = hashlib.sha256(also.encode())
    clip, pre = model.clip_identity, model.data_preprocessor
    for part in (
        clip['arch'],
        clip['fingerprint'],
        str(next(model.backbone.parameters()).dtype),
        repr(dataset.pipeline),
        pre.to_rgb,
        getattr(pre, 'mean', None),
        getattr(pre, 'std', None),
    ):
        digest.update(f'{part}\n'.encode())
    if pooled or view is not None:
        digest.update(f'{pooled} {view} {getattr(dataset, "seed", None)}\n'.encode())
    return digest


def _image(dataset, i: int) -> bytes:
    """What tells an image from others: its path, and when it was written or what it shows."""
    path = dataset.get_data_info(i)['img_path']
    if os.path.isfile(path):
        stat = os.stat(path)
        return f'{path}\n{stat.st_size} {stat.st_mtime_ns}\n'.encode()
    return f'{path}\n'.encode() + dataset.images[path].tobytes()  # kept in memory, not a file
