"""A run of a sweep: a resolved config, its hash, its folder."""

import ast
import hashlib
import json
import os.path as osp
from dataclasses import dataclass
from functools import cached_property

from mmengine.config import Config

from ..engine.cli import set_seed
from ..engine.options import check_options
from ..paths import find_config, root
from ..utils.files import write_atomically

# Where it runs and how much it prints: without influence on the result.
INDIFFERENT = ('work_dir', 'resume', 'launcher', 'log_level', 'log_processor', 'visualizer')


@dataclass(frozen=True)
class Run:
    """A run, ready to start.

    Args:
        name (str): Of its folder.
        content (dict): The resolved config.
        tool (str): 'train', or 'test' for what learns nothing.
        source (str): The config file it comes from, for messages.
    """

    name: str
    content: dict
    tool: str
    source: str

    @cached_property
    def hash(self):
        """str: Hash of all that changes the result."""
        counts = {k: v for k, v in self.content.items() if k not in INDIFFERENT}
        text = json.dumps([self.tool, counts], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def write_config(self, folder):
        """Write the resolved config: what is hashed is what runs.

        Returns:
            str: The file.
        """
        path = osp.join(folder, f'{self.name}.py')
        lines = [f'"""Resolved from {self.source}."""']
        lines += [f'{key} = {value!r}' for key, value in self.content.items()]
        write_atomically(('\n'.join(lines) + '\n').encode(), path)
        return path


def resolve(name, config, options=None, seed=None, test=False, cache=None):
    """Resolve a run as ``tools/train.py CONFIG --seed N --cfg-options ...`` does.

    Args:
        name (str): Of its folder.
        config (str | Path): The config file.
        options (dict, optional): Dotted names and values.
        seed (int, optional): Of the training and of the few-shot draw.
        test (bool): Whether it is only tested.
        cache (dict, optional): Configs read, and options checked, so far.

    Returns:
        Run: The run.

    Raises:
        ValueError, FileNotFoundError: If one of these is wrong; names the run.
    """
    cache = {} if cache is None else cache
    try:
        _check_name(name)
        path = find_config(config)
        if path not in cache:
            cache[path] = Config.fromfile(path)
        cfg = Config(cache[path].to_dict())
        if seed is not None:
            set_seed(cfg, seed)
        options = dict(options or {})
        checked = (path, *options)
        if checked not in cache:  # names are checked once, it takes a while
            check_options(cfg, options)
            cache[checked] = True
        cfg.merge_from_dict(options)
        content = _literal(cfg.to_dict())
    except (ValueError, OSError, TypeError, KeyError, SyntaxError) as error:
        text = error.args[0] if isinstance(error, KeyError) and error.args else error
        raise ValueError(f'{name}: {text}') from error
    return Run(name, content, 'test' if test else 'train', _short(path))


def _check_name(name):
    if not name or name != osp.basename(name) or name.startswith('.'):
        raise ValueError('the name of a run is the name of its folder: no slashes, no dot in front')


def _literal(content):
    """dict: The config, as data that Python's source can spell.

    Raises:
        ValueError: If something else is inside.
    """
    for key, value in content.items():
        try:
            ast.literal_eval(repr(value))
        except (ValueError, SyntaxError) as error:
            raise ValueError(
                f"the config's {key} holds more than plain Python data ({error}): "
                "give names (type='...') instead of objects"
            ) from error
    return content


def _short(path):
    relative = osp.relpath(path)
    return str(path) if relative.startswith('..') else relative


def find_tool(run):
    """str: The script that runs it."""
    return str(root() / 'tools' / f'{run.tool}.py')
