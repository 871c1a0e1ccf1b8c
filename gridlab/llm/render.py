"""A report as Markdown and as a piece of HTML; whatever a model wrote is escaped in both."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape
from typing import Any, Final

from gridlab.llm.facts import Language
from gridlab.llm.writing import Written

_MARKS: Final = re.compile(r"([\\`*_\[\]|<>~&])|^([#+=-])|(?<=^\d)([.)])")
_BY: Final[dict[Language, tuple[str, str, str]]] = {
    "en": ("Summary by {author}", "Summary by template: {reason}", "To look at"),
    "pt": ("Resumo por {author}", "Resumo por modelo de texto: {reason}", "Pontos de atenção"),
}


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a head; every cell is text."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Report:
    """A whole report: a summary in words, tables of facts, points to look at."""

    kind: str
    language: Language
    title: str
    made: str
    summary: Written
    tables: tuple[Table, ...]
    points: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able, in words and as Markdown and HTML."""
        return {
            **self.summary.to_dict(),
            "kind": str(self.kind),
            "title": self.title,
            "made_at": self.made,
            "points": list(self.points),
            "markdown": markdown(self),
            "html": html(self),
        }

    def _repr_html_(self) -> str:
        return html(self)

    def __repr__(self) -> str:
        return markdown(self)


def markdown(report: Report) -> str:
    """The report as Markdown (GitHub's tables); every mark inside a text is escaped."""
    lines = [f"# {_plain(report.title)}", "", _plain(report.made), ""]
    lines += [_plain(report.summary.text), "", f"*{_plain(byline(report.summary))}*", ""]
    for table in report.tables:
        lines += [f"## {_plain(table.title)}", "", *_markdown_table(table), ""]
    lines += [f"## {_BY[report.language][2]}", ""]
    lines += [f"- {_plain(point)}" for point in report.points]
    return "\n".join(lines) + "\n"


def html(report: Report) -> str:
    """The report as one `<article>` without scripts, styles or links."""
    parts = [f'<article lang="{report.language}">', f"<h1>{escape(report.title)}</h1>"]
    parts += [f"<p>{escape(report.made)}</p>", f"<p>{escape(report.summary.text)}</p>"]
    parts.append(f"<p><em>{escape(byline(report.summary))}</em></p>")
    for table in report.tables:
        parts += [f"<h2>{escape(table.title)}</h2>", _html_table(table)]
    points = "".join(f"<li>{escape(point)}</li>" for point in report.points)
    parts.append(f"<h2>{_BY[report.language][2]}</h2><ul>{points}</ul></article>")
    return "\n".join(parts)


def byline(summary: Written) -> str:
    """Who wrote the summary, and why no model did."""
    by_model, by_template, _ = _BY[summary.language]
    if summary.is_by_model:
        return by_model.format(author=summary.author)
    return by_template.format(reason=summary.refusal)


def _plain(text: str) -> str:
    """`text` on one line, with nothing that Markdown or HTML would act on."""
    return _MARKS.sub(r"\\\g<0>", " ".join(text.split()))


def _markdown_table(table: Table) -> list[str]:
    rows = [table.head, tuple("---" for _ in table.head), *table.rows]
    return [
        "| " + " | ".join(cell if n == 1 else _plain(cell) for cell in row) + " |"
        for n, row in enumerate(rows)
    ]


def _html_table(table: Table) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in table.head)
    rows = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in table.rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
