"""Which runs a sweep has, their configs and hashes; what it refuses."""

import importlib.util
import json
from argparse import Namespace
from collections import Counter
from pathlib import Path

import pytest
from mmengine.config import Config

from mmdpt.engine.cli import load_config, merge_options
from mmdpt.sweep import CONFIGS, fewer_shots
from mmdpt.sweep.check import check_runs
from mmdpt.sweep.compose import TITLES, leaf
from mmdpt.sweep.plan import plan_file, plan_grid, select
from mmdpt.sweep.published import EVALUATION_ONLY, METHODS, UNLABELLED, settings
from mmdpt.sweep.runs import Run, resolve

COOP = CONFIGS / 'coop/coop_tiny_digits_16shot.py'


def grid(
    tmp_path, methods, archs=('vitb16',), datasets=('eurosat',), shots=(16,), seeds=(1,), **options
):
    return plan_grid(methods, archs, datasets, shots, seeds, options, str(tmp_path))


def test_every_method_is_known():
    files = {p.stem for p in (CONFIGS / '_base_/methods').glob('*.py')}
    assert files == {*METHODS, *EVALUATION_ONLY, *UNLABELLED} == set(TITLES)


@pytest.mark.parametrize('dataset, weight', [('dtd', 200.0), ('imagenet', 1000.0)])
def test_images_without_labels_have_no_shots(dataset, weight, tmp_path):
    (run,) = grid(tmp_path, ['promptkd'], datasets=[dataset], shots=(1, 16))
    assert run.name == f'promptkd_vitb16_{dataset}_seed1'
    train, model = run.content['train_dataloader']['dataset'], run.content['model']
    assert train['shots'] is None and train['unlabelled'] is True
    assert model['head']['weight'] == weight and model['head']['size'] == 768
    assert model['teacher']['model']['arch'] == 'ViT-L-14-quickgelu'
    with pytest.raises(ValueError, match='not drawn by shots: its config is promptkd_vitb16_dtd'):
        leaf('promptkd', 'vitb16', 'dtd', 4)
    # the file that ships is what is composed
    (tmp_path / 'own.py').write_text(leaf('promptkd', 'vitb16', 'eurosat', None, str(CONFIGS)))
    composed, shipped = (
        Config.fromfile(f).to_dict()
        for f in (tmp_path / 'own.py', CONFIGS / 'promptkd/promptkd_vitb16_eurosat.py')
    )
    assert composed == shipped


def test_grid_takes_files_and_composes_the_rest(tmp_path):
    runs = grid(tmp_path, ['dpt', 'coop', 'zeroshot'], shots=(1, 16), seeds=(1, 2))
    assert [r.name for r in runs if r.tool == 'test'] == ['zeroshot_vitb16_eurosat']
    assert len(runs) == 2 * 2 * 2 + 1
    by_name = {r.name: r for r in runs}
    assert by_name['dpt_vitb16_eurosat_1shot_seed2'].source.endswith(
        'configs/dpt/dpt_vitb16_eurosat_1shot.py'
    )
    composed = by_name['coop_vitb16_eurosat_1shot_seed2']
    assert str(tmp_path) in composed.source
    content = composed.content
    assert content['train_cfg']['max_epochs'] == 50
    assert content['randomness']['seed'] == content['train_dataloader']['dataset']['seed'] == 2
    assert content['train_dataloader']['dataset']['shots'] == 1


@pytest.mark.parametrize('method', METHODS)
def test_composed_configs(method, tmp_path):
    """A file that composes says where its epochs come from, and holds them."""
    for dataset, shots in (('dtd', 4), ('imagenet', 1), ('sun397', 16), ('eurosat', 3)):
        text = leaf(method, 'vitb16', dataset, shots, str(CONFIGS))
        (tmp_path / f'{method}_{dataset}.py').write_text(text)
        cfg = Config.fromfile(tmp_path / f'{method}_{dataset}.py')
        found = settings(method, dataset, shots)
        if found.epochs is None:
            assert cfg.train_cfg.type == 'FeatureTrainLoop' and not cfg.train_cfg.steps
        else:
            assert cfg.train_cfg.max_epochs == found.epochs > 0
            assert f'{found.epochs} epochs: ' in text and len(found.source) > 10
        assert cfg.train_dataloader.batch_size == (found.batch_size or 32)
        assert cfg.train_dataloader.dataset.shots == shots


