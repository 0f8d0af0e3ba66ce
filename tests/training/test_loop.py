"""The loop: what it minimises, what it logs and keeps, and that an interrupted run ends as an uninterrupted one."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from radlib.core.errors import RadlibError
from radlib.training.checkpoint import load_state, save_state
from radlib.training.loop import CHECKPOINT, train
from radlib.training.players import Player, Trained
from radlib.training.sampling import epoch_batch
from radlib.training.settings import LoopSettings, OptimizerSettings
from radlib.training.supervised import fit

X = torch.randn(64, 5, generator=torch.Generator().manual_seed(0))
Y = X @ torch.tensor([[1.0], [-2.0], [0.5], [0.0], [3.0]])


def network() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 1))


def batch(step: int, generator: np.random.Generator) -> dict[str, torch.Tensor]:
    chosen = epoch_batch(len(X), 16, step=step, seed=3)
    noise = torch.from_numpy(generator.normal(0, 0.01, size=(16, 5)).astype(np.float32))
    return {"x": X[chosen] + noise, "y": Y[chosen]}


def loss(net: nn.Module, data: dict[str, torch.Tensor]) -> torch.Tensor:
    return nn.functional.mse_loss(net(data["x"]).float(), data["y"])


def run(
    net: nn.Module, *, steps: int = 12, folder: Path | None = None, stop_at: int | None = None, **options: object
) -> Trained:
    """Train; ``stop_at`` dies at that step as a killed process would, checkpoints kept."""

    def dying(step: int, generator: np.random.Generator) -> dict[str, torch.Tensor]:
        if step == stop_at:
            raise KeyboardInterrupt
        return batch(step, generator)

    settings = {"steps": steps, "precision": "32-true", "log_every": 4, **options}
    return fit(
        net, batch=dying, loss=loss, optimizer=OptimizerSettings(learning_rate=0.02, schedule="cosine"),
        loop=LoopSettings.model_validate(settings), seed=5, device="cpu", folder=folder,
        validate=lambda n: {"mse": float(loss(n, {"x": X, "y": Y}))},
    )  # fmt: skip


def same(first: nn.Module, second: nn.Module) -> bool:
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_loss_falls_and_history_tells() -> None:
    fitted = run(network(), steps=200, validate_every=100)
    training = fitted.history[fitted.history["part"] == "training"]
    assert training["loss"].iloc[-5:].mean() < 0.3 * training["loss"].iloc[0]
    assert list(fitted.history.loc[fitted.history["part"] == "validation", "step"]) == [100, 200]
    assert not fitted.network.training
    assert fitted.steps_per_second > 0
    assert 0 <= fitted.data_share <= 1
    assert fitted.peak_memory > 1e6


@pytest.mark.parametrize("options", [{}, {"ema": 0.9}, {"monitor": "mse", "clip_norm": 1.0}])
@pytest.mark.parametrize("stop_at", [1, 7, 10])
def test_resume_gives_the_weights_of_an_uninterrupted_run(tmp_path: Path, stop_at: int, options: dict) -> None:
    settings = {"checkpoint_every": 3, "validate_every": 4, **options}
    whole = run(network(), **settings)
    with pytest.raises(KeyboardInterrupt):
        run(network(), folder=tmp_path, stop_at=stop_at, **settings)
    resumed = run(network(), folder=tmp_path, **settings)
    assert same(whole.network, resumed.network)
    columns = ["step", "part", "loss", "mse", "learning_rate"]
    assert resumed.history[columns].equals(whole.history[columns])


def test_finished_training_is_read_back_without_a_step(tmp_path: Path) -> None:
    first = run(network(), folder=tmp_path)
    again = run(network(), folder=tmp_path, stop_at=0)  # would die at its first step
    assert same(first.network, again.network)


def test_another_training_is_refused(tmp_path: Path) -> None:
    run(network(), folder=tmp_path)
    with pytest.raises(RadlibError, match="steps is 12 there and 13 here"):
        run(network(), folder=tmp_path, steps=13)


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"\xff" * 64 + b[64:]])
def test_damaged_checkpoint_is_named(tmp_path: Path, damage: object) -> None:
    run(network(), folder=tmp_path)
    file = tmp_path / CHECKPOINT
    file.write_bytes(damage(file.read_bytes()))  # type: ignore[operator]
    with pytest.raises(RadlibError, match=r"cannot be read.*checkpoint"):
        run(network(), folder=tmp_path)


def test_patience_keeps_the_best_weights() -> None:
    values = iter([5.0, 3.0, 4.0, 6.0, 7.0, 8.0])
    fitted = fit(
        network(), batch=batch, loss=loss, optimizer=OptimizerSettings(), seed=0, device="cpu",
        validate=lambda _: {"score": next(values)},
        loop=LoopSettings(steps=12, validate_every=2, monitor="score", patience=2, precision="32-true"),
    )  # fmt: skip
    assert fitted.best_step == 4
    assert fitted.history["step"].max() == 8  # two validations after the best


def test_unknown_monitor_is_named() -> None:
    with pytest.raises(RadlibError, match="monitor is 'dice', but validation gives mse"):
        run(network(), validate_every=4, monitor="dice")
    with pytest.raises(RadlibError, match="patience is set but monitor is not"):
        run(network(), patience=3)
    with pytest.raises(RadlibError, match="monitor is 'mse' but nothing validates"):
        run(network(), monitor="mse")


def test_divergence_is_named() -> None:
    with pytest.raises(RadlibError, match=r"loss is nan at step 4 .*lower the learning rate"):
        fit(
            network(), batch=batch, loss=lambda net, data: loss(net, data) * math.nan, seed=0, device="cpu",
            optimizer=OptimizerSettings(), loop=LoopSettings(steps=8, log_every=4, precision="32-true"),
        )  # fmt: skip


def test_out_of_memory_says_what_to_lower() -> None:
    def greedy(step: int, generator: np.random.Generator) -> dict[str, torch.Tensor]:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 3 GiB")

    with pytest.raises(RadlibError, match=r"out of memory on cpu .*lower the batch size"):
        fit(
            network(),
            batch=greedy,
            loss=loss,
            optimizer=OptimizerSettings(),
            loop=LoopSettings(steps=1),
            seed=0,
            device="cpu",
        )


def test_mean_of_weights_is_the_average_of_the_course() -> None:
    """One weight, gradient 1, rate 1: the weights are -1, -2, -3, and their average at decay 0.5 is known."""
    net = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(net.weight)
    fitted = fit(
        net, batch=lambda step, generator: {"x": torch.ones(1, 1)}, loss=lambda n, data: n(data["x"]).sum(), seed=0,
        optimizer=OptimizerSettings(kind="sgd", learning_rate=1.0, momentum=0.0), device="cpu",
        loop=LoopSettings(steps=3, ema=0.5, precision="32-true"),
    )  # fmt: skip
    # The average starts at the first weights: -1, then (-1 - 2) / 2, then (-1.5 - 3) / 2.
    assert fitted.network.weight.item() == pytest.approx(-2.25)


# Adversarial


def duel(**options: object) -> Trained:
    """Player a pulls its weight towards b's, b flees: the updates can be followed by hand."""
    a, b = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
    for net, value in ((a, 0.0), (b, 1.0)):
        nn.init.constant_(net.weight, value)
    sgd = OptimizerSettings(kind="sgd", learning_rate=0.5, momentum=0.0)
    players = [
        Player(
            name="a", trains=("a",), optimizer=sgd,
            loss=lambda n, _, s: 0.5 * (s["a"] - n["b"].weight).square().sum(),
        ),
        Player(
            name="b", trains=("b",), optimizer=sgd, **options,  # type: ignore[arg-type]
            loss=lambda n, _, s: -0.5 * (n["a"].weight - n["b"].weight).square().sum(),
        ),
    ]  # fmt: skip
    return train(
        {"a": a, "b": b}, players=players, batch=lambda step, generator: {}, seed=0, device="cpu",
        shared=lambda n, _: {"a": n["a"].weight}, loop=LoopSettings(steps=2, log_every=1, precision="32-true"),
    )  # fmt: skip


