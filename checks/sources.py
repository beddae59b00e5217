"""The project's own Python files, parsed: rooms, modules, functions. Nothing is imported, so nothing runs."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOOSE_FILES = "(root)"
"""Name of the room of files that lie beside the rooms."""
# Copied from elsewhere, and left as it came; ruff leaves it out as well.
COPIED = frozenset({"tests/make_checkpoint.py"})

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """One file.

    Attributes:
        room: the top-level folder that it lies in.
        name: as an import writes it, `models.backends.choice`.
        path: relative to the root, with slashes.
        lines: how many the file has.
    """

    room: str
    name: str
    path: str
    lines: int
    tree: ast.Module


@dataclass(frozen=True)
class Function:
    """A function or method, wherever it stands.

    Attributes:
        owner: the class whose body it stands in; None for a plain function.
        is_public: no part of its dotted name starts with an underscore, and it does not stand in another function.
    """

    module: Module
    name: str
    node: FunctionNode
    owner: ast.ClassDef | None
    is_public: bool

    @property
    def place(self) -> str:
        """Where a reader finds it: `path:line name`."""
        return f"{self.module.path}:{self.node.lineno} {self.name}"

    @property
    def lines(self) -> int:
        """Lines from `def` to the end; decorators do not count."""
        return (self.node.end_lineno or self.node.lineno) - self.node.lineno + 1

    @property
    def parameters(self) -> list[ast.arg]:
        """Every parameter that a caller fills: without `self` or `cls`, with `*args` and `**kwargs`."""
        arguments = self.node.args
        found = [*arguments.posonlyargs, *arguments.args]
        if self.owner is not None and not _has_decorator(self.node, "staticmethod"):
            found = found[1:]
        stars = [star for star in (arguments.vararg, arguments.kwarg) if star is not None]
        return [*found, *arguments.kwonlyargs, *stars]

    @property
    def docstring(self) -> str:
        """Its own docstring, or its class's where it is the constructor; empty if there is none."""
        own = ast.get_docstring(self.node) or ""
        if self.owner is not None and self.node.name in ("__init__", "__post_init__"):
            return f"{ast.get_docstring(self.owner) or ''}\n{own}".strip()
        return own


def read_modules(root: Path = ROOT) -> list[Module]:
    """Parse every Python file of the rooms, of tests, and beside them, in the order of their paths.

    A room is a folder of the root that holds an `__init__.py`; the package in client/ is one too.

    Raises:
        SyntaxError: a file is no Python.
    """
    folders = sorted(
        path.parent for pattern in ("*/__init__.py", "client/*/__init__.py") for path in root.glob(pattern)
    )
    paths = [*root.glob("*.py"), *(root / "tests").rglob("*.py")]
    for folder in folders:
        paths += folder.rglob("*.py")
    return [_parse(path, root) for path in sorted(set(paths)) if _is_own(path.relative_to(root))]


def functions(module: Module) -> Iterator[Function]:
    """Every function of a module, those inside classes and functions too, in the order of the file."""
    yield from _within(module, module.tree, prefix="", owner=None, is_public=True)


def names_of(expression: ast.expr | None) -> Iterator[str]:
    """Every name in an annotation or expression: `npt.NDArray[Any]` gives npt, NDArray and Any."""
    for node in ast.walk(expression) if expression is not None else ():
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            # An annotation in quotes; other texts are no expressions, or name nothing of interest.
            try:
                quoted = ast.parse(node.value, mode="eval").body
            except SyntaxError:
                continue
            yield from names_of(quoted)


def _is_own(path: Path) -> bool:
    """Whether the project wrote a file; environments and packages that a script installs are not its own."""
    installed = any(part.startswith(".") or part == "node_modules" for part in path.parts)
    return not installed and path.as_posix() not in COPIED


def _parse(path: Path, root: Path) -> Module:
    text = path.read_text(encoding="utf-8")
    relative = path.relative_to(root)
    parts = relative.with_suffix("").parts
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    room = parts[0] if len(parts) > 1 else LOOSE_FILES
    return Module(room, name, relative.as_posix(), len(text.splitlines()), ast.parse(text, filename=str(path)))


def _within(
    module: Module, body: ast.AST, *, prefix: str, owner: ast.ClassDef | None, is_public: bool
) -> Iterator[Function]:
    for node in ast.iter_child_nodes(body):
        if isinstance(node, FunctionNode):
            name = f"{prefix}{node.name}"
            yield Function(module, name, node, owner, is_public and not node.name.startswith("_"))
            yield from _within(module, node, prefix=f"{name}.", owner=None, is_public=False)
        elif isinstance(node, ast.ClassDef):
            shown = is_public and not node.name.startswith("_")
            yield from _within(module, node, prefix=f"{prefix}{node.name}.", owner=node, is_public=shown)
        else:
            yield from _within(module, node, prefix=prefix, owner=owner, is_public=is_public)


def _has_decorator(node: FunctionNode, name: str) -> bool:
    return any(name in names_of(decorator) for decorator in node.decorator_list)
