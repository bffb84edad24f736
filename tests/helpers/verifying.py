"""What `mmdpt verify` says of a run, and runs that were touched."""

import json

from helpers.tools import tool
from mmdpt.utils.files import sha256_of, write_json
from mmdpt.utils.seal import read_sealed, sealed


def results_of(run):
    return read_sealed(str(run / 'results.json'))


def rewrite(run, **changes):
    """Changes results, and their checksum with them."""
    write_json(sealed({**results_of(run), **changes}), str(run / 'results.json'))


def verified(run, *options):
    """States by name, and the exit status."""
    told, status = run / 'told.json', 0
    try:
        tool('verify', run, '--json', told, '--overwrite', *options)
    except SystemExit as end:
        status = end.code
    (checks,) = json.load(open(told)).values()
    return {one['name']: one['state'] for one in checks}, status


def differing(run, *options):
    states, status = verified(run, *options)
    assert status == 1
    return {name for name, state in states.items() if state == 'differs'}


def put(run, name, found, **results):
    """Writes predictions, their hash and the checksum."""
    found.write(str(run / name))
    digest = sha256_of(str(run / name)).hexdigest()
    rewrite(run, files=dict(results_of(run)['files'], **{name: digest}), **results)
