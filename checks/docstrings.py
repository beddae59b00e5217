"""What docstrings must say: what a function raises, and the shapes of the arrays that it takes and returns."""

import ast
import re
from collections.abc import Iterable, Iterator, Sequence

from checks.sources import Function, FunctionNode, Module, names_of

ARRAYS = frozenset({"NDArray", "ndarray", "Tensor", "MaskedArray"})
# "(frames, features)", "(2 * width,)", "(…, 3)"; a bracket around a sentence has other things between its commas.
_DIMENSION = r"(?:[\w.]+(?: ?[-+*/×] ?[\w.]+)*|…|\.\.\.)"
_SHAPE = re.compile(rf"\({_DIMENSION},(?: {_DIMENSION},?)*\)|\b(?:shapes?|scalar|one-dimensional)\b")
_ERROR = re.compile(r"\b[A-Z]\w*(?:Error|Exit|Interrupt)\b|^ *Raises:", re.MULTILINE)


class Classes:
    """The project's classes by name: what they derive from, and which of their methods have a docstring.

    Classes that share a name count as one, because most places of the code give a name alone.
    """

    def __init__(self, modules: Iterable[Module]) -> None:
        self._bases: dict[str, set[str]] = {}
        self._documented: dict[str, set[str]] = {}
        for module in modules:
            for node in ast.walk(module.tree):
                if isinstance(node, ast.ClassDef):
                    bases = self._bases.setdefault(node.name, set())
                    bases.update(name for base in node.bases for name in names_of(base))
                    methods = (child for child in node.body if isinstance(child, FunctionNode))
                    documented = self._documented.setdefault(node.name, set())
                    documented.update(method.name for method in methods if ast.get_docstring(method))

    def ancestors(self, name: str) -> set[str]:
        """Names of the classes that a class derives from; of classes from elsewhere only the nearest are known."""
        found: set[str] = set()
        waiting = [name]
        while waiting:
            for base in self._bases.get(waiting.pop(), set()) - found:
                found.add(base)
                waiting.append(base)
        return found - {name}

    def document(self, function: Function) -> bool:
        """Whether a class above the function's own class has a docstring for it, which `help()` then shows."""
        above = self.ancestors(function.owner.name) if function.owner is not None else ()
        return any(function.node.name in self._documented.get(name, ()) for name in above)


def raised_names(function: Function) -> set[str]:
    """Names of the classes that a function's own body raises, "" for what a call or variable decides.

    A `raise` that passes on what was caught does not count, and what a function inside the body raises does not.
    """
    caught = {node.name for node in _own_nodes(function.node) if isinstance(node, ast.ExceptHandler)}
    found = set()
    for node in _own_nodes(function.node):
        if not isinstance(node, ast.Raise) or node.exc is None:
            continue
        raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        name = raised.id if isinstance(raised, ast.Name) else raised.attr if isinstance(raised, ast.Attribute) else ""
        if name not in caught:
            found.add(name if name[:1].isupper() else "")
    return found - {"NotImplementedError"}


def names_what_it_raises(function: Function, classes: Classes) -> bool:
    """Whether the docstring names every class that the body raises, or a class of ours that it derives from."""
    return all(_names(function.docstring, name, classes) for name in raised_names(function))


def handles_arrays(function: Function, aliases: frozenset[str]) -> bool:
    """Whether a parameter or the returned value is annotated as an array or tensor.

    Args:
        aliases: names that stand for arrays, from `array_names`.
    """
    annotations = [parameter.annotation for parameter in function.parameters] + [function.node.returns]
    return any(name in aliases for annotation in annotations for name in names_of(annotation))


def gives_shapes(function: Function) -> bool:
    """Whether the docstring gives a shape, as `(frames, features)` or in words."""
    return _SHAPE.search(function.docstring) is not None


def array_names(modules: Sequence[Module]) -> dict[str, frozenset[str]]:
    """Find what stands for an array in each module: NumPy's and torch's names, and aliases of them like `Floats`.

    Returns:
        By the module's name; an alias counts where it is defined and where it is imported.
    """
    defined = {module.name: set(_aliases(module.tree)) for module in modules}
    found = {}
    for module in modules:
        names = ARRAYS | defined[module.name]
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ImportFrom):
                known = defined.get(node.module or "", set())
                names |= {alias.asname or alias.name for alias in node.names if alias.name in known}
        found[module.name] = frozenset(names)
    return found


def _aliases(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Subscript | ast.BinOp):
            targets: list[ast.expr] = node.targets
        elif isinstance(node, ast.AnnAssign) and "TypeAlias" in names_of(node.annotation):
            targets = [node.target]
        else:
            continue
        if ARRAYS & set(names_of(node.value)):
            yield from (target.id for target in targets if isinstance(target, ast.Name))


def _names(docstring: str, name: str, classes: Classes) -> bool:
    if not name:
        return _ERROR.search(docstring) is not None
    accepted = {name} | classes.ancestors(name) - {"Exception", "BaseException"}
    return any(re.search(rf"\b{one}\b", docstring) for one in accepted)


def _own_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function's body, without those of functions and classes inside it."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, FunctionNode | ast.ClassDef | ast.Lambda):
            yield child
            yield from _own_nodes(child)
