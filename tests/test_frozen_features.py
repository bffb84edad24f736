import io
import json
import os
import time

import numpy as np
import pytest
import safetensors.torch
import torch
from mmengine.config import Config

from mmdpt.engine import FewShotRunner
from mmdpt.evaluation.frozen_features import frozen_features

COOP = 'configs/coop/coop_tiny_digits_16shot.py'
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def runner(work_dir, config=COOP, **options):
    cfg = Config.fromfile(os.path.join(ROOT, config))
    cfg.merge_from_dict(
        dict(
            options,
            work_dir=str(work_dir),
            log_level='ERROR',
            experiment_name=f'test{time.time_ns()}',
        )
    )
    cfg.test_dataloader.dataset.indices = 200
    torch.manual_seed(0)
    return FewShotRunner.from_cfg(cfg)


@pytest.fixture
def cache(tmp_path):
    return dict(test_cfg=dict(type='FrozenFeatureTestLoop', cache_dir=str(tmp_path / 'cache')))


def files(tmp_path):
    return sorted((tmp_path / 'cache').glob('*'))


def test_same_metrics_as_the_stock_loop(tmp_path, cache):
    stock = runner(tmp_path)
    expected = stock.test()
    cached = runner(tmp_path, **cache)
    cached.model.load_state_dict(stock.model.state_dict())
    assert cached.test() == expected
    assert len(files(tmp_path)) == 1

    def never(*args):
        raise AssertionError('the images were looked at again')

    again = runner(tmp_path, **cache)
    again.model.load_state_dict(stock.model.state_dict())
    again.model.backbone.register_forward_pre_hook(never)
    assert again.test() == expected
    with again.model.zero_shot():
        zero_shot = again.test()
    with stock.model.zero_shot():
        assert stock.test() == zero_shot != expected


def test_whatever_changes_is_computed_anew(tmp_path):
    r = runner(tmp_path)
    model, dataset = r.model, r.test_dataloader.dataset
    folder = str(tmp_path / 'cache')

    def compute(indices=range(8)):
        return frozen_features(model, dataset, indices, cache_dir=folder)

    first = compute()
    assert first.shape == (8, model.backbone.embed_dim)
    torch.testing.assert_close(compute(), first, rtol=0, atol=0)
    assert len(files(tmp_path)) == 1
    torch.testing.assert_close(compute([3, 1]), first[[3, 1]])
    path = dataset.get_data_info(0)['img_path']
    dataset.images[path] = 255 - dataset.images[path]
    assert (compute()[0] - first[0]).abs().max() > 1e-3
    model.clip_identity['fingerprint'] = 'other'
    compute()
    dataset.pipeline.transforms.append(lambda results: results)
    compute()
    assert len(files(tmp_path)) == 5


def test_files_on_disk_count_by_size_and_time(tmp_path):
    from mmdpt.evaluation.feature_keys import Work, cache_key

    r = runner(tmp_path)
    photo = tmp_path / 'photo.png'
    photo.write_bytes(b'1234')

    class OneFile:
        pipeline = 'none'

        def get_data_info(self, i):
            return dict(img_path=str(photo))

    keys = [cache_key(Work(r.model, OneFile()), [0])]
    os.utime(photo, ns=(1, 1))
    keys.append(cache_key(Work(r.model, OneFile()), [0]))
    photo.write_bytes(b'12345')
    os.utime(photo, ns=(1, 1))
    keys.append(cache_key(Work(r.model, OneFile()), [0]))
    assert len(set(keys)) == 3


def test_damaged_files_are_replaced(tmp_path):
    r = runner(tmp_path)
    folder = str(tmp_path / 'cache')

    def compute():
        return frozen_features(r.model, r.test_dataloader.dataset, range(4), cache_dir=folder)

    expected = compute()
    (file,) = files(tmp_path)
    whole = file.read_bytes()
    for damaged in (b'', whole[:50], whole[:-8]):
        file.write_bytes(damaged)
        torch.testing.assert_close(compute(), expected, rtol=0, atol=0)
        assert file.read_bytes() == whole


def changes(whole, expected):
    """What may have become of a file, by name."""
    flipped = bytearray(whole)
    flipped[-5] ^= 64  # a number's exponent
    about = safetensors_header(whole)['__metadata__']
    yield 'flipped bit', bytes(flipped)
    other = expected.clone()
    other[0, 0] += 1e-3
    for name, features in dict(
        zeros=torch.zeros_like(expected),
        integers=expected.to(torch.int32),
        halves=expected.half(),
        nan=torch.full_like(expected, float('nan')),
        narrow=expected[:, :64].contiguous(),
        wide=torch.cat([expected, expected], 1),
        fewer=expected[:3].contiguous(),
        more=torch.cat([expected, expected]),
        swapped=expected.flip(0),
        flat=expected.flatten(),
        complex=torch.complex(expected, expected),
        nearly=other,
    ).items():
        yield name, safetensors.torch.save(dict(features=features), about)
        yield name + ', no checksum', safetensors.torch.save(dict(features=features))
    yield 'another name', safetensors.torch.save(dict(other=expected), about)
    yield 'two', safetensors.torch.save(dict(features=expected, more=other), about)
    yield 'no checksum', safetensors.torch.save(dict(features=expected))
    yield 'long', whole + bytes(2**20)
    numpy = io.BytesIO()
    np.save(numpy, expected.numpy())
    yield 'as before', numpy.getvalue()


def safetensors_header(data):
    return json.loads(data[8 : 8 + int.from_bytes(data[:8], 'little')])


def test_a_changed_file_is_never_believed(tmp_path, capfd):
    r = runner(tmp_path)
    folder = str(tmp_path / 'cache')

    def compute(indices=range(4)):
        return frozen_features(r.model, r.test_dataloader.dataset, indices, cache_dir=folder)

    expected = compute()
    (file,) = files(tmp_path)
    whole = file.read_bytes()
    tried = 0
    for name, content in changes(whole, expected):
        file.write_bytes(content)
        assert torch.equal(compute(), expected), name
        assert file.read_bytes() == whole, name
        tried += 1
    assert tried > 25
    other = compute([3, 2, 1, 0])  # whole, but of other images
    (second,) = set(files(tmp_path)) - {file}
    file.write_bytes(second.read_bytes())
    assert torch.equal(compute(), expected) and not torch.equal(other, expected)


def test_prompted_images_are_refused(tmp_path, cache):
    r = runner(tmp_path, 'configs/dpt/dpt_tiny_digits_16shot.py', **cache)
    with pytest.raises(ValueError, match='image features are not frozen'):
        _ = r.test_loop
    with pytest.raises(ValueError, match='need the images'):
        r.model.predict_features(torch.zeros(2, 128))
