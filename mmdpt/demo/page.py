"""The page itself, in gradio."""

import atexit
import html
import os
import shutil
import tempfile
from functools import partial, wraps
from types import SimpleNamespace

from .answers import answer, attend, several
from .examples import LICENCE, NAMES, example, fits
from .gradio_import import import_gradio
from .inputs import Limits
from .models import Models
from .uploads import Photos

# What a visitor's mistake raises; everything else is a bug of ours, with its traceback.
USER_ERRORS = (ValueError, OSError)
CLEAR = '() => ["", {}, null, ""]'  # in the browser, without asking the server
THEME = '() => {document.body.classList.toggle("dark")}'
KEYS = """() => {document.addEventListener('keydown', event => {
    if (event.ctrlKey && event.key === 'Enter')
        document.querySelector('button#classify, #classify button').click()
})}"""
TITLE = """# Which class is it?
Drop a photo and press *Classify* (Ctrl+Enter): the model says how likely each class is. Nothing
leaves this machine, and photos are forgotten when the page stops.
"""
HEADS = ['photo', 'class', 'probability', 'sure']
MOST = 50  # photos at once


def build_page(models: Models, limits: Limits = Limits(), about: str = ''):
    """Build the page; :func:`mmdpt.demo.launch` serves it.

    Args:
        models (Models): What can be chosen on it.
        limits (Limits): The most that it accepts.
        about (str): Markdown under the title.

    Returns:
        gradio.Blocks: The page.
    """
    gr = import_gradio()
    if 'GRADIO_TEMP_DIR' not in os.environ:  # else a folder that all pages of a machine share
        os.environ['GRADIO_TEMP_DIR'] = tempfile.mkdtemp(prefix='mmdpt_demo_')
        atexit.register(shutil.rmtree, os.environ['GRADIO_TEMP_DIR'], ignore_errors=True)
    # what nobody asked about is deleted within minutes, and everything when it stops
    with gr.Blocks(title='mmdpt', analytics_enabled=False, delete_cache=(60, 600)) as page:
        photos = Photos(page.GRADIO_CACHE, 4 * limits.megabytes)
        with gr.Row():
            gr.Markdown(f'{TITLE}\n{about}', elem_id='title')
            theme = gr.Button('Light / dark', size='sm', elem_id='theme')
        with gr.Row():
            with gr.Column(scale=2):
                ui = _questions(gr, photos, models, limits)
            with gr.Column(scale=3):
                _answers(gr, ui)
        _connect(gr, ui, photos, models, limits)
        theme.click(None, js=THEME, api_visibility='private')
        page.load(None, js=KEYS, api_visibility='private')
    return page


def _questions(gr, photos: Photos, models: Models, limits: Limits) -> SimpleNamespace:
    """The left side: photos, model, names."""
    ui, first = SimpleNamespace(), models.choice(models.names[0])
    with gr.Tab('One photo'):
        ui.photo = _photo(gr, photos)
        ui.samples = _samples(gr, first.classes)
        ui.button = gr.Button('Classify', variant='primary', elem_id='classify')
    with gr.Tab('Several'):
        ui.files = _files(gr, photos)
        ui.many = gr.Button('Classify all', variant='primary', elem_id='classify_all')
    ui.model = gr.Dropdown(models.names, value=models.names[0], label='Model', elem_id='model')
    with gr.Accordion('About this model', open=False, elem_id='about'):
        ui.card = gr.Markdown(first.card, elem_id='card')
    ui.names = _names(gr, '\n'.join(first.classes), limits)
    ui.restore = gr.Button('Restore names', size='sm', elem_id='restore')
    return ui


def _answers(gr, ui: SimpleNamespace) -> None:
    """The right side: probabilities first, the figure folded away."""
    ui.table = gr.Dataframe(
        headers=HEADS, datatype='str', interactive=False, visible=False, elem_id='table', wrap=True
    )
    ui.verdict = gr.Markdown(elem_id='verdict')
    ui.label = gr.Label(label='Probability', num_top_classes=5, elem_id='label')
    with gr.Accordion('What the model looks at', open=False, elem_id='attention'):
        ui.figure, ui.note = _figure(gr), gr.Markdown(elem_id='note')


