"""What makes two trials the same one: the spec, the data, the rows, and the code that runs."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Mapping

import pytest

from dmf.training.spec import TrialSpec
from pipelines.trials.code import Code, Definition, sources_of
from pipelines.trials.identity import PACKAGE, chosen_by_name, code_fingerprint, components, identifier
from tests.support.toy import toy_spec

SOURCES = sources_of(PACKAGE)
CHANGED = {
    "dataset": "another",
    "seed": 1,
    "model": "unet_classic",
    "model_params": {"depth": 2},
    "activation": "jacobi",
    "activation_params": {"degree": 2},
    "output_activation": True,
    "losses": ("cross_entropy", "dice", "iou"),
    "loss_params": {"dice": {"smooth": 2.0}},
    "weighting": "mad",
    "weighting_params": {"history_size": 7},
    "auxiliary": "tversky",
    "gamma0": 4.0,
    "tau": 0.1,
    "tick": 7,
    "fidelity": "stable",
    "split": "random",
    "filtered": False,
    "image_size": 40,
    "epochs": 9,
    "batch_size": 5,
    "optimizer": "sgd",
    "learning_rate": 0.5,
    "weight_decay": 0.1,
    "schedule": "poly",
    "schedule_power": 0.5,
    "augmentation": {"vertical_flip": 0.5},
    "precision": "bf16",
    "selection": "last",
    "test_noise": (0.1,),
}
"""Another value of every field."""


def fingerprint(spec: TrialSpec, sources: Mapping[str, str] = SOURCES) -> str:
    code = Code(sources)
    return code.fingerprint(components(spec), chosen_by_name(code))


def reached(spec: TrialSpec) -> set[Definition]:
    code = Code(SOURCES)
    return code.reached(components(spec), chosen_by_name(code))


def edited(module: str, old: str, new: str) -> dict[str, str]:
    """The sources after an edit in one module."""
    assert old in SOURCES[module]
    return {**SOURCES, module: SOURCES[module].replace(old, new, 1)}


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(TrialSpec)])
def test_every_field_of_the_spec_is_in_the_identifier(field: str) -> None:
    spec = TrialSpec(
        dataset="busi", seed=0, losses=("cross_entropy", "iou", "dice"), auxiliary="focal", activation="lerch"
    )
    other = dataclasses.replace(spec, **{field: CHANGED[field]})
    assert getattr(other, field) != getattr(spec, field)
    assert identifier(spec, "data", "code") != identifier(other, "data", "code")


def test_the_identifier_changes_with_data_and_code_and_with_nothing_else() -> None:
    spec = toy_spec()
    assert len({identifier(spec, *parts) for parts in (("d", "c"), ("e", "c"), ("d", "e"))}) == 3
    assert identifier(spec, "d", "c") == identifier(TrialSpec.from_dict(spec.to_dict()), "d", "c")


def names_of(node: ast.Assign | ast.AnnAssign) -> set[str]:
    """What an assignment binds, `A, B = BOTH = ...` all three."""
    places = node.targets if isinstance(node, ast.Assign) else [node.target]
    return {part.id for place in places for part in ast.walk(place) if isinstance(part, ast.Name)}


def mutated(text: str, name: str) -> str:
    """A module in which one definition says something else."""
    tree = ast.parse(text)
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
            node.body.append(ast.parse("changed = 1").body[0])
        elif isinstance(node, ast.Assign | ast.AnnAssign) and name in names_of(node):
            node.value = ast.Tuple([node.value or ast.Constant(None), ast.Constant("changed")], ast.Load())
        elif isinstance(node, ast.For) and name in ast.unparse(node.target):
            node.body.append(ast.parse("changed = 1").body[0])
    return ast.unparse(ast.fix_missing_locations(tree))


@pytest.mark.slow
@pytest.mark.parametrize(
    "spec",
    [
        toy_spec(),
        toy_spec(weighting="bayesian", weighting_params={}, fidelity="stable", activation="jacobi", model="rfe_unet"),
        toy_spec(losses=("focal", "adaptive_focal"), weighting="dwa", weighting_params={}, fidelity="reference"),
    ],
    ids=["toy", "stable", "reference"],
)
def test_a_change_of_any_definition_that_a_trial_reaches_changes_its_identifier(spec: TrialSpec) -> None:
    before, unnoticed = fingerprint(spec), []
    for definition in sorted(reached(spec)):
        after = {**SOURCES, definition.module: mutated(SOURCES[definition.module], definition.name)}
        if fingerprint(spec, after) == before:
            unnoticed.append(definition)
    assert not unnoticed


def test_the_code_behind_every_field_is_reached() -> None:
    """Whoever reads a field of the spec is in the fingerprint: else that code could change under an identifier."""
    spec = toy_spec(activation="jacobi")
    names = {definition.module for definition in reached(spec)}
    readers = {
        module
        for module, text in SOURCES.items()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name | ast.Attribute)
        if (node.value.id if isinstance(node.value, ast.Name) else node.value.attr) == "spec"
    }
    others = {"dmf.training.packed", "dmf.training.predictor"}  # trains trials as they train alone; trains none
    assert readers - others <= names
    assert len(readers) >= 4


def test_each_activation_has_a_fingerprint_of_its_own() -> None:
    """All three had the first one's, so that an edit of `jacobi` left its trials done."""
    specs = {name: toy_spec(activation=name) for name in (None, "jacobi", "lerch")}
    assert len({code_fingerprint(spec) for spec in specs.values()}) == 3
    after = edited("dmf.activations.jacobi", "class Jacobi(Series):", "class Jacobi(Series):\n    changed = 1\n")
    changed = {name for name, spec in specs.items() if fingerprint(spec, after) != fingerprint(spec)}
    assert changed == {"jacobi"}


