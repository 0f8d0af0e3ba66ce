"""Time and memory of ``radlib data check`` on a folder of synthetic BraTS subjects. Run by hand:

python benchmarks/data_check.py --subjects 300 --shape 60 60 39
python benchmarks/data_check.py --subjects 6 --shape 240 240 155
"""

from __future__ import annotations

import argparse
import gzip
import os
import tempfile
import threading
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import psutil

from radlib.core.progress import track
from radlib.core.seeds import rng
from radlib.data.check import check_dataset
from radlib.data.manifests import Manifest, load_manifest

IMAGES = ("t1", "t1ce", "t2", "flair", "seg")


def make_subject(root: Path, number: int, shape: tuple[int, int, int]) -> None:
    """Five volumes that compress about as MR images do: noise in an ellipsoid, zeros around it."""
    name = f"Brats18_SIM01_{number:04d}_1"
    (root / name).mkdir(parents=True)
    axes = np.ogrid[tuple(slice(-1, 1, length * 1j) for length in shape)]
    radius = sum(axis**2 for axis in axes)
    for image in IMAGES:
        generator = rng(0, number, image)
        if image == "seg":
            data = np.select([radius < 0.01, radius < 0.03, radius < 0.06], [1, 4, 2], 0)
            data.flat[number] = 2  # a corner is background: no two segmentations are alike
        else:
            data = np.where(radius < 0.6, generator.normal(600, 100, shape), 0)
        content = nib.Nifti1Image(data.astype(np.int16), np.diag([-1.0, -1.0, 1.0, 1.0])).to_bytes()
        (root / name / f"{name}_{image}.nii.gz").write_bytes(gzip.compress(content, 1))


class PeakMemory(threading.Thread):
    """The largest sum over this process and its children of resident memory, and of it with shared pages once."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.resident = self.proportional = self.largest = 0
        self._stop_asked = threading.Event()

    def run(self) -> None:
        process = psutil.Process(os.getpid())
        while not self._stop_asked.wait(0.2):
            resident = proportional = 0
            for one in (process, *process.children(recursive=True)):
                try:
                    memory = one.memory_full_info()
                except psutil.Error:
                    continue
                resident += memory.rss
                proportional += getattr(memory, "pss", memory.rss)
                self.largest = max(self.largest, memory.rss)
            self.resident, self.proportional = max(self.resident, resident), max(self.proportional, proportional)

    def stop(self) -> None:
        self._stop_asked.set()
        self.join()


def measure(manifest: Manifest, root: Path, jobs: int) -> None:
    peak = PeakMemory()
    peak.start()
    started, before = time.perf_counter(), os.times()
    report = check_dataset(manifest, root, jobs=jobs)
    seconds, after = time.perf_counter() - started, os.times()
    peak.stop()
    processor = sum(after[:4]) - sum(before[:4])
    print(
        f"{report.subjects} subjects, {report.images} images, {report.bytes / 1e6:.0f} MB, {jobs} processes: "
        f"{seconds:.1f} s ({processor / seconds:.2f} processors in use), peak {peak.resident / 1e6:.0f} MB resident, "
        f"{peak.proportional / 1e6:.0f} MB with shared pages once, {peak.largest / 1e6:.0f} MB in one process; "
        f"{len(report.errors)} errors"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--subjects", type=int, default=300)
    parser.add_argument("--shape", type=int, nargs=3, default=(60, 60, 39))
    parser.add_argument("--jobs", type=int, nargs="+", default=(1, 2))
    options = parser.parse_args()
    shape = tuple(options.shape)

    manifest = load_manifest("brats2018")
    assert manifest.images is not None
    images = manifest.images.model_copy(update={"shape": shape, "subjects": options.subjects})
    manifest = manifest.model_copy(update={"images": images})
    with tempfile.TemporaryDirectory() as folder:
        for number in track(range(options.subjects), description="subjects made"):
            make_subject(Path(folder), number, shape)
        for jobs in options.jobs:
            measure(manifest, Path(folder), jobs)


if __name__ == "__main__":
    main()
