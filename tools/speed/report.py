"""A suite's result, to be read."""


def summary(name: str, found: dict) -> str:
    """One line per part."""
    reason = f': {found["reason"]}' if 'reason' in found else ''
    wrong = [r for r in found['rows'] if 'error' in r or r.get('passed') is False]
    more = f' ({wrong[0].get("error", wrong[0])})' if wrong and not reason else ''
    return f'{found["status"]:9} {found["seconds"]:6.1f} s  {name}{reason}{more}'


def markdown(result: dict) -> str:
    """The whole result: a table per part."""
    rows = result['parts'].get('machine', {}).get('rows') or [{}]
    lines = [
        f'# Suite {result["suite"]}: {result["status"]}',
        '',
        ', '.join(f'{k} {v}' for k, v in {**rows[0], **result['setting']}.items() if v is not None),
        f'{result["seconds"]:.0f} of {60 * result["minutes"]:.0f} seconds',
        '',
    ]
    for name, found in result['parts'].items():
        if name == 'machine' and found['status'] == 'passed':
            continue
        reason = f' ({found["reason"]})' if 'reason' in found else ''
        lines += [f'## {name}: {found["status"]}{reason}', '', *table(found['rows']), '']
    return '\n'.join(lines)


def table(rows: list[dict]) -> list[str]:
    """Rows of any keys as a Markdown table; a cell without a value stays empty."""
    if not rows:
        return []
    keys = list(dict.fromkeys(key for row in rows for key in row))
    lines = [f'| {" | ".join(k.replace("_", " ") for k in keys)} |', '|' + '---|' * len(keys)]
    return lines + [f'| {" | ".join(cell(row.get(k)) for k in keys)} |' for row in rows]


def cell(value) -> str:
    """A value, short."""
    if isinstance(value, float):
        return f'{value:.3g}' if abs(value) < 1000 else f'{value:.0f}'
    if isinstance(value, bool):
        return 'yes' if value else 'NO'
    text = '' if value is None else str(value)
    return text.replace('|', '\\|').replace('\n', ' ')
