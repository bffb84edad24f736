"""What reaches the page from elsewhere, and what it leaves on the disk."""

import asyncio
import json
import os
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import test_demo
from test_demo import TINY, answered, free_port, gradio, models, tool, upload, write_digit  # noqa: F401  (fixtures)

from mmdpt.demo import Limits, Models, build_page, launch, zero_shot_choice
from mmdpt.demo.guard import SameOrigin
from mmdpt.demo.uploads import MANY, Photos, make_room

HOST = ('host', '127.0.0.1:7860')
OWN = ('origin', 'http://127.0.0.1:7860')


def asked(*headers, method='POST', path='/gradio_api/upload', limits=Limits(), folder='.'):
    """int: The status of a request's answer; 200 if the application was asked."""
    seen = []

    async def answers(scope, receive, send):
        await send(dict(type='http.response.start', status=200, headers=[]))

    async def send(message):
        seen.append(message)

    scope = dict(
        type='http',
        method=method,
        path=path,
        headers=[(k.encode(), v.encode()) for k, v in (HOST, *headers)],
    )
    guard = SameOrigin(answers, folder, limits)
    asyncio.run(guard(scope, None, send))
    assert any(name == b'content-security-policy' for name, _ in seen[0]['headers'])
    return seen[0]['status']


@pytest.mark.parametrize(
    'headers',
    [
        [],  # no browser
        [OWN],
        [OWN, ('sec-fetch-site', 'same-origin')],
        [('origin', 'https://127.0.0.1:7860')],  # a proxy that adds TLS
    ],
)
def test_own_requests(headers):
    for method in ('GET', 'POST', 'PUT', 'DELETE'):
        assert asked(*headers, method=method) == 200


FOREIGN = [
    [('origin', 'http://web.site')],
    [('origin', 'null')],
    [('origin', '')],
    [('origin', 'http://127.0.0.1:7861')],
    [('origin', 'http://127.0.0.1')],
    [('origin', 'http://127.0.0.1:7860.web.site')],
    [('origin', 'http://127.0.0.1:7860@web.site')],
    [('origin', 'http://web.site/127.0.0.1:7860')],
    [('origin', 'file://127.0.0.1:7860')],
    [('origin', 'http://[')],
    [OWN, ('origin', 'http://web.site')],
    [OWN, ('sec-fetch-site', 'cross-site')],
    [OWN, ('sec-fetch-site', 'same-site')],
    [('sec-fetch-site', 'cross-site')],
    [('sec-fetch-site', 'same-site')],
    [('sec-fetch-site', 'same-origin'), ('sec-fetch-site', 'cross-site')],
    [('sec-fetch-site', 'cross-site'), ('sec-fetch-mode', 'no-cors')],
    [('sec-fetch-site', 'something')],
    [('Origin', 'http://web.site')],
]


@pytest.mark.parametrize('headers', FOREIGN)
@pytest.mark.parametrize('method', ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'GET'])
def test_requests_of_other_sites(headers, method):
    for path in ('/gradio_api/upload', '/gradio_api/queue/join', '/', '/anything/new'):
        assert asked(*headers, method=method, path=path) == 403


def test_a_link_and_a_form_of_another_site():
    come = [('sec-fetch-site', 'cross-site'), ('sec-fetch-mode', 'navigate')]
    assert asked(*come, method='GET', path='/') == 200
    assert asked(*come, method='POST') == 403


def test_a_socket_of_another_site():
    seen = []

    async def send(message):
        seen.append(message)

    scope = dict(type='websocket', path='/', headers=[(b'host', b'h'), (b'origin', b'http://x')])
    asyncio.run(SameOrigin(None, '.')(scope, None, send))
    assert seen == [dict(type='websocket.close', code=1008)]


def test_sizes(tmp_path):
    limits = Limits(megabytes=1, total_megabytes=6)
    common = dict(limits=limits, folder=str(tmp_path))
    assert asked(('content-length', str(2**20)), **common) == 200
    assert asked(('content-length', str(2**21)), **common) == 413
    assert asked(('content-length', str(2**22)), path='/gradio_api/queue/join', **common) == 413
    assert asked(('transfer-encoding', 'chunked'), **common) == 411
    twice = (('content-length', '1'), ('transfer-encoding', 'chunked'))
    assert asked(*twice, **common) == 411


