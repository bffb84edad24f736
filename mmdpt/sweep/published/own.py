"""Your own photos, for which nobody has published a setting."""

from dataclasses import replace

from .settings import Settings

NEAREST = 'caltech101'  # photos of things, as most people's are
SHOTS = 16  # where all photos are used
CHOOSE_ON_VAL = ('tip_adapter', 'tip_adapter_f', 'ape', 'gda', 'linear_probe', 'lppp')
OUR_NOTE = ' As for Caltech101, whose photos are of things, too: our choice.'
CACHED = ('tip_adapter', 'tip_adapter_f', 'ape')


def own(found: Settings, method: str) -> Settings:
    """The settings for Caltech101 as those of photos of which only their owner knows.

    What depends on the number of photos is left open (``num_keys``), and the
    templates are the owner's.
    """
    model = {key: value for key, value in found.model.items() if key != 'templates'}
    if method == 'twosfs':
        model['templates'] = None  # not the authors' one, but dataset.templates
    if method in CACHED:
        model['head'] = dict(model['head'], num_keys=None)
    if method == 'coprompt':
        model['head'] = dict(model['head'], sentences='data/custom_sentences.json')
    if method == 'dpt':
        model['visual_prompt'] = dict(top_k=2)  # two classes suffice
    return replace(found, model=model, notes=OUR_NOTE)
