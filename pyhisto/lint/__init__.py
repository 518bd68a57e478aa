"""Known traps in networks' and solvers' prototxts."""

from pathlib import Path

from pyhisto.errors import InputError
from pyhisto.lint.network_rules import NetworkFile
from pyhisto.lint.network_rules import book as network_book
from pyhisto.lint.rules import Finding, Rule
from pyhisto.lint.solver_rules import SolverFile
from pyhisto.lint.solver_rules import book as solver_book
from pyhisto.proto import NetParameter, SolverParameter, parse_text
from pyhisto.prototext import Document

__all__ = ["RULES", "Finding", "lint"]

RULES: dict[str, Rule[NetworkFile] | Rule[SolverFile]] = {
    **{rule.id: rule for rule in network_book.rules},
    **{rule.id: rule for rule in solver_book.rules},
}
"""Every rule by its id: those for networks, then those for solvers."""

NETWORK_FIELDS = ("layer", "layers", "input")
SOLVER_FIELDS = ("net", "train_net", "net_param", "train_net_param", "base_lr", "lr_policy", "max_iter")


def lint(path: Path, root: Path = Path()) -> list[Finding]:
    """The traps in a prototxt, by line. `root` is the folder that Caffe is started in, from which paths count.

    Raises InputError if the file cannot be read, does not parse, or is neither a network nor a solver.
    """
    document = Document.read(path)
    fields = {each.name for each in document.fields}
    if fields.intersection(NETWORK_FIELDS):
        net = parse_text(document.text(), NetParameter, path, lenient=True)
        found = network_book.findings(NetworkFile(path, net, document, root), str(path))
    elif fields.intersection(SOLVER_FIELDS):
        solver = parse_text(document.text(), SolverParameter, path, lenient=True)
        found = solver_book.findings(SolverFile(path, solver, document, root), str(path))
    else:
        raise InputError(f"{path}: neither a network (it has no layer) nor a solver (it names no net and no base_lr)")
    return sorted(found, key=lambda finding: finding.line)
