"""Activations from special functions: what they compute, for every float, and how a network comes by them."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dmf.activations import (
    ACTIVATIONS,
    Jacobi,
    Lerch,
    MittagLeffler,
    Weierstrass,
    build_activation,
    replace_activations,
)
from dmf.activations.jacobi import jacobi_coefficients
from dmf.checks import UnknownName
from dmf.models import build_model
from dmf.training.build import build_network
from dmf.training.trial import train
from tests.support.toy import toy_data, toy_spec

mpmath = pytest.importorskip("mpmath")

every = pytest.mark.parametrize("name", ACTIVATIONS)
POINTS = torch.linspace(-4, 4, 41, dtype=torch.float64)


def truth(activation: nn.Module, x: float) -> Any:
    """The same by mpmath with 50 digits, from the definition and not from our coefficients."""
    with mpmath.workdps(50):
        x = mpmath.mpf(x)
        match activation:
            case Jacobi(degree=n, alpha=alpha, beta=beta):
                return mpmath.jacobi(n, alpha, beta, mpmath.tanh(x))
            case Lerch(s=s, a=a, radius=radius, terms=terms):
                z = mpmath.mpf(radius) * mpmath.tanh(x)
                return mpmath.fsum(z**k / (k + mpmath.mpf(a)) ** s for k in range(terms))
            case MittagLeffler(alpha=alpha, bound=bound, terms=terms):
                z = mpmath.mpf(bound) * mpmath.tanh(x / bound)
                return mpmath.fsum(z**k / mpmath.gamma(mpmath.mpf(alpha) * k + 1) for k in range(terms))
            case Weierstrass(a=a, b=b, terms=terms):
                return mpmath.fsum(mpmath.mpf(a) ** k * mpmath.cos(b**k * mpmath.pi * x) for k in range(terms))
    raise AssertionError(f"No definition of {activation}.")


def every_float() -> Tensor:
    """Zero, every power of two of float32 with three mantissas between (denormals too), the largest, infinity."""
    powers = torch.tensor(2.0, dtype=torch.float64) ** torch.arange(-149, 128)
    sizes = torch.cat([powers * mantissa for mantissa in (1, 1.25, 1.5, 1.999)]).float()
    sizes = torch.cat([torch.zeros(1), sizes, torch.tensor([torch.finfo(torch.float32).max, torch.inf])])
    return torch.cat([-sizes, sizes])


OTHERS = [
    Jacobi(degree=1),
    Jacobi(degree=6, alpha=-0.5, beta=2.0),
    Lerch(s=-1.5, a=0.3, radius=0.95, terms=40),
    Weierstrass(a=0.7, b=5, terms=3),
    MittagLeffler(alpha=0.5, bound=2.0, terms=30),
]


@pytest.mark.parametrize("activation", [*(cls() for cls in ACTIVATIONS.values()), *OTHERS], ids=repr)
def test_values_are_those_of_mpmath(activation: nn.Module) -> None:
    """To 1e-12 in float64 and 2e-6 in float32, in units of the largest value."""
    expected = torch.tensor([float(truth(activation, float(x))) for x in POINTS], dtype=torch.float64)
    scale = float(expected.abs().max())
    torch.testing.assert_close(activation(POINTS), expected, rtol=0, atol=1e-12 * scale)
    single = POINTS.float()
    at_single = torch.tensor([float(truth(activation, float(x))) for x in single], dtype=torch.float64)
    torch.testing.assert_close(activation(single).double(), at_single, rtol=0, atol=2e-6 * scale)


def test_what_lerch_cuts_off_is_within_its_bound() -> None:
    activation = Lerch()
    for x in (-3.0, -0.5, 0.7, 3.0):
        z = 0.8 * mpmath.tanh(x)
        rest = abs(float(mpmath.lerchphi(z, 1, 1) - truth(activation, x)))
        assert rest <= 0.8**16 / (0.2 * 17)
        assert float(truth(activation, x)) == pytest.approx(float(-mpmath.log(1 - z) / z), abs=0.01)


def test_mittag_leffler_of_one_is_the_exponential_function() -> None:
    activation = MittagLeffler(alpha=1.0, bound=1.0, terms=20)
    torch.testing.assert_close(activation(POINTS), torch.exp(torch.tanh(POINTS)), rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ((1, 0.0, 0.0), [0, 1]),
        ((2, 0.0, 0.0), [-1 / 2, 0, 3 / 2]),
        ((3, 0.0, 0.0), [0, -3 / 2, 0, 5 / 2]),
        ((2, 1.0, 0.0), [-1 / 2, 1, 5 / 2]),
        ((3, 1.0, 1.0), [0, -3, 0, 7]),
    ],
)
def test_jacobi_polynomials_by_hand(parameters: tuple[int, float, float], expected: list[float]) -> None:
    assert jacobi_coefficients(*parameters) == pytest.approx(expected)


@every
def test_finite_with_finite_gradient_for_every_float(name: str) -> None:
    x = every_float().requires_grad_()
    activation = build_activation(name)
    activation(x).sum().backward()
    assert activation(x).isfinite().all()
    assert x.grad is not None
    assert x.grad.isfinite().all()


@every
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_short_floats_are_computed_in_float32(name: str, dtype: torch.dtype) -> None:
    x = torch.linspace(-3, 3, 50).to(dtype)
    activation = build_activation(name)
    assert torch.equal(activation(x), activation(x.float()).to(dtype))
    extreme = torch.tensor([torch.finfo(dtype).max, torch.finfo(dtype).tiny, torch.inf], dtype=dtype)
    assert activation(extreme).isfinite().all()


@every
def test_no_number_stays_no_number(name: str) -> None:
    assert build_activation(name)(torch.tensor([torch.nan])).isnan().all()


@every
def test_gradients_are_those_of_differences(name: str) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, 4, dtype=torch.float64, generator=generator, requires_grad=True)
    activation = build_activation(name)
    assert torch.autograd.gradcheck(activation, x)
    assert torch.autograd.gradgradcheck(activation, x)


@every
def test_it_keeps_only_its_argument_for_the_backward_pass(name: str) -> None:
    """One tensor of the input's size for the series, whatever the number of terms, and what leads to it."""
    kept: list[int] = []

    def pack(tensor: Tensor) -> Tensor:
        kept.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        build_activation(name)(torch.rand(1000, requires_grad=True))
    assert sum(size == 1000 for size in kept) <= 3