@pytest.mark.parametrize(
    'method, dataset, shots, epochs, said',
    [
        ('coop', 'eurosat', 8, 200, "the authors' setting"),
        ('coop', 'eurosat', 5, 200, 'our choice'),
        ('prograd', 'dtd', 2, 100, "the authors' setting"),
        ('prograd', 'imagenet', 16, 50, 'our assumption'),
        ('vpt', 'dtd', 1, 60, 'our choice'),
        ('clip_adapter', 'dtd', 1, 50, 'publish none'),
        ('clip_lora', 'eurosat', 4, 2000, '1 step per epoch'),
        ('clip_lora', 'eurosat', 16, 1600, '5 steps per epoch'),
        ('twosfs', 'eurosat', 16, 960, '5 steps per epoch'),
        ('twosfs', 'oxfordpets', 16, 253, '19 steps per epoch'),
        ('tip_adapter_f', 'eurosat', 1, 100, 'for this dataset'),
        ('promptsrc', 'ucf101', 4, 50, 'few-shot setting'),
    ],
)
def test_epochs_and_their_source(method, dataset, shots, epochs, said):
    found = settings(method, dataset, shots)
    assert found.epochs == epochs and said in found.source


def test_what_else_the_authors_set(tmp_path):
    runs = {
        r.name.split('_vitb16')[0]: r.content
        for r in grid(tmp_path, ['promptsrc', 'tip_adapter', 'kgcoop'], datasets=['dtd'], shots=[2])
    }
    assert runs['promptsrc']['default_hooks']['aggregation']['mean'] == 45
    assert runs['tip_adapter']['model']['head']['num_keys'] == 2 * 47
    assert runs['tip_adapter']['model']['head']['alpha'] == 2
    assert runs['kgcoop']['model']['templates'] == 'a photo of a {}, a type of texture.'


def test_impossible_combinations_are_named_at_once(tmp_path):
    with pytest.raises(ValueError) as error:
        grid(
            tmp_path,
            ['coop', 'deepcoop', 'zeroshot'],
            archs=['vitb16', 'vitb17'],
            datasets=['eurosat', 'imagenetv2', 'digits'],
        )
    for part in (
        "method 'deepcoop'",
        "architecture 'vitb17'",
        "dataset 'digits'",
        'imagenetv2 is for evaluation only: coop',
    ):
        assert part in str(error.value)
    with pytest.raises(ValueError, match='positive number of shots, got 0'):
        grid(tmp_path, ['coop'], shots=[0])
    with pytest.raises(ValueError, match='must not be negative'):
        grid(tmp_path, ['coop'], seeds=[-1])


def test_models_that_cannot_be_built_are_refused(tmp_path):
    runs = grid(
        tmp_path,
        ['dpt', 'vpt', 'coop', 'tip_adapter', 'promptsrc'],
        archs=['vitb16', 'rn50'],
        shots=[1, 2],
    )
    with pytest.raises(ValueError) as error:
        check_runs(runs, files=False)
    lines = str(error.value).splitlines()
    assert len(lines) == 4 and '3 runs are impossible' in lines[0]
    for line, method in zip(sorted(lines[1:]), ('dpt', 'promptsrc', 'vpt')):
        assert line.strip().startswith(f'{method}_rn50_eurosat_1shot_seed1')
        assert '1 more of its kind' in line and 'needs a vision transformer' in line
    with pytest.raises(ValueError, match='no data of EuroSAT in .*dataset.data_root'):
        check_runs(runs[:1])


