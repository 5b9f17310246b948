"""The queue as Ray Tune sees it: a search algorithm that names the next trials to run."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import ray
from ray import tune
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from pipelines.grid.queue import TrialQueue
from pipelines.trials.failure import Failure
from tune_spaces.study import Resources

NODE = "ray.io/node-id"
"""Ray's own label of a machine."""

LOOK = 5.0
"""Seconds between two looks at how large the cluster is."""


class GridSearch(Searcher):
    """Feeds Tune from the queue and tells the queue what became of each trial.

    A Tune trial is one run of a worker's step loop over a pack of trials, no more: when its worker dies they go back
    into the queue and come out in other packs. So the queue alone decides, and nothing of Tune's own experiment state
    is used. Tune is given as many packs as can run at once and one more, which waits for the next free worker and, on a
    cluster that grows by demand, makes it grow. A trial that its machine failed goes to another one, if there is one.
    """

    def __init__(self, queue: TrialQueue, resources: Resources, on_failure: Callable[[str, Failure], None]) -> None:
        super().__init__()
        self.queue = queue
        self.disk_full = ""
        self._needs = {"CPU": resources.cpus, "GPU": resources.gpus}
        self._pack = resources.pack
        self._on_failure = on_failure
        self._given: dict[str, list[str]] = {}
        self._failed_on: defaultdict[str, set[str]] = defaultdict(set)
        self._slots, self._looked = 1, 0.0

    def set_search_properties(self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any) -> bool:
        return True

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        if self.queue.exhausted or self.disk_full:
            return Searcher.FINISHED
        if len(self._given) > self.places():
            return None
        first = self.queue.take()
        if first is None:
            return None
        beside = (self.queue.take(beside=first) for _ in range(self._pack - 1))
        self._given[trial_id] = [first.identifier, *(trial.identifier for trial in beside if trial)]
        return {"trials": self._given[trial_id], "avoid": self._to_avoid(self._given[trial_id])}

    def needs(self, config: dict[str, Any]) -> tune.PlacementGroupFactory:
        """What a worker of a pack needs, and where it must not run."""
        elsewhere = {"bundle_label_selector": [{NODE: f"!in({','.join(config['avoid'])})"}]} if config["avoid"] else {}
        return tune.PlacementGroupFactory([{name: need for name, need in self._needs.items() if need}], **elsewhere)

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        for identifier, epochs in result["report"].trained.items():
            if epochs:
                self.queue.trained(identifier)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        identifiers = self._given.pop(trial_id, [])  # Tune may tell of one failure twice
        if error or result is None:
            for identifier in identifiers:
                self._failed(identifier, Failure("machine", "its worker died", node="unknown"))
            return
        self.on_trial_result(trial_id, result)
        for identifier in identifiers:
            if identifier in result["report"].failures:
                failure = result["report"].failures[identifier]
                if failure.kind == "machine":
                    self._failed_on[identifier].add(result["report"].node)
                self._failed(identifier, failure)
            else:
                self.queue.finished(identifier)

    def places(self) -> int:
        """How many workers the cluster has room for."""
        if time.monotonic() - self._looked > LOOK:
            have = ray.cluster_resources()
            self._slots = max(1, int(min(have.get(name, 0) / need for name, need in self._needs.items() if need)))
            self._looked = time.monotonic()
        return self._slots

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the queue is made anew from the finished trials on disk."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: see `save`."""

    def _to_avoid(self, identifiers: Iterable[str]) -> list[str]:
        """Machines that failed one of these trials, as long as another one could take them."""
        avoided = set().union(*(self._failed_on[identifier] for identifier in identifiers))
        return sorted(avoided) if avoided and able(ray.nodes(), self._needs) - avoided else []

    def _failed(self, identifier: str, failure: Failure) -> None:
        if failure.error.startswith("the disk is full"):
            self.disk_full = failure.error
        skipped = self.queue.failed(identifier, failure)
        for name in (identifier, *(trial.identifier for trial in skipped)):
            if name in self.queue.failures:
                self._on_failure(name, self.queue.failures[name])


def able(nodes: Iterable[Mapping[str, Any]], needs: Mapping[str, float]) -> set[str]:
    """Which of `ray.nodes()` are large enough for a worker; the head of a cluster often has no cores to give."""
    return {
        node["NodeID"]
        for node in nodes
        if node["Alive"] and all(node["Resources"].get(name, 0) >= need for name, need in needs.items())
    }


class WorkerStarts(FIFOScheduler):
    """Gives a worker that has become free to the first pack that no worker is being started for.

    Left to itself, Tune gives it to the first pack of all that wait, and stops the worker that is being started for
    that one. Where trials are shorter than the start of a worker, no second worker would ever come to train.
    """

    def __init__(self, search: GridSearch) -> None:
        super().__init__()
        self._search = search

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """Tune starts workers in the order of the packs: as many of those that wait have one as there is room for."""
        trials = tune_controller.get_trials()
        waiting = [trial for trial in trials if trial.status == Trial.PENDING]
        running = sum(trial.status == Trial.RUNNING for trial in trials)
        starting = self._search.places() - running - 1
        return waiting[max(0, min(starting, len(waiting) - 1))] if waiting else None
