"""What few-shot training has gained: figures before and after it."""

import os.path as osp
import shlex
import time

from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmpretrain.registry import HOOKS

from mmdpt.evaluation.predictions import PREDICTIONS, ZERO_SHOT
from mmdpt.utils.files import write_json
from mmdpt.utils.memory import peak_memory
from mmdpt.utils.seal import sealed
from mmdpt.utils.unwrap import unwrapped

from ..paths import spoken
from .best_on_val import check_lists, load_best
from .checkpoint_hook import PromptCheckpointHook
from .entry import belongs_to
from .kept_teacher import unlabelled_images
from .launch import main_process_alone
from .measure import BASELINES, check_baselines, measure_baselines, measure_zero_shot
from .prediction_files import KeptTests
from .provenance import about_file, now, package_commit, versions
from .recipe import make_recipe
from .used_for import used_for

CLOCKS = dict(train_seconds=time.time, train_cpu_seconds=time.process_time)
NAMES = dict(
    linear_probe='linear probe (logistic regression on frozen CLIP features)',
    raw_pixels='raw pixels (logistic regression)',
)


@HOOKS.register_module()
class FewShotReportHook(Hook):
    """Test the frozen model before and the learnt one after the training.

    The figures are printed, with the checkpoint and the commands to go on,
    and written to ``results.json`` in the work directory. The training itself
    is the same with and without this hook, bit for bit. For a model without
    ``zero_shot()``, such as MMPretrain's own, there are only the figures after it.

    Args:
        baselines (Sequence[str]): Classifiers to fit on the same few images
            for comparison: 'linear_probe' on the frozen image features,
            'raw_pixels' on images that the dataset keeps in memory.
        enable (bool): Whether to do anything.
        method (str, optional): What tables and figures call this training;
            see docs/results.md. By default the beginning of the config's name.
        best_on_val (bool): Test the epoch that is best on the few-shot validation
            images, and say so in the results; see :func:`select_on_val`. The
            benchmark's protocol tests the last one.
        predictions (bool): Whether to write what was predicted for each image, too, by the
            learnt model and by zero-shot CLIP; see docs/trust.md.

    Raises:
        ValueError: On an unknown baseline, or, before the training, if there
            is nothing to test on, or the model has no features for a baseline.
    """

    priority = 'LOW'  # after the losses are logged, before checkpoints
    clocks = CLOCKS  # several runs of one process have a share of its time each

    def __init__(self, baselines=(), enable=True, method=None, best_on_val=False, predictions=True):
        for name in baselines:
            if name not in BASELINES:
                raise ValueError(f"unknown baseline '{name}': choose among {', '.join(BASELINES)}")
        self.baselines = baselines
        self.enable = enable
        self.method = method
        self.zero_shot, self.compared, self.final = None, {}, None
        self.best_on_val, self.selected = best_on_val, None
        self.predictions = KeptTests(predictions)

    def before_train(self, runner):
        """Measure zero-shot accuracy and the baselines."""
        if not self.enable:
            return
        if runner.test_loop is None:
            raise ValueError(
                'FewShotReportHook has no test images: give test_dataloader, test_cfg '
                'and test_evaluator, or switch it off with '
                'default_hooks.report.enable=False'
            )
        if self.best_on_val:
            check_lists(runner)
        self.commit = package_commit()  # now: the checkout may change during the training
        model = unwrapped(runner.model)
        check_baselines(self.baselines, model, runner.train_dataloader.dataset)
        if hasattr(model, 'zero_shot'):
            runner.logger.info(
                f'Testing zero-shot CLIP on {len(runner.test_dataloader.dataset)} images'
            )
            self.predictions.begin(runner, runner.test_loop)
            self.zero_shot = measure_zero_shot(model, runner.test_loop)
            self.predictions.end(ZERO_SHOT)
            runner.logger.info(f'Zero-shot CLIP: {_metrics(self.zero_shot)}')
        with main_process_alone() as works:  # longer than a collective would wait
            if works:
                self.compared = measure_baselines(
                    self.baselines, model, runner.cfg, runner.test_dataloader.dataset
                )
        for name, accuracy in self.compared.items():
            runner.logger.info(f'For comparison, {NAMES[name]}: {accuracy:.2f} %')
        info = runner.message_hub.runtime_info
        self.before = {n: info.get(n, 0.0) - clock() for n, clock in self.clocks.items()}

    def after_train_epoch(self, runner):
        """Keep the training time, so that a resumed training goes on counting."""
        if self.enable:
            for name, clock in self.clocks.items():
                runner.message_hub.update_info(name, self.before[name] + clock())

    def before_val_epoch(self, runner):
        """Keep the predictions of a validation that is the test, too."""
        if self._is_test(runner):
            self.predictions.begin(runner, runner.val_loop)

    def after_val_epoch(self, runner, metrics=None):
        """Take over a validation that is the test, after the last epoch."""
        if self._is_test(runner):
            self.final = {k: float(v) for k, v in metrics.items()}
            self.predictions.end(PREDICTIONS)

    def _is_test(self, runner):
        cfg = runner.cfg
        same = cfg.get('val_dataloader') == cfg.get('test_dataloader') and cfg.get(
            'val_evaluator'
        ) == cfg.get('test_evaluator')
        return self.enable and same and runner.epoch == runner.max_epochs

    def after_train(self, runner):
        """Test the learnt model and report all figures."""
        if not self.enable:
            return
        info = runner.message_hub.runtime_info
        seconds = {name: round(info.get(name, 0.0), 3) for name in CLOCKS}
        if self.best_on_val:
            self.selected = load_best(runner)
        if self.final is None:
            self.predictions.begin(runner, runner.test_loop)
            self.final = {k: float(v) for k, v in runner.test_loop.run().items()}
            self.predictions.end(PREDICTIONS)
        self._tell(runner, seconds)

    @master_only
    def _tell(self, runner, seconds):
        results = self._results(runner, seconds)
        results['files'] = self.predictions.write(runner, results)
        path = osp.join(runner.work_dir, 'results.json')
        write_json(sealed(results), path, indent=2)
        lines = [f'Few-shot result: {_title(results)}']
        lines += [f'  zero-shot CLIP: {_metrics(self.zero_shot)}'] if self.zero_shot else []
        lines += [f'  {NAMES[k]}: {v:.2f} %' for k, v in self.compared.items()]
        used = results.get('unlabelled_images')
        if used:
            lines += [f'  learnt from {used["images"]} unlabelled images: {used["source"]}']
        lines += [
            f'  learnt{self._which()}: {_metrics(self.final)}',
            f'  training took {seconds["train_seconds"]:.1f} s, without these tests',
            f'  results: {_short(path)}',
        ]
        checkpoint = results['checkpoint']
        if checkpoint:
            config, file = shlex.quote(results['config']), shlex.quote(_short(checkpoint['path']))
            # what carries no recipe, such as MMPretrain's own classifiers
            how, weights = '', runner.cfg.model.get('pretrained')
            sentences = getattr(unwrapped(runner.model), 'descriptions', None)
            if 'missing' in make_recipe(runner.cfg, sentences):
                how = f' --config {config}'
            elif weights and osp.isfile(weights):  # a checkpoint's own paths are never opened
                how = f' --pretrained {shlex.quote(weights)}'
            lines += [
                f'  checkpoint: {file} ({checkpoint["bytes"] / 1e6:.2f} MB)',
                spoken(f'  test again:  python tools/test.py {config} {file}'),
                spoken(f'  predict:     python tools/predict.py {file} IMAGE...{how}'),
            ]
        runner.logger.info('\n'.join(lines))

    def _which(self):
        found = self.selected
        return f' (best on val: epoch {found["epoch"]})' if found else ''

    def _results(self, runner, seconds):
        meta = getattr(runner.train_dataloader.dataset, 'metainfo', {})
        identity = belongs_to(runner)
        last = runner.message_hub.runtime_info.get('last_ckpt')
        last = self.selected['path'] if self.selected else last
        changed = [h.changed for h in runner.hooks if isinstance(h, PromptCheckpointHook)]
        return dict(
            config=_dumped_config(runner),
            method=self.method,
            benchmark=meta.get('benchmark'),
            shots=meta.get('shots'),
            seed=runner.seed,
            subset=meta.get('subset'),
            draw_hash=identity.get('draw_hash'),
            data_protocol=meta.get('data_protocol'),
            flipped=meta.get('flipped') or None,  # path, true and given label
            clip=identity.get('clip'),
            epochs=runner.epoch,
            selected=self.selected,
            used_for=used_for(runner),
            views=getattr(getattr(runner, 'train_loop', None), 'views', None),  # of kept features
            zero_shot=self.zero_shot,
            templates=(runner.cfg.get('model') or {}).get('templates'),  # None: the benchmark's
            described=bool(getattr(unwrapped(runner.model), 'descriptions', None)),
            baselines=self.compared,
            few_shot=self.final,
            **seconds,
            peak_memory_mib=round(peak_memory(), 1),
            test_images=len(runner.test_dataloader.dataset),
            checkpoint=last and about_file(last),
            versions=versions(),
            commit=self.commit,
            finished=now(),
            **({'resumed_with_changes': changed[0]} if changed and changed[0] else {}),
            **unlabelled_images(runner),
        )


def _dumped_config(runner):
    """The config with the command line's changes, which the Runner left there."""
    if not runner.cfg.filename:
        return None
    return _short(osp.join(runner.work_dir, osp.basename(runner.cfg.filename)))


def _title(results):
    parts = [osp.splitext(osp.basename(results['config'] or 'training'))[0]]
    parts += [results['benchmark']] if results['benchmark'] else []
    parts += [f'{results["shots"]} shots'] if results['shots'] else []
    if isinstance(results['views'], int):
        parts += [f'{results["views"]} views']
    return ', '.join(parts + [f'seed {results["seed"]}'])


def _metrics(metrics):
    return ', '.join(f'{name} {value:.2f}' for name, value in metrics.items())


def _short(path):
    relative = osp.relpath(path)
    return path if relative.startswith('..') else relative
