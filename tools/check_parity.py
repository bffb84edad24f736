"""Compare mmdpt with numbers that the public reference code computed.

    python tools/check_parity.py FOLDER [--case NAME ...] [--dtype float64]

Every case in FOLDER is recomputed through the modules that training uses.
Exit status 1 if any case failed. Cases of methods that this version does not
have are listed as not implemented, never as passed.
"""

import argparse
import json
import sys
from pathlib import Path

from mmengine.config import Config

from parity import check_folder

ROOT = Path(__file__).resolve().parents[1]


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('folder', help='cases as .npz and .json files')
    parser.add_argument('--case', nargs='+', help='only these cases')
    parser.add_argument('--dtype', choices=['float64', 'float32'], default='float64')
    parser.add_argument(
        '--config',
        default=str(ROOT / 'configs/_base_/few_shot.py'),
        help='config whose test pipeline is checked',
    )
    parser.add_argument('--device', default='cpu', help='what we compute on, such as cuda')
    parser.add_argument('--json', help='also write the result here')
    return parser.parse_args()


def show(cases: dict) -> None:
    def number(value):
        return '-' if value is None else f'{value:.1e}'

    for name, case in cases.items():
        print(f'{name}: {case["status"]}{" (" + case["reason"] + ")" if "reason" in case else ""}')
        for key, tensor in case['tensors'].items():
            if 'skipped' in tensor:
                print(f'    {key:66} skipped: {tensor["skipped"]}')
            else:
                verdict = 'pass' if tensor['passed'] else 'FAIL'
                print(
                    f'    {key:66} {number(tensor["max_abs_error"]):>8} '
                    f'{number(tensor["max_rel_error"]):>8} {verdict} '
                    f'{tensor.get("reason", "")}'.rstrip()
                )
    print(f'\n{"case":20} {"status":16} {"max abs":>8} {"max rel":>8}')
    for name, case in cases.items():
        print(
            f'{name:20} {case["status"]:16} '
            f'{number(case["max_abs_error"]):>8} '
            f'{number(case["max_rel_error"]):>8}'
        )


def main():
    args = parse_args()
    try:
        config = Config.fromfile(args.config)
        cases = check_folder(Path(args.folder), config, args.case, args.dtype, args.device)
    except FileNotFoundError as error:
        sys.exit(f'error: {error}')
    show(cases)
    if args.json:
        Path(args.json).write_text(json.dumps(dict(cases=cases), indent=1))
    if any(case['status'] == 'failed' for case in cases.values()):
        sys.exit(1)


if __name__ == '__main__':
    main()
