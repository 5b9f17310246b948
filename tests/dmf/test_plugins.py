"""Components of packages that are not ours: found by entry point or by place, and refused with the reason."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import dmf
from dmf.checks import UnknownName
from dmf.plugins import UnusablePlugin
from tests.support.packages import install, on_the_path


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Path]:
    install(tmp_path, "strangers")
    with on_the_path(tmp_path):
        yield tmp_path


@pytest.mark.usefixtures("site")
def test_what_a_package_offers_is_used_by_its_name() -> None:
    p, y = torch.tensor([[0.75, 0.25], [0.5, 0.5]]), torch.tensor([0, 1])
    assert dmf.build_loss("brier", 2)(p.log(), y).item() == pytest.approx((2 * 0.25**2 + 2 * 0.5**2) / 2)
    fusion = dmf.DynamicMemoryFusion(["brier", "dice"], "halves", auxiliary=None, num_classes=2)
    out = fusion(p.log(), y)
    assert out.weights.tolist() == [0.5, 0.5]
    assert dmf.build_model("tiny", 1, 2, side=1)(torch.zeros(1, 1, 4, 4)).shape == (1, 2, 4, 4)
    assert dmf.build_activation("cube")(torch.tensor(2.0)) == 8


@pytest.mark.usefixtures("site")
def test_what_no_package_offers_is_named_by_its_place() -> None:
    loss = dmf.build_loss("strangers.losses.Brier", 2, exponent=4)
    assert (loss.name, type(loss).__name__) == ("strangers.losses.Brier", "Brier")
    assert dmf.build_model("strangers.parts.Tiny", 3, 2)(torch.zeros(1, 3, 8, 8)).shape == (1, 2, 8, 8)


@pytest.mark.usefixtures("site")
def test_an_unknown_name_is_answered_with_plugins_too() -> None:
    own = r"One of your own: an entry point of group `dmf\.losses`, or `package\.module\.Class`\.$"
    with pytest.raises(UnknownName, match=rf"Unknown loss 'bryer'\. Did you mean 'brier'\?.* {own}"):
        dmf.build_loss("bryer", 2)
    with pytest.raises(UnknownName, match=r"Unknown model 'x'\..*`dmf\.models`"):
        dmf.build_model("x", 1, 2)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_package.Loss", r"\(no_package:Loss\) cannot be imported: ModuleNotFoundError: No module named 'no_pack"),
        ("strangers.losses.Missing", r"cannot be imported: AttributeError: module 'strangers\.losses' has no attr"),
        ("strangers.broken.Loss", r"cannot be imported: SyntaxError: "),
        ("strangers.parts.A_NUMBER", r"must be a class with a method `forward`, defined at the top level .* Found 3"),
        ("strangers.losses.Unrelated", r"must be a class with a method `forward`"),
        ("dmf.losses.region.DiceLoss", r"is filed as 'dice' already, and a class has one name\. Write that one"),
    ],
)
@pytest.mark.usefixtures("site")
def test_what_cannot_be_used_is_one_message(name: str, message: str) -> None:
    with pytest.raises(UnusablePlugin, match=message):
        dmf.build_loss(name, 2)
    assert name not in dmf.LOSSES


@pytest.mark.usefixtures("site")
def test_a_weighting_combines() -> None:
    with pytest.raises(UnusablePlugin, match=r"must be a class with a method `combine`"):
        dmf.build_weighting("strangers.parts.Cube", 2)


def test_a_package_may_file_its_class_itself(site: Path) -> None:
    text = "from dmf.losses import LOSSES, Loss\n@LOSSES.register('{}')\nclass Own(Loss):\n    pass\n"
    files = {"__init__.py": text.format("own")}
    install(site, "decorated", files, "[dmf.losses]\nown = {0}:Own\nanother = {0}:Own\n")
    assert dmf.build_loss("own", 2).name == "own"
    with pytest.raises(UnusablePlugin, match=r"'another' \(decorated:Own\) is filed as 'own' already, "):
        dmf.build_loss("another", 2)


def test_two_packages_with_one_name_are_refused(site: Path) -> None:
    install(site, "rivals", {"__init__.py": ""}, "[dmf.losses]\nbrier = {0}:Brier\n")
    with pytest.raises(UnusablePlugin, match=r"'brier' is offered twice: rivals:Brier and strangers\.losses:Brier\."):
        dmf.build_loss("brier", 2)


def test_our_names_cannot_be_taken(site: Path) -> None:
    install(site, "usurper", {"__init__.py": "raise SystemExit"}, "[dmf.losses]\ndice = {0}:Dice\n")
    assert type(dmf.build_loss("dice", 2)).__module__ == "dmf.losses.region"
