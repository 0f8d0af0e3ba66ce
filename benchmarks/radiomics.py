"""Time and peak memory of radiomic features on one 240x240x155 image, beside other packages. Run by hand:

python benchmarks/radiomics.py --voxels 48000 300000
python benchmarks/radiomics.py --peers-python /path/to/venv/bin/python --peers pyradiomics flash fastrad mirp --keep

Shape, first order, GLCM, GLRLM, GLSZM, NGTDM and GLDM with bins of 25, on the original image, eight wavelet bands and
three Laplacians of Gaussian. Every package runs in a process of its own, on the same cores, one after the other: one
call to warm up, then ``--repeats`` timed ones. Memory is what the calls add to the process that has loaded package and
image. A package that is not installed is left out, and so is what a package cannot do (see the notes it prints).
``--keep`` writes the medians to `published/costs.json`, which the chapter on hand-crafted features and the page *What
it costs* show, with the load of the machine before each measurement.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

if sys.path[0] == str(Path(__file__).resolve().parent):
    del sys.path[0]  # this file would hide PyRadiomics, whose package is called radiomics

SHAPE = (240, 240, 155)
SIGMAS = (1.0, 3.0, 5.0)
CLASSES = ("shape", "firstorder", "glcm", "glrlm", "glszm", "ngtdm", "gldm")
PEERS = ("pyradiomics", "flash", "fastrad", "mirp")
LABELS = {
    "radlib": "radlib",
    "pyradiomics": "PyRadiomics 3.0.1",
    "flash": "flash-radiomics 1.0.0",
    "fastrad": "fastrad 1.0.0, filters of PyRadiomics",
    "mirp": "MIRP 2.7.0",
}


def make_case(voxels: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """An image like an MR image of a tumour (about 40 grey levels of 25) and a ragged region of so many voxels."""
    from scipy.ndimage import gaussian_filter

    generator = np.random.default_rng(seed)
    coarse = gaussian_filter(generator.standard_normal(SHAPE, dtype=np.float32), 6)
    fine = gaussian_filter(generator.standard_normal(SHAPE, dtype=np.float32), 1)
    image = 500 + 120 * coarse / coarse.std() + 60 * fine / fine.std()
    axes = np.ogrid[tuple(slice(0, size) for size in SHAPE)]
    radius = np.sqrt(sum((axis - size / 2) ** 2 for axis, size in zip(axes, SHAPE, strict=True)))
    scale = (voxels * 3 / (4 * np.pi)) ** (1 / 3)
    score = radius / scale + 0.12 * coarse / coarse.std() + 0.05 * fine / fine.std()
    mask = score <= np.partition(score.ravel(), voxels - 1)[voxels - 1]
    return np.round(image).astype(np.int16), mask.astype(np.uint8)


def radlib_case(image: np.ndarray, mask: np.ndarray) -> Callable[[], int]:
    from radlib.features.api import compute_features
    from radlib.features.settings import FeatureSettings

    images = [{"kind": "original"}, {"kind": "wavelet"}, *({"kind": "log", "sigma_mm": sigma} for sigma in SIGMAS)]
    settings = FeatureSettings.create(
        definitions="pyradiomics", families=CLASSES, images=images,
        discretisation={"method": "fbs", "bin_width": 25},
    )  # fmt: skip
    device = os.environ.get("RADLIB_BENCHMARK_DEVICE", "cpu")
    return lambda: int(compute_features(image, mask, (1, 1, 1), settings, device=device).notna().sum())


def _itk(array: np.ndarray) -> Any:
    import SimpleITK

    return SimpleITK.GetImageFromArray(np.ascontiguousarray(array.T))


def _enable(extractor: Any) -> None:
    extractor.disableAllImageTypes()
    extractor.enableImageTypeByName("Original")
    extractor.enableImageTypeByName("Wavelet")
    extractor.enableImageTypeByName("LoG", customArgs={"sigma": list(SIGMAS)})
    extractor.disableAllFeatures()
    for name in CLASSES:
        extractor.enableFeatureClassByName(name)


def pyradiomics_case(image: np.ndarray, mask: np.ndarray) -> Callable[[], int]:
    import logging

    import radiomics
    from radiomics import featureextractor

    radiomics.logger.setLevel(logging.ERROR)
    extractor = featureextractor.RadiomicsFeatureExtractor(binWidth=25, preCrop=True, additionalInfo=False)
    _enable(extractor)
    scan, region = _itk(image), _itk(mask)
    return lambda: len(extractor.execute(scan, region))


def flash_case(image: np.ndarray, mask: np.ndarray) -> Callable[[], int]:
    from flash_radiomics import featureextractor

    extractor = featureextractor.RadiomicsFeatureExtractor(
        binWidth=25, preCrop=True, additionalInfo=False, backend="cpu", num_threads=2
    )
    _enable(extractor)
    scan, region = _itk(image), _itk(mask)

    def call() -> int:
        # Its caches are keyed by the images; a second call on the same ones would time the look-up.
        for name in ("_discretization_cache", "_preprocess_cache"):
            getattr(extractor, name, {}).clear()
        return len(extractor.execute(scan, region))

    return call


def fastrad_case(image: np.ndarray, mask: np.ndarray) -> Callable[[], int]:
    """fastrad has no derived images: they are made with PyRadiomics' filters on the crop, within the timed call."""
    import SimpleITK
    import torch
    from fastrad import FeatureExtractor, FeatureSettings, Mask, MedicalImage
    from radiomics import imageoperations

    where = np.argwhere(mask)
    low, high = where.min(axis=0) - 5, where.max(axis=0) + 6
    cut = tuple(slice(max(a, 0), b) for a, b in zip(low, high, strict=True))
    every = [name for name in CLASSES if name != "shape"]
    plain = FeatureExtractor(FeatureSettings(feature_classes=every, bin_width=25.0, device="cpu"))
    outline = FeatureExtractor(FeatureSettings(feature_classes=["shape"], bin_width=25.0, device="cpu"))

    def call() -> int:
        scan, region = _itk(image[cut]), _itk(mask[cut])
        spot = Mask(torch.from_numpy(np.ascontiguousarray(mask[cut].T)).float())
        made = [
            *imageoperations.getOriginalImage(scan, region),
            *imageoperations.getWaveletImage(scan, region),
            *imageoperations.getLoGImage(scan, region, sigma=list(SIGMAS)),
        ]
        found = 0
        for number, (derived, *_rest) in enumerate(made):
            values = torch.from_numpy(SimpleITK.GetArrayFromImage(derived).astype(np.float32))
            if number == 0:
                found += len(outline.extract(MedicalImage(values), spot))
            found += len(plain.extract(MedicalImage(values), spot))
        return found

    return call