def test_players_take_turns_and_see_each_other() -> None:
    trained = duel()
    # Step 1: a = 0 + (1 - 0)/2 = 0.5; b = 1 + (1 - 0.5)/2 = 1.25. Step 2: a = 0.875; b = 1.25 + 0.375/2 = 1.4375.
    assert trained.networks["a"].weight.item() == pytest.approx(0.875)
    assert trained.networks["b"].weight.item() == pytest.approx(1.4375)
    assert {"a.loss", "b.loss"} <= set(trained.history)


def test_every_and_repeats() -> None:
    # b acts in step 1 only: 1.25; a goes 0.5, then 0.875.
    assert duel(every=2).networks["b"].weight.item() == pytest.approx(1.25)
    # b moves twice in step 1: 1.25, then 1.25 + 0.75/2 = 1.625; then a = 0.5 + 1.125/2 = 1.0625; b: 1.90625, 2.328125.
    assert duel(repeats=2).networks["b"].weight.item() == pytest.approx(2.328125)


def test_player_of_no_network_is_named() -> None:
    player = Player(name="critic", trains=("d",), loss=lambda n, b, s: torch.zeros(()))
    with pytest.raises(RadlibError, match="player 'critic' trains 'd', which is no network"):
        train({"g": network()}, players=[player], batch=batch, loop=LoopSettings(steps=1), seed=0)


