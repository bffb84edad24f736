"""A teacher's answers, kept on disk."""

import json

import pytest
import torch
from helpers.promptkd_runs import IMAGES, runner, trained

from mmdpt.evaluation import frozen_features


def kept(folder, **options):
    return {
        'model.precision': 'fp64',
        'model.teacher.model.precision': 'fp64',
        'default_hooks.kept': dict(type='KeptTeacherHook', cache_dir=str(folder), **options),
    }


def test_kept_answers_are_those_of_the_teacher(tmp_path, monkeypatch):
    """Each epoch's own view: the stock training, up to rounding; then no teacher runs."""
    double = {k: v for k, v in kept('').items() if 'kept' not in k}
    wanted = trained(tmp_path / 'stock', **double)
    first = trained(tmp_path / 'first', **kept(tmp_path / 'cache'))
    for name in wanted:
        torch.testing.assert_close(first[name], wanted[name], rtol=1e-7, atol=1e-9)
    files = sorted((tmp_path / 'cache').iterdir())
    assert len(files) == 2  # views
    found = runner(tmp_path / 'again', **kept(tmp_path / 'cache'))

    def never(*_):
        raise AssertionError('the teacher ran')

    found.model._teacher[0].model.backbone.register_forward_pre_hook(never)
    found.train()
    again = found.model.state_dict()
    assert all(torch.equal(again[n], first[n]) for n in first)
    files[0].write_bytes(files[0].read_bytes()[:-1] + b'\0')
    repaired = trained(tmp_path / 'repaired', **kept(tmp_path / 'cache'))
    assert all(torch.equal(repaired[n], first[n]) for n in first)


def test_fewer_views_are_told(tmp_path):
    found = runner(tmp_path / 'work', **kept(tmp_path / 'cache', views=1))
    found.train()
    assert len(list((tmp_path / 'cache').iterdir())) == 1
    results = json.loads((tmp_path / 'work/results.json').read_text())
    assert results['unlabelled_images']['views'] == 1
    assert found.train_dataloader.dataset._epoch == 0


def test_resumes_with_kept_answers(tmp_path):
    """Bit for bit, from the answers on disk and from others made anew."""
    options = kept(tmp_path / 'cache', views=1)
    wanted = trained(tmp_path / 'whole', **options)
    for cache in ('cache', 'new'):
        options['default_hooks.kept'] = dict(options['default_hooks.kept'])
        options['default_hooks.kept']['cache_dir'] = str(tmp_path / cache)
        again = {'resume': True, 'load_from': str(tmp_path / 'whole/epoch_1.pth')}
        found = trained(tmp_path / f'resumed_{cache}', **options, **again)
        assert all(torch.equal(found[n], wanted[n]) for n in wanted)


def test_the_key_of_kept_answers(tmp_path):
    """Another seed, view, transform or teacher: another file."""
    found = runner(tmp_path / 'work')
    model, dataset, folder = found.model, found.train_dataloader.dataset, tmp_path / 'cache'

    def files(view=0):
        dataset.set_epoch(view)
        logits = frozen_features(model, dataset, None, 'logits', view, str(folder))
        assert logits.shape == (IMAGES, 10)
        return len(list(folder.iterdir()))

    assert [files(), files(), files(view=1)] == [1, 1, 2]
    dataset.seed = 9
    assert files() == 3
    dataset.pipeline.transforms.pop(3)  # the affine one
    assert files() == 4
    model._teacher[0].config['templates'] = ['{}']
    assert files() == 5


def test_hooks_that_have_nothing_to_keep(tmp_path):
    with pytest.raises(ValueError, match='views must be at least 1, got 0'):
        runner(tmp_path, **kept(tmp_path, views=0))
    with pytest.raises(ValueError, match='views are for answers that are kept: set cache_dir'):
        runner(tmp_path, **{'default_hooks.kept.views': 2})
    found = runner(
        tmp_path,
        **kept(tmp_path),
        **{'model.teacher': None, 'model.head': dict(_delete_=True, type='SimilarityHead')},
        **{'train_dataloader.dataset.unlabelled': False},
    )
    with pytest.raises(ValueError, match='keeps the logits of a teacher: set model.teacher'):
        found.train()
