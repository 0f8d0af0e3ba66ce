"""``data check`` on images: the real samples, and synthetic subjects broken in every way."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from radlib.core.errors import RadlibError
from radlib.core.files import sha256
from radlib.core.seeds import rng
from radlib.data.check import CheckReport, check_dataset, check_datasets
from radlib.data.manifests import Manifest, load_manifest

SHAPE = (12, 10, 8)
IMAGES = ("t1", "t1ce", "t2", "flair", "seg")


def small(name: str = "brats2018") -> Manifest:
    """A BraTS manifest for small volumes and any number of subjects."""
    manifest = load_manifest(name)
    assert manifest.images is not None
    images = manifest.images.model_copy(update={"shape": SHAPE, "subjects": None})
    return manifest.model_copy(update={"images": images})


def volume(subject: str, image: str) -> np.ndarray:
    generator = rng(0, subject, image)
    if image == "seg":
        return generator.choice([0, 1, 2, 4], SHAPE).astype(np.int16)
    return generator.integers(0, 2000, SHAPE).astype(np.int16)


def write(path: Path, data: np.ndarray, affine: np.ndarray | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(data, np.diag([-1.0, -1.0, 1.0, 1.0]) if affine is None else affine), path)
    return path


def file_of(root: Path, subject: str, image: str) -> Path:
    return root / "HGG" / subject / f"{subject}_{image}.nii.gz"


def make(root: Path, *subjects: str) -> Path:
    for subject in subjects:
        for image in IMAGES:
            write(file_of(root, subject, image), volume(subject, image))
    return root


ONE, TWO = "Brats18_TCIA01_001_1", "Brats18_TCIA01_002_1"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make(tmp_path / "images", ONE, TWO)


def check(root: Path, manifest: Manifest | None = None) -> CheckReport:
    return check_dataset(manifest or small(), root, jobs=1)


def test_good_subjects_have_no_findings(root: Path) -> None:
    report = check(root)
    assert report.findings == []
    assert (report.subjects, report.images) == (2, 10)
    assert report.ok


def set_data(change: Callable[[np.ndarray], np.ndarray], image: str = "t1") -> Callable[[Path], None]:
    def apply(root: Path) -> None:
        write(file_of(root, ONE, image), change(volume(ONE, image)))

    return apply


def set_bytes(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def apply(root: Path) -> None:
        path = file_of(root, ONE, "t1")
        path.write_bytes(change(path.read_bytes()))

    return apply


def set_affine(affine: np.ndarray) -> Callable[[Path], None]:
    return lambda root: write(file_of(root, ONE, "t1"), volume(ONE, "t1"), affine) and None


def damage_payload(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes(byte ^ 0xFF for byte in content[middle : middle + 40]) + content[middle + 40 :]


def with_value(value: float, dtype: str = "f4") -> Callable[[np.ndarray], np.ndarray]:
    def change(data: np.ndarray) -> np.ndarray:
        data = data.astype(dtype)
        data[1, 2, 3] = value
        return data

    return change


def set_header(pixdim: float = 1.0, first: float = -1.0) -> Callable[[Path], None]:
    """Voxel sizes, and the first value of the affine."""

    def apply(root: Path) -> None:
        path = file_of(root, ONE, "t1")
        image = nib.load(path)
        image.header["pixdim"][1:4] = pixdim
        image.header.set_sform(np.diag([-1.0, -1.0, 1.0, 1.0]), code=1)
        image.header["srow_x"][0] = first
        raw = image.header.binaryblock + b"\0" * 4 + np.asarray(image.dataobj).tobytes(order="F")
        path.write_bytes(gzip.compress(raw))

    return apply


FAULTS: dict[str, tuple[Callable[[Path], object], set[str], str]] = {
    "missing modality": (lambda r: file_of(r, ONE, "t2").unlink(), {"missing-file"}, "no t2 image"),
    "extra image": (lambda r: write(r / "HGG" / ONE / "old_t1.nii.gz", volume("x", "t1")), {"extra-file"}, "fits no"),
    "name of another subject": (
        lambda r: file_of(r, ONE, "t1").rename(file_of(r, ONE, "t1").with_name(f"{TWO}_t1.nii.gz")),
        {"extra-file", "missing-file"},
        "fits no file",
    ),
    "truncated gzip": (set_bytes(lambda c: c[: len(c) // 2]), {"truncated-gzip"}, "ends early"),
    "gzip without its trailer": (set_bytes(lambda c: c[:-8]), {"truncated-gzip"}, "ends early"),
    "damaged gzip": (set_bytes(damage_payload), {"corrupt-gzip"}, "damaged"),
    "wrong gzip checksum": (set_bytes(lambda c: c[:-8] + b"\0" * 4 + c[-4:]), {"corrupt-gzip"}, "CRC"),
    "not gzip": (set_bytes(lambda _: b"<html>not found</html>"), {"corrupt-gzip"}, "damaged"),
    "empty file": (set_bytes(lambda _: b""), {"unreadable"}, "empty"),
    "not NIfTI": (set_bytes(lambda _: gzip.compress(b"x" * 1000)), {"bad-header"}, "not a readable image"),
    "too few voxels": (
        set_bytes(lambda c: gzip.compress(gzip.decompress(c)[:-100])),
        {"truncated-volume"},
        "the header asks for",
    ),
    "another shape": (set_data(lambda d: d[:, :, 1:]), {"shape-differs", "unexpected-shape"}, "12 x 10 x 7"),
    "four dimensions": (set_data(lambda d: d[..., None].repeat(2, -1)), {"unexpected-shape"}, "4-dimensional"),
    "shifted": (
        set_affine(np.diag([-1.0, -1.0, 1.0, 1.0]) + np.eye(4, k=3) * 5),
        {"affine-differs"},
        "up to 5 mm away",
    ),
    "mirrored": (set_affine(np.diag([1.0, -1.0, 1.0, 1.0])), {"affine-differs"}, "t1 lies elsewhere"),
    "other voxel size": (
        set_affine(np.diag([-2.0, -1.0, 1.0, 1.0])),
        {"affine-differs", "unexpected-spacing"},
        "2 x 1 x 1 mm",
    ),
    "sizes that contradict": (set_header(pixdim=2.0), {"bad-header"}, "differ"),
    "an axis without length": (set_header(first=0.0), {"bad-header"}, "has no length"),
    "no number in the affine": (set_header(first=np.nan), {"bad-header"}, "not finite"),
    "NaN": (set_data(with_value(np.nan)), {"non-finite"}, "1 of 960 voxels"),
    "infinite": (set_data(with_value(-np.inf)), {"non-finite"}, "1 of 960 voxels"),
    "nothing finite": (set_data(lambda d: np.full(SHAPE, np.nan, "f4")), {"non-finite"}, "960 of 960"),
    "constant": (set_data(lambda d: np.full_like(d, 7)), {"constant-image"}, "every voxel is 7"),
    "nothing around the head": (
        lambda r: [
            write(file_of(r, ONE, image), volume(ONE, image) + (image == "t1"), np.diag([-10.0, -12.0, 15.0, 1.0]))
            for image in IMAGES
        ],
        {"no-background", "unexpected-spacing"},
        "more than nine tenths",
    ),
    "no tumour": (set_data(np.zeros_like, "seg"), {"constant-image"}, "no voxel is labelled"),
    "label of another vintage": (set_data(with_value(3, "i2"), "seg"), {"unexpected-label"}, "labelled 3"),
    "interpolated labels": (set_data(with_value(0.5), "seg"), {"unexpected-label"}, "labelled 0.5"),
    "an image among the labels": (
        lambda r: write(file_of(r, ONE, "seg"), volume(ONE, "seg") + rng(0, "x").uniform(0.1, 0.9, SHAPE)),
        {"unexpected-label"},
        "960 voxels are labelled",
    ),
    "negative label": (set_data(with_value(-1, "i2"), "seg"), {"unexpected-label"}, "labelled -1"),
    "modality copied over another": (
        lambda r: shutil.copyfile(file_of(r, ONE, "t2"), file_of(r, ONE, "t1")),
        {"duplicate-image"},
        "t1 and t2 hold the same image",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_found_and_named(fault: str, root: Path) -> None:
    break_it, expected, says = FAULTS[fault]
    break_it(root)
    report = check(root)
    assert {finding.kind for finding in report.errors} == expected
    assert any(says in finding.message for finding in report.errors), [f.message for f in report.errors]
    assert all(finding.subject == ONE or ONE in (finding.file or "") for finding in report.errors)


def test_all_faults_of_a_folder_are_found_at_once(root: Path) -> None:
    path = file_of(root, ONE, "t1")
    path.write_bytes(path.read_bytes()[:100])
    write(file_of(root, ONE, "t2"), with_value(np.nan)(volume(ONE, "t2")))
    file_of(root, TWO, "flair").unlink()
    write(file_of(root, TWO, "seg"), with_value(9, "i2")(volume(TWO, "seg")))
    assert check(root).counts() == {
        "truncated-gzip": 1,
        "non-finite": 1,
        "missing-file": 1,
        "unexpected-label": 1,
    }


def test_files_that_are_no_images_are_notes(root: Path) -> None:
    (root / "HGG" / ONE / "notes.doc").write_text("x")
    (root / "survival_data.csv").write_text("x")  # expected beside BraTS images
    report = check(root)
    assert report.ok
    assert [(finding.kind, finding.file) for finding in report.notes] == [("extra-file", f"HGG/{ONE}/notes.doc")]


def test_the_same_subject_in_two_groups(root: Path) -> None:
    shutil.copytree(root / "HGG" / ONE, root / "LGG" / ONE)
    (finding,) = check(root).errors
    assert (finding.kind, finding.subject, finding.count) == ("duplicate-id", ONE, 10)


def test_the_same_subject_under_two_names_whatever_header_type_and_compression(root: Path) -> None:
    copy = "Brats18_TCIA09_999_1"
    for image in IMAGES:
        raw = root / "HGG" / copy / f"{copy}_{image}.nii"  # not compressed
        write(raw, volume(ONE, image).astype("f4"), np.diag([-1.0, -1.0, 1.0, 1.0]) + np.eye(4, k=3))
    (finding,) = check(root).errors
    assert (finding.kind, finding.subject, finding.count) == ("duplicate-subject", copy, 5)
    assert ONE in finding.message


def test_one_shared_image_is_enough(root: Path) -> None:
    write(file_of(root, TWO, "flair"), volume(ONE, "t2"))
    (finding,) = check(root).errors
    assert finding.kind == "duplicate-subject"
    assert "t2 as flair" in finding.message


def test_empty_segmentations_do_not_make_subjects_equal(root: Path) -> None:
    for subject in (ONE, TWO):
        write(file_of(root, subject, "seg"), np.zeros(SHAPE, np.int16))
    assert check(root).counts() == {"constant-image": 2}


def test_the_same_subject_in_two_data_sets(root: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    name = "BraTS-GLI-00001-000"
    for image, token in {"t1": "t1n", "t1ce": "t1c", "t2": "t2w", "flair": "t2f", "seg": "seg"}.items():
        data = volume(ONE, image)
        write(other / name / f"{name}-{token}.nii.gz", np.where(data == 4, 3, data) if image == "seg" else data)
    pair = [small("brats2018"), small("brats2023")]
    report = check_datasets(pair, [root, other], jobs=1)
    (finding,) = report.findings
    assert (finding.severity, finding.kind, finding.subject, finding.count) == ("note", "duplicate-subject", name, 5)
    unrelated = [manifest.model_copy(update={"overlaps": ()}) for manifest in pair]
    (finding,) = check_datasets(unrelated, [root, other], jobs=1).findings
    assert finding.severity == "error"
    assert f"brats2018 {ONE}" in finding.message


def test_checksums_in_sha256sums(root: Path) -> None:
    good, bad = file_of(root, ONE, "t1"), file_of(root, ONE, "t2")
    gone = f"HGG/{ONE}/{ONE}_t9.nii.gz"
    lines = [
        f"{sha256(good)}  ./{good.relative_to(root)}",
        f"{'0' * 64}  {bad.relative_to(root)}",
        f"{'0' * 64}  {gone}",
        "rubbish",
    ]
    (root / "SHA256SUMS").write_text("\n".join(lines))
    assert [(finding.kind, finding.file) for finding in check(root).errors] == [
        ("unreadable", "SHA256SUMS"),
        ("missing-file", gone),
        ("wrong-checksum", str(bad.relative_to(root))),
    ]


def test_the_number_of_subjects(root: Path) -> None:
    manifest = small()
    assert manifest.images is not None
    manifest = manifest.model_copy(update={"images": manifest.images.model_copy(update={"subjects": 3})})
    (finding,) = check_dataset(manifest, root, jobs=1).errors
    assert (finding.kind, finding.message) == ("subject-count", "2 subjects, 3 expected")
    assert check_dataset(manifest, root, jobs=1, partial=True).ok


def test_a_folder_without_subjects_is_one_finding(tmp_path: Path) -> None:
    write(tmp_path / "other" / "brain.nii.gz", volume("x", "t1"))
    (finding,) = check(tmp_path).findings
    assert (finding.severity, finding.kind) == ("error", "subject-count")


def test_images_are_found_in_the_folder_of_the_manifest(root: Path, tmp_path: Path) -> None:
    root.rename(tmp_path / "brats2018")
    write(tmp_path / "elsewhere" / "brain.nii.gz", volume("x", "t1"))
    file_of(tmp_path / "brats2018", ONE, "t1").write_bytes(b"")
    (finding,) = check(tmp_path).findings
    assert finding.file == f"brats2018/HGG/{ONE}/{ONE}_t1.nii.gz"


def test_other_data_sets_below_the_root_are_no_extra_files(root: Path, tmp_path: Path) -> None:
    write(tmp_path / "another set" / "brain.nii.gz", volume("x", "t1"))
    write(root / "HGG" / "stray.nii.gz", volume("y", "t1"))
    assert [finding.file for finding in check(tmp_path).findings] == ["images/HGG/stray.nii.gz"]


def test_linked_folders_are_followed_and_loops_are_not(root: Path, tmp_path: Path) -> None:
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / "HGG").symlink_to(root / "HGG")
    (linked / "loop").symlink_to(linked)
    report = check(linked)
    assert (report.subjects, report.findings) == (2, [])


@pytest.mark.slow
def test_processes_change_nothing(root: Path) -> None:
    file_of(root, ONE, "t1").write_bytes(b"")
    file_of(root, TWO, "seg").unlink()
    one, two = check(root), check_dataset(small(), root, jobs=2)
    assert one.findings == two.findings
    assert (one.images, one.bytes) == (two.images, two.bytes)


def test_brats2015_in_the_format_of_its_time(tmp_path: Path) -> None:
    import SimpleITK

    subject = "brats_2013_pat0001_1"
    names = {"Flair": 1, "T1": 2, "T1c": 3, "T2": 4}
    for image, number in names.items():
        name = f"VSD.Brain.XX.O.MR_{image}.{number}"
        (tmp_path / "HGG" / subject / name).mkdir(parents=True)
        picture = SimpleITK.GetImageFromArray(volume("x", image).transpose(2, 1, 0))
        SimpleITK.WriteImage(picture, str(tmp_path / "HGG" / subject / name / f"{name}.mha"), True)
    name = "VSD.Brain_3more.XX.O.OT.5"
    (tmp_path / "HGG" / subject / name).mkdir()
    labels = rng(0, "labels").choice([0, 1, 2, 3, 4], SHAPE).astype(np.uint8)
    target = tmp_path / "HGG" / subject / name / f"{name}.mha"
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(labels.transpose(2, 1, 0)), str(target))
    report = check(tmp_path, small("brats2015"))
    assert (report.findings, report.images) == ([], 5)
    target.write_bytes(target.read_bytes()[:-50])
    assert [finding.kind for finding in check(tmp_path, small("brats2015")).errors] == ["bad-header"]


def test_numbers_of_folders_and_data_sets_must_fit(root: Path, tmp_path: Path) -> None:
    with pytest.raises(RadlibError, match="1 data sets and 2 folders"):
        check_datasets([small()], [root, root])
    with pytest.raises(RadlibError, match="does not exist"):
        check(tmp_path / "nowhere")


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "subjects", "images"), [("brats2018", 2, 10), ("brats2023", 1, 5), ("brats2015-deepmedic", 6, 24)]
)
def test_the_real_samples_are_whole(name: str, subjects: int, images: int, real_data: Path) -> None:
    report = check_dataset(load_manifest(name), real_data, partial=True)
    assert report.findings == []
    assert (report.subjects, report.images) == (subjects, images)


@pytest.mark.data
def test_a_real_subject_renamed_and_broken(real_data: Path, tmp_path: Path) -> None:
    source = real_data / "brats-sample/BraTS2018/Brats18_2013_2_1"
    for name in ("Brats18_2013_2_1", "Brats18_2013_99_1"):
        (tmp_path / name).mkdir()
        for path in source.iterdir():
            shutil.copyfile(path, tmp_path / name / path.name.replace("Brats18_2013_2_1", name))
    flair = tmp_path / "Brats18_2013_99_1" / "Brats18_2013_99_1_flair.nii.gz"
    flair.write_bytes(flair.read_bytes()[:-1000])
    report = check_dataset(load_manifest("brats2018"), tmp_path, partial=True)
    assert [(finding.kind, finding.subject) for finding in report.errors] == [
        ("truncated-gzip", "Brats18_2013_99_1"),
        ("duplicate-subject", "Brats18_2013_99_1"),
    ]
