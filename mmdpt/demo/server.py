"""Serving the page: to this machine alone, from this machine alone."""

import ipaddress

from .gradio_import import import_gradio
from .guard import SameOrigin
from .inputs import Limits

FONT, MONO = ['system-ui', 'sans-serif'], ['ui-monospace', 'monospace']
# gradio lays label and buttons over an image; its ring around what has the focus is faint
STYLE = """
#figure img {padding-top: 2.4rem; background: white}
#theme {max-width: 9rem; margin-left: auto}
#verdict, #verdict * {font-size: 1.1rem}
:focus-visible {outline: 3px solid #d97706 !important; outline-offset: 2px}
"""


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == 'localhost'


def launch(page, host: str = '127.0.0.1', port: int = 7860, limits: Limits = Limits()) -> str:
    """Serve a page in a thread of its own.

    No public link, no telemetry, no other server's scripts or fonts.

    Args:
        page (gradio.Blocks): See :func:`build_page`.
        host (str): The address. Defaults to the loopback one.
        port (int): The port.
        limits (Limits): Of which the sizes of files count here.

    Returns:
        str: Where the page is.

    Raises:
        OSError: If the port is in use.
    """
    gr = import_gradio()
    _, url, _ = page.launch(
        server_name=host,
        server_port=port,
        share=False,
        inbrowser=False,
        quiet=True,
        prevent_thread_lock=True,
        max_file_size=int(limits.megabytes * 2**20),
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        ssr_mode=False,
        mcp_server=False,
        pwa=False,
        allowed_paths=[],
        theme=gr.themes.Default(font=FONT, font_mono=MONO),
        css=STYLE,
        app_kwargs=dict(middleware=_middleware(host, page.GRADIO_CACHE, limits)),
    )
    return url


def _middleware(host: str, folder: str, limits: Limits) -> list:
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    layers = [Middleware(SameOrigin, folder=folder, limits=limits)]
    if is_loopback(host) and ':' not in host:
        # no web site that resolves to this machine's address (DNS rebinding)
        layers.append(
            Middleware(TrustedHostMiddleware, allowed_hosts=['localhost', '127.0.0.1', host])
        )
    return layers
