"""The rooms of the house: no circle between modules, and arrows that point one way (imports in functions included)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(p): p for top in ("amtsep", "widgets") for p in sorted((ROOT / top).rglob("*.py"))}
FACADES = {"amtsep", "widgets"}
"""Their ``__init__`` names what is public, by strings, and stands above everything in it."""


def imports_of(module: str) -> Iterator[str]:
    """Modules of ours that a module imports anywhere in its text, for type checking too."""
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert not node.level, f"{module} imports by a relative name"
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in MODULES else node.module for name in inner]
        else:
            continue
        yield from (name for name in names if name in MODULES and name not in FACADES)


GRAPH = {module: sorted(set(imports_of(module)) - {module}) for module in MODULES if module not in FACADES}


def test_no_module_imports_itself_by_a_detour() -> None:
    done: set[str] = set()

    def walk(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, "a circle: " + " -> ".join((*trail[trail.index(module) :], module))
        if module not in done:
            for other in GRAPH[module]:
                walk(other, (*trail, module))
            done.add(module)

    for module in GRAPH:
        walk(module, ())


def room_of(module: str) -> str:
    """A folder of modules is one room, a module beside the folders is one too."""
    return ".".join(module.split(".")[:2])


def test_no_room_imports_itself_by_a_detour() -> None:
    rooms: dict[str, set[str]] = {}
    for module, others in GRAPH.items():
        rooms.setdefault(room_of(module), set()).update(room_of(other) for other in others)
    left = {room: others - {room} for room, others in rooms.items()}
    while free := [room for room, others in left.items() if not others & set(left)]:
        for room in free:
            del left[room]
    assert not left, f"circles among {sorted(left)}"


def reach(module: str) -> set[str]:
    found: set[str] = set()
    todo = [module]
    while todo:
        for other in GRAPH[todo.pop()]:
            if other not in found:
                found.add(other)
                todo.append(other)
    return found


CORE = {room_of(module).partition(".")[2] for module in GRAPH if module.startswith("amtsep.")} - {"studio"}
"""All rooms of the library but the optional one, which none of them may need."""


@pytest.mark.parametrize(
    ("room", "forbidden"),
    [
        ("amtsep", ("widgets",)),
        ("amtsep.inference", ("amtsep.evaluation", "amtsep.training", "amtsep.synthesis")),
        ("amtsep.nets", ("amtsep.evaluation", "amtsep.training", "amtsep.synthesis", "amtsep.inference")),
        ("amtsep.synthesis", ("amtsep.training", "amtsep.evaluation", "amtsep.nets", "amtsep.inference")),
        ("amtsep.evaluation", ("amtsep.training", "amtsep.synthesis")),
        *((f"amtsep.{name}", ("amtsep.nets", "amtsep.inference")) for name in ("decoding", "clustering", "formats")),
        ("amtsep.notes", ("amtsep.formats",)),
        *((f"amtsep.{name}", ("amtsep.studio",)) for name in sorted(CORE)),
    ],
)
def test_arrows_point_one_way(room: str, forbidden: tuple[str, ...]) -> None:
    for module in GRAPH:
        if module == room or module.startswith(room + "."):
            wrong = [m for m in reach(module) if any(m == f or m.startswith(f + ".") for f in forbidden)]
            assert not wrong, f"{module} reaches {wrong}"


def test_no_two_files_of_tests_have_one_name() -> None:
    """Pytest takes files of one name for one module, and runs only the first of them."""
    names = sorted(path.name for path in (ROOT / "tests").rglob("test_*.py"))
    assert len(names) == len(set(names)), [a for a, b in zip(names, names[1:]) if a == b]