def test_tool_must_suit_the_model():
    zeroshot = CONFIGS / 'zeroshot/zeroshot_tiny_digits.py'
    check_runs([resolve('a', zeroshot, test=True), resolve('b', COOP)])
    with pytest.raises(ValueError, match='a: the model learns nothing'):
        check_runs([resolve('a', zeroshot)])
    with pytest.raises(ValueError, match='b: the model learns, so'):
        check_runs([resolve('b', COOP, test=True)])


def test_hash_follows_what_changes_the_result():
    run = resolve('a', COOP, seed=1)
    assert run.hash == resolve('b', COOP, dict(work_dir='x', log_level='ERROR'), seed=1).hash
    others = [
        resolve('a', COOP, seed=2),
        resolve('a', COOP, seed=1, test=True),
        resolve('a', COOP, {'train_cfg.max_epochs': 49}, seed=1),
        resolve('a', COOP, {'optim_wrapper.optimizer.lr': 0.0100001}, seed=1),
        resolve('a', COOP, {'model.precision': 'bf16'}, seed=1),
    ]
    assert len({run.hash, *(o.hash for o in others)}) == len(others) + 1
    # a new hash would make every user's finished runs count as others
    assert (
        Run('a', dict(b=[1, 2.5], a='x', work_dir='y'), 'train', '').hash[:16] == '27a43813596fdf72'
    )


def test_resolved_config_is_what_the_training_tool_would_run(tmp_path):
    options = {'train_cfg.max_epochs': 7, 'model.templates': ['a {}.', 'b, {}.']}
    run = resolve('some_name', COOP, options, seed=5)
    written = Config.fromfile(run.write_config(tmp_path))
    args = Namespace(config=str(COOP), launcher='none', local_rank=0, work_dir='x', seed=5)
    cfg = load_config(args)
    merge_options(cfg, options)
    cfg.pop('work_dir'), cfg.pop('launcher')
    assert written.to_dict() == cfg.to_dict() == run.content


def test_fewer_shots_is_what_the_files_of_dpt_say():
    leaf16 = CONFIGS / 'dpt/dpt_tiny_digits_16shot.py'
    for shots, factor in ((8, 2), (4, 4), (2, 4), (1, 4)):
        ours = resolve('a', leaf16, fewer_shots(str(leaf16), shots, factor))
        assert ours.content == resolve('a', str(leaf16).replace('16shot', f'{shots}shot')).content


def test_fewer_shots_moves_all_that_counts_in_epochs():
    path = str(CONFIGS / 'promptsrc/promptsrc_tiny_digits_16shot.py')
    before, after = Config.fromfile(path), fewer_shots(path, 2, 4)
    assert after['train_cfg.max_epochs'] == 4 * before.train_cfg.max_epochs
    for key in ('mean', 'deviation'):
        assert (
            after[f'default_hooks.aggregation.{key}'] == 4 * before.default_hooks.aggregation[key]
        )
    path = str(CONFIGS / 'skiptuning/skiptuning_tiny_digits_16shot.py')  # batches of 4, of a class
    sizes = [fewer_shots(path, shots)['train_dataloader.batch_size'] for shots in (1, 2, 8)]
    assert sizes == [1, 2, 4]
    after = fewer_shots(str(CONFIGS / 'tip_adapter/tip_adapter_tiny_digits_16shot.py'), 4, 4)
    assert after == {'train_dataloader.dataset.shots': 4, 'model.head.num_keys': 40}