def test_logic_in_the_face_of_a_package_counts() -> None:
    """`build_weighting` is defined in an `__init__`, which was left out."""
    after = edited("dmf.weightings", "issubclass(cls, MemoryWeighting)", "not issubclass(cls, MemoryWeighting)")
    assert fingerprint(toy_spec(), after) != fingerprint(toy_spec())


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("dmf.training.trial", '"""One trial:', '"""A single trial:'),
        ("dmf.training.trial", "    def step(self", "    # A remark.\n\n    def step(self"),
        ("dmf.losses.region", "def rarity(", "def helper_of_nobody() -> None:\n    pass\n\n\ndef rarity("),
        ("dmf.training.packed", "def packable(", "def packable_(a: int) -> None:\n    pass\n\n\ndef packable("),
        ("dmf.weightings.dwa", "ratio(", "2 * ratio("),
        ("dmf.weightings.gradients", "jacobian @ jacobian.T", "2 * jacobian @ jacobian.T"),
        ("dmf.weightings.torchjd", "pip install 'dynamic-memory-fusion[", "pip install 'dmf["),
    ],
    ids=[
        "docstring",
        "comment",
        "new definition",
        "packing",
        "another weighting",
        "TorchJD's",
        "what the package was called",
    ],
)
def test_what_decides_nothing_leaves_finished_trials_valid(module: str, old: str, new: str) -> None:
    assert fingerprint(toy_spec(), edited(module, old, new)) == fingerprint(toy_spec())


def test_each_kind_of_torchjds_methods_has_a_fingerprint_of_its_own() -> None:
    specs = {name: toy_spec(weighting=name, weighting_params={}) for name in ("mad", "torchjd:MGDA", "torchjd:STCH")}
    assert len({code_fingerprint(spec) for spec in specs.values()}) == 3
    for module, old, kind in (
        ("gradients", "jacobian @ jacobian.T", "MGDA"),
        ("scalarization", "losses.clone()", "STCH"),
    ):
        after = edited(f"dmf.weightings.{module}", old, f"2 * {old}")
        changed = {name for name, spec in specs.items() if fingerprint(spec, after) != fingerprint(spec)}
        assert changed == {f"torchjd:{kind}"}


