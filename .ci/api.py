"""The site's reference: pages of directives for mkdocstrings, one section a name that a registry of `dmf` knows."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

DMF = Path(__file__).resolve().parents[1] / "dmf"
REGISTERED = re.compile(
    r'^@(?P<registry>[A-Z]+)\.register\("(?P<name>\w+)"\)\n(?:@.*\n)*class (?P<cls>\w+)', re.MULTILINE
)
FIDELITY = {"REFERENCE": " in the fidelity reference", "STABLE": " in the fidelity stable"}
COMPONENT = "    options: {heading_level: 4, members: []}\n"
CALLED = "    options: {members: [forward, mask, classes, set_epoch, from_dict, to_dict]}\n"
MODULE = "    options: {show_root_heading: false, show_root_toc_entry: false}\n"

# By package: what comes first on its page, before its components by name.
COMPONENTS = {
    "losses": ("losses.base.build_loss", "losses.base.Loss"),
    "weightings": ("weightings.build_weighting", "weightings.base.Weighting"),
    "models": ("models.registry.build_model",),
    "activations": ("activations.registry.build_activation", "activations.registry.replace_activations"),
}
FRONT_DOOR = (
    "fusion.DynamicMemoryFusion", "fusion.FusionOutput", "losses.fused.FusedLosses",
    "training.predictor.load_predictor", "training.predictor.Predictor", "training.spec.TrialSpec",
    "training.trial.train", "training.trial.Trial", "training.results.TrialResult", "plugins.UnusablePlugin",
)  # fmt: skip
METRICS = ("counts", "scores", "protocols", "soft", "surface")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages, written from the source as it is."""
    pages = {name: _components(name) for name in COMPONENTS}
    pages["dmf"] = (
        f"# The package dmf\n\nWhat `import dmf` gives besides its components.\n\n{_directives(FRONT_DOOR, CALLED)}"
    )
    pages["metrics"] = "# Metrics\n\n" + "".join(f"::: dmf.metrics.{name}\n{MODULE}\n" for name in METRICS)
    for name, text in pages.items():
        files.append(File.generated(config, f"api/{name}.md", content=text))
    return files


def _components(package: str) -> str:
    sections = [f"# {package.title()}\n\n{_directives(COMPONENTS[package])}"]
    for path in sorted((DMF / package).glob("*.py")):
        for found in REGISTERED.finditer(path.read_text("utf-8")):
            title = f"`{found['name']}`{FIDELITY.get(found['registry'], '')}"
            sections.append(f"## {title}\n\n::: dmf.{package}.{path.stem}.{found['cls']}\n{COMPONENT}\n")
    return "".join(sections)


def _directives(names: Iterable[str], options: str = "") -> str:
    return "".join(f"::: dmf.{name}\n{options}\n" for name in names)
