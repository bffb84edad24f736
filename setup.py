"""Installation of mmdpt; see README.md for the commands."""
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent

# Lower bounds are where a feature we rely on appeared, or the oldest version
# that was tried; upper bounds stand only where a newer version is known (or
# declared by its project) not to fit. constraints.txt holds the tested set.
REQUIREMENTS = [
    'torch>=2.6',  # torch.load refuses code by default (weights_only)
    'torchvision>=0.21',  # the one that belongs to torch 2.6
    'mmengine>=0.10.7,<1.0',  # MMPretrain 1.2.0 refuses 1.0
    'mmpretrain>=1.2.0',
    'open_clip_torch>=3.3.0',
    'numpy',
    'pillow',
    'safetensors',
    'scikit-learn',  # digits of the built-in example, linear probe
]
TEST = ['pytest']
EXTRAS = {
    # mmcv and mmcv-lite share one import name: neither is a requirement.
    'mmcv-lite': ['mmcv-lite>=2.2.0,<2.4.0'],  # MMPretrain refuses 2.4
    'test': TEST,
    'sweep': ['submitit>=1.5'],  # tools/sweep.py
    'dev': TEST + ['yapf', 'flake8', 'isort'],
}


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
    package_data={'mmdpt.tiny_clip': ['*.json', '*.gz', '*.safetensors']},
    python_requires='>=3.11,<3.12',  # the version that was tried
    install_requires=REQUIREMENTS,
    extras_require=EXTRAS,
    classifiers=[
        'Development Status :: 3 - Alpha',
        'Intended Audience :: Science/Research',
        'Operating System :: POSIX :: Linux',
        'Programming Language :: Python :: 3.11',
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
    ],
    zip_safe=False)