def test_what_is_on_its_way_is_bounded(tmp_path):
    """A flood of slow uploads: those that would pass the half are refused, the rest goes on."""
    guard = SameOrigin(None, str(tmp_path), Limits(megabytes=1, total_megabytes=6))
    statuses, gate = [], asyncio.Event()

    async def app(scope, receive, send):
        await gate.wait()
        await send(dict(type='http.response.start', status=200, headers=[]))

    async def send(message):
        statuses.append(message.get('status'))

    scope = dict(
        type='http',
        method='POST',
        path='/upload',
        headers=[(b'host', b'h'), (b'content-length', b'1000000')],
    )

    async def flood():
        asks = [asyncio.create_task(guard(scope, None, send)) for _ in range(20)]
        await asyncio.sleep(0)
        gate.set()
        await asyncio.gather(*asks)

    guard.app = app
    asyncio.run(flood())
    assert statuses.count(200) == 3 and statuses.count(503) == 17 and guard.coming == 0


def test_room(tmp_path):
    for number in range(10):
        (tmp_path / f'{number}').mkdir()
        file = tmp_path / f'{number}' / 'photo.png'
        file.write_bytes(bytes(100))
        os.utime(file, (1000 + number,) * 2)
    assert make_room(str(tmp_path), 450, since=1003) == 400  # 3 are not its own
    assert sorted(os.listdir(tmp_path)) == ['0', '1', '2', '6', '7', '8', '9']
    for number in range(MANY + 50):
        (tmp_path / f'many{number}').touch()
    make_room(str(tmp_path), 10**9)
    assert sum(len(names) for _, _, names in os.walk(tmp_path)) == MANY


def test_photos_in_memory(tmp_path):
    folder = tmp_path / 'uploads'
    folder.mkdir()
    photos = Photos(str(folder), 2.5)
    paths = []
    for number in range(4):
        paths.append(str(folder / f'{number}' / 'a.png'))
        os.mkdir(os.path.dirname(paths[-1]))
        Path(paths[-1]).write_bytes(bytes([number]) * 2**20)
        photos.take(paths[-1])
        assert os.listdir(folder) == []
    photos.take(paths[3])  # again, from memory
    with photos.lend(paths[3]) as file:
        assert Path(file).read_bytes() == b'\x03' * 2**20
    assert os.listdir(folder) == [] and len(photos.kept) == 2
    for path in (paths[0], str(tmp_path / 'secret'), str(folder / '..' / 'secret'), str(folder)):
        (tmp_path / 'secret').write_text('mine')
        with pytest.raises(ValueError, match='drop it again'):
            photos.take(path)
    (folder / 'link').symlink_to(tmp_path / 'secret')
    with pytest.raises(ValueError, match='drop it again'):
        photos.take(str(folder / 'link'))
    assert (tmp_path / 'secret').read_text() == 'mine'
    with pytest.raises(ValueError, match='drop it again'), photos.lend(paths[0]):
        pass


def served(gradio, monkeypatch, visit, *arguments):  # noqa: F811
    """Runs the page, and a visit to it."""
    port, seen = free_port(), {}

    def block(page):
        try:
            visit(f'http://127.0.0.1:{port}', page.GRADIO_CACHE, seen)
        finally:
            page.close()

    monkeypatch.setattr(gradio.Blocks, 'block_thread', block)
    tool('demo', *arguments, '--port', port, '--device', 'cpu')
    return seen


def weight(folder):
    """tuple: Files in a folder, and their bytes."""
    files = [os.path.join(place, n) for place, _, names in os.walk(folder) for n in names]
    return len(files), sum(map(os.path.getsize, files))


def test_the_page_keeps_the_disk_flat(gradio, models, monkeypatch, capsys):  # noqa: F811
    """By raw requests: answered twice and gone; and a flood of uploads that nobody asks about."""
    httpx = pytest.importorskip('httpx')
    photo = Path(write_digit('a.png')).read_bytes()

    def visit(url, folder, seen):
        (path,) = upload(url, photo).json()
        seen['first'] = answered(url, path, 'dpt')
        seen['left'] = os.path.exists(path)
        seen['again'] = answered(url, path, 'dpt')  # from memory
        seen['most'] = 0
        for number in range(60):
            upload(url, os.urandom(90000) + bytes([number]))
            seen['most'] = max(seen['most'], weight(folder)[1])
        for name, value in (('origin', 'http://web.site'), ('sec-fetch-site', 'cross-site')):
            before = weight(folder)
            files = dict(files=('a.png', os.urandom(1000)))
            answer = httpx.post(f'{url}/gradio_api/upload', files=files, headers={name: value})
            seen[name] = answer.status_code, weight(folder) == before

    seen = served(
        gradio,
        monkeypatch,
        visit,
        *('--checkpoint-dir', '.', '--max-megabytes', 0.1, '--max-total-megabytes', 2),
    )
    assert seen['first'] and not seen['left'] and seen['again']
    assert 2**19 < seen['most'] <= 2 * 2**20
    assert seen['origin'] == seen['sec-fetch-site'] == (403, True)


