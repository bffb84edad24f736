"""One run of a sweep, as submitit starts it.

Plain Python, nothing of mmdpt or torch: the process that only waits for a
training must start in no time. The class is pickled with its code.
"""

import ctypes
import fcntl
import hashlib
import json
import os
import re
import select
import signal
import subprocess
import time

from ..utils.seal import in_bounds, read_sealed, sealed

LOG, LOCK, STATE, RESULTS = 'sweep.log', '.sweep.lock', 'sweep_state.json', 'results.json'
PREDICTIONS = 'test_predictions.npz'  # of each image, as mmdpt test writes them
STOP = '.sweep.stop'  # there while the sweep wants the run to stop
PATIENCE = 30  # seconds that an interrupted training has for its last checkpoint
KILLS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL, signal.SIGHUP)


class Job:
    """Train or test in a process of its own, and write down how it ended.

    It holds the lock of its folder from start to end, the training's own
    process included: a second one waits, and then finds the results there.

    Args:
        command (list[str]): To run.
        folder (str): Work directory of the run; holds log, lock and state.
        env (dict): Environment variables to set.
        driver (int, optional): Process to die with: the sweep on this machine.
        metrics (str, optional): File of figures that the command writes; they
            become ``results.json``.
        results (dict, optional): The rest of that ``results.json``.
    """

    def __init__(self, command, folder, env=None, driver=None, metrics=None, results=None):
        self.command, self.folder, self.env = command, folder, env or {}
        self.driver, self.metrics, self.results = driver, metrics, results

    def __call__(self):
        """Run it, unless its results are there or it is to stop.

        Returns:
            dict | None: What ``sweep_state.json`` holds.
        """
        driver = self.driver and os.pidfd_open(self.driver)
        os.makedirs(self.folder, exist_ok=True)
        with open(self._path(LOCK), 'a+') as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            lock.truncate(0)  # the process number of a former attempt
            if read_results(self.folder) is not None or os.path.exists(self._path(STOP)):
                return read_json(self._path(STATE))
            return self._run(lock, driver)

    def checkpoint(self):
        """What submitit submits again after a preemption: the same, which goes on."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)

    def _path(self, name):
        return os.path.join(self.folder, name)

    def _run(self, lock, driver):
        started, code, stopped = time.time(), None, False
        with open(self._path(LOG), 'a+b') as log:
            log.seek(0)
            attempt = log.read().count(b'--- attempt ') + 1
            log.write(f'--- attempt {attempt}: {" ".join(self.command)}\n'.encode())
            log.flush()
            process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self.env},
                pass_fds=[lock.fileno()],
                start_new_session=True,
                preexec_fn=_prepare,
            )
            lock.write(str(process.pid))
            lock.flush()
            try:
                stopped = wait(process, driver)
            finally:  # also when submitit's signal handlers leave
                code = stop(process)
        state = dict(attempts=attempt, seconds=round(time.time() - started, 3), code=code)
        state.update(self._outcome(code, stopped))
        write_json(state, self._path(STATE))
        return state

    def _outcome(self, code, stopped):
        if code == 0 and self.metrics:
            found = read_json(self.metrics)
            results = dict(self.results or {}, zero_shot=found)
            if os.path.exists(self._path(PREDICTIONS)):
                with open(self._path(PREDICTIONS), 'rb') as file:
                    digest = hashlib.sha256(file.read()).hexdigest()
                results['files'] = {PREDICTIONS: digest}
            results = sealed(results)
            write_json(results, self._path(RESULTS))
        if read_results(self.folder) is not None:
            return dict(state='finished', error=None)
        error = last_error(self._path(LOG))
        if code == 0:
            return dict(
                state='failed',
                error='ended well, but without a complete results.json: '
                'is default_hooks.report switched off?',
            )
        stopped = stopped or os.path.exists(self._path(STOP))
        if stopped or code == 130 or -code in KILLS:
            # whatever killed it, the next sweep can resume it
            signals = (
                ''
                if stopped or code > 0
                else f' by signal {-code}'
                + (' (out of memory?)' if code == -signal.SIGKILL else '')
            )
            return dict(state='interrupted', error=f'stopped{signals}')
        return dict(state='failed', error=error or f'exit status {code}')


def _prepare():
    """In the new process: react to Ctrl-C again, and stop if the job is killed."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)  # SLURM's warning is for submitit
    ctypes.CDLL(None).prctl(1, signal.SIGINT)  # PR_SET_PDEATHSIG


def wait(process, driver=None):
    """Wait for the end of a process, or of the driver.

    Returns:
        bool: Whether it was the driver's.
    """
    poller, own = select.poll(), os.pidfd_open(process.pid)
    poller.register(own, select.POLLIN)
    if driver:
        poller.register(driver, select.POLLIN)
    ended = [fd for fd, _ in poller.poll()]
    os.close(own)
    return own not in ended


def stop(process, patience=PATIENCE):
    """Interrupt a process that still runs, and kill it if that takes too long.

    Returns:
        int: Its exit status.
    """
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGINT)
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
    return process.wait()


def last_error(path):
    """str | None: The last line of a log that names an error, else the last one."""
    with open(path, 'rb') as file:
        file.seek(max(0, os.path.getsize(path) - 20000))
        lines = file.read().decode(errors='replace').splitlines()
    lines = [line.strip() for line in lines if line.strip()]
    begin = max((i for i, line in enumerate(lines) if line.startswith('--- attempt')), default=-1)
    lines = [line for line in lines[begin + 1 :] if not line.startswith('(--debug')]
    told = [
        line for line in lines if re.match(r'error: |[\w.]*(Error|Exception|Interrupt)\b', line)
    ]
    return (told or lines or [None])[-1]


def read_results(folder):
    """dict | None: The figures of a finished run; None unless they are complete, and what was
    written."""
    try:
        found = read_sealed(os.path.join(folder, RESULTS))
    except (OSError, ValueError):
        return None
    figures = found.get('zero_shot' if found.get('evaluation_only') else 'few_shot')
    return found if in_bounds(figures) else None


def read_json(path):
    """The content of a JSON file; None if there is none, or a torn one."""
    try:
        with open(path, encoding='utf-8') as file:
            return json.load(file)
    except (FileNotFoundError, ValueError):
        return None


def write_json(value, path):
    """Write a JSON file that is complete or not there."""
    temporary = f'{path}.{os.getpid()}.tmp'
    with open(temporary, 'w', encoding='utf-8') as file:
        json.dump(value, file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
