"""The page itself, in gradio."""

import atexit
import html
import os
import shutil
import tempfile
from functools import partial, wraps

from .answers import answer, attend, several
from .examples import LICENCE, NAMES, example, fits
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


def import_gradio():
    """gradio, with its telemetry switched off before it is imported.

    Raises:
        ModuleNotFoundError: Names the extra.
    """
    os.environ['GRADIO_ANALYTICS_ENABLED'] = 'False'
    os.environ['HF_HUB_DISABLE_TELEMETRY'] = '1'
    try:
        import gradio
    except ModuleNotFoundError as error:
        if error.name != 'gradio':
            raise
        raise ModuleNotFoundError(
            "the page needs gradio: pip install 'mmdpt[demo]' (from a "
            "checkout: pip install -e '.[demo]')",
            name='gradio',
        ) from error
    return gradio


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
    own = {name: '\n'.join(models.choice(name).classes) for name in models.names}
    cards = {name: models.choice(name).card for name in models.names}
    first = models.names[0]
    # what nobody asked about is deleted within minutes, and everything when it stops
    with gr.Blocks(title='mmdpt', analytics_enabled=False, delete_cache=(60, 600)) as page:
        photos = Photos(page.GRADIO_CACHE, 4 * limits.megabytes)
        with gr.Row():
            gr.Markdown(f'{TITLE}\n{about}', elem_id='title')
            theme = gr.Button('Light / dark', size='sm', elem_id='theme')
        with gr.Row():
            with gr.Column(scale=2):
                with gr.Tab('One photo'):
                    photo = _photo(gr, photos)
                    samples = _samples(gr, models.choice(first).classes)
                    button = gr.Button('Classify', variant='primary', elem_id='classify')
                with gr.Tab('Several', elem_id='several'):
                    files = _files(gr, photos)
                    many = gr.Button('Classify all', variant='primary', elem_id='classify_all')
                model = gr.Dropdown(models.names, value=first, label='Model', elem_id='model')
                with gr.Accordion('About this model', open=False, elem_id='about'):
                    card = gr.Markdown(cards[first], elem_id='card')
                names = _names(gr, own[first], limits)
                restore = gr.Button('Restore names', size='sm', elem_id='restore')
            with gr.Column(scale=3):
                verdict = gr.Markdown(elem_id='verdict')
                label = gr.Label(label='Probability', num_top_classes=5, elem_id='label')
                with gr.Accordion('What the model looks at', open=False, elem_id='attention'):
                    figure, note = _figure(gr), gr.Markdown(elem_id='note')
                table = gr.Dataframe(headers=HEADS, interactive=False, elem_id='table', wrap=True)
        outputs, inputs = [verdict, label, figure, note], [photo, model, names]
        private = dict(api_visibility='private')
        # one at a time: the photos of several visitors would compete for the processor
        heavy = dict(private, concurrency_limit=1, concurrency_id='model')
        # an old answer must not be shown beside a new question
        gr.on(
            [button.click, photo.change, model.change, names.change],
            None,
            js=CLEAR,
            outputs=outputs,
            **private,
        )
        gr.on([model.change, restore.click], own.get, model, names, **private)
        told = partial(_told, gr, photos)
        answered = button.click(
            told(partial(answer, models, limits)), inputs, [verdict, label], **heavy
        )
        # the figure takes longer than the answer, which does not wait for it
        figured = told(partial(attend, models, limits))
        answered.success(figured, inputs, [figure, note], **heavy)
        model.change(cards.get, model, card, **private)
        all_of_them = _each(gr, photos, partial(several, models, limits))
        many.click(all_of_them, [files, model, names], table, **heavy)
        for name, sample in samples.items():
            sample.click(partial(example, name), None, photo, **private)
        theme.click(None, js=THEME, **private)
        page.load(None, js=KEYS, **private)
    return page


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
        return [[html.escape(value) for value in row] for row in rows]

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