def mirp_case(image: np.ndarray, mask: np.ndarray) -> Callable[[], int]:
    import SimpleITK
    from mirp import extract_features

    folder = Path(tempfile.mkdtemp(prefix="radiomics-benchmark-"))
    for name, array in (("image", image.astype(np.float32)), ("mask", mask)):
        SimpleITK.WriteImage(_itk(array), str(folder / f"{name}.nii.gz"))
    texture = ["morphological", "statistical", "glcm", "glrlm", "glszm", "ngtdm", "ngldm"]

    def call() -> int:
        tables = extract_features(
            image=str(folder / "image.nii.gz"),
            mask=str(folder / "mask.nii.gz"),
            base_discretisation_method="fixed_bin_size",
            base_discretisation_bin_width=25.0,
            intensity_normalisation="none",
            base_feature_families=texture,
            filter_kernels=["separable_wavelet", "laplacian_of_gaussian"],
            separable_wavelet_families="coif1",
            separable_wavelet_set="all",
            separable_wavelet_rotation_invariance=False,
            laplacian_of_gaussian_sigma=list(SIGMAS),
            response_map_feature_families=texture[1:],
            response_map_discretisation_method="fixed_bin_size",
            response_map_discretisation_bin_width=25.0,
            resegmentation_intensity_range=[-10000.0, 10000.0],
        )
        return tables[0].shape[1]

    return call