# Several devices


def test_two_processes_give_the_result_of_one(tmp_path: Path) -> None:
    """Each takes half of every batch, and the mean of their gradients is the gradient of the whole."""

    def plain() -> nn.Module:  # no batch norm and no dropout, which see one process's half only
        torch.manual_seed(1)
        return nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 1))

    one = run(plain(), folder=tmp_path / "one")
    two = run(plain(), folder=tmp_path / "two", devices=2)
    for a, b in zip(one.network.parameters(), two.network.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)
    with pytest.raises(RadlibError, match="2 devices were asked for without a folder"):
        run(plain(), devices=2)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_gpu_agrees_with_the_cpu(tmp_path: Path) -> None:
    def plain() -> nn.Module:  # no dropout, whose random numbers differ between devices
        torch.manual_seed(1)
        return nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 1))

    results = [
        fit(plain(), batch=batch, loss=loss, optimizer=OptimizerSettings(), seed=5, device=device,
            loop=LoopSettings(steps=12, precision="32-true")).network.cpu()
        for device in ("cpu", "cuda")
    ]  # fmt: skip
    for a, b in zip(results[0].parameters(), results[1].parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
    low = fit(plain(), batch=batch, loss=loss, optimizer=OptimizerSettings(), seed=5, device="cuda", folder=tmp_path,
              loop=LoopSettings(steps=12, precision="bf16-mixed"))  # fmt: skip
    assert low.peak_memory > 0


# State files


def test_state_round_trip(tmp_path: Path) -> None:
    shared = torch.arange(3)
    state = {"a": [1, 2.5, None, True, "tensor:no"], 0: {"x": shared, "y": shared}, "n": float("nan")}
    save_state(tmp_path / "s.safetensors", state)
    back = load_state(tmp_path / "s.safetensors")
    assert back["a"] == state["a"]
    assert torch.equal(back[0]["x"], shared)
    assert math.isnan(back["n"])
    with pytest.raises(RadlibError, match="a set at '/s' cannot be kept"):
        save_state(tmp_path / "s.safetensors", {"s": {1}})


# Sampling


def test_epochs_hold_each_sample_once() -> None:
    seen = np.concatenate([epoch_batch(10, 5, step=step, seed=0) for step in (2, 3)])
    assert sorted(seen) == list(range(10))
    assert not np.array_equal(epoch_batch(10, 5, step=0, seed=0), epoch_batch(10, 5, step=2, seed=0))
    assert len(epoch_batch(3, 8, step=0, seed=0)) == 3


def test_weighted_samples() -> None:
    drawn = np.concatenate([epoch_batch(3, 2, step=s, seed=0, weights=[0, 1, 3]) for s in range(400)])
    assert 0 not in drawn
    assert np.mean(drawn == 2) == pytest.approx(0.75, abs=0.05)
    with pytest.raises(RadlibError, match="weights do not fit"):
        epoch_batch(3, 2, step=0, seed=0, weights=[1, 2])
