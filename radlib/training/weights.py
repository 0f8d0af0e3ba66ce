"""Final weights as safetensors."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_model, save_model
from torch import nn

from radlib.core.errors import RadlibError
from radlib.core.files import atomic_path


def save_weights(path: Path | str, network: nn.Module) -> None:
    """Write a network's parameters and buffers, atomically, as ``....safetensors``; tied weights are stored once."""
    with atomic_path(path) as temporary:
        save_model(network, str(temporary))


def load_weights(path: Path | str, network: nn.Module) -> None:
    """Load weights into a network of the same architecture, in place.

    Raises:
        RadlibError: if the file is absent or cannot be read, or its tensors do not fit the network; names the first
            that does not.
    """
    if not Path(path).is_file():
        raise RadlibError("there are no weights", file=path, remedy="run the chapter that trains them first")
    try:
        load_model(network, path)
    except (SafetensorError, OSError) as error:
        raise RadlibError(
            f"the weights cannot be read ({error})", file=path, remedy="copy the file again, or train again"
        ) from error
    except RuntimeError as error:  # torch's and safetensors' list of what does not fit, below a heading
        wrong = [line.strip() for line in str(error).splitlines()]
        raise RadlibError(
            f"the weights do not fit the network: {wrong[min(1, len(wrong) - 1)]}",
            file=path,
            remedy="build the network as it was trained, or train again",
        ) from error