CASES: dict[str, Callable[[np.ndarray, np.ndarray], Callable[[], int]]] = {
    "radlib": radlib_case,
    "pyradiomics": pyradiomics_case,
    "flash": flash_case,
    "fastrad": fastrad_case,
    "mirp": mirp_case,
}


class PeakMemory(threading.Thread):
    """The largest resident memory of this process, in bytes, sampled every few milliseconds."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.largest = self.now()
        self.done = threading.Event()

    @staticmethod
    def now() -> int:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def run(self) -> None:
        while not self.done.wait(0.003):
            self.largest = max(self.largest, self.now())


def measure(package: str, case: Path, repeats: int) -> dict[str, Any]:
    """Time one package in this process."""
    with np.load(case) as arrays:
        image, mask = arrays["image"], arrays["mask"]
    call = CASES[package](image, mask)
    before = PeakMemory.now()
    watch = PeakMemory()
    watch.start()
    start = time.perf_counter()
    features = call()
    seconds = [time.perf_counter() - start]
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    watch.done.set()
    watch.join()
    return {
        "first": seconds[0],
        "best": min(seconds),
        "median": float(np.median(seconds[1:])) if repeats else seconds[0],
        "memory_mb": (watch.largest - before) / 1e6,
        "process_mb": watch.largest / 1e6,
        "features": features,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--voxels", type=int, nargs="+", default=[48_000, 300_000])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2, help="threads a package may use")
    parser.add_argument("--peers", nargs="*", default=[], choices=PEERS)
    parser.add_argument("--peers-python", default=sys.executable, help="interpreter that has the other packages")
    parser.add_argument("--keep", action="store_true", help="write the medians to published/costs.json")
    parser.add_argument("--measure", nargs=2, metavar=("PACKAGE", "CASE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        package, case = arguments.measure
        result = measure(package, Path(case), arguments.repeats)
        sys.__stdout__.write("\n" + json.dumps(result) + "\n")
        sys.__stdout__.flush()
        os._exit(0)  # without waiting for other packages' worker threads
    environment = os.environ | dict.fromkeys(
        ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"), str(arguments.threads)
    )
    print(f"{'voxels':>8} {'package':<12} {'best s':>8} {'median s':>9} {'first s':>8} {'added MB':>9} {'features':>9}")
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for voxels in arguments.voxels:
            case = Path(folder) / f"{voxels}.npz"
            image, mask = make_case(voxels)
            np.savez(case, image=image, mask=mask)
            for package in ("radlib", *arguments.peers):
                python = sys.executable if package == "radlib" else arguments.peers_python
                script = str(Path(__file__).resolve())
                command = [python, script, "--repeats", str(arguments.repeats), "--measure", package, str(case)]
                load = os.getloadavg()[0]
                # In the temporary folder: some packages leave files where they run.
                done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
                if done.returncode:
                    reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
                    print(f"{voxels:>8} {package:<12} not measured: {reason[:100]}")
                    continue
                r = json.loads(done.stdout.strip().splitlines()[-1])
                results.append({"voxels": voxels, "package": LABELS[package], "load_before": round(load, 2), **r})
                print(
                    f"{voxels:>8} {package:<12} {r['best']:>8.2f} {r['median']:>9.2f} {r['first']:>8.2f} "
                    f"{r['memory_mb']:>9.0f} {r['features']:>9}",
                    flush=True,
                )
    if arguments.keep:
        from radlib.book.costs import RADIOMICS, CostsFile, costs_file

        file = CostsFile(costs_file())
        for r in results:
            file.add("besides", {
                "task": f"{RADIOMICS}, {r['voxels']:,} voxels", "package": r["package"], "seconds": r["median"],
                "memory_bytes": max(0, round(1e6 * r["memory_mb"])), "calls": arguments.repeats or 1,
                "load": r["load_before"],
            }, instead_of=("task", "package"))  # fmt: skip


if __name__ == "__main__":
    main()
