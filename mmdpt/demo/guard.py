"""What stands before the server: own pages only, and a bound to what they send."""

from urllib.parse import urlsplit

from .inputs import Limits
from .uploads import make_room, started

# The browser loads nothing from elsewhere, whatever gradio's files ask for, and
# shows the page in no other site's frame.
POLICY = (
    b"default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; "
    b"frame-ancestors 'self'; form-action 'self'; base-uri 'self'"
)
OTHER_BODIES = 2**21  # bytes of a request that is no upload: a thousand class names fit
FORM = 2**16  # bytes of an upload beside the file


class SameOrigin:
    """ASGI middleware: requests of other sites are refused, and so is what would fill the disk.

    A browser says where a request comes from; what says nothing is no browser, and
    comes from a program of this machine.

    Args:
        app (Callable): The application.
        folder (str): Where uploads lie.
        limits (Limits): The most that the page accepts.
    """

    def __init__(self, app, folder: str, limits: Limits = Limits()):
        self.app, self.folder = app, folder
        self.largest = int(limits.megabytes * 2**20) + FORM
        # one half for what lies there, one for what is on its way
        self.half = max(int(limits.total_megabytes * 2**20) // 2, self.largest)
        self.coming, self.since = 0, started()

    async def __call__(self, scope, receive, send):
        """Pass a request on, and its response back with the security policy."""
        if scope['type'] == 'websocket' and is_foreign(scope):
            await send(dict(type='websocket.close', code=1008))
            return
        if scope['type'] != 'http':
            await self.app(scope, receive, send)
            return

        async def with_header(message):
            if message['type'] == 'http.response.start':
                message['headers'] = [
                    *message.get('headers', ()),
                    (b'content-security-policy', POLICY),
                ]
            await send(message)

        if is_foreign(scope):
            await refuse(with_header, 403, 'This page answers only to itself.')
            return
        length = body_length(scope)
        if length is None:
            await refuse(with_header, 411, 'Say how long the request is.')
        elif length == 0:
            await self.app(scope, receive, with_header)
        else:
            await self._with_body(scope, receive, with_header, length)

    async def _with_body(self, scope, receive, send, length: int) -> None:
        upload = scope['path'].rstrip('/').endswith('/upload')
        if length > (self.largest if upload else OTHER_BODIES):
            await refuse(send, 413, 'This is more than the page accepts.')
        elif self.coming + length > self.half:
            await refuse(send, 503, 'Too much is on its way: try again in a moment.')
        else:
            self.coming += length
            try:
                make_room(self.folder, self.half - length, self.since)
                await self.app(scope, receive, send)
            finally:
                self.coming -= length


def headers(scope, name: bytes) -> list[str]:
    """The values of a header, of which there may be several."""
    return [v.decode('latin-1').strip() for k, v in scope['headers'] if k.lower() == name]


def is_foreign(scope) -> bool:
    """Whether a browser sends a request for another site.

    A link to the page is none: it only shows it.
    """
    (host,) = headers(scope, b'host')[:1] or ['']
    shows = scope.get('method') in ('GET', 'HEAD') and headers(scope, b'sec-fetch-mode') == [
        'navigate'
    ]
    sites = headers(scope, b'sec-fetch-site')
    if not shows and any(site not in ('same-origin', 'none') for site in sites):
        return True
    return any(not _same(origin, host) for origin in headers(scope, b'origin'))


def _same(origin: str, host: str) -> bool:
    try:
        found = urlsplit(origin)
    except ValueError:
        return False
    return found.scheme in ('http', 'https') and found.netloc.lower() == host.lower() != ''


def body_length(scope) -> int | None:
    """Bytes that follow; None if that is not said."""
    lengths = headers(scope, b'content-length')
    if headers(scope, b'transfer-encoding'):
        return None
    return int(lengths[0]) if lengths and lengths[0].isdecimal() else 0


async def refuse(send, status: int, text: str) -> None:
    """Answer without the application."""
    body = text.encode()
    head = [(b'content-type', b'text/plain'), (b'content-length', str(len(body)).encode())]
    # what was not read must not be taken for the next request
    head.append((b'connection', b'close'))
    await send(dict(type='http.response.start', status=status, headers=head))
    await send(dict(type='http.response.body', body=body))
