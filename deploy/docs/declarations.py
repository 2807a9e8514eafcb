"""Reads the docstrings of attributes and constants, which Python itself does not keep.

In: Python source. Out: the docstring below each declaration, by the declaration's name.
"""

import ast
import inspect
from itertools import pairwise
from types import ModuleType


def sentences_of(module: ModuleType) -> dict[str, dict[str, str]]:
    """The docstrings by class and by declared name, each on one line. The class "" stands for the
    module itself."""
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
