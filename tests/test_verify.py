"""A run against what it says, as it is and with one thing touched."""

import shutil
from dataclasses import replace

import pytest
import torch
from helpers.tools import refused, tool
from helpers.verifying import differing, put, results_of, rewrite, verified

from mmdpt.evaluation.predictions import Predictions
from mmdpt.results import collect, find_runs
from mmdpt.results.cells import cell
from mmdpt.utils.files import sha256_of, write_json

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
        'said in predictions.npz',
        'said in zero_shot.npz',
        'config',
        'draw',
        'said of the data',
        'noisy labels',
        'list of predictions.npz',
        'list of zero_shot.npz',
        'test again',
        'train again',
        'tested after it',
        'tested before it',
        'used for',
    }


def test_says_where_training_again_went_elsewhere(run):
    (config,) = run.glob('*.py')
    config.write_text(config.read_text().replace('warmup_lr=1e-05', 'warmup_lr=1e-03'))
    assert 'warmup_lr=1e-03' in config.read_text()
    assert differing(run, '--retrain') == {'config', 'train again', 'tested after it'}


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
    assert differing(run) == {'draw', 'said in predictions.npz'}


def test_touched_noise(run):
    rewrite(run, flipped=results_of(run)['flipped'][1:])
    assert differing(run) == {'noisy labels'}


def test_another_draw_in_the_config(run):
    (config,) = run.glob('*.py')
    config.write_text(config.read_text().replace('label_noise=0.25', 'label_noise=0.75'))
    assert differing(run) == {'config', 'draw', 'said of the data', 'noisy labels'}


def test_touched_weights(run):
    path = run / 'epoch_1.pth'
    checkpoint = torch.load(path, weights_only=False)
    for tensor in checkpoint['state_dict'].values():
        tensor += torch.randn_like(tensor)
    torch.save(checkpoint, path)
    assert differing(run, '--retest') == {'epoch_1.pth', 'test again'}


@pytest.mark.parametrize(
    'changes, found',
    [
        (dict(seed=7), {'config', 'said of the data'}),
        (dict(shots=1), {'said of the data'}),
        (dict(benchmark='EuroSAT'), {'said of the data'}),
        (dict(data_protocol=None), {'said of the data'}),
        (dict(method='best'), set()),
        (dict(used_for=None), set()),
    ],
)
def test_a_run_that_says_it_is_another(run, changes, found):
    """With its checksum: a seed, a condition, a method of another row of the table."""
    rewrite(run, **changes)
    stored = set() if 'data_protocol' in changes else {'said in predictions.npz'}
    assert differing(run) == stored | found


@pytest.mark.parametrize('checkpoint', ['epoch_1.pth', dict(path=[1])])
def test_a_checkpoint_of_another_form(run, capsys, checkpoint):
    rewrite(run, checkpoint=checkpoint)
    assert 'checkpoint' in refused(capsys, 'verify', run)


def test_predictions_in_the_place_of_zero_shot(run):
    found = Predictions.read(str(run / 'predictions.npz'))
    put(run, 'zero_shot.npz', found, zero_shot=results_of(run)['few_shot'])
    assert differing(run) == {'said in zero_shot.npz'}


def test_classes_in_another_order(run):
    found = Predictions.read(str(run / 'predictions.npz'))
    put(run, 'predictions.npz', replace(found, classes=found.classes[::-1]))
    assert differing(run) == {'list of predictions.npz'}


def test_worse_zero_shot_with_all_hashes(run):
    """Only the test before another training tells."""
    found = Predictions.read(str(run / 'zero_shot.npz'))
    worse = replace(found, logits=found.logits.roll(1, 1))
    accuracy = 100 * worse.correct().double().mean().item()
    put(run, 'zero_shot.npz', worse, zero_shot={'accuracy/top1': accuracy})
    assert verified(run)[1] == 0
    assert differing(run, '--retrain') == {'tested before it'}


def test_an_identity_of_another_form(run):
    found = Predictions.read(str(run / 'predictions.npz'))
    put(run, 'predictions.npz', replace(found, identity=dict(model=[1], data=3)))
    assert differing(run) == {'few_shot images', 'said in predictions.npz'}


@pytest.mark.parametrize(
    'dataset',
    [
        "dict(type='os.system', command='touch ran')",  # MMEngine would call it
        "dict(type='CustomDataset', ann_file='ran.pkl')",  # and unpickle this
    ],
)
def test_nothing_that_a_config_names_is_called(run, monkeypatch, capsys, dataset):
    monkeypatch.chdir(run)
    (config,) = run.glob('*.py')
    text = config.read_text().replace('\ndataset = dict(', '\nother = dict(')
    config.write_text(f'{text}\ntest_dataloader = dict(dataset={dataset})\n')
    states, _ = verified(run)
    assert states['data'] == 'not checked' and not (run / 'ran').exists()
    assert 'nothing is built' in capsys.readouterr().out
    assert 'nothing is built' in refused(capsys, 'verify', run, '--retest')


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
