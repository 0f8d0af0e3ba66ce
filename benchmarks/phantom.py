"""Time by stage and peak memory of one simulated subject, on one CPU thread or a GPU.

python benchmarks/phantom.py --grid 96,96,64 --grid 240,240,155 --n 3
"""

from __future__ import annotations

import argparse

import torch

from radlib.core.device import describe_device, peak_memory_bytes
from radlib.phantom.anatomy import Grid
from radlib.phantom.biology import sample_subjects
from radlib.phantom.physics import stage_times
from radlib.phantom.templates import load_template


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grid", action="append", help="voxels, e.g. 96,96,64; repeatable")
    parser.add_argument("--n", type=int, default=3, help="subjects a grid")
    parser.add_argument("--protocol", default="brats-3t")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    subjects = sample_subjects(load_template("brats2017"), seed=arguments.seed)
    print(describe_device())
    for text in arguments.grid or ["96,96,64", "240,240,155"]:
        x, y, z = (int(part) for part in text.split(","))
        table = stage_times(subjects, protocol=arguments.protocol, grid=Grid.fitting((x, y, z)), n=arguments.n,
                            seed=arguments.seed)  # fmt: skip
        print(f"\n{text} voxels, {arguments.n} subjects, four modalities")
        print(table.round(3).to_string())
        print(f"peak memory so far: {peak_memory_bytes() / 2**30:.2f} GiB")


if __name__ == "__main__":
    main()
