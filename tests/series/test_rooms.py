"""The three rooms: who may import whom, no circles, and how large each may be."""

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
ROOMS = {
    "digits_helpers": set(),
    "nbval_tolerance": set(),
    "digits_tools": {"digits_helpers", "nbval_tolerance"},
}
# Inside digits_tools a part imports from its own level or from one above it in this list.
LEVELS = [
    {"errors", "lessons", "notebook", "machine", "folders", "parameters"},
    {"run"},
    {"report", "sweep", "maintain", "doctor"},
    {"cli"},
    {"__main__"},
]


def modules(room: str) -> dict[str, Path]:
    """Dotted name to file, for every module of a room."""
    found = {}
    for path in sorted((PROJECT / room).rglob("*.py")):
        parts = path.relative_to(PROJECT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(path: Path) -> set[str]:
    """Dotted names that a file imports, at its top or inside functions; not for type checking only."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute here"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def edges(room: str) -> dict[str, set[str]]:
    """Which modules of a room each of its modules imports."""
    known = modules(room)
    graph = {}
    for name, path in known.items():
        targets = {target if target in known else target.rpartition(".")[0] for target in imported(path)}
        graph[name] = (targets & set(known)) - {name}
    return graph


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_the_rooms_that_it_may(room):
    allowed = ROOMS[room] | {room}
    for path in modules(room).values():
        rooms = {name.partition(".")[0] for name in imported(path)} & set(ROOMS)
        assert rooms <= allowed, f"{path} imports {rooms - allowed}"


@pytest.mark.parametrize("room", ROOMS)
def test_no_circle(room):
    list(graphlib.TopologicalSorter(edges(room)).static_order())  # raises CycleError with the circle


def test_inside_the_engine_arrows_go_one_way():
    level = {part: number for number, parts in enumerate(LEVELS) for part in parts}
    for name, targets in edges("digits_tools").items():
        part = (name.split(".") + [""])[1]
        for target in targets - {"digits_tools"}:
            other = target.split(".")[1]
            same_part, lower = other == part, level[other] < level.get(part, 99)
            base = level[other] == level.get(part) == 0
            assert same_part or lower or base, f"{name} imports {target}"


def test_lessons_import_the_small_package_and_no_other_room():
    import nbformat

    for path in sorted((PROJECT / "notebooks").glob("*.ipynb")):
        code = "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code")
        assert "digits_helpers" in code
        assert "digits_tools" not in code and "nbval_tolerance" not in code, path.name


def test_what_a_module_of_the_small_package_offers_is_used():
    """A public function that neither a lesson nor the engine nor another module uses does not belong there."""
    import nbformat

    texts = {path: path.read_text(encoding="utf-8") for room in ROOMS for path in modules(room).values()}
    for path in sorted((PROJECT / "notebooks").glob("*.ipynb")):
        texts[path] = "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells)
    for path in modules("digits_helpers").values():
        for node in ast.parse(texts[path]).body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                users = [other for other, text in texts.items() if node.name in text and other != path]
                assert users, f"{path.name}: {node.name} is used by nobody"


@pytest.mark.parametrize(
    ("room", "lines"), [("digits_helpers", 1700), ("nbval_tolerance", 1250), ("digits_tools", 3500)]
)
def test_a_room_stays_small(room, lines):
    total = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in modules(room).values())
    assert total <= lines


def test_a_learner_meets_no_long_file():
    for path in modules("digits_helpers").values():
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 220, path.name


def test_importing_the_small_package_is_quick():
    code = "import sys, digits_helpers; print([m for m in ('tensorflow', 'keras', 'matplotlib', 'numpy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
