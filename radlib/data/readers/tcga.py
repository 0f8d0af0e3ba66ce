"""TCGA glioma: radiomic features of BraTS-TCGA joined with expression, clinical and molecular tables.

Sources, as published: the radiomic features of Bakas et al. 2017; the unified GBM expression of Verhaak et al. 2010
(1740 genes); the Clinical Data Resource of Liu et al. 2018, which gives survival; the molecular table of Ceccarelli
et al. 2016; and the table of 20 genes mutated or not (862 patients).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from radlib.core.errors import RadlibError
from radlib.data.cohort import Cohort, participants_table
from radlib.data.readers.brats import BRATS_TCGA, find_subjects
from radlib.data.readers.files import find_file
from radlib.data.tables import index_by, read_text_table, to_numbers

RADIOMICS = {"GBM": "TCGA_GBM_radiomicFeatures.csv", "LGG": "TCGA_LGG_radiomicFeatures.csv"}
EXPRESSION = "unifiedScaledFiltered.txt"
CDR = "TCGA-CDR_GBM_LGG.csv"
CECCARELLI = "ceccarelli2016_lgg_gbm_subtype.csv"
MUTATIONS = "TCGA_GBM_LGG_Mutations_all.csv"


def read_tcga_gbm(root: Path) -> Cohort:
    """Islam 2020's cohort: GBM patients with radiomic features, 1740 genes and overall survival.

    ``radiomics`` are the features that vary, ``expression`` the genes; ``idh`` is Ceccarelli's status where known.
    """
    radiomics, collection, notes = read_radiomics(root, collections=("GBM",))
    expression = read_expression(find_file(root, EXPRESSION, dataset="TCGA-GBM unified expression"))
    clinical = clinical_table(root, collection)
    survival = clinical["survival_days"].notna() & clinical["event"].notna()
    both = radiomics.index.intersection(expression.index)
    ids = [subject for subject in both if survival[subject]]
    notes = [
        f"{len(radiomics)} GBM patients have radiomic features, {len(expression)} have expression, {len(both)} have "
        f"both and {len(ids)} of these have overall survival ({int(clinical.loc[ids, 'event'].sum())} deaths).",
        *notes,
    ]
    participants, images = _participants(root, clinical.loc[ids])
    kept, dropped = _varying(radiomics.loc[ids])
    return Cohort(
        name="tcga-gbm",
        source="real",
        root=root,
        participants=participants,
        expression=expression.loc[ids],
        radiomics=kept,
        notes=(*notes, *dropped, *images),
    )


def read_tcga_idh(root: Path) -> Cohort:
    """Ge 2020's cohort: the BraTS-TCGA patients with their IDH1 status as the paper must have read it.

    ``idh`` follows the paper: mutant where the mutation table says ``IDH1 == MUTATED``, wild-type for every other
    patient, known or not. ``idh_ceccarelli`` is the status of Ceccarelli et al. 2016 (NaN where unknown), and
    ``idh1_table`` what the mutation table says (NaN where the patient is not in it).
    """
    radiomics, collection, notes = read_radiomics(root, collections=("GBM", "LGG"))
    clinical = clinical_table(root, collection)
    clinical["idh"] = np.where(clinical["idh1_table"] == "mutated", "mutant", "wildtype")
    wildtype = clinical[clinical["idh"] == "wildtype"]
    unknown = int(wildtype["idh_ceccarelli"].isna().sum())
    mutated = sorted(wildtype.index[wildtype["idh_ceccarelli"] == "mutant"])
    notes = [
        f"{len(clinical)} patients: {int((clinical['idh'] == 'mutant').sum())} mutant by the mutation table, the other "
        f"{len(wildtype)} called wild-type.",
        f"Of these {len(wildtype)}, {int(wildtype['idh1_table'].isna().sum())} are not in the mutation table, "
        f"{unknown} have no IDH status by Ceccarelli et al., and {len(mutated)} are mutant by Ceccarelli et al. "
        f"({', '.join(mutated)}).",
        *_absent(clinical),
        *notes,
    ]
    participants, images = _participants(root, clinical)
    kept, dropped = _varying(radiomics)
    return Cohort(
        name="tcga-idh",
        source="real",
        root=root,
        participants=participants,
        radiomics=kept,
        notes=(*notes, *dropped, *images),
    )


# Tables


def read_radiomics(root: Path, *, collections: tuple[str, ...]) -> tuple[pd.DataFrame, pd.Series, list[str]]:
    """The radiomic features of BraTS-TCGA (patients x features, float64), each patient's collection, and notes.

    Text in a number column (``#DIV/0!``) and infinite values become NaN; both are counted in the notes. Columns that
    do not vary are kept here, because whether they do depends on the patients taken.
    """
    tables, notes = [], []
    for collection in collections:
        path = find_file(root, RADIOMICS[collection], dataset=f"BraTS-TCGA-{collection} radiomic features")
        raw = _radiomic_text(path)
        features = raw.drop(columns=["Date"]).apply(pd.to_numeric, errors="coerce").astype(float)
        text = {
            column: values
            for column in features
            if (values := raw[column][raw[column].notna() & features[column].isna()].tolist())
        }
        infinite = [
            f"{column} of {subject}" for column in features for subject in features.index[np.isinf(features[column])]
        ]
        features = features.mask(np.isinf(features))
        if text:
            cells = ", ".join(f"{column} ({', '.join(map(repr, sorted(set(v))))})" for column, v in text.items())
            notes.append(f"{collection}: text in {len(text)} feature column(s), read as missing: {cells}.")
        if infinite:
            notes.append(f"{collection}: {len(infinite)} infinite value(s), read as missing: {', '.join(infinite)}.")
        gaps = features.isna()
        if gaps.any(axis=None):
            notes.append(
                f"{collection}: {int(gaps.sum().sum())} of {gaps.size} feature values are missing, in "
                f"{int(gaps.any().sum())} of {gaps.shape[1]} features and {int(gaps.any(axis=1).sum())} of "
                f"{len(gaps)} patients."
            )
        tables.append(features.assign(collection=collection))
    joined = pd.concat(tables)
    if joined.index.duplicated().any():
        twice = sorted(set(joined.index[joined.index.duplicated()]))
        raise RadlibError(f"{', '.join(twice)} in both radiomic tables", file=root, remedy="obtain the tables again")
    return joined.drop(columns="collection"), joined["collection"], notes


def _radiomic_text(path: Path) -> pd.DataFrame:
    """A radiomic table as text, indexed by patient, with its ``#DIV/0!`` still in it."""
    raw = read_text_table(path, delimiter=",", required=("ID", "Date", "VOLUME_ET"), missing=("", "NA", "NaN"))
    return index_by(raw, "ID", file=path)


def read_expression(path: Path) -> pd.DataFrame:
    """The unified expression, patients x genes, float64 (log-ratio scale of the source).

    The first line of the file has one field fewer than the others; a patient is the first 12 characters of a barcode.

    Raises:
        RadlibError: if lines differ in length, a value is no finite number, or a patient has two samples.
    """
    with open(path, encoding="utf-8") as stream:
        samples = stream.readline().rstrip("\n").split("\t")
        genes, rows = [], []
        for number, line in enumerate(stream, start=2):
            gene, *values = line.rstrip("\n").split("\t")
            if len(values) != len(samples):
                raise RadlibError(
                    f"line {number} has {len(values)} values for {len(samples)} samples",
                    file=path,
                    remedy="obtain the file again",
                )
            try:
                rows.append([float(value) for value in values])
            except ValueError as error:
                raise RadlibError(
                    f"line {number} ({gene}): {error}", file=path, remedy="obtain the file again"
                ) from error
            genes.append(gene)
    matrix = np.array(rows, dtype=float)
    if not np.isfinite(matrix).all():
        row = int(np.flatnonzero(~np.isfinite(matrix).all(axis=1))[0])
        raise RadlibError(f"gene {genes[row]} has a value that is not finite", file=path, remedy="obtain it again")
    table = pd.DataFrame(
        matrix.T, index=pd.Index([sample[:12] for sample in samples], name="id", dtype="str"), columns=genes
    )
    for what, labels in (("patient", table.index), ("gene", table.columns)):
        if labels.has_duplicates:
            raise RadlibError(f"{what} {labels[labels.duplicated()][0]} is there twice", file=path, remedy="keep one")
    return table


def read_cdr(path: Path) -> pd.DataFrame:
    """Liu et al. 2018, patients x ``collection, age, sex, grade, survival_days, event, histology, redaction``."""
    raw = index_by(
        read_text_table(
            path,
            required=(
                "bcr_patient_barcode", "type", "age_at_initial_pathologic_diagnosis", "gender", "histological_grade",
                "histological_type", "OS", "OS.time", "Redaction",
            ),
        ),
        "bcr_patient_barcode",
        file=path,
    )  # fmt: skip
    table = pd.DataFrame(index=raw.index)
    table["collection"] = raw["type"]
    table["age"] = to_numbers(raw["age_at_initial_pathologic_diagnosis"], file=path)
    table["sex"] = raw["gender"].map({"FEMALE": "F", "MALE": "M"})
    table["grade"] = raw["histological_grade"].map({"G2": 2.0, "G3": 3.0, "G4": 4.0})
    table["survival_days"] = to_numbers(raw["OS.time"], file=path)
    table["event"] = to_numbers(raw["OS"], file=path)
    table["histology"] = raw["histological_type"]
    table["redaction"] = raw["Redaction"]
    return table


def read_ceccarelli(path: Path) -> pd.DataFrame:
    """Ceccarelli et al. 2016, patients x ``site, idh_ceccarelli, codel_1p19q, mgmt, kps, expression_subtype``."""
    raw = index_by(
        read_text_table(
            path,
            required=(
                "patient", "Tissue.source.site", "IDH.status", "X1p.19q.codeletion", "MGMT.promoter.status",
                "Karnofsky.Performance.Score", "Transcriptome.Subtype",
            ),
        ),
        "patient",
        file=path,
    )  # fmt: skip
    table = pd.DataFrame(index=raw.index)
    table["site"] = raw["Tissue.source.site"]
    table["idh_ceccarelli"] = raw["IDH.status"].map({"Mutant": "mutant", "WT": "wildtype"})
    table["codel_1p19q"] = raw["X1p.19q.codeletion"].map({"codel": "codel", "non-codel": "non-codel"})
    table["mgmt"] = raw["MGMT.promoter.status"].str.lower()
    table["kps"] = to_numbers(raw["Karnofsky.Performance.Score"], file=path)
    table["expression_subtype"] = raw["Transcriptome.Subtype"]
    return table


def read_mutations(path: Path) -> pd.DataFrame:
    """The mutation table, patients x ``idh1_table, idh2_table`` (``mutated`` or ``not mutated``)."""
    raw = index_by(read_text_table(path, required=("Case_ID", "IDH1", "IDH2")), "Case_ID", file=path)
    table = pd.DataFrame(index=raw.index)
    for gene in ("IDH1", "IDH2"):
        known = {"MUTATED": "mutated", "NOT_MUTATED": "not mutated"}
        strange = raw[gene].dropna()[~raw[gene].dropna().isin(list(known))]
        if len(strange):
            raise RadlibError(
                f"{gene} of {strange.index[0]} is {strange.iloc[0]!r}, expected MUTATED or NOT_MUTATED",
                file=path,
                remedy="obtain the file again",
            )
        table[f"{gene.lower()}_table"] = raw[gene].map(known)
    return table


# Joining


def clinical_table(root: Path, collection: pd.Series) -> pd.DataFrame:
    """One row for each patient of ``collection`` with everything that the clinical and molecular tables say.

    A patient whom a table does not know has NaN there (TCGA-12-1601 is not in the CDR).
    """
    cdr = read_cdr(find_file(root, CDR, dataset="TCGA Clinical Data Resource"))
    molecular = read_ceccarelli(find_file(root, CECCARELLI, dataset="Ceccarelli 2016 molecular table"))
    mutations = read_mutations(find_file(root, MUTATIONS, dataset="TCGA mutation table"))
    table = collection.to_frame().join(cdr.drop(columns="collection")).join(molecular).join(mutations)
    # The CDR leaves the grade of glioblastoma empty: it is WHO IV by definition.
    table["grade"] = table["grade"].mask(table["collection"] == "GBM", 4.0)
    table["idh"] = table["idh_ceccarelli"]
    table["grade_group"] = table["collection"].map({"GBM": "HGG", "LGG": "LGG"})
    table.index.name = "id"
    table["person"] = table.index
    return table


def _absent(clinical: pd.DataFrame) -> list[str]:
    """A note on the patients that no clinical table knows."""
    absent = clinical.index[clinical["age"].isna() & clinical["sex"].isna()]
    return [f"Without age and sex: {', '.join(absent)}."] if len(absent) else []


def _participants(root: Path, clinical: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The participants table, with paths where the BraTS-TCGA images lie under the root too."""
    images = {subject.id: subject for subject in find_subjects(root, layouts=(BRATS_TCGA,))}
    table = clinical.copy()
    for column in ("t1", "t1ce", "t2", "flair", "seg"):
        table[column] = [images[subject].files.get(column) if subject in images else None for subject in table.index]
    with_images = int(table[["t1", "t1ce", "t2", "flair"]].notna().any(axis=1).sum())
    note = f"{with_images} of {len(table)} patients have images under the data root."
    return participants_table(table), [note]


def _varying(features: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The features with at least two different values among these patients."""
    constant = [str(column) for column in features if features[column].nunique() < 2]
    kept = features.drop(columns=constant)
    note = (
        f"{len(constant)} of {features.shape[1]} features are constant or empty in these {len(features)} patients and "
        f"left out: {', '.join(constant[:4])}{' ...' if len(constant) > 4 else ''}."
    )
    return kept, [note] if constant else []
