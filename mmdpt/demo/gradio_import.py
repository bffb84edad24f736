"""gradio, an extra, without its telemetry."""

import os


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