def test_a_moved_file_leaves_finished_trials_valid() -> None:
    moved = {name.replace("dmf.training.data", "dmf.samples"): text for name, text in SOURCES.items()}
    moved = {name: text.replace("dmf.training.data", "dmf.samples") for name, text in moved.items()}
    assert "dmf.samples" in moved
    assert fingerprint(toy_spec(), moved) == fingerprint(toy_spec())


def test_a_function_moved_to_another_file_leaves_finished_trials_valid() -> None:
    text = SOURCES["dmf.training.data"]
    function = text[text.index("def count_batches") :]
    sources = {
        **SOURCES,
        "dmf.training.data": text.replace(function, "from dmf.counting import count_batches\n"),
        "dmf.counting": "from __future__ import annotations\n\n\n" + function,
    }
    assert fingerprint(toy_spec(), sources) == fingerprint(toy_spec())


def test_a_name_that_comes_to_mean_something_else_is_noticed() -> None:
    swapped = edited("dmf.weightings.adaptive", "import History, shares, variance", "import History, variance, shares")
    assert fingerprint(toy_spec(), swapped) == fingerprint(toy_spec())
    other = edited(
        "dmf.weightings.adaptive",
        "import History, shares, variance",
        "import History, shares\nfrom dmf.weightings.statistics import median_absolute_deviation as variance",
    )
    assert fingerprint(toy_spec(), other) != fingerprint(toy_spec())


def test_a_component_that_is_not_named_does_not_count() -> None:
    def names(spec: TrialSpec, package: str) -> set[str]:
        found = (definition.module for definition in reached(spec))
        return {module.removeprefix(package) for module in found if module.startswith(package)}

    fixed = names(toy_spec(weighting="fixed", weighting_params={}), "dmf.weightings.")
    assert "dwa" in names(toy_spec(weighting="dwa", weighting_params={}), "dmf.weightings.") - fixed
    assert "fixed" in fixed
    assert {"rfe_unet", "layers", "pretrained"} <= names(toy_spec(model="rfe_unet"), "dmf.models.")
    assert names(toy_spec(), "dmf.models.") == {"norm_relu", "registry", "unet"}
    assert names(toy_spec(), "dmf.activations.") == {"registry"}
    assert {"jacobi", "series"} <= names(toy_spec(activation="jacobi"), "dmf.activations.")


def test_what_a_registry_holds_counts_unless_the_spec_chooses_from_it() -> None:
    assert Definition("dmf.metrics.protocols", "PerImage") in reached(toy_spec())


def test_source_reads_alike_under_every_version_of_python() -> None:
    """Versions differ in where the text of an f-string is cut and in fields that they add; neither is hashed."""
    cases = [
        ("f'a{x}b' 'c'", "f'a{x}bc'"),
        ("f'{x:>{w}}'", 'f"{x:>{w}}"'),
        ("'a' 'b'", "'ab'"),
        ("def f(a, /, *, b=1): return a", "def f(a,/,*,b = 1):\n    'doc'\n    return (a)"),
    ]
    for one, other in cases:
        texts = [{"m": f"x = w = 1\nvalue = {text}\n" if "def" not in text else text} for text in (one, other)]
        root = [Definition("m", "value" if "def" not in one else "f")]
        assert Code(texts[0]).fingerprint(root, ()) == Code(texts[1]).fingerprint(root, ())
    assert Code({"m": "value = 'é'"}).fingerprint([Definition("m", "value")], ()) == "880a4a4d8ccf"


def test_a_relative_import_is_refused_since_it_could_not_be_followed() -> None:
    with pytest.raises(ValueError, match="relative import"):
        Code({"m": "from .data import x\n"})
