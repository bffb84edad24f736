"""Installation of mmdpt; see README.md for the commands."""

import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).parent

# Lower bounds are where a feature we rely on appeared, or the oldest version
# that was tried; upper bounds stand only where a newer version is known (or
# declared by its project) not to fit. constraints.txt holds the tested set.
REQUIREMENTS = [
    'torch>=2.6',  # torch.load refuses code by default (weights_only)
    'torchvision>=0.21',  # the one that belongs to torch 2.6
    'open_clip_torch>=3.3.0',
    'numpy',
    'pillow',
    'rich',  # the progress of a training
    'safetensors',
    'pydantic>=2.7',  # what comes from a file is parsed into closed schemas
    'jinja2',  # the page about a run
    'matplotlib',  # its figures
    'scipy',  # intervals over seeds
    'scikit-learn',  # digits of the built-in example, linear probe, metrics
    'pandas',  # tables of stored predictions
]
# Either of these two; both fill the import names mmengine, mmcv and mmpretrain, so
# neither is a requirement, and mmdpt/utils/stack.py says what to install.
# mmengine: MMPretrain 1.2.0 refuses 1.0; mmcv: it refuses 2.4
OPENMMLAB = ['mmengine>=0.10.7,<1.0', 'mmcv-lite>=2.2.0,<2.4.0', 'mmpretrain>=1.2.0']
ONEDL = ['onedl-mmengine>=0.10.12,<1.0', 'onedl-mmcv>=2.3.6,<2.4', 'onedl-mmpretrain>=1.3.6']
SWEEP = ['submitit>=1.5']  # tools/sweep.py
# tools/export.py --format onnx: onnxscript is what torch.onnx writes with
EXPORT = ['onnx', 'onnxscript', 'onnxruntime']
# tokenizers of SigLIP and other text towers that read no byte pairs; tools/fit.py: data sets
HF = ['transformers', 'sentencepiece', 'datasets']
# dataset.protocol.corruption: the corruptions of ImageNet-C, on NumPy 2
CORRUPT = ['imagecorruptions-imaug>=1.1.5']
# tools/check_dataset.py --deep: pictures that look alike
ALIKE = ['imagehash']
# mkdocs 1.5: validation of links; scikit-image: the photos of docs/tutorial.md
DOCS = ['mkdocs>=1.5', 'mkdocs-material>=9.5', 'mkdocstrings[python]>=0.26', 'scikit-image']
TEST = [
    'pytest',
    'pytest-xdist',
    'tensorboard',
    'torchmetrics',
    *DOCS,
    *SWEEP,
    *EXPORT,
    *HF,
    *ALIKE,
    *CORRUPT,
]
# What OpenMMLab's tools (mim, the model hub) expect in PACKAGE/.mim.
MIM = ['configs', 'tools', 'model-index.yml']
# Tools of our developers, which no wheel holds.
OURS = [
    'check_fit.py',
    'check_parity.py',
    'parity',
    'trust_table.py',
    'plot_repeats.py',
    'benchmark_data.py',
    'benchmark_features.py',
    'benchmark_many_classes.py',
    'benchmark_speed.py',
    'speed',
    'pretrain_tiny_clip.py',
    'tiny_clip_maker',
    'make_metafiles.py',
]
EXTRAS = {
    'openmmlab': OPENMMLAB,
    'onedl': ONEDL,
    'mmcv-lite': OPENMMLAB,  # the former name of 'openmmlab'
    'test': TEST,
    'demo': ['gradio>=6.31,<7'],  # tools/demo.py
    'sweep': SWEEP,
    'export': EXPORT,
    'hf': HF,
    'alike': ALIKE,
    'corrupt': CORRUPT,
    'browser': ['selenium>=4.51'],  # pytest -m browser, beside Chromium and its driver
    'docs': DOCS,  # mkdocs build --strict
    'dev': TEST + ['ruff', 'mypy', 'import-linter', 'hypothesis'],
}


class BuildPy(build_py):
    """Adds ``mmdpt/.mim``: copies in a wheel, links in an editable install."""

    def run(self):
        """Builds the package, then its ``.mim``."""
        super().run()
        if getattr(self, 'editable_mode', False):
            self.fill(
                HERE / 'mmdpt' / '.mim',
                lambda source, target: target.symlink_to(
                    Path('..', '..', source.name), target_is_directory=source.is_dir()
                ),
            )
        else:
            self.fill(Path(self.build_lib) / 'mmdpt' / '.mim', copy)

    def fill(self, folder, place):
        """Makes the folder anew."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name in MIM:
            place(HERE / name, folder / name)


def copy(source, target):
    """Copies a file or a folder, without what is not for users."""
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns('__pycache__', *OURS))
    else:
        shutil.copy2(source, target)


def version():
    """The version, without importing the package."""
    scope = {}
    exec((HERE / 'mmdpt' / 'version.py').read_text(), scope)
    return scope['__version__']


def readme():
    """README.md, or nothing in a checkout that lacks it."""
    path = HERE / 'README.md'
    return path.read_text(encoding='utf-8') if path.exists() else ''


setup(
    name='mmdpt',
    version=version(),
    description='Few-shot prompt tuning of CLIP (DPT, CoOp, VPT) in MMPretrain',
    long_description=readme(),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    packages=find_packages(include=['mmdpt', 'mmdpt.*']),
    # Said outright, an editable install puts this folder on the path (a .pth file).
    # Setuptools' other way, an import hook, comes too late where the current folder
    # holds a clone called mmdpt: Python takes that for a package without a file.
    package_dir={'': '.'},
    py_modules=['mmdpt_command'],
    entry_points={'console_scripts': ['mmdpt = mmdpt_command:main']},
    package_data={
        'mmdpt.tiny_clip': ['*.json', '*.gz', '*.safetensors'],
        'mmdpt.report': ['templates/*'],
    },
    cmdclass=dict(build_py=BuildPy),
    python_requires='>=3.10,<3.14',  # the versions that were tried
    install_requires=REQUIREMENTS,
    extras_require=EXTRAS,
    classifiers=[
        'Development Status :: 3 - Alpha',
        'Intended Audience :: Science/Research',
        'Operating System :: POSIX :: Linux',
        'Programming Language :: Python :: 3.10',
        'Programming Language :: Python :: 3.11',
        'Programming Language :: Python :: 3.12',
        'Programming Language :: Python :: 3.13',
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
    ],
    zip_safe=False,
)
