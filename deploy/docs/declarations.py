"""Reads what stands in the source below each declaration: its sentence.

In: Python source. Out: the docstrings of attributes and constants, by name.
"""

import ast
import inspect
from itertools import pairwise
from types import ModuleType


def sentences_of(module: ModuleType) -> dict[str, dict[str, str]]:
    """The docstrings below the assignments of a module ("") and of each of its classes, by name,
    each on one line."""
    tree = ast.parse(inspect.getsource(module))
    classes = {node.name: node.body for node in tree.body if isinstance(node, ast.ClassDef)}
    return {name: _sentences(body) for name, body in {"": tree.body, **classes}.items()}


def _sentences(body: list[ast.stmt]) -> dict[str, str]:
    found = {}
    for declared, below in pairwise(body):
        match declared, below:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                found[name] = " ".join(text.split())
    return found
