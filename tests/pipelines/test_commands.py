"""The commands as people type them: which there are, what help costs, what a shell completes, where there are none."""

from __future__ import annotations

import ast
import gc
import importlib.util
import re
import subprocess
import sys
import tomllib
from argparse import ArgumentParser, Namespace
from pathlib import Path

import pytest

from pipelines.__main__ import COMMANDS
from pipelines.core.command import Command
from tests.support.commands import run_module
from tests.support.places import ROOT

HEAVY = ("torch", "pandas", "numpy", "ray", "mlflow", "dvc", "cv2", "matplotlib", "pydantic", "rich")
HELPED = """
import runpy, sys
from pipelines.__main__ import main
def helped(run, *words):
    sys.argv = [*words, "--help"]
    try:
        run()
    except SystemExit as ended:
        assert ended.code == 0, words
for name in sys.argv[1:]:
    helped(main, "dmf", name)
    helped(lambda: runpy.run_module(f"pipelines.{name}", run_name="__main__"), name)
helped(main, "dmf")
print("loaded:", *sorted({heavy!r} & sys.modules.keys()))
"""
COMPLETE = """
eval "$({python} -m pipelines --print-completion bash)"
COMP_WORDS=(dmf {words}); COMP_CWORD={last}
_shtab_dmf
echo "${{COMPREPLY[@]}}"
"""

every = pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)


def test_every_command_and_stage_of_the_house_is_one() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (floors,) = (contract["layers"] for contract in contracts if contract.get("containers") == ["pipelines"])
    named = {name for floor in floors[1:4] for name in floor.split(" | ")}
    assert {command.name for command in COMMANDS} == named


@every
def test_what_it_does_lies_where_it_says(command: Command) -> None:
    """Looked up without loading it."""
    found = importlib.util.find_spec(command.work)
    assert found is not None
    assert found.origin is not None
    functions = [node for node in ast.parse(Path(found.origin).read_text()).body if isinstance(node, ast.FunctionDef)]
    assert [len(function.args.args) for function in functions if function.name == "run"] == [1]


@every
def test_it_says_in_one_line_what_it_is_for(command: Command) -> None:
    assert command.summary[0].isupper()
    assert "`" not in command.summary


def test_help_waits_for_none_of_the_platforms_packages() -> None:
    code = HELPED.replace("{heavy!r}", repr(set(HEAVY)))
    words = [sys.executable, "-c", code, *(command.name for command in COMMANDS)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "loaded:"
    assert "usage: dmf status [-h] --study NAME" in done.stdout
    assert "usage: python -m pipelines.status [-h] --study NAME" in done.stdout


def test_garbage_is_collected_again_once_its_modules_are_loaded() -> None:
    """Also where one of them cannot be loaded."""
    command = Command("none", "Nothing.", lambda parser: None, "pipelines.no_such.work")
    with pytest.raises(ModuleNotFoundError, match=r"pipelines\.no_such"):
        command.start(Namespace())
    assert gc.isenabled()


def test_a_mistake_is_told_as_any_is(tmp_path: Path) -> None:
    done = run_module("pipelines", "status", "--study", "quikstart", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "Did you mean `quickstart`?" in done.stderr
    assert run_module("pipelines", "stauts", cwd=tmp_path).returncode == 2


@pytest.mark.parametrize("address", ["s3://bucket/trials", "gs://bucket", "https://host/trials"])
@every
def test_an_object_store_is_no_folder_and_what_to_do_is_said(
    command: Command, address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every option that takes a folder; as a path, `s3://bucket` would be the folder `s3:` here."""
    parser = command.add_to(ArgumentParser())
    for option in re.findall(r"^  (--\w+) FOLDER", parser.format_help(), re.MULTILINE):
        with pytest.raises(SystemExit):
            parser.parse_args([option, address])
        said = " ".join(capsys.readouterr().err.split())
        assert f"argument {option}: {address} is an address, expected a folder. Mount the store as a file" in said
        assert "leave them on the driver's own, and workers send there" in said


def test_a_shell_completes_commands_options_and_studies() -> None:
    for words, last, expected in (
        ("sta", 1, "status"),
        ("grid --dry", 2, "--dry-run"),
        ("grid --study smo", 3, "smoke"),
    ):
        script = COMPLETE.format(python=sys.executable, words=words, last=last)
        done = subprocess.run(["bash", "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
        assert done.stdout.split() == [expected], done.stderr


def test_where_the_platform_is_not_one_sentence_says_where_it_is(tmp_path: Path) -> None:
    """As whoever installed the library alone would have it."""
    words = [sys.executable, "-c", "import dmf_command; dmf_command.main()", "status"]
    here = subprocess.run(
        words, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    assert here.returncode == 1
    assert here.stderr.startswith("error: `dmf` runs the platform's commands in a checkout of the repository")
    assert str(tmp_path) in here.stderr
    words[-1] = "--help"
    there = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    assert there.stdout.startswith("usage: dmf ")


def test_where_only_the_library_is_installed_it_says_how_to_install_the_platform() -> None:
    """In a checkout, by a Python that has nothing of the platform."""
    code = "import sys; sys.modules['shtab'] = None; import dmf_command; dmf_command.main()"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith(
        f"error: the platform needs shtab, which {sys.executable} does not have. `make setup`"
    )
