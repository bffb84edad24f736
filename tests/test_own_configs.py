"""Own photos with every method: configs composed of their names, renamed classes, val on demand."""

import json
from pathlib import Path

import pytest
from helpers.tools import refused, tool
from helpers.trees import write_photos
from mmengine.config import Config

from mmdpt.datasets import get_layout, own_benchmark
from mmdpt.datasets.own_names import read_renames
from mmdpt.sweep.check import check_runs
from mmdpt.sweep.compose import TITLES
from mmdpt.sweep.named import named_config
from mmdpt.sweep.plan import plan_grid
from mmdpt.sweep.published import EVALUATION_ONLY

OWN = 'dataset.data_root=photos'
SEVERAL = ('promptsrc', 'zeroshot_ensemble', 'zeroshot_ensemble80')  # templates, of the method
CHOOSING = {'LinearProbeHead', 'LPPPHead'}  # on val, without a search


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """Seven photos of each of three classes."""
    monkeypatch.chdir(tmp_path)
    write_photos(tmp_path / 'photos', ('n01', 'n02', 'tea cup'), 7)
    return tmp_path / 'photos'


@pytest.mark.parametrize('arch', ['vitb16', 'tiny'])
@pytest.mark.parametrize('method', TITLES)
def test_every_method(method, arch):
    """Val photos are put aside if, and only if, the method asks for them."""
    cfg = Config.fromfile(named_config(f'{method}_{arch}_custom'))
    assert cfg.dataset.own and cfg.dataset.name == cfg.model.classes == 'Custom'
    assert cfg.train_dataloader.dataset.shots is None
    assert not {'loop', 'tiny', 'two_views'} & set(cfg) or arch == 'tiny'
    head = cfg.model.head
    asks = bool(cfg.train_cfg.get('search')) or head.type in CHOOSING
    assert cfg.dataset.draw_val is (asks and method not in EVALUATION_ONLY)
    if 'num_keys' in head:
        assert head.num_keys is None
    if method not in SEVERAL:
        assert cfg.model.get('templates') is None  # the owner's


def test_the_name_says_it():
    cfg = Config.fromfile(named_config('coop_vitb32_custom_4shot'))
    assert cfg.model.arch == 'ViT-B-32-quickgelu' and cfg.train_dataloader.dataset.shots == 4
    cfg = Config.fromfile(named_config('tcp_vitb16_dtd_2shot.py'))
    assert cfg.dataset.name == 'DTD' and cfg.train_dataloader.dataset.shots == 2
    assert Path(named_config('dpt_vitb16_custom')).parent.name == 'dpt'  # shipped


@pytest.mark.parametrize(
    'name, words',
    [
        ('coop_vitb16_costum', 'did you mean coop_vitb16_custom'),
        ('gda_vit16_custom', 'did you mean gda_vitb16_custom'),
        ('coop_vitb16_dtd', 'ends in _16shot'),
        ('coop_vitb16_imagenetv2_16shot', 'for evaluation only'),
        ('coop_tiny_dtd_16shot', 'choose coop_tiny_digits_16shot or coop_tiny_custom'),
    ],
)
def test_names_that_say_nothing(name, words):
    with pytest.raises((ValueError, FileNotFoundError), match=words):
        named_config(name)


def test_training_by_name(photos):
    """The dumped config stands for itself: the composed file is gone when the process ends."""
    options = ['--cfg-options', OWN, 'train_cfg.max_epochs=1']
    tool('train', 'coop_tiny_custom', '--work-dir', 'run', *options)
    results = json.loads(Path('run/results.json').read_text())
    assert results['config'] == 'run/coop_tiny_custom.py' and results['benchmark'] == 'Custom'
    tool('test', results['config'], 'run/epoch_1.pth', '--work-dir', 'tested', '--out', 'm.json')
    found = json.loads(Path('m.json').read_text())['accuracy/top1']
    assert found == results['few_shot']['accuracy/top1']
    again = Config.fromfile('run/coop_tiny_custom.py')
    assert 'mmdpt_config_' not in again.pretty_text and again.dataset.draw_val is False


