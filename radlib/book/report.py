"""What a chapter shows and leaves behind.

Every table, figure, value and sentence goes through a :class:`Report`. It writes the run directory and shows each
thing twice in one output: as HTML for JupyterLab, and as MyST for the book, where tables and figures are numbered,
can be referred to and downloaded. Both come from the same numbers.
"""

from __future__ import annotations

import base64
import html
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from radlib.book.parameters import COMMON
from radlib.book.prepare import command_now, make_lacking, parameters_now, sizes_to_take, take_sizes
from radlib.book.provenance import describe
from radlib.book.registry import chapters
from radlib.book.results import Measured, Results, Source, measured_rows, source_of
from radlib.core.device import peak_memory_bytes
from radlib.core.errors import RadlibError
from radlib.core.files import atomic_path, write_json
from radlib.core.paths import cohort_slug, lab_dir, run_dir
from radlib.core.settings import in_lab
from radlib.plots.style import set_style
from radlib.stats.tables import as_text, format_interval, to_markdown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from radlib.study.studies import Study

#: Rows of a table that is shown without a click.
MOST_ROWS = 15
_INTERVAL = re.compile(r"\((\S+) to (\S+)\)")  # where a column is narrow it stands below its value
NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass
class Report:
    """The results of one chapter's run. Make one with :meth:`start`, end with :meth:`finish`.

    Attributes:
        chapter: name of the chapter, e.g. ``survival_tcga``.
        cohort: ``simulated``, ``real`` or the path of a cohort description.
        profile: ``smoke``, ``default`` or ``paper``.
        seed: the seed of the run.
        directory: the run directory.
    """

    chapter: str
    cohort: str
    profile: str
    seed: int
    directory: Path
    provenance: dict[str, Any]
    started: float
    values: dict[str, dict[str, Any]] = field(default_factory=dict)
    tables: dict[str, dict[str, str]] = field(default_factory=dict)
    figures: dict[str, dict[str, str]] = field(default_factory=dict)
    pages: dict[str, dict[str, str]] = field(default_factory=dict)
    measurements: list[Measured] = field(default_factory=list)
    jobs: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def start(cls, chapter: str, *, cohort: str, profile: str, seed: int) -> Report:
        """Open the run directory, set the figure style and show the banner.

        In JupyterLab also what a run from the command line does before: the parameters that the notebook left as the
        book has them get the values of the profile, and simulated cohorts that lack are made.
        """
        set_style()
        if in_lab() and chapter in chapters():
            _show_sizes(take_sizes(chapter, cohort=cohort, profile=profile), profile=profile)
            make_lacking(chapters()[chapter], cohort=cohort, profile=profile)
        place = lab_dir if in_lab() else run_dir
        directory = place(cohort=cohort, profile=profile, chapter=chapter)
        for folder in ("tables", "figures", "pages", "arrays"):
            (directory / folder).mkdir(parents=True, exist_ok=True)
        report = cls(
            chapter=chapter,
            cohort=cohort,
            profile=profile,
            seed=seed,
            directory=directory,
            provenance=describe(),
            started=time.monotonic(),
        )
        report._banner()
        return report

    @property
    def source(self) -> Source:
        """Where the data come from; the ledger keeps the three apart."""
        return source_of(self.cohort)

    # --- what a chapter shows -------------------------------------------------------------------------------------

    def table(
        self,
        name: str,
        frame: pd.DataFrame,
        *,
        caption: str,
        digits: int | Mapping[str, int] = 3,
        index: bool = True,
        fold: bool | None = None,
    ) -> None:
        """Show a numbered table and write it as CSV at full precision.

        Args:
            name: short name; the label is ``tbl-<chapter>-<name>``.
            frame: the table. A MultiIndex on the columns is flattened for display.
            caption: one or more sentences.
            digits: decimals, for all columns or by column.
            index: show the index as the first column(s).
            fold: show the first sentence of the caption, which opens to the table; None does so from 16 rows on.
        """
        self._claim(name, self.tables, "table")
        file = f"tables/{name}.csv"
        with atomic_path(self.directory / file) as temporary:
            frame.to_csv(temporary, index=index)
        self.tables[name] = {"file": file, "caption": caption}
        text = as_text(frame, digits=digits, index=index)
        text = text.replace(_INTERVAL, "(\\1\N{NO-BREAK SPACE}to\N{NO-BREAK SPACE}\\2)", regex=True)
        myst = (
            # A fence of tildes: a caption may hold backticks, which end a fence of backticks.
            f"~~~{{table}} {_one_line(caption)}\n:name: tbl-{self._slug}-{name}\n:class: result\n\n"
            f"{to_markdown(text)}\n~~~\n\n"
            f"```{{div}} download\n{{download}}`CSV of this table <{self.chapter}/{file}>`\n```\n"
        )
        lab = (
            f"<p><em>{html.escape(caption)}</em></p>"
            f"{text.to_html(index=False, border=0)}<p><small>{html.escape(str(self.directory / file))}</small></p>"
        )
        if fold or (fold is None and len(text) > MOST_ROWS):
            first = re.split(r"(?<=[.?])\s", _one_line(caption))[0]
            title = f"{first.rstrip('.')} ({len(text)} rows)"
            myst = f":::{{dropdown}} {title}\n{myst}:::\n"
            lab = f"<details><summary>{html.escape(title)}</summary>{lab}</details>"
        show_output(myst, lab, f"{caption}\n{text.to_string(index=False)}")

    def figure(self, name: str, figure: Figure, *, caption: str, alt: str, dpi: int = 150) -> None:
        """Show a numbered figure, write it as PNG and close it.

        Args:
            name: short name; the label is ``fig-<chapter>-<name>``.
            figure: a matplotlib figure.
            caption: one or more sentences.
            alt: what a reader who cannot see the figure needs to know.
            dpi: dots per inch of the file.
        """
        import matplotlib.pyplot as plt

        self._claim(name, self.figures, "figure")
        if not alt.strip():
            raise RadlibError(f"figure {name!r} has no text for those who cannot see it", remedy="give `alt`")
        file = f"figures/{name}.png"
        with atomic_path(self.directory / file) as temporary:
            figure.savefig(temporary, dpi=dpi, format="png", metadata={"Software": None})
        plt.close(figure)
        self.figures[name] = {"file": file, "caption": caption, "alt": alt}
        myst = (
            f"```{{figure}} {self.chapter}/{file}\n:name: fig-{self._slug}-{name}\n"
            f":alt: {_one_line(alt)}\n:width: 100%\n\n"
            f"{_one_line(caption)}\n```\n"
        )
        picture = base64.b64encode((self.directory / file).read_bytes()).decode()
        lab = (
            f'<figure><img style="max-width:100%" alt="{html.escape(alt)}" src="data:image/png;base64,{picture}">'
            f"<figcaption>{html.escape(caption)}</figcaption></figure>"
        )
        show_output(myst, lab, f"[figure: {caption}]")

    def page(self, name: str, content: str, *, title: str) -> None:
        """Show a self-contained HTML page (an interactive viewer) in a frame.

        Args:
            name: short name of the file.
            content: a whole HTML document that loads nothing from anywhere.
            title: what the frame holds, for assistive technology.
        """
        self._claim(name, self.pages, "page")
        file = f"pages/{name}.html"
        with atomic_path(self.directory / file) as temporary:
            temporary.write_text(content, encoding="utf-8")
        self.pages[name] = {"file": file, "title": title}
        # Pictures that stand side by side on a screen stand below one another on a phone, and so do their controls.
        style = "width:100%;height:clamp(340px,60rem - 100vw,580px);border:0"
        frame = f'<iframe title="{html.escape(title)}" loading="lazy" style="{style}"'
        show_output(
            f'```{{raw}} html\n{frame} src="{self.chapter}/{file}"></iframe>\n```\n',
            f'{frame} srcdoc="{html.escape(content)}"></iframe>',
            f"[page: {title}]",
        )

    def sentence(self, text: str) -> None:
        """Show a paragraph of MyST whose numbers come from results; an empty one is not shown."""
        if text.strip():
            show_output(text, None, text)

    def study(self, study: Study) -> None:
        """Compute what a study lacks, and say where its jobs come from and what they cost.

        Raises:
            RadlibError: if in JupyterLab the parameters are no longer those of this report.
        """
        self._check_parameters()
        study.run()
        self.jobs[study.name] = [job.fingerprint for job in study.jobs()]
        show_output(f":::{{div}} provenance\n{study.provenance()}\n:::\n", None, study.provenance())

    def beginning(self, study: Study) -> None:
        """Compute the first steps of one of a study's trainings here and now, and lay them over its kept course.

        Raises:
            RadlibError: if they are not those of the history (:func:`radlib.study.live.check_beginning`).
        """
        from radlib.plots.curves import beginning_figure
        from radlib.study.live import check_beginning

        found = check_beginning(study)
        count = found.steps["step"].nunique()
        self.figure(
            f"beginning-{study.name.replace('_', '-')}", beginning_figure(found.result.history, found.steps),
            caption=f"The first {count} steps of a training of the study {study.name}, computed when this page was "
            f"made (points), over its {'kept ' if found.result.origin == 'kept' else ''}history (line). The largest "
            f"difference is {found.largest:.1e} of the largest value.",
            alt="A line of the loss over the steps of a training, with points for the first steps computed anew.",
        )  # fmt: skip

    def note(self, text: str, *, kind: Literal["note", "warning", "important", "tip"] = "note") -> None:
        """Show an admonition."""
        show_output(f":::{{{kind}}}\n{text}\n:::\n", f"<blockquote>{html.escape(text)}</blockquote>", text)

    # --- what a chapter keeps -------------------------------------------------------------------------------------

    def value(
        self,
        name: str,
        value: float,
        *,
        low: float | None = None,
        high: float | None = None,
        n: int | None = None,
        unit: str = "",
        digits: int = 3,
    ) -> None:
        """Keep a named number; :meth:`text` gives it back as formatted text."""
        self._claim(name, self.values, "value")
        self.values[name] = {
            "value": value, "low": low, "high": high, "n": n, "unit": unit,
            "text": format_interval(value, low, high, digits=digits) + (f" {unit}" if unit else ""),
        }  # fmt: skip

    def text(self, name: str) -> str:
        """A kept value as text, e.g. ``0.871 (0.802 to 0.921)``."""
        if name not in self.values:
            raise RadlibError(
                f"no value {name!r} was kept in this report", remedy="call report.value before report.text"
            )
        return self.values[name]["text"]

    def measured(self, study: str, frame: pd.DataFrame, *, protocol: str | None = None) -> None:
        """Hand over what a study measured. ``data_manifests/papers`` says which of it stands beside which print.

        Args:
            study: a short slug such as ``segmentation``; its full name is ``<chapter>.<study>``. A study may be handed
                over in parts.
            frame: one row a number: ``arm, metric, group, value, low, high, n``; optionally ``minus`` (the arm
                subtracted, in a paired contrast), ``runs, protocol, unit, note``. See
                :class:`radlib.book.results.Measured`. ``low`` and ``high`` may both be NaN.
            protocol: of all rows, where the frame has no such column.

        Raises:
            RadlibError: if a column lacks, a value is not finite, or a number is handed over twice; it is named.
        """
        if not NAME.fullmatch(study):
            raise RadlibError(f"{study!r} is no name for a study", remedy="use lower case, digits and hyphens")
        taken = {one.place for one in self.measurements}
        for one in measured_rows(study, frame, protocol=protocol):
            if one.place in taken and not in_lab():
                raise RadlibError(f"measured twice: {', '.join(part for part in one.place if part)}")
            taken.add(one.place)
            self.measurements = [*(other for other in self.measurements if other.place != one.place), one]

    def results(self) -> Results:
        """What ``results.json`` will hold, as it is by now."""
        return Results(
            chapter=self.chapter, cohort=cohort_slug(self.cohort), source=self.source, profile=self.profile,
            seed=self.seed, values=self.values, tables=self.tables, figures=self.figures, pages=self.pages,
            measured=tuple(self.measurements), jobs=self.jobs,
        )  # fmt: skip

    def finish(self) -> None:
        """Write ``results.json`` and ``provenance.json``. The last cell of a chapter calls it."""
        self._check_parameters()
        self.provenance["wall_seconds"] = round(time.monotonic() - self.started, 1)
        self.provenance["peak_memory_bytes"] = peak_memory_bytes()
        write_json(self.directory / "provenance.json", self.provenance)
        write_json(self.directory / "results.json", self.results().model_dump())
        counts = {"tables": self.tables, "figures": self.figures, "measured values": self.measurements}
        written = ", ".join(f"{len(items)} {name}" for name, items in counts.items())
        if not in_lab():
            show_output(f"*{written} written.*", None, f"{written}: {self.directory}")
            return
        write_json(self.directory / "parameters.json", parameters_now(self.chapter))
        changed = f"radlib chapter diff {self.chapter} --cohort {self.cohort} --profile {self.profile}"
        same = command_now(self.chapter, cohort=self.cohort, profile=self.profile, seed=self.seed)
        lines = [f"{written}, in {self.directory}; the book's run is as it was."]
        lines += [f"What has changed against it: !{changed}", f"The same run for the book: !{same}"]
        lab = "<br>".join(html.escape(line) for line in lines)
        show_output("\n\n".join(lines), f"<p>{lab}</p>", "\n".join(lines))

    # --- parts ----------------------------------------------------------------------------------------------------

    @property
    def _slug(self) -> str:
        return self.chapter.replace("_", "-")

    def _claim(self, name: str, taken: Mapping[str, Any], kind: str) -> None:
        if kind != "value" and not NAME.fullmatch(name):
            raise RadlibError(f"{name!r} is no name for a {kind}", remedy="use lower case, digits and hyphens")
        if name in taken and not in_lab():  # where a cell may be run twice
            raise RadlibError(
                f"this report already has a {kind} {name!r}",
                remedy="give it another name, or restart the kernel to run the chapter again",
            )

    def _check_parameters(self) -> None:
        """In JupyterLab, where the parameters may be set again later: sizes and cohort are those of this report."""
        if not in_lab() or self.chapter not in chapters():
            return
        mine = {"cohort": self.cohort, "profile": self.profile, "seed": self.seed}
        now = {name: value for name, value in parameters_now(self.chapter).items() if name in COMMON}
        if {**mine, **now} != mine or sizes_to_take(self.chapter, cohort=self.cohort, profile=self.profile):
            raise RadlibError(
                "the parameters were set again after the report was started",
                remedy="run the cell below the parameters too (it starts the report), then those behind it",
            )

    def _banner(self) -> None:
        versions = self.provenance["versions"]
        parts = [
            f"cohort **{cohort_slug(self.cohort)}**",
            f"profile **{self.profile}**",
            f"seed {self.seed}",
            self.provenance["device"],
            f"Python {versions['python']}, torch {versions.get('torch', '–')}, radlib {versions.get('radlib', '–')}",
            f"commit {self.provenance['commit']}",
        ]
        line = " · ".join(parts)
        small = {
            "smoke": " The smoke profile only shows that everything runs: its numbers mean nothing.",
            "paper": "",
        }.get(self.profile, "")
        show_output(
            f":::{{div}} run-banner\n{line}<!--wall-time-->.{small}\n:::\n",
            f"<p><small>{html.escape(line.replace('**', ''))}.{small}</small></p>",
            line.replace("**", ""),
        )


def _show_sizes(sizes: Mapping[str, Any], *, profile: str) -> None:
    if sizes:
        text = f"Profile {profile} sets {', '.join(f'{name} = {value!r}' for name, value in sizes.items())}."
        show_output(text, f"<p>{html.escape(text)}</p>", text)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def show_output(myst: str, lab: str | None, plain: str) -> None:
    """One output with MyST for the book and HTML for JupyterLab; plain text outside a notebook."""
    from IPython import get_ipython

    if get_ipython() is None:  # a plain script or a test
        print(plain)
        return
    from IPython.display import publish_display_data

    bundle = {"text/markdown": myst, "text/plain": plain}
    if lab is not None:
        bundle["text/html"] = lab  # JupyterLab prefers HTML, the book is told to prefer Markdown
    publish_display_data(bundle)
