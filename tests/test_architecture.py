"""The house, held by reading the syntax tree of every module."""

import ast
import statistics
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import ctwatch

ROOT = Path(ctwatch.__file__).parent

# From the roof to the ground: a part imports only from lines below its own. A package is one part;
# `sandbox` and `notifier` stand beside the house and have tests of their own.
STOREYS = (
    ("demo",),  # runs the very commands, so it stands on them
    ("cli",),
    ("verbs",),
    ("retold",),
    ("render",),
    ("policy",),
    ("silence", "preflight"),
    ("simulate", "diagnose", "opening", "start", "strays"),
    ("striking", "untold"),
    ("blows", "alerts", "history"),
    (
        *("watch", "engine", "techniques", "proof", "synthetic", "confirmation"),
        *("delivered", "webhooks"),
    ),
    ("meaning", "remembered"),
    ("findings", "remains"),
    ("resources", "listening", "readable"),
    ("config",),
    ("lint", "looping", "emptying"),
    ("aws", "detections", "bundle", "secret", "existing"),
    ("models",),
    ("patterns", "diff", "digests", "permissions", "prices"),
    ("times",),
    ("errors", "clock", "parallel", "inert", "version"),
)
LEVEL = {part: level for level, storey in enumerate(STOREYS) for part in storey}

# The one step upstairs: the command `demo` starts the demo, when it is called and not before.
LAZILY_UPSTAIRS = {("ctwatch.verbs.local", "ctwatch.demo")}

# Who may see what stands beside the house: an example of an alert is written as the notifier does,
# and of a call in the past it is told as in an alert whether it left a trail less to record.
BESIDE = {"render": {"notifier"}, "history": {"notifier"}}

# Who may import what is not ours; botocore's exceptions are everybody's.
GUESTS = {
    "click": {"cli", "verbs", "demo"},
    "rich": {"render", "retold", "demo"},
    "pydantic": {"config"},
    "pydantic_core": {"config"},
    "yaml": {"config", "detections", "demo"},
    "msgspec": {"history"},
    "deflate": {"history"},
    "moto": {"sandbox"},
    "werkzeug": {"sandbox"},
}

MODULES = {
    ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in ROOT.rglob("*.py")
}


@cache
def trees():
    """The syntax tree of every module, which only the worker that runs these tests reads."""
    return {name: ast.parse(path.read_text("utf-8")) for name, path in MODULES.items()}


def part(module):
    """ "ctwatch.resources.trail" belongs to "resources"."""
    return module.split(".")[1] if "." in module else ""


