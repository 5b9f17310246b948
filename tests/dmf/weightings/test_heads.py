"""Losses of several heads, by name: any weighting in a plain loop, resumed by name, refused where names differ."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import dmf
from dmf.training.checkpoint import read_checkpoint, write_checkpoint
from dmf.weightings import WEIGHTINGS, MemoryWeighting, Weighting, build_weighting
from tests.support.weightings import build, every_weighting

NAMES = ["segmentation", "depth", "edges"]
TARGETS = dict(zip(NAMES, (1.0, -1.0, 0.3), strict=True))


class Heads(nn.Module):
    """A trunk and one head for each name; counts the backward passes through each head."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.trunk = nn.Linear(4, 5)
        self.heads = nn.ModuleDict({name: nn.Linear(5, 1) for name in NAMES})
        self.passed = dict.fromkeys(NAMES, 0)

    def forward(self, inputs: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        features = self.trunk(inputs).tanh()
        return {name: self.loss(name, features) for name in NAMES}, features

    def loss(self, name: str, features: Tensor) -> Tensor:
        output = self.heads[name](features)
        output.register_hook(lambda gradient: self.passed.update({name: self.passed[name] + 1}))
        return (output - TARGETS[name]).square().mean()


def steps(model: Heads, weighting: Weighting, first: int, last: int) -> list[Tensor]:
    """A training loop as anybody writes it; total and weights of each step."""
    optimizer = torch.optim.SGD([*model.parameters(), *weighting.parameters()], lr=0.05)
    history = []
    for step in range(first, last):
        torch.manual_seed(step)  # also what TorchJD's Random and PCGrad draw from
        losses, shared = model(torch.randn(8, 4))
        if weighting.of_parameters:
            shared = [*model.trunk.parameters()]
        if weighting.loss_shape:  # of two batches
            second, _ = model(torch.randn(8, 4))
            losses = {name: torch.stack([loss, second[name]]) for name, loss in losses.items()}
        total, weights = weighting.combine(dict(sorted(losses.items(), reverse=step % 2 == 0)), shared)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        assert list(weights) == NAMES
        history.append(torch.stack([total.detach(), *weights.values()]))
    return history


@pytest.mark.parametrize("name", every_weighting())
def test_a_loop_of_several_heads_takes_any_weighting_and_resumes_by_name(name: str, tmp_path: Path) -> None:
    """From a file, into a weighting that was not told the names; whatever the order of a step's dictionary."""
    whole = steps(Heads(), build(name, NAMES), 0, 7)
    assert torch.stack(whole).isfinite().all()
    first = build(name, NAMES)
    model = Heads()
    begun = steps(model, first, 0, 4)
    write_checkpoint({"weighting": first.state_dict()}, tmp_path / "state")
    second = build(name, len(NAMES))
    second.load_state_dict(read_checkpoint(tmp_path / "state")["weighting"])
    assert second.names == tuple(NAMES)
    assert torch.equal(torch.stack(begun + steps(model, second, 4, 7)), torch.stack(whole))


@pytest.mark.parametrize("name", WEIGHTINGS)
def test_dictionary_list_and_vector_are_one_and_the_same(name: str) -> None:
    named, listed, plain = build(name, NAMES), build(name, 3), build(name, 3)
    for step in range(12):
        torch.manual_seed(step)
        vector = torch.rand(3, requires_grad=True)
        scalars = [value.detach().requires_grad_() for value in vector]
        by_name, by_place, expected = (
            named.combine(dict(zip(NAMES, scalars, strict=True))),
            listed.combine(scalars),
            plain.combine(vector),
        )
        assert torch.equal(torch.stack([*by_name.weights.values()]), expected.weights)
        assert torch.equal(by_place.weights, expected.weights)
        assert by_name.total.item() == by_place.total.item() == expected.total.item()
        by_name.total.backward()
        expected.total.backward()
        assert torch.equal(torch.stack([value.grad for value in scalars]), vector.grad)


def test_the_names_are_those_of_the_first_dictionary_where_none_were_given() -> None:
    weighting = build_weighting("fixed", 2, weights=[1.0, 3.0])
    assert weighting.names is None
    total, weights = weighting.combine({"a": torch.tensor(0.5), "b": torch.tensor(0.25)})
    assert (total.item(), weights["a"].item(), weights["b"].item()) == (1.25, 1.0, 3.0)
    assert weighting.combine({"b": torch.tensor(0.25), "a": torch.tensor(0.5)}).total.item() == 1.25
    assert weighting.names == ("a", "b")


def test_evaluation_answers_by_name_and_remembers_nothing() -> None:
    weighting = build("mad", NAMES)
    assert isinstance(weighting, MemoryWeighting)
    model = Heads()
    steps(model, weighting, 0, 6)
    looked = weighting.eval().combine(model(torch.ones(8, 4))[0])
    assert weighting.memory.step == 6
    assert weighting.train().combine(model(torch.ones(8, 4))[0]) == looked


@pytest.mark.parametrize(
    ("losses", "message"),
    [
        (["segmentation", "depth"], r"must have the losses .*`edges`\. Here `edges` is missing"),
        ([*NAMES, "normals"], r"Here `normals` is new"),
        (["segmentation", "Depth", "edges"], r"Here `depth` is missing, `Depth` is new.*build it anew"),
    ],
)
def test_a_loss_that_is_missing_or_new_is_named(losses: list[str], message: str) -> None:
    weighting = build("mad", NAMES)
    weighting.combine(dict.fromkeys(NAMES, torch.ones(())))
    before = weighting.state_dict()["memory.values"].clone()
    with pytest.raises(ValueError, match=message):
        weighting.combine(dict.fromkeys(losses, torch.ones(())))
    torch.testing.assert_close(weighting.state_dict()["memory.values"], before, equal_nan=True)


def test_what_is_no_scalar_or_no_name_is_named() -> None:
    one = torch.ones(())
    with pytest.raises(ValueError, match=r"Loss `depth` must be a tensor of shape \(\), as .* Found shape \(4,\)"):
        build("mad", NAMES).combine({**dict.fromkeys(NAMES, one), "depth": torch.ones(4)})
    with pytest.raises(ValueError, match=r"Loss 1 must be a tensor of shape \(\).* Found float"):
        build("mad", 2).combine([one, 1.0])
    with pytest.raises(ValueError, match=r"`losses` must be 2 tensors\. Found 3"):
        build("mad", 2).combine([one] * 3)
    with pytest.raises(ValueError, match=r"`losses` must be 2 different names of losses\. Found .*'a'"):
        build("mad", 2).combine({"a": one})
    for wrong in ("depth", [], ["a", "a"], ["a", 1]):
        with pytest.raises(ValueError, match=r"must be .* different names of losses\. Found"):
            build_weighting("mad", wrong)


@pytest.mark.parametrize("name", ["uncertainty", "mad", "torchjd:GradVac", "torchjd:STCH"])
def test_a_state_of_other_names_is_refused_and_changes_nothing(name: str) -> None:
    state = build(name, NAMES).state_dict()
    for other in (["segmentation", "depth", "normals"], NAMES[::-1]):
        weighting = build(name, other)
        before = {key: value.clone() for key, value in weighting.state_dict().items() if isinstance(value, Tensor)}
        with pytest.raises(ValueError, match=r"is of the losses `segmentation`, `depth`, `edges`; this weighting is "):
            weighting.load_state_dict(state)
        for key, value in before.items():
            torch.testing.assert_close(weighting.state_dict()[key], value, equal_nan=True, rtol=0, atol=0)


def test_a_state_without_names_is_no_state_of_named_losses() -> None:
    with pytest.raises(RuntimeError, match=r'Missing key\(s\) in state_dict: "names"'):
        build("mad", NAMES).load_state_dict(build("mad", 3).state_dict())


def test_names_take_part_in_the_state_of_a_model_and_only_if_there_are_any() -> None:
    """As tensors, since formats such as safetensors hold nothing else."""
    assert "names" not in build("mad", 3).state_dict()
    model, other = (nn.ModuleDict({"weighting": build("mad", named)}) for named in (NAMES, 3))
    assert all(isinstance(value, Tensor) for value in model.state_dict().values())
    other.load_state_dict(model.state_dict())
    assert other["weighting"].names == tuple(NAMES)


def test_a_loss_of_one_head_sends_nothing_through_the_others() -> None:
    """One backward pass a head for its gradient, one for the total; through a stack of them it was one a loss."""
    model = Heads()
    losses, features = model(torch.ones(8, 4))
    build("torchjd:MGDA", NAMES).combine(losses, features).total.backward()
    assert model.passed == dict.fromkeys(NAMES, 2)


def test_a_loss_that_does_not_come_from_what_is_shared_is_said() -> None:
    features = torch.ones(3, requires_grad=True)
    for alone in (torch.ones(()), torch.ones((), requires_grad=True) * 2):
        with pytest.raises(ValueError, match=r"`shared` of MGDA must be what all losses were computed from"):
            build("torchjd:MGDA", 2).combine([features.sum(), alone], features)


def test_what_is_shared_may_be_several_tensors_of_which_a_loss_sees_some() -> None:
    """Gradients (1, 0) and (3, 0, then 1): MGDA's Gramian is that of the rows (1, 0) and (3, 1)."""
    one, other = (torch.ones((), requires_grad=True) for _ in range(2))
    apart = build("torchjd:MGDA", 2).combine([one * 1, 3 * one + other], [one, other])
    both = torch.ones(2, requires_grad=True)
    rows = torch.tensor([[1.0, 0.0], [3.0, 1.0]])
    together = build("torchjd:MGDA", 2).combine([row @ both for row in rows], both)
    assert torch.equal(apart.weights, together.weights)


def test_a_step_by_name_compiles_into_one_graph() -> None:
    plain, compiled = build("mad", NAMES), build("mad", NAMES)
    torch.compiler.reset()
    step = torch.compile(compiled.combine, fullgraph=True, backend="eager")
    for values in torch.rand(8, 3):
        losses = dict(zip(NAMES, values, strict=True))
        torch.testing.assert_close(step(losses), plain.combine(losses))


def test_the_loss_of_a_head_may_be_a_fusion() -> None:
    """Of the losses of one head, and a weighting over the heads."""
    fusion, weighting = dmf.DynamicMemoryFusion(["dice", "cross_entropy"], "mad"), build("uncertainty", NAMES[:2])
    logits = torch.randn(2, 2, 8, 8, requires_grad=True)
    out = fusion(logits, torch.randint(0, 2, (2, 8, 8)))
    weighting.combine({"segmentation": out.total, "depth": logits.square().mean()}).total.backward()
    assert logits.grad.abs().sum() > 0