def test_bad_checkpoints_in_a_folder(gradio, models, monkeypatch, capsys):  # noqa: F811
    """Whatever is wrong with them, the page offers the others."""
    torch = pytest.importorskip('torch')
    good = torch.load('dpt.pth', weights_only=True)
    os.mkdir('many')
    os.rename('dpt.pth', 'many/good.pth')
    Path('many/a_torn.pth').write_bytes(b'PK')
    Path('many/b_empty.pth').touch()
    os.mkfifo('many/c_pipe.pth')
    os.symlink('nowhere', 'many/d_gone.pth')
    os.mkdir('many/e_folder.pth')
    for name, change in dict(
        f=dict(meta=[]),
        g=dict(meta=dict(mmdpt=3)),
        h=dict(meta=dict(mmdpt=dict(recipe=[], classes=3))),
        i=dict(state_dict={}),  # found out only when it is built
        j=dict(state_dict=dict(good['state_dict'], more=torch.zeros(1))),
        a_first=dict(state_dict={}),
    ).items():
        torch.save({**good, **change}, f'many/{name}.pth')
    seen = served(
        gradio, monkeypatch, lambda url, _, seen: seen.update(url=url), '--checkpoint-dir', 'many'
    )
    told = capsys.readouterr()
    assert seen['url'] and 'model(s) on' in told.out
    for name in ('a_torn', 'b_empty', 'd_gone', 'f.pth', 'a_first'):
        assert name in told.err, name
    assert 'Traceback' not in told.err


@pytest.mark.parametrize(
    'arguments',
    [('--max-total-megabytes', 10), ('--max-megabytes', 'nan'), ('--max-megabytes', 'inf')],
)
def test_limits_that_are_none(gradio, models, capsys, arguments):  # noqa: F811
    assert arguments[0] in test_demo.refused(capsys, 'demo', 'csc.pth', *arguments)


def test_settings_are_plain():
    assert json.loads(json.dumps(Limits()._asdict()))['total_megabytes'] == 200


UPLOADS = """
const [url, mode, count, done] = arguments
const status = []
const send = async () => {
    for (let i = 0; i < count; i++) {
        const form = new FormData()
        form.append('files', new Blob([new Uint8Array(800000)]), `photo${i}.png`)
        try {
            const answer = await fetch(
                url + 'gradio_api/upload', {method: 'POST', body: form, mode})
            status.push(answer.status)
        } catch (error) {
            status.push('failed')
        }
    }
    done(status)
}
send()
"""


@pytest.mark.browser
def test_a_browser_elsewhere(gradio, browser, tmp_path, monkeypatch):  # noqa: F811
    """Another site leaves nothing on the disk; the page's own visitor at most the quota."""
    folder, site = tmp_path / 'uploads', tmp_path / 'site'
    folder.mkdir(), site.mkdir()
    (site / 'index.html').write_text('<title>another site</title>')
    monkeypatch.setenv('GRADIO_TEMP_DIR', str(folder))
    limits = Limits(megabytes=1, total_megabytes=4)
    page = build_page(Models(dict(one=zero_shot_choice(['zero', 'one'], **TINY))), limits)
    handler = partial(SimpleHTTPRequestHandler, directory=str(site))
    other = ThreadingHTTPServer(('127.0.0.1', 0), handler)
    Thread(target=other.serve_forever, daemon=True).start()

    def kept():
        return sum(file.stat().st_size for file in folder.rglob('*') if file.is_file())

    try:
        url = launch(page, port=free_port(), limits=limits)
        browser.set_script_timeout(60)
        before = kept()
        browser.get(f'http://127.0.0.1:{other.server_port}/')
        for mode in ('no-cors', 'cors'):  # a status of 0: the browser hides the answer
            seen = browser.execute_async_script(UPLOADS, url, mode, 12)
            assert len(seen) == 12 and set(seen) <= {0, 403, 'failed'}
        assert kept() == before
        browser.get(url)
        status = browser.execute_async_script(UPLOADS, url, 'same-origin', 12)
        assert 200 in status and before < kept() <= 4e6
    finally:
        other.shutdown()
        page.close()
