"""No import circle: not between modules, and not between the rooms of the third floor."""

import ast
from collections.abc import Collection, Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FLOORS = ("receiver", "integrations", "orchestration")
Graph = dict[str, set[str]]


def modules(*folders: Path) -> dict[str, Path]:
    """The files below these folders by the names under which they are imported."""
    found = {}
    for path in (path for folder in folders for path in folder.rglob("*.py")):
        parts = path.relative_to(folders[0].parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(source: str, known: Collection[str]) -> set[str]:
    """The known modules that a file imports, wherever in it; `from a import b` may name a module or what is in one."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            inner = {alias.name: f"{node.module}.{alias.name}" for alias in node.names}
            names |= {path if path in known else node.module for path in inner.values()}
    return names & set(known)


def graph(files: Mapping[str, Path]) -> Graph:
    return {name: imported(path.read_text(encoding="utf-8"), files) - {name} for name, path in files.items()}


def rooms(of_modules: Graph, files: Mapping[str, Path]) -> Graph:
    """The same between rooms: a folder of the floor with all below it, or a module that lies in none."""

    def room(name: str) -> str:
        inner = files[name].relative_to(ROOT).parts[1:]
        return inner[0]

    result: Graph = {}
    for name, others in of_modules.items():
        result.setdefault(room(name), set()).update({room(other) for other in others} - {room(name)})
    return result


def circle(edges: Mapping[str, Iterable[str]]) -> list[str]:
    """One circle, if there is any."""
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


@pytest.mark.parametrize(
    "floor",
    [
        "receiver",
        "integrations",
        "orchestration",
    ],
)
def test_no_module_imports_itself_by_way_of_others(floor: str) -> None:
    files = modules(ROOT / floor)
    assert len(files) > 10
    assert circle(graph(files)) == []


def test_no_room_imports_itself_by_way_of_others() -> None:
    files = modules(ROOT / "orchestration")
    of_rooms = rooms(graph(files), files)
    assert {"defs", "runtime", "monitoring", "definitions.py"} <= of_rooms.keys()
    # `definitions` assembles `defs` and has `runtime` replace how runs wait
    assert circle(of_rooms) == []


def test_a_circle_is_seen(tmp_path: Path) -> None:
    for name, text in {
        "a": "import floor.b\n",
        "b": "from floor import c\n",
        "c": "def later():\n    from floor.a import x\n",
        "d": "from floor.a import x\n",
    }.items():
        (tmp_path / "floor").mkdir(exist_ok=True)
        (tmp_path / "floor" / f"{name}.py").write_text(text)
    found = graph(modules(tmp_path / "floor"))
    assert found == {
        "floor.a": {"floor.b"},
        "floor.b": {"floor.c"},
        "floor.c": {"floor.a"},
        "floor.d": {"floor.a"},
    }
    assert set(circle(found)) == {"floor.a", "floor.b", "floor.c"}
