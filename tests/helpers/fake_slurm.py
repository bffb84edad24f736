"""The four commands of SLURM that submitit calls, on this machine.

``install(folder)`` writes sbatch, srun, sacct and scontrol there. A job array runs task
after task, in the background; each task is a process.
"""

import os
import sys
from pathlib import Path

SBATCH = r"""
import glob, os, re, subprocess, sys
script = open(sys.argv[1]).read()
open('{folder}/submitted', 'a').write(script)
job = 17 + len(glob.glob('{folder}/job*'))
open(f'{folder}/job{job}', 'w').write('RUNNING')
count = re.search(r'--array=0-(\d+)', script)
tasks = re.search(r'--ntasks-per-node=(\d+)', script)
env = dict(os.environ, SLURM_JOB_ID=str(job), FAKE_NTASKS=tasks.group(1) if tasks else '1')
work = ''
for i in range(int(count.group(1)) + 1) if count else ['']:
    array = f'SLURM_ARRAY_JOB_ID={job} SLURM_ARRAY_TASK_ID={i} ' if count else ''
    work += f'{array}bash {sys.argv[1]}\n'
work += f'echo COMPLETED > {folder}/job{job}\n'
subprocess.Popen(['bash', '-c', work], env=env, start_new_session=True,
                 stdout=open('{folder}/log', 'a'), stderr=subprocess.STDOUT)
print(f'Submitted batch job {job}')
"""
SRUN = r"""
import os, subprocess, sys
command = sys.argv[1:]
while command[0].startswith('--'):
    command = command[1:] if command[0] == '--unbuffered' else command[2:]
count = int(os.environ['FAKE_NTASKS'])
tasks = [subprocess.Popen(command, env=dict(
    os.environ, SLURM_NTASKS=str(count), SLURM_PROCID=str(rank), SLURM_LOCALID=str(rank)))
    for rank in range(count)]
sys.exit(max(task.wait() for task in tasks))
"""
SACCT = r"""
import glob
print('JobID|State|NodeList')
for path in glob.glob('{folder}/job*'):
    job, state = path.rpartition('job')[2], open(path).read().strip()
    for name in [job, *(f'{job}_{i}' for i in range(20))]:
        print(f'{name}|{state}|here')
"""
SCONTROL = "import sys; open('{folder}/scontrol_called', 'w').write(' '.join(sys.argv[1:]))"


def install(folder):
    """str: A PATH with the commands in front."""
    folder = Path(folder)
    for name, code in (
        ('sbatch', SBATCH),
        ('srun', SRUN),
        ('sacct', SACCT),
        ('scontrol', SCONTROL),
    ):
        path = folder / name
        path.write_text(f'#!{sys.executable}\n' + code.replace('{folder}', str(folder)))
        path.chmod(0o755)
    return f'{folder}{os.pathsep}{os.environ["PATH"]}'
