"""Atomic writing: complete or not there, also with a full disk."""

import multiprocessing
import os
import resource

import pytest

from mmdpt.utils.files import write_atomically, write_json


def test_writes_and_replaces(tmp_path):
    path = tmp_path / 'new' / 'file'
    for data in (b'first', b'second'):
        write_atomically(data, str(path))
        assert path.read_bytes() == data
    assert os.listdir(path.parent) == ['file']


@pytest.mark.parametrize('step', ['fsync', 'replace'])
def test_failure_keeps_the_former_file(tmp_path, monkeypatch, step):
    path = tmp_path / 'file'
    path.write_bytes(b'good')

    def fail(*args):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match=f'cannot write {path}.*free some space'):
        write_atomically(b'bad', str(path))
    assert path.read_bytes() == b'good' and os.listdir(tmp_path) == ['file']


def test_file_size_limit(tmp_path, capfd):
    """A real failure of the operating system, halfway through the data."""
    path = tmp_path / 'file'
    path.write_bytes(b'good')

    def limited():
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
        write_atomically(b'x' * 10000, str(path))

    process = multiprocessing.get_context('fork').Process(target=limited)
    process.start()
    process.join()
    assert process.exitcode == 1 and f'cannot write {path}' in capfd.readouterr().err
    assert path.read_bytes() == b'good' and os.listdir(tmp_path) == ['file']


def test_folder_that_is_a_file(tmp_path):
    (tmp_path / 'file').write_bytes(b'good')
    with pytest.raises(OSError, match='cannot write .*file/inside'):
        write_atomically(b'x', str(tmp_path / 'file' / 'inside'))


def test_a_link_stays_and_a_pipe_is_written_to(tmp_path):
    """Such as --json /dev/stdout: a file in its place would be wrong."""
    (tmp_path / 'there').mkdir()
    target, link, pipe = tmp_path / 'there' / 'file', tmp_path / 'link', tmp_path / 'pipe'
    target.write_bytes(b'former')
    link.symlink_to(target)
    write_atomically(b'new', str(link))
    assert link.is_symlink() and target.read_bytes() == b'new'
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_json({'é': 1}, str(pipe), ensure_ascii=False)
        assert os.read(reader, 100).decode() == '{"é": 1}' and pipe.is_fifo()
    finally:
        os.close(reader)
