"""What the config says that MMEngine left in a work directory, read without running it.

A config is Python, and a work directory may come from anybody. What MMEngine writes there is
nothing but names with plain values, so these are read, and all else is left out.
"""

import ast
from pathlib import Path
from typing import Any

from ..utils.files import read_regular

MOST_BYTES = 2**19


def read_left_config(path: Path) -> dict[str, Any]:
    """Return the settings of a config that MMEngine wrote.

    Args:
        path (Path): The file. Nothing in it is run.

    Returns:
        dict[str, Any]: Plain Python; None in the place of what is no plain value. Empty if the
        file cannot be read, is larger than :data:`MOST_BYTES`, or no Python.
    """
    try:
        tree = ast.parse(read_regular(str(path), MOST_BYTES))
        return {
            step.targets[0].id: _value(step.value)
            for step in tree.body
            if isinstance(step, ast.Assign) and isinstance(step.targets[0], ast.Name)
        }
    # the last two: nested too deeply
    except (OSError, ValueError, SyntaxError, RecursionError, MemoryError):
        return {}


def _value(node: ast.expr | None) -> Any:
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = _value(node.operand)
        return -value if isinstance(value, (int, float)) else None
    if isinstance(node, ast.List):
        return [_value(item) for item in node.elts]
    if isinstance(node, ast.Tuple):
        return tuple(_value(item) for item in node.elts)
    if isinstance(node, ast.Dict):
        pairs = zip(map(_value, node.keys), node.values)
        return {key: _value(value) for key, value in pairs if isinstance(key, str)}
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == 'dict':
        found = {word.arg: _value(word.value) for word in node.keywords if word.arg}
        # names that are no words of Python stand in a dict inside
        inside = [*node.args, *(word.value for word in node.keywords if not word.arg)]
        for more in map(_value, inside):
            found.update(more if isinstance(more, dict) else {})
        return found
    return None
