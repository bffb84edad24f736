"""Where CLIP's weights may lie on this machine: folders and the caches of libraries.

Nothing here uses the network but :func:`is_online`.
"""

import os
import re
from pathlib import Path

from .hf_folder import CONFIG, weight_files

OPEN_CLIP = ('open_clip_model.safetensors', 'open_clip_pytorch_model.bin')  # open_clip's names
REPOSITORY = re.compile(r'[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}')
FILES = ('.pt', '.pth', '.bin', '.safetensors', '.json')
# OpenAI's weights as transformers has them
OPENAI = {
    'ViT-B-32': 'openai/clip-vit-base-patch32',
    'ViT-B-16': 'openai/clip-vit-base-patch16',
    'ViT-L-14': 'openai/clip-vit-large-patch14',
    'ViT-L-14-336': 'openai/clip-vit-large-patch14-336',
}
PROBE = 5  # seconds that a server may take to answer at all


def is_repository(name: str) -> bool:
    """Whether a text has the form of a repository of the hub, OWNER/NAME, and not of a file."""
    return bool(REPOSITORY.fullmatch(name)) and not name.endswith(FILES)


def in_folder(folder: Path) -> Path | None:
    """Where a folder's weights are: open_clip's file, else the folder in transformers' layout,
    else None."""
    for name in OPEN_CLIP:
        if (folder / name).is_file():
            return folder / name
    if (folder / CONFIG).is_file() and any(file.is_file() for file in weight_files(folder)):
        return folder
    return None


def looked_at(folder: Path) -> list[Path]:
    """What :func:`in_folder` looks at."""
    return [*(folder / name for name in OPEN_CLIP), folder / CONFIG, *weight_files(folder)]


def snapshots(repository: str) -> list[Path]:
    """Folders of a repository in the hub's cache (``HF_HOME``), the newest ``main`` first."""
    from huggingface_hub.constants import HF_HUB_CACHE

    cache = Path(HF_HUB_CACHE) / f'models--{repository.replace("/", "--")}'
    main = cache / 'refs' / 'main'
    named = main.read_text(errors='replace').strip()[:200] if main.is_file() else ''
    folders = sorted(p for p in cache.glob('snapshots/*') if p.is_dir())
    if not folders:
        return [cache / 'snapshots']  # for the message
    return sorted(folders, key=lambda p: p.name != named)


def in_hub_cache(repository: str) -> tuple[Path | None, list[Path]]:
    """Weights of a repository in the hub's cache, and the paths that were looked at."""
    seen: list[Path] = []
    for folder in snapshots(repository):
        found = in_folder(folder)
        if found:
            return found, seen
        seen += looked_at(folder) if folder.name != 'snapshots' else [folder]
    return None, seen


def of_tag(name: str, tag: str, entry: dict) -> tuple[Path | None, list[Path]]:
    """Weights of open_clip's tag on this machine, and the paths that were looked at.

    Args:
        name (str): The architecture.
        tag (str): Of it.
        entry (dict): What open_clip knows of the tag.
    """
    seen: list[Path] = []
    owner, _, file = entry.get('hf_hub', '').rpartition('/')
    if owner and file:
        names = [Path(file).with_suffix('.safetensors').name, file]
        for path in (folder / n for folder in snapshots(owner) for n in names):
            if path.is_file():
                return path, seen
            seen.append(path)
    for repository in [owner] if owner and not file else []:
        found, more = in_hub_cache(repository)
        seen += more
        if found:
            return found, seen
    if entry.get('url'):  # where open_clip and OpenAI's package put what they download
        path = Path('~/.cache/clip').expanduser() / os.path.basename(entry['url'])
        if path.is_file():
            return path, seen
        seen.append(path)
    same = OPENAI.get(name.removesuffix('-quickgelu'))
    if tag == 'openai' and same:
        found, more = in_hub_cache(same)
        return found, seen + more
    return None, seen


def is_online() -> bool:
    """Whether the hub's server answers at all, asked once and without retrying."""
    from huggingface_hub import constants
    from huggingface_hub.utils import get_session

    if constants.HF_HUB_OFFLINE:
        return False
    try:
        get_session().head(constants.ENDPOINT, timeout=PROBE)
    except Exception:  # many kinds: no name, no route, no certificate, no time
        return False
    return True