def named(module, node):
    """The modules that one import statement names, relative ones made absolute."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    package = module if MODULES[module].name == "__init__.py" else module.rpartition(".")[0]
    above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
    base = ".".join([*above, *([node.module] if node.module else [])])
    inner = [f"{base}.{alias.name}" for alias in node.names]
    return [one if one in MODULES else base for one in inner]


def imports(module, *, lazy=True):
    """What a module imports; without the lazy ones, what importing it imports."""
    todo, found = [trees()[module]], set()
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Import | ast.ImportFrom):
            found |= set(named(module, node))
        if lazy or not (isinstance(node, ast.FunctionDef) or is_for_types(node)):
            todo += ast.iter_child_nodes(node)
    return found


def is_for_types(node):
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def ours(module, *, lazy=True):
    return {one for one in imports(module, lazy=lazy) if one.startswith("ctwatch")}


def functions():
    for module, tree in trees().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{module}.{node.name}", node.end_lineno - node.lineno + 1


def test_every_part_has_its_storey():
    parts = {part(module) for module in MODULES} - {""}
    assert parts == {*LEVEL, "sandbox", "notifier"}


@pytest.mark.parametrize("module", sorted(one for one in MODULES if part(one) in LEVEL))
def test_imports_run_downstairs_only(module):
    here = part(module)
    for other in {part(one) for one in ours(module)} - {here, "sandbox", *BESIDE.get(here, ())}:
        down = LEVEL[other] > LEVEL[here]
        lazily = (module, f"ctwatch.{other}") in LAZILY_UPSTAIRS
        assert down or lazily, f"{module} imports {other}"


def test_nothing_goes_round_in_a_circle():
    every = {name: ours(name) - {name} for name in MODULES}
    for here, there in LAZILY_UPSTAIRS:
        every[here].discard(there)
    for name, path in MODULES.items():  # a package's face hands out what is behind it, lazily
        if path.name == "__init__.py":
            every[name] = ours(name, lazy=False) - {name}
    TopologicalSorter(every).prepare()


def test_the_step_upstairs_is_taken_only_when_it_is_called():
    for here, there in LAZILY_UPSTAIRS:
        assert there not in imports(here, lazy=False)


def test_the_notifier_imports_nothing_of_ctwatch_but_itself():
    for module in (one for one in MODULES if part(one) == "notifier"):
        assert {part(one) for one in ours(module)} <= {"notifier"}, module
        absolute = [
            node
            for node in ast.walk(trees()[module])
            if isinstance(node, ast.ImportFrom) and node.level == 0
        ]
        assert not [node for node in absolute if str(node.module).startswith("ctwatch")], module


def test_the_notifier_needs_the_standard_library_alone_until_it_asks_aws():
    for module in (one for one in MODULES if part(one) == "notifier"):
        roots = {one.split(".")[0] for one in imports(module, lazy=False)}
        assert roots <= {*sys.stdlib_module_names, "ctwatch"}, module


def test_the_sandbox_stands_beside_the_house_and_only_the_demo_knows_it():
    for module in MODULES:
        if part(module) == "sandbox":
            leans_on = {part(one) for one in ours(module)} - {"sandbox"}
            assert leans_on <= {"clock", "errors", "patterns"}, module
        elif "sandbox" in {part(one) for one in ours(module)}:
            assert part(module) == "demo", module


def test_nobody_reaches_into_a_private_name_of_another_module():
    for module, tree in trees().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                private = [alias.name for alias in node.names if alias.name.startswith("_")]
                assert not private, f"{module} imports {private}"


@pytest.mark.parametrize("guest", sorted(GUESTS))
def test_each_library_has_one_door(guest):
    users = {part(one) for one in MODULES if guest in {x.split(".")[0] for x in imports(one)}}
    assert users
    assert users <= GUESTS[guest]


@pytest.mark.parametrize(
    "start",
    [
        "import ctwatch.cli",
        "from ctwatch.cli import main; main(['--help'])",
        "from ctwatch.cli import main; main(['--version'])",
    ],
)
def test_help_starts_without_anything_heavy(start):
    heavy = ["boto3", "botocore", "rich", "yaml", "pydantic", "moto", "urllib.request"]
    heavy += ["importlib.metadata", "zoneinfo", "ctwatch.inert"]
    tell = f"import sys; print([one for one in {heavy} if one in sys.modules])"
    told = subprocess.run(
        [sys.executable, "-c", f"{start}\n{tell}"], capture_output=True, text=True, check=True
    )
    assert told.stdout.splitlines()[-1] == "[]"


def test_to_look_at_a_watch_loads_nothing_that_only_other_commands_need():
    verbs = "opening", "render", "engine", "webhooks", "diagnose", "untold"
    start = "".join(f"import ctwatch.{one}\n" for one in verbs)
    others = "techniques", "simulate", "silence", "blows", "strays", "policy", "digests", "sandbox"
    idle = [*(f"ctwatch.{one}" for one in others), "ctwatch.notifier.message"]
    idle += ["boto3", "s3transfer", "moto", "rich.live", "rich.progress"]
    tell = f"import sys; print([one for one in {idle} if one in sys.modules])"
    told = subprocess.run(
        [sys.executable, "-c", f"{start}\n{tell}"], capture_output=True, text=True, check=True
    )
    assert told.stdout == "[]\n"


def test_functions_are_short():
    sizes = dict(functions())
    assert statistics.median(sizes.values()) < 12
    assert {name: size for name, size in sizes.items() if size > 50} == {}


def undocumented(module):
    """Public functions, classes and methods of public classes that say nothing of themselves."""
    todo = [trees()[module]]
    while todo:
        for node in todo.pop().body:
            if not isinstance(node, ast.FunctionDef | ast.ClassDef) or node.name.startswith("_"):
                continue
            if not ast.get_docstring(node):
                yield node.name
            if isinstance(node, ast.ClassDef):
                todo.append(node)


@pytest.mark.parametrize("module", sorted(MODULES))
def test_everything_public_says_what_it_is(module):
    assert ast.get_docstring(trees()[module])
    assert list(undocumented(module)) == []
