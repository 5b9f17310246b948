"""Trials have the same identifiers under every supported Python: nobody trains them again after an upgrade."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Collection, Sequence

import pytest

from dmf.training.spec import TrialSpec
from pipelines.trials.code import Definition
from pipelines.trials.identity import PACKAGE, chosen_by_name, code_fingerprint, components, identifier, source
from tests.support.places import ROOT
from tests.support.pythons import SUPPORTED, other_pythons
from tune_spaces import load_study
from tune_spaces.expand import expand

# What decides an identifier and could depend on the version: the source, read, and the spec, written. No torch needed.
PROGRAM = """
import json, sys
from pathlib import Path
from pipelines.trials.code import Code, Definition, sources_of

def definitions(pairs):
    return [Definition(*pair) for pair in pairs]

asked = json.load(sys.stdin)
code, chosen = Code(sources_of(Path(asked["package"]))), definitions(asked["chosen"])
fingerprints = [code.fingerprint(definitions(roots), chosen) for roots in asked["roots"]]
print(json.dumps([fingerprints, [json.dumps(spec, sort_keys=True) for spec in asked["specs"]]]))
"""


@pytest.fixture(params=SUPPORTED)
def python(request: pytest.FixtureRequest) -> str:
    """Another interpreter."""
    if request.param not in other_pythons():
        pytest.skip(f"no other python{request.param} on $PATH or in $DMF_PYTHONS")
    return other_pythons()[request.param]


def ask(python: str, roots: Sequence[Collection[Definition]], specs: Sequence[TrialSpec]) -> list[list[str]]:
    """What it finds: the fingerprint of each set of roots, the text of each spec."""
    asked = {
        "package": str(PACKAGE),
        "chosen": sorted(chosen_by_name(source())),
        "roots": [sorted(definitions) for definitions in roots],
        "specs": [spec.to_dict() for spec in specs],
    }
    command = [python, "-c", PROGRAM]
    done = subprocess.run(command, input=json.dumps(asked), cwd=ROOT, capture_output=True, text=True, check=True)
    answer: list[list[str]] = json.loads(done.stdout)
    return answer


def test_the_quickstarts_39_identifiers_are_equal(python: str) -> None:
    specs = [cell.spec for cell in expand(load_study("quickstart")).cells]
    fingerprints, written = ask(python, [components(spec) for spec in specs], specs)
    ours, theirs = (
        [identifier(spec, "data", code) for spec, code in zip(specs, codes, strict=True)]
        for codes in (map(code_fingerprint, specs), fingerprints)
    )
    assert ours == theirs
    assert written == [json.dumps(spec.to_dict(), sort_keys=True) for spec in specs]
    assert len(set(ours)) == 39


def test_every_definition_reads_alike(python: str) -> None:
    every = [Definition(module, name) for module, content in source().modules.items() for name in content.bound]
    assert ask(python, [every], [])[0] == [source().fingerprint(every, chosen_by_name(source()))]