def _connect(gr, ui: SimpleNamespace, photos: Photos, models: Models, limits: Limits) -> None:
    """What happens when."""
    own = {name: '\n'.join(models.choice(name).classes) for name in models.names}
    cards = {name: models.choice(name).card for name in models.names}
    outputs = [ui.verdict, ui.label, ui.figure, ui.note]
    inputs = [ui.photo, ui.model, ui.names]
    private = dict(api_visibility='private')
    # one at a time: the photos of several visitors would compete for the processor
    heavy = dict(private, concurrency_limit=1, concurrency_id='model')
    # an old answer must not be shown beside a new question
    changes = [ui.photo.change, ui.model.change, ui.names.change]
    gr.on([ui.button.click, *changes], None, js=CLEAR, outputs=outputs, **private)
    gr.on([ui.model.change, ui.restore.click], own.get, ui.model, ui.names, **private)
    told = partial(_told, gr, photos)
    asked = told(partial(answer, models, limits))
    answered = ui.button.click(asked, inputs, [ui.verdict, ui.label], **heavy)
    # the figure takes longer than the answer, which does not wait for it
    figured = told(partial(attend, models, limits))
    answered.success(figured, inputs, [ui.figure, ui.note], **heavy)
    ui.model.change(cards.get, ui.model, ui.card, **private)
    each = _each(gr, photos, partial(several, models, limits))
    ui.many.click(each, [ui.files, ui.model, ui.names], ui.table, **heavy)
    for name, sample in ui.samples.items():
        sample.click(partial(_example, photos, name), None, ui.photo, **private)


def _example(photos: Photos, name: str) -> str:
    """An example as a file that gradio serves, as it serves an upload."""
    return photos.give(example(name))


def _samples(gr, classes: list[str]) -> dict:
    """A button per example, where the model knows what it shows."""
    if not fits(classes):
        return {}
    with gr.Row():
        found = {
            name: gr.Button(name, size='sm', min_width=60, elem_id=f'example_{name}')
            for name in NAMES
            if name in classes
        }
    gr.Markdown(f'<small>{LICENCE}</small>')
    return found


def _names(gr, names: str, limits: Limits):
    return gr.Textbox(
        names,
        label='Class names, one per line',
        lines=5,
        max_lines=12,
        elem_id='names',
        max_length=limits.classes * (limits.name_length + 1),
    )


def _figure(gr):
    return gr.Image(
        label='What the model looks at',
        format='png',
        elem_id='figure',
        interactive=False,
        buttons=['download', 'fullscreen'],
    )


def _files(gr, photos: Photos):
    """The field for several photos, which are read as one photo is."""
    field = gr.File(
        label='Photos', file_count='multiple', type='filepath', elem_id='photos', height=300
    )
    field.async_move_resource_to_block_cache = _only_uploads(gr, photos)
    field.preprocess = lambda payload: [
        (file.orig_name or 'photo', file.path) for file in getattr(payload, 'root', payload) or ()
    ]
    return field


def _photo(gr, photos: Photos):
    """The field for the photo. Gradio would decode it, whatever its size, and
    fetch one whose address a client names."""
    field = gr.Image(
        label='Photo', type='filepath', sources=['upload', 'clipboard'], elem_id='photo', height=300
    )

    field.async_move_resource_to_block_cache = _only_uploads(gr, photos)
    field.preprocess = lambda payload: None if payload is None else payload.path
    return field


def _only_uploads(gr, photos: Photos):
    """Take what was uploaded into memory; refuse any other address or path."""

    async def only_uploads(path):
        if path is not None and '://' in str(path):
            raise gr.Error('Only uploaded photos are read.', print_exception=False)
        if path is not None:
            try:
                photos.take(str(path))
            except ValueError as error:
                raise gr.Error(str(error), print_exception=False) from error
        return path

    return only_uploads


def _each(gr, photos: Photos, function):
    """Lend the photos to ``function`` one after the other, each for its own row."""

    @wraps(function)
    def handler(files, *args):
        if not files:
            raise gr.Error('There are no photos yet: drop some.', print_exception=False)
        if len(files) > MOST:
            raise gr.Error(f'{len(files)} photos: {MOST} are the most.', print_exception=False)
        rows = []
        for called, path in files:
            try:
                with photos.lend(path) as file:
                    rows += function([(called, file)], *args)
            except USER_ERRORS as error:
                rows.append([called, str(error), '', ''])
        return gr.Dataframe(value=rows, visible=True)

    return handler


def _told(gr, photos: Photos, function):
    """Show mistakes on the page, as text, without a traceback."""

    @wraps(function)
    def handler(photo, *args):
        try:
            with photos.lend(photo) as file:
                return function(file, *args)
        except USER_ERRORS as error:
            raise gr.Error(html.escape(str(error)), print_exception=False) from error

    return handler
