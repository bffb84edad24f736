"""A checkpoint as others expect an adapter: weights, config and a card to read."""

import json
import os
import os.path as osp

from ..engine import read_checkpoint
from ..engine.entry import read_entry, read_recipe
from ..engine.published import CARD, CONFIG, WEIGHTS, folder_content
from ..evaluation.intervals import wilson_percent
from ..utils.files import write_atomically, write_text
from ..utils.seal import in_bounds, read_sealed
from ..utils.text import markdown

SHOWN = 100  # class names
METRIC = 'accuracy/top1'


def publish(
    checkpoint: str, folder: str, license: str | None = None, overwrite: bool = False
) -> list[str]:
    """Write ``model.safetensors``, ``config.json`` and ``README.md``.

    Args:
        checkpoint (str): File that training wrote.
        folder (str): Where to; new, or empty.
        license (str, optional): Of what was learnt, by its short name.
        overwrite (bool): Whether to replace these three files.

    Returns:
        list[str]: The files.

    Raises:
        OSError: If a file is missing, there already, or cannot be written.
        ValueError: If the checkpoint cannot be used by itself.
    """
    content = read_checkpoint(checkpoint)
    read_recipe(content['meta'], checkpoint)
    weights, config = folder_content(content, read_entry(content['meta']))
    card = model_card(config, results_beside(checkpoint, config), license)
    check_folder(folder, checkpoint, overwrite)
    paths = [osp.join(folder, name) for name in (WEIGHTS, CONFIG, CARD)]
    write_atomically(weights, paths[0])
    write_text(json.dumps(config, indent=2, sort_keys=True) + '\n', paths[1])
    write_text(card, paths[2])
    return paths


def check_folder(folder: str, checkpoint: str, overwrite: bool) -> None:
    """Refuse a folder that holds something else.

    Raises:
        OSError: Names it.
    """
    if osp.lexists(folder) and not osp.isdir(folder):
        raise NotADirectoryError(f'cannot write into {folder}: it is a file')
    there = set(os.listdir(folder)) if osp.isdir(folder) else set()
    others = sorted(there - {WEIGHTS, CONFIG, CARD})
    if others or osp.realpath(folder) == osp.realpath(checkpoint):
        raise FileExistsError(
            f'{folder} holds other files ({", ".join(others[:3])}): choose a new folder'
        )
    if there and not overwrite:
        raise FileExistsError(f'{folder} is there already: choose another, or add --overwrite')


def results_beside(checkpoint: str, config: dict) -> dict:
    """The results of a checkpoint's own training; empty if there are none.

    Raises:
        ValueError: If there are, but they were changed.
    """
    path = osp.join(osp.dirname(checkpoint), 'results.json')
    if not osp.isfile(path):
        return {}
    try:
        found = read_sealed(path)
    except ValueError as error:
        raise ValueError(f'{path}: {error}: a card cannot tell figures') from error
    own = (found.get('draw_hash'), found.get('seed'), found.get('epochs'))
    if own != (config['draw_hash'], config['seed'], config['epoch']):
        return {}  # of another checkpoint
    return found if in_bounds(found.get('few_shot')) else {}


def _figure(name: str, metrics: dict | None, count: int | None) -> list[str]:
    if not in_bounds(metrics) or METRIC not in (metrics or {}):
        return []
    accuracy = (metrics or {})[METRIC]
    text = f'| {name} | {accuracy:.2f} % |'
    if type(count) is not int or count < 1:
        return [text + ' not known |']
    low, high = wilson_percent(accuracy, count)
    return [f'{text} {low:.2f} to {high:.2f} %, {count} images |']


def model_card(config: dict, results: dict, license: str | None) -> str:
    """What Hugging Face shows of a model; names in it are shown as they are.

    Args:
        config (dict): Of :func:`folder_content`.
        results (dict): The training's, or empty.
        license (str, optional): Of what was learnt.
    """
    clip, classes, learnt = config['clip'], config['classes'], config['recipe']['model']
    parts = [
        f'{name}: {learnt[name].get("type", "?")}'
        for name in ('text_prompt', 'visual_prompt', 'tuning', 'head')
        if isinstance(learnt.get(name), dict)
    ]
    count = results.get('test_images')
    figures = _figure('learnt', results.get('few_shot'), count)
    figures += _figure('zero-shot CLIP', results.get('zero_shot'), count)
    facts = dict(
        CLIP=f'{clip["arch"]}, weights {clip["pretrained"] or "not named"}',
        Fingerprint=clip['fingerprint'],
        Learnt=', '.join(parts) or 'see config.json',
        Data=results.get('benchmark') or 'not known',
        Classes=str(len(classes)),
        Shots=str(results.get('shots') or 'not known'),
        Seed=str('not known' if config['seed'] is None else config['seed']),
        Draw=config['draw_hash'] or 'not known',
        mmdpt=config['version'] or 'not known',
        License=license or 'not stated',
    )
    more = f', and {len(classes) - SHOWN} more' if len(classes) > SHOWN else ''
    return '\n'.join(
        [
            '---',
            'library_name: mmdpt',
            'pipeline_tag: image-classification',
            *([f'license: {json.dumps(license)}'] if license else []),
            '---',
            '',
            '# Prompts for few-shot image classification',
            '',
            'What was learnt beside a frozen CLIP, whose own weights are not in here.',
            '',
            '| | |',
            '| :-- | :-- |',
            *(f'| {name} | {markdown(str(value))} |' for name, value in facts.items()),
            '',
            *(
                ['| Top-1 accuracy | | 95 % interval |', '| :-- | --: | :-- |', *figures, '']
                if figures
                else ['No accuracy is known.', '']
            ),
            'Classes: ' + ', '.join(markdown(name) for name in classes[:SHOWN]) + more + '.',
            '',
            '```bash',
            'mmdpt predict FOLDER photo.jpg',
            '```',
            '',
        ]
    )
