"""The one training loop. Supervised training has one player, adversarial training several that take turns.

Everything random in a step is a function of the seed and the number of the step: the batch is drawn from a generator
of its own, and torch's generator is seeded before each step. So a run that is killed and resumed from a checkpoint ends
with the weights of an uninterrupted one, and there is no state of a data loader to keep.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from radlib.core.device import peak_memory_bytes, pick_device
from radlib.core.errors import RadlibError
from radlib.core.progress import track
from radlib.core.seeds import named_seed, rng
from radlib.core.settings import budget
from radlib.training.checkpoint import check_identity, identity_of, load_state, save_state
from radlib.training.players import (
    FIRST,
    Batch,
    Beginning,
    MakeBatch,
    Networks,
    Player,
    Trained,
    check_players,
    seconds_of_beginning,
)
from radlib.training.settings import LoopSettings, precision_on

if TYPE_CHECKING:
    from lightning.fabric import Fabric

CHECKPOINT = "checkpoint.safetensors"


def train(
    networks: Mapping[str, nn.Module],
    *,
    players: Sequence[Player],
    batch: MakeBatch,
    loop: LoopSettings,
    seed: int,
    name: str = "training",
    shared: Callable[[Networks, Batch], dict[str, Any]] | None = None,
    validate: Callable[[Networks], Mapping[str, float]] | None = None,
    folder: Path | None = None,
    device: str = "auto",
) -> Trained:
    """Train networks, in turns, or go on with a training that was interrupted.

    Args:
        networks: by name; changed in place.
        players: who updates which, in this order, every step.
        batch: ``batch(step, generator)``: tensors by name, first axis the samples. It must depend on its arguments
            only. With several devices each takes its share of the batch.
        loop: length, logging, validation, checkpoints, precision, devices.
        seed: of batches, dropout and noise.
        name: shown with the progress, and part of every seed.
        shared: ``shared(networks, batch)``, computed once a step with gradients, handed to every player.
        validate: ``validate(networks)`` in evaluation mode and without gradients; metrics by name.
        folder: where checkpoints go; a checkpoint that is there is resumed. None keeps none.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.

    Raises:
        RadlibError: if a loss is not finite, memory runs out, or the checkpoint belongs to another training.
    """
    check_players(networks, players)
    loop.check()
    loop = loop.scaled(budget())
    run = _Run(
        networks=dict(networks), players=players, make_batch=batch, loop=loop, seed=seed, name=name, shared=shared,
        validate=validate, file=None if folder is None else Path(folder) / CHECKPOINT, device=pick_device(device),
    )  # fmt: skip

    def fabric(devices: int | list[int], **options: Any) -> Fabric:
        from lightning.fabric import Fabric  # takes seconds, and what trains nothing does without
        from lightning.fabric.plugins.environments import LightningEnvironment

        # LightningEnvironment: the processes are ours to start, also where SLURM could.
        return Fabric(
            accelerator=run.device.type, devices=devices, precision=run.precision,  # type: ignore[arg-type]
            plugins=LightningEnvironment(), **options,
        )  # fmt: skip

    if loop.devices > 1:
        if folder is None:
            raise RadlibError(
                f"{loop.devices} devices were asked for without a folder",
                remedy="give folder=: the processes leave their result there",
            )
        # Forked, so that the batch and the losses need not be importable. torch refuses where CUDA is in use already.
        fabric(loop.devices, strategy="ddp_fork").launch(run.go)
        # The processes' result is the finished checkpoint; reading it is a resume with nothing left to do.
    run.go(fabric([run.device.index or 0] if run.device.type == "cuda" else 1))
    return run.trained


@dataclass(kw_only=True)
class _Run:
    """One training, on each of its processes; the arguments are those of :func:`train`."""

    networks: dict[str, nn.Module]
    players: Sequence[Player]
    make_batch: MakeBatch
    loop: LoopSettings
    seed: int
    name: str
    shared: Callable[[Networks, Batch], dict[str, Any]] | None
    validate: Callable[[Networks], Mapping[str, float]] | None
    file: Path | None
    device: torch.device
    # What a checkpoint keeps.
    rows: list[dict[str, Any]] = field(default_factory=list)
    best: dict[str, Any] | None = None
    stale: int = 0
    spent: float = 0.0
    waited: float = 0.0

    def __post_init__(self) -> None:
        self.precision = precision_on(self.device, self.loop.precision)
        self.identity = identity_of(
            self.networks, self.players, self.loop, seed=self.seed, name=self.name, precision=self.precision
        )

    # One process

    def go(self, fabric: Fabric) -> None:
        """Run the training on this process's device; it leaves ``trained``, and the checkpoint."""
        self.fabric = fabric
        self.device = fabric.device
        for network in self.networks.values():
            network.to(self.device).train()
            if self.loop.channels_last:
                network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.trainable = {
            name: [parameter for parameter in network.parameters() if parameter.requires_grad]
            for name, network in self.networks.items()
        }
        self.optimizers = [
            player.optimizer.build(parameter for name in player.trains for parameter in self.trainable[name])
            for player in self.players
        ]
        self.wrapped: list[Any] = [fabric.setup_optimizers(optimizer) for optimizer in self.optimizers]
        self.averages = self._averages()
        first = self._resume()
        if on_gpu := self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        try:
            done = self._steps(first)
        except RuntimeError as error:
            if isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error):
                raise self._out_of_memory(error) from error
            raise
        finally:
            self._let_train(set(self.trainable))
        self._load_kept()
        self.trained = Trained(
            networks=self.networks,
            history=pd.DataFrame(self.rows),
            best_step=done if self.best is None else int(self.best["step"]),
            seconds=self.spent,
            steps_per_second=done / max(self.spent, 1e-9),
            data_share=self.waited / max(self.spent, 1e-9),
            peak_memory=int(torch.cuda.max_memory_allocated(self.device)) if on_gpu else peak_memory_bytes(),
        )

    def _averages(self) -> dict[str, AveragedModel]:
        if self.loop.ema is None:
            return {}
        average = get_ema_multi_avg_fn(self.loop.ema)
        return {
            name: AveragedModel(network, multi_avg_fn=average, use_buffers=True)
            for name, network in self.networks.items()
        }

    def _steps(self, first: int) -> int:
        loop = self.loop
        sums: dict[str, torch.Tensor] = {}
        counts: dict[str, int] = {}
        done = first
        finished = first >= loop.steps or self._out_of_patience()
        steps = range(first, first if finished else loop.steps)
        before, start = self.spent, time.monotonic()
        with contextlib.closing(self._batches(steps)) as batches:
            for step in track(steps, description=self.name):
                waiting = time.monotonic()
                batch = next(batches)
                self.waited += time.monotonic() - waiting
                metrics = self._step(step, batch)
                for key, value in metrics.items():
                    sums[key] = sums[key] + value if key in sums else value
                    counts[key] = counts.get(key, 0) + 1
                done = step + 1
                self.spent = before + time.monotonic() - start
                last = done == loop.steps
                if done <= FIRST:
                    self._log_first(done, metrics)
                if sums and (last or done % loop.log_every == 0 or self._is_due(done)):
                    self._log(done, sums, counts)
                if self.validate is not None and loop.validate_every and (last or done % loop.validate_every == 0):
                    self._validate(done)
                    self.spent = before + time.monotonic() - start
                    last = last or self._out_of_patience()
                if last or self._is_due(done):
                    self._save(done)
                if last:
                    break
        return done

    def _is_due(self, done: int) -> bool:
        return self.loop.checkpoint_every is not None and done % self.loop.checkpoint_every == 0

    def _batches(self, steps: range) -> Generator[Batch]:
        """Batches on the device; on a GPU the next one is made while the device works on this one."""

        def make(step: int) -> Batch:
            batch = self.make_batch(step, rng(self.seed, self.name, "batch", step))
            rank, world = self.fabric.global_rank, self.fabric.world_size
            part = {key: value[rank::world] for key, value in batch.items()} if world > 1 else batch
            moved: Batch = self.fabric.to_device(part)
            return moved

        if self.device.type == "cpu":
            yield from map(make, steps)
            return
        with ThreadPoolExecutor(1) as pool:
            coming: Future[Batch] | None = pool.submit(make, steps[0]) if len(steps) else None
            for step in steps:
                assert coming is not None
                batch = coming.result()
                coming = pool.submit(make, step + 1) if step + 1 in steps else None
                yield batch

    def _step(self, step: int, batch: Batch) -> dict[str, torch.Tensor]:
        torch.manual_seed(named_seed(self.seed, self.name, "step", step, self.fabric.global_rank))
        acting = [(number, player) for number, player in enumerate(self.players) if step % player.every == 0]
        self._let_train({name for player in self.players for name in player.trains})
        shared: dict[str, Any] = {}
        if self.shared is not None:
            with self.fabric.autocast():
                shared = self.shared(self.networks, batch)
        metrics: dict[str, torch.Tensor] = {}
        for number, player in acting:
            optimizer = self.wrapped[number]
            for group in self.optimizers[number].param_groups:
                group["lr"] = player.optimizer.rate(step, steps=self.loop.steps)
            self._let_train(set(player.trains))
            for _ in range(player.repeats):
                with self.fabric.autocast():
                    losses = player.loss(self.networks, batch, shared)
                named = {"loss": losses} if isinstance(losses, torch.Tensor) else dict(losses)
                optimizer.zero_grad()
                self.fabric.backward(named["loss"])
                self._average_gradients(player)
                self._clip(number, player)
                optimizer.step()
            prefix = f"{player.name}." if len(self.players) > 1 else ""
            metrics.update({prefix + key: value.detach().float() for key, value in named.items()})
        for name, average in self.averages.items():
            average.update_parameters(self.networks[name])
        return metrics

    def _let_train(self, names: set[str]) -> None:
        for name, parameters in self.trainable.items():
            for parameter in parameters:
                parameter.requires_grad_(name in names)

    def _average_gradients(self, player: Player) -> None:
        """Over devices. Plainer than wrapping each network in DDP, which cannot see whose turn it is."""
        if self.fabric.world_size == 1:
            return
        gradients = [p.grad for name in player.trains for p in self.trainable[name] if p.grad is not None]
        if gradients:
            flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
            mean = self.fabric.all_reduce(flat, reduce_op="mean")
            assert isinstance(mean, torch.Tensor)
            for gradient, part in zip(gradients, mean.split([g.numel() for g in gradients]), strict=True):
                gradient.copy_(part.view_as(gradient))

    def _clip(self, number: int, player: Player) -> None:
        if self.loop.clip_norm is not None:
            self.fabric.strategy.precision.unscale_gradients(self.optimizers[number])
            parameters = [p for name in player.trains for p in self.trainable[name]]
            nn.utils.clip_grad_norm_(parameters, self.loop.clip_norm)

    # What is measured

    def _log_first(self, done: int, metrics: dict[str, torch.Tensor]) -> None:
        values = {key: float(value) for key, value in metrics.items()}
        self.rows.append({"step": done, "part": "first", "seconds": self.spent, **values})
        limit = seconds_of_beginning()
        if limit is not None and (done == min(FIRST, self.loop.steps) or self.spent > limit):
            raise Beginning(pd.DataFrame(self.rows))

    def _log(self, done: int, sums: dict[str, torch.Tensor], counts: dict[str, int]) -> None:
        means = {key: float(value) / counts[key] for key, value in sums.items()}
        sums.clear()
        counts.clear()
        for key, value in means.items():
            if not math.isfinite(value):
                rates = ", ".join(f"{player.name} {player.optimizer.learning_rate:g}" for player in self.players)
                raise RadlibError(
                    f"{self.name}: {key} is {value} at step {done} (learning rate {rates}; {self.precision})",
                    remedy="lower the learning rate, set clip_norm, or use precision '32-true'",
                )
        rate = self.players[0].optimizer.rate(done - 1, steps=self.loop.steps)
        self.rows.append({"step": done, "part": "training", "seconds": self.spent, "learning_rate": rate, **means})

    def _validate(self, done: int) -> None:
        assert self.validate is not None
        torch.manual_seed(named_seed(self.seed, self.name, "validate", done))
        networks = {name: average.module for name, average in self.averages.items()} or self.networks
        for network in networks.values():
            network.eval()
        with torch.no_grad(), self.fabric.autocast():
            metrics = {key: float(value) for key, value in self.validate(networks).items()}
        for network in self.networks.values():
            network.train()
        self.rows.append({"step": done, "part": "validation", "seconds": self.spent, **metrics})
        if self.loop.monitor is None:
            return
        if self.loop.monitor not in metrics:
            given = ", ".join(metrics) or "nothing"
            raise RadlibError(
                f"{self.name}: monitor is {self.loop.monitor!r}, but validation gives {given}",
                remedy="monitor one of these",
            )
        value = metrics[self.loop.monitor] * (1 if self.loop.mode == "max" else -1)
        if self.best is None or value > self.best["value"]:
            weights = {
                name: {key: tensor.detach().clone() for key, tensor in network.state_dict().items()}
                for name, network in networks.items()
            }
            self.best, self.stale = {"value": value, "step": done, "weights": weights}, 0
        else:
            self.stale += 1

    def _out_of_patience(self) -> bool:
        return self.loop.patience is not None and self.stale >= self.loop.patience

    # What is kept

    def _save(self, done: int) -> None:
        if self.file is None or self.fabric.global_rank:
            return
        save_state(
            self.file,
            {
                "identity": self.identity, "step": done, "stale": self.stale,
                "networks": {name: network.state_dict() for name, network in self.networks.items()},
                "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
                "averages": {name: average.state_dict() for name, average in self.averages.items()},
                "precision": self.fabric.strategy.precision.state_dict(),
                "best": self.best, "history": self.rows, "seconds": self.spent, "waited": self.waited,
            },
        )  # fmt: skip

    def _resume(self) -> int:
        if self.file is None or not self.file.is_file():
            return 0
        state = load_state(self.file, device=self.device)
        check_identity(self.file, state["identity"], self.identity)
        for name, network in self.networks.items():
            network.load_state_dict(state["networks"][name])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        for name, average in self.averages.items():
            average.load_state_dict(state["averages"][name])
        self.fabric.strategy.precision.load_state_dict(state["precision"])
        self.best, self.rows, self.stale = state["best"], state["history"], int(state["stale"])
        self.spent, self.waited = state["seconds"], state["waited"]
        return int(state["step"])

    def _load_kept(self) -> None:
        for name, network in self.networks.items():
            if self.best is not None:
                network.load_state_dict(self.best["weights"][name])
            elif name in self.averages:
                network.load_state_dict(self.averages[name].module.state_dict())
            network.eval()

    def _out_of_memory(self, error: RuntimeError) -> RadlibError:
        return RadlibError(
            f"{self.name}: out of memory on {self.device} ({str(error).splitlines()[0]})",
            remedy="lower the batch size, the size of patches or slices, or the widths of the network; "
            "bf16-mixed precision needs less than 32-true",
        )