def test_tiny_digits():
    runs = plan_file(str(CONFIGS / 'sweeps/tiny_digits.py'))
    leaves = list(CONFIGS.glob('*/*_tiny_digits_16shot.py'))
    assert len(runs) == len({r.hash for r in runs}) == 3 + 15 * len(leaves)
    draws = Counter(
        (r.content['train_dataloader']['dataset']['shots'], r.content['randomness']['seed'])
        for r in runs
        if r.tool == 'train'
    )
    assert draws == {(n, s): len(leaves) for n in (1, 2, 4, 8, 16) for s in (1, 2, 3)}
    measured = [r for r in runs if r.content['default_hooks']['report'].get('baselines')]
    assert len(measured) == 15 and all(r.name.startswith('dpt_') for r in measured)
    assert len(select(runs, ['zeroshot*', 'coop_*_seed1'])) == 8


def write(path, runs):
    path.write_text(f'runs = {runs!r}\n')
    return str(path)


def test_sweep_file_tells_all_its_errors(tmp_path):
    coop = str(COOP)
    path = write(
        tmp_path / 's.py',
        [
            dict(name='a', config=coop),
            dict(name='a', config=coop),
            dict(name='b', confg=coop),
            dict(name='c', config='configs/nothing.py'),
            dict(name='../d', config=coop),
            dict(name='e', config=coop, options={'train_cfg.max_epoch': 3}),
            dict(name='f', config=coop, optoins={}),
        ],
    )
    with pytest.raises(ValueError) as error:
        plan_file(path)
    for part in (
        '6 runs are impossible',
        'the name a appears twice',
        'runs[2] lacks config',
        'c: no config file',
        'no slashes',
        'did you mean train_cfg.max_epochs',
        'unknown key optoins',
    ):
        assert part in str(error.value)
    with pytest.raises(ValueError, match="has no list 'runs'"):
        plan_file(write(tmp_path / 't.py', {}))
    with pytest.raises(FileNotFoundError, match='no config file nothing.py'):
        plan_file('nothing.py')


def test_command_line_options_win(tmp_path):
    path = write(
        tmp_path / 's.py',
        [
            dict(
                name='a',
                config='configs/coop/coop_tiny_digits_16shot.py',
                options={'train_cfg.max_epochs': 3, 'log_level': 'ERROR'},
            )
        ],
    )
    (run,) = plan_file(path, {'train_cfg.max_epochs': 5})
    assert (run.content['train_cfg']['max_epochs'], run.content['log_level']) == (5, 'ERROR')


def test_objects_in_a_config_are_refused(tmp_path):
    (tmp_path / 'c.py').write_text('model = dict(type=object())\n')
    with pytest.raises(ValueError, match='model holds more than plain Python data'):
        resolve('a', tmp_path / 'c.py')


@pytest.mark.slow
def test_real_runs(tmp_path):
    """Two short trainings and a test, through the command; equal to the plain tool."""
    import subprocess
    import sys

    root = Path(importlib.util.find_spec('mmdpt').origin).parents[1]

    def tool(*args):
        return subprocess.run([sys.executable, *map(str, args)], cwd=root, check=True)

    tool(
        'tools/sweep.py',
        'configs/sweeps/tiny_digits.py',
        '--work-dir',
        tmp_path / 'out',
        '--only',
        'coop*_4shot_seed2',
        'kgcoop*_8shot_seed1',
        'zeroshot_t*',
        '--slots',
        2,
        '--cfg-options',
        'train_cfg.max_epochs=5',
    )
    tool(
        'tools/train.py',
        COOP,
        '--work-dir',
        tmp_path / 'plain',
        '--seed',
        2,
        '--cfg-options',
        'train_cfg.max_epochs=5',
        'train_dataloader.dataset.shots=4',
    )
    ours = json.load(open(tmp_path / 'out/coop_tiny_digits_4shot_seed2/results.json'))
    plain = json.load(open(tmp_path / 'plain/results.json'))
    assert ours['few_shot'] == plain['few_shot'] and ours['draw_hash'] == plain['draw_hash']
    test = json.load(open(tmp_path / 'out/zeroshot_tiny_digits/results.json'))
    assert test['zero_shot'] == plain['zero_shot'] and test['evaluation_only']
