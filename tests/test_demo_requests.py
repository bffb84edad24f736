"""A thousand requests to a real page: neither memory nor disk grows."""

import gc
import os
import re
from pathlib import Path

import pytest
from test_demo import answered, gradio, models, upload, write_digit  # noqa: F401  (fixtures)
from test_demo_guard import served, weight

ROUNDS = 100  # of twelve requests
QUOTA = 4  # MB


def memory():
    """float: MB of this process, which serves the page."""
    gc.collect()
    found = re.search(r'VmRSS:\s+(\d+)', Path('/proc/self/status').read_text())
    return int(found.group(1)) / 1024


@pytest.mark.slow
def test_a_thousand_requests(gradio, models, monkeypatch, capsys):  # noqa: F811
    httpx = pytest.importorskip('httpx')
    photo = Path(write_digit('a.png')).read_bytes()

    def ask(url, folder, number):
        """Twelve requests: an answer, its repetition, uploads nobody asks about, and refusals."""
        (path,) = upload(url, photo + bytes([number % 256])).json()
        done = [answered(url, path, 'dpt'), answered(url, path, 'csc' if number % 2 else 'dpt')]
        junk = upload(url, os.urandom(90_000))
        vast = upload(url, bytes(2**20))
        sent = dict(files=dict(files=('a.png', os.urandom(50_000))))
        foreign = [
            httpx.post(f'{url}/gradio_api/upload', headers={name: value}, **sent)
            for name, value in (
                ('origin', 'http://web.site'),
                ('origin', 'null'),
                ('sec-fetch-site', 'cross-site'),
            )
        ]
        joined = httpx.post(
            f'{url}/gradio_api/queue/join', headers=dict(origin='http://web.site'), json={}
        )
        page = httpx.get(url)
        told = [junk, vast, *foreign, joined, page]
        return done, [answer.status_code for answer in told], weight(folder)[1]

    def visit(url, folder, seen):
        seen.update(memory=[], disk=[], wrong=[])
        for number in range(ROUNDS):
            done, told, disk = ask(url, folder, number)
            seen['disk'].append(disk)
            if not all(done[:1]) or told != [200, 413, 403, 403, 403, 403, 200]:
                seen['wrong'].append((number, done, told))
            if number % 20 == 19:
                seen['memory'].append(memory())

    seen = served(
        gradio,
        monkeypatch,
        visit,
        *('--checkpoint-dir', '.', '--max-megabytes', 0.1, '--max-total-megabytes', QUOTA),
    )
    with capsys.disabled():
        print(f'\nMB of memory {seen["memory"]}, most on the disk {max(seen["disk"])} bytes')
    assert seen['wrong'] == []
    assert max(seen['disk']) <= QUOTA * 2**20
    assert seen['disk'][-1] <= max(seen['disk'][: ROUNDS // 2])  # the half that lies there is full
    # MB; models and buffers have come by then, and the last 480 requests add nothing
    assert seen['memory'][-1] - seen['memory'][2] < 15