def test_cache_of_all_photos(photos):
    """Tip-Adapter's cache takes the number of training photos, which the dump then holds."""
    tool('train', 'tip_adapter_tiny_custom', '--work-dir', 'run', '--cfg-options', OWN)
    dumped = Config.fromfile('run/tip_adapter_tiny_custom.py')
    assert dumped.model.head.num_keys == 3 * 5


def test_sweep(photos, tmp_path):
    methods = ['dpt', 'coop', 'tip_adapter', 'mmrl', 'clip_lora', 'twosfs', 'gda']
    runs = plan_grid(methods, ['vitb16'], ['custom'], None, [1], {OWN[:17]: 'photos'}, 'c')
    assert [r.name for r in runs][:2] == ['dpt_vitb16_custom_seed1', 'coop_vitb16_custom_seed1']
    assert {r.content['train_dataloader']['dataset']['shots'] for r in runs} == {None}
    check_runs(runs, files=False)  # each builds
    (run,) = plan_grid(['gda'], ['tiny'], ['custom'], None, [2], {OWN[:17]: 'elsewhere'}, 'c')
    with pytest.raises(ValueError, match="'elsewhere' does not exist"):
        check_runs([run])


@pytest.mark.parametrize('number', range(2, 12))
def test_same_test_list(tmp_path, number):
    """Whether or not val is drawn, so that methods can be compared."""
    write_photos(tmp_path, ('a', 'b'), number)
    drawn, learnt = (
        get_layout(own_benchmark(draw_val=flag), str(tmp_path)).read() for flag in (True, False)
    )
    assert drawn.test == learnt.test and not learnt.val
    assert sorted(drawn.train + drawn.val) == sorted(learnt.train)


def test_val_that_is_missing(photos, capsys):
    options = ['--work-dir', 'run', '--cfg-options', OWN, 'dataset.draw_val=False']
    line = refused(capsys, 'train', 'gda_tiny_custom', *options)
    assert 'set dataset.draw_val=True' in line


@pytest.mark.parametrize('form', ['csv', 'options'])
def test_renamed(photos, form):
    Path('names.csv').write_text('folder,name\nn01,tabby cat\nn02,"fox, red"\n')
    given = ['dataset.rename=names.csv']
    if form == 'options':
        given = ['dataset.rename.n01=tabby cat', 'dataset.rename.n02=fox, red']
    tool('train', 'gda_tiny_custom', '--work-dir', 'run', '--cfg-options', OWN, *given)
    tool('predict', 'run/epoch_1.pth', 'photos/n01', '--json', 'p.json')
    names = {row['classes'][0]['name'] for row in json.loads(Path('p.json').read_text())}
    assert names <= {'tabby cat', 'fox, red', 'tea cup'}
    dumped = Config.fromfile('run/gda_tiny_custom.py').dataset.rename
    assert dumped == ('names.csv' if form == 'csv' else {'n01': 'tabby cat', 'n02': 'fox, red'})


@pytest.mark.parametrize(
    'renames, words',
    [
        ({'n03': 'cat'}, r"class 'n03', which .* does not have \(nearest: 'n0[12]'\)"),
        ({'n01': 'cat', 'n02': 'cat'}, 'gives the classes n01, n02 one name'),
        ({'n01': 'tea cup'}, 'gives the classes n01, tea cup one name'),
        ({'n01': ' '}, "gives 'n01' the name ' '"),
    ],
)
def test_renames_refused(photos, renames, words):
    with pytest.raises(ValueError, match=words):
        get_layout(own_benchmark(rename=renames), str(photos)).read()


@pytest.mark.parametrize(
    'text, words',
    [
        ('folder,name\nn01\n', "has the line 'n01'"),
        ('n01,a cat, black\n', 'quotation marks'),
        ('', 'is empty'),
        ('n01,cat\nn01,dog\n', "names 'n01' twice"),
    ],
)
def test_rename_files_refused(tmp_path, text, words):
    path = tmp_path / 'names.csv'
    path.write_text(text)
    with pytest.raises(ValueError, match=words):
        read_renames(str(path))