@every
def test_it_compiles_and_maps_over_a_batch(name: str) -> None:
    activation, x = build_activation(name), torch.linspace(-2, 2, 9)
    slopes = torch.func.vmap(torch.func.grad(activation))(x)
    x.requires_grad_()
    torch.compiler.reset()
    out = torch.compile(activation, backend="aot_eager", fullgraph=True)(x)
    out.sum().backward()
    torch.testing.assert_close(out, activation(x))
    torch.testing.assert_close(slopes, x.grad)


def test_weierstrass_repeats_itself_exactly() -> None:
    x = torch.arange(-8, 8) / 8
    activation = Weierstrass()
    for shift in (2, 4, 2**15):
        assert torch.equal(activation(x + shift), activation(x))


@every
def test_docstring_gives_formula_and_shapes(name: str) -> None:
    text = inspect.getdoc(ACTIVATIONS[name]) or ""
    assert "Shapes: " in text
    assert "ours" in text
    assert all(parameter in text for parameter in inspect.signature(ACTIVATIONS[name]).parameters)
    assert "=" in repr(build_activation(name))


# --- in a network ---


@every
def test_it_replaces_every_rectifier_and_leaves_the_weights(name: str) -> None:
    torch.manual_seed(0)
    model = build_model("attention_unet", 1, 2, base_filters=4, depth=1)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    rectifiers = sum(isinstance(module, nn.ReLU) for module in model.modules())
    assert replace_activations(model, name) == rectifiers > 0
    kinds = {type(module) for module in model.modules()}
    assert ACTIVATIONS[name] in kinds
    assert nn.Sigmoid in kinds  # the gates
    assert nn.ReLU not in kinds
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


@pytest.mark.parametrize("name", ["timm:vgg11", "timm:test_vit", "smp:fpn/tu-test_convnext", "rfe_unet:test_resnet"])
def test_it_replaces_those_of_libraries(name: str) -> None:
    pytest.importorskip("timm")
    with torch.device("meta"):
        model = build_model(name, 1, 2, image_size=64)
    assert replace_activations(model, "lerch", s=2.0) > 0
    assert {module.s for module in model.modules() if isinstance(module, Lerch)} == {2.0}


def test_a_network_without_rectifiers_is_refused() -> None:
    with pytest.raises(ValueError, match="'jacobi' has nothing to replace in Sequential: none of its modules is"):
        replace_activations(nn.Sequential(nn.Linear(2, 2), nn.Tanh()), "jacobi")


def test_a_trial_trains_with_the_activation_it_names() -> None:
    spec = toy_spec(activation="jacobi", activation_params={"degree": 1}, epochs=2)
    plain, replaced = build_network(toy_spec(), 1, 2), build_network(spec, 1, 2)
    assert any(isinstance(module, nn.ReLU) for module in plain.modules())
    assert {module.degree for module in replaced.modules() if isinstance(module, Jacobi)} == {1}
    assert train(spec, toy_data()).test["pooled"]["dice"] >= 0


def test_an_activation_before_the_softmax_is_that_of_the_networks_outputs() -> None:
    images = torch.rand(2, 1, 16, 16)
    networks = []
    for outputs in (False, True):
        torch.manual_seed(0)
        networks.append(build_network(toy_spec(activation="lerch", output_activation=outputs), 1, 2).eval())
    hidden, both = networks
    assert torch.equal(both(images), build_activation("lerch")(hidden(images)))


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("jacobi", {"order": 2}, "'jacobi' has no parameter `order`. It takes degree, alpha, beta"),
        ("jacobi", {"degree": 0}, r"`degree` must be at least 1\. Found 0"),
        ("jacobi", {"alpha": -1.0}, r"`alpha` must be more than -1 and finite\. Found -1.0"),
        ("lerch", {"a": 0.0}, r"`a` must be more than 0 and finite\. Found 0.0"),
        ("lerch", {"radius": 1.0}, r"`radius` must be more than 0 and less than 1\. Found 1.0"),
        ("weierstrass", {"a": 1.0}, r"`a` must be more than 0 and less than 1\. Found 1.0"),
        (
            "weierstrass",
            {"b": 9, "terms": 9},
            r"`b` must be an integer with .* at most 2\*\*16\. Found 9",
        ),
        ("mittag_leffler", {"alpha": 2.0}, r"`alpha` must be more than 0 and less than 2\. Found 2.0"),
    ],
)
def test_wrong_parameters_say_what_is_expected(name: str, params: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_activation(name, **params)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UnknownName, match=r"Unknown activation 'jakobi'\. Did you mean 'jacobi'"):
        build_activation("jakobi")
