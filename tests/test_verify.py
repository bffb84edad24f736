"""A run against what it says, as it is and with one thing touched."""

import json
import shutil
from dataclasses import replace

import pytest
import torch
from helpers.tools import refused, tool

from mmdpt.evaluation.predictions import Predictions
from mmdpt.results import collect, find_runs
from mmdpt.results.cells import cell
from mmdpt.utils.files import sha256_of, write_json
from mmdpt.utils.seal import read_sealed, sealed

OPTIONS = (
    'train_cfg.max_epochs=1',
    'test_dataloader.dataset.indices=20',
    'dataset.protocol.label_noise=0.25',
    'default_hooks.report.baselines=[]',
)


@pytest.fixture(scope='module')
def honest(tmp_path_factory):
    """The folder of a short training with noisy labels."""
    folder = tmp_path_factory.mktemp('honest') / 'run'
    leaf = 'coop/coop_tiny_digits_4shot'
    tool('train', leaf, '--work-dir', folder, '--cfg-options', *OPTIONS)
    return folder


@pytest.fixture
def run(honest, tmp_path):
    """A copy of it, to be touched."""
    return shutil.copytree(honest, tmp_path / 'moved')


def results_of(run):
    return read_sealed(str(run / 'results.json'))


def rewrite(run, **changes):
    """Changes results, and their checksum with them."""
    write_json(sealed({**results_of(run), **changes}), str(run / 'results.json'))


def verified(run, *options):
    """States by name, and the exit status."""
    told, status = run / 'told.json', 0
    try:
        tool('verify', run, '--json', told, '--overwrite', *options)
    except SystemExit as end:
        status = end.code
    (checks,) = json.load(open(told)).values()
    return {one['name']: one['state'] for one in checks}, status


def differing(run, *options):
    states, status = verified(run, *options)
    assert status == 1
    return {name for name, state in states.items() if state == 'differs'}


def test_an_honest_run_agrees_tested_and_trained_again(run):
    states, status = verified(run, '--retest', '--retrain')
    assert status == 0 and set(states.values()) == {'agrees'}
    assert set(states) == {
        'results.json',
        'predictions.npz',
        'zero_shot.npz',
        'epoch_1.pth',
        'few_shot accuracy',
        'few_shot images',
        'zero_shot accuracy',
        'zero_shot images',
        'draw',
        'noisy labels',
        'test list',
        'test again',
        'train again',
        'tested after it',
    }


def test_says_where_training_again_went_elsewhere(run):
    (config,) = run.glob('*.py')
    config.write_text(config.read_text().replace('warmup_lr=1e-05', 'warmup_lr=1e-03'))
    assert 'warmup_lr=1e-03' in config.read_text()
    assert differing(run, '--retrain') == {'train again', 'tested after it'}


def test_an_edited_figure(run):
    results = results_of(run)
    results['few_shot']['accuracy/top1'] = 99.0
    write_json(results, str(run / 'results.json'))
    assert differing(run) == {'results.json', 'few_shot accuracy'}


def test_a_figure_edited_with_its_checksum(run):
    rewrite(run, few_shot={'accuracy/top1': 99.0})
    assert differing(run) == {'few_shot accuracy'}


def touch_logits(run):
    path = str(run / 'predictions.npz')
    found = Predictions.read(path)
    truth = torch.nn.functional.one_hot(found.labels, 10).float()
    replace(found, logits=found.logits + 50 * truth).write(path)
    return path


def test_touched_logits(run):
    touch_logits(run)
    assert differing(run) == {'predictions.npz', 'few_shot accuracy'}


def test_touched_logits_with_all_hashes(run):
    """Only the test of the checkpoint tells."""
    digest = sha256_of(touch_logits(run)).hexdigest()
    files = dict(results_of(run)['files'], **{'predictions.npz': digest})
    rewrite(run, files=files, few_shot={'accuracy/top1': 100.0})
    assert verified(run)[1] == 0
    assert differing(run, '--retest') == {'test again'}


def test_a_touched_draw(run):
    rewrite(run, draw_hash='0' * 64)
    assert differing(run) == {'draw'}


def test_touched_noise(run):
    rewrite(run, flipped=results_of(run)['flipped'][1:])
    assert differing(run) == {'noisy labels'}


def test_another_draw_in_the_config(run):
    (config,) = run.glob('*.py')
    config.write_text(config.read_text().replace('label_noise=0.25', 'label_noise=0.75'))
    assert differing(run) == {'draw', 'noisy labels'}


def test_touched_weights(run):
    path = run / 'epoch_1.pth'
    checkpoint = torch.load(path, weights_only=False)
    for tensor in checkpoint['state_dict'].values():
        tensor += torch.randn_like(tensor)
    torch.save(checkpoint, path)
    assert differing(run, '--retest') == {'epoch_1.pth', 'test again'}


def test_what_is_missing_is_named(run):
    (run / 'predictions.npz').unlink()
    assert differing(run) == {'predictions.npz'}
    (config,) = run.glob('*.py')
    config.unlink()
    states, _ = verified(run)
    assert states['draw'] == states['few_shot accuracy'] == 'not checked'


def test_no_code_of_the_folder_is_run(run):
    (config,) = run.glob('*.py')
    config.write_text(f'open({str(run / "ran")!r}, "w")\n' + config.read_text())
    assert verified(run)[1] == 0 and not (run / 'ran').exists()


def test_other_folders_are_refused(tmp_path, capsys):
    assert 'work directory of a training' in refused(capsys, 'verify', tmp_path)


def test_results_say_what_the_data_were_used_for(honest):
    used = results_of(honest)['used_for']
    assert used['training'] == dict(split='train', images=40)
    assert used['report'] == dict(split='test', images=20)
    assert used['selection'] is None and used['calibration'] is None


def test_a_choice_on_test_images_is_marked(run, tmp_path):
    """The best checkpoint is kept by the accuracy on the test list."""
    options = ('default_hooks.checkpoint.save_best=accuracy/top1', *OPTIONS)
    leaf = 'coop/coop_tiny_digits_4shot'
    tool('train', leaf, '--work-dir', tmp_path / 'best', '--cfg-options', *options)
    used = results_of(tmp_path / 'best')['used_for']
    assert (used['selection']['what'], used['selection']['split']) == ('epoch', 'test')
    for folder, marked in ((run, False), (tmp_path / 'best', True)):
        rows, _ = collect(find_runs([str(folder)]))
        own = [row for row in rows if row.method == 'coop']
        assert [row.chosen_on_test for row in own] == [marked]
        assert ('¶' in cell(own).marks) == marked
