"""Large blocks of memory go back to the system though smaller ones beside them stay."""

import platform
import subprocess
import sys

import pytest
from helpers.classifier import build

CODE = """
import re
import torch
from mmdpt.utils.malloc import map_large_blocks


def held():
    return int(re.search(r'VmRSS:\\s+(\\d+)', open('/proc/self/status').read()).group(1)) / 1024


torch.set_num_threads(1)
assert not MAPPED or map_large_blocks()
torch.ones(8 * 2**18)  # freed at once: teaches glibc to take such blocks from its heap
kept, before = [], held()
for i in range(60):  # what passes leaves a gap in which the next, a little larger, has no room
    passing, stays = torch.ones(2**20 + 2**10 * i), torch.ones(2**20 + 2**10 * i)
    del passing
    kept.append((stays, bytes(1000)))
used = sum(stays.nbytes for stays, _ in kept) / 2**20
print((held() - before) / used)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='mallopt is of glibc')
def test_held_beside_used():
    found = {}
    for mapped in (True, False):
        code = CODE.replace('MAPPED', str(mapped))
        done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        found[mapped] = float(done.stdout.split()[-1])
    assert found[True] < 1.1 and found[False] > 1.5


def test_checkpointing_asks_for_it(monkeypatch):
    asked = []
    monkeypatch.setattr('mmdpt.models.clip.text_tower.map_large_blocks', lambda: asked.append(True))
    build('coop')
    assert asked == []
    build('coop', text_checkpointing=True)
    assert asked == [True]
