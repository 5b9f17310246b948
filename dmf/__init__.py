"""Dynamic Memory Fusion: losses that are combined by weights which follow their recent history.

`DynamicMemoryFusion` is all that somebody with a training loop of their own needs; `train` runs a whole `TrialSpec`;
`load_predictor` opens what a trial of the platform left.
"""

from dmf.activations import ACTIVATIONS, build_activation, replace_activations
from dmf.fidelity import FIDELITIES
from dmf.fusion import DynamicMemoryFusion, FusionOutput
from dmf.losses import LOSSES, FusedLosses, Loss, build_loss
from dmf.metrics import confusion_counts, summarise
from dmf.models import MODELS, build_model
from dmf.training.predictor import Predictor, load_predictor
from dmf.training.results import TrialResult
from dmf.training.spec import TrialSpec
from dmf.training.trial import Trial, train
from dmf.weightings import WEIGHTINGS, Weighting, build_weighting

__version__ = "0.1.0"

__all__ = [
    "ACTIVATIONS",
    "FIDELITIES",
    "LOSSES",
    "MODELS",
    "WEIGHTINGS",
    "DynamicMemoryFusion",
    "FusedLosses",
    "FusionOutput",
    "Loss",
    "Predictor",
    "Trial",
    "TrialResult",
    "TrialSpec",
    "Weighting",
    "__version__",
    "build_activation",
    "build_loss",
    "build_model",
    "build_weighting",
    "confusion_counts",
    "load_predictor",
    "replace_activations",
    "summarise",
    "train",
]
