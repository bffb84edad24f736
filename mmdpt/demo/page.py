"""The page itself, in gradio."""

import atexit
import html
import os
import shutil
import tempfile
from functools import partial, wraps

from .answers import attend, classify
from .inputs import Limits
from .models import Models
from .uploads import Photos

# What a visitor's mistake raises; everything else is a bug of ours, with its traceback.
USER_ERRORS = (ValueError, OSError)
CLEAR = '() => [{}, null, ""]'  # in the browser, without asking the server


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
    first = models.names[0]
    # what nobody asked about is deleted within minutes, and everything when it stops
    with gr.Blocks(title='mmdpt', analytics_enabled=False, delete_cache=(60, 600)) as page:
        photos = Photos(page.GRADIO_CACHE, 4 * limits.megabytes)
        gr.Markdown('# Classify a photo\n' + about)
        with gr.Row():
            with gr.Column(scale=2):
                photo = _photo(gr, photos)
                model = gr.Dropdown(models.names, value=first, label='Model', elem_id='model')
                names = _names(gr, own[first], limits)
                with gr.Row():
                    restore = gr.Button('Restore names', elem_id='restore')
                    button = gr.Button('Classify', variant='primary', elem_id='classify')
            with gr.Column(scale=3):
                label = gr.Label(label='Probability', num_top_classes=5, elem_id='label')
                figure = _figure(gr)
                note = gr.Markdown(elem_id='note')
        outputs, inputs = [label, figure, note], [photo, model, names]
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
        answer = button.click(told(partial(classify, models, limits)), inputs, label, **heavy)
        # the figure takes longer than the answer, which does not wait for it
        figured = told(partial(attend, models, limits))
        answer.success(figured, inputs, [figure, note], **heavy)
    return page


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


def _photo(gr, photos: Photos):
    """The field for the photo. Gradio would decode it, whatever its size, and
    fetch one whose address a client names."""
    field = gr.Image(
        label='Photo', type='filepath', sources=['upload', 'clipboard'], elem_id='photo', height=300
    )

    async def only_uploads(path):
        if path is not None and '://' in str(path):
            raise gr.Error('Only uploaded photos are read.', print_exception=False)
        if path is not None:
            try:
                photos.take(str(path))
            except ValueError as error:
                raise gr.Error(str(error), print_exception=False) from error
        return path

    field.async_move_resource_to_block_cache = only_uploads
    field.preprocess = lambda payload: None if payload is None else payload.path
    return field


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
