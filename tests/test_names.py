"""One name, one thing: no two modules define a public class, or a public name of a type, of one name."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

PACKAGES = ("pyhisto", "data_prep", "prototxt", "tools", "workflow")


def type_names(source: str) -> Iterator[str]:
    """The names of types at the top of a module: classes, and assignments of what can stand in an annotation."""
    for statement in ast.parse(source).body:
        match statement:
            case ast.ClassDef(name=name):
                yield name
            case ast.AnnAssign(target=ast.Name(id=name), annotation=ast.Name(id="TypeAlias")):
                yield name
            case ast.Assign(targets=[ast.Name(id=name)]) if name[0].isupper() and not name.isupper():
                yield name


def defined_twice(sources: dict[str, str]) -> dict[str, list[str]]:
    """Name -> the files that define it, of public names that several do."""
    places = defaultdict(list)
    for file, source in sources.items():
        for name in type_names(source):
            if not name.startswith("_"):
                places[name].append(file)
    return {name: files for name, files in places.items() if len(files) > 1}


def test_what_counts_as_the_name_of_a_type() -> None:
    sources = {
        "a.py": "class Mask: pass\nNet: TypeAlias = Any\nFloats = NDArray[np.floating]\nLIMIT = 3\nclass _Own: pass",
        "b.py": "Mask = NDArray[np.bool_]\nclass Net: pass\nFloats: TypeAlias = list\nLIMIT = 4\nclass _Own: pass",
    }
    assert defined_twice(sources) == {name: ["a.py", "b.py"] for name in ("Mask", "Net", "Floats")}


def test_no_two_modules_name_a_type_alike(root: Path) -> None:
    files = [file for package in PACKAGES for file in sorted((root / package).rglob("*.py"))]
    assert defined_twice({str(file.relative_to(root)): file.read_text() for file in files}) == {}
