"""The model card as the ``README.md`` of a Hugging Face repository: YAML metadata, then the card in Markdown.

References
----------
Hugging Face, "Model Cards" and the metadata specification ``modelcard.md`` of its hub documentation: the
``model-index`` needs a task type, a dataset's type and name, and for each metric a type and a value.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from arkwright.core.written_numbers import written
from arkwright.evaluation.card import CardTable, ModelCard
from arkwright.evaluation.intervals import Interval

UNSTATED = "Not stated."
_PIPELINES = {
    "binary": ("tabular-classification", "Tabular classification"),
    "multiclass": ("tabular-classification", "Tabular classification"),
    "regression": ("tabular-regression", "Tabular regression"),
}
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|~#])")
_BREAKS = re.compile(r"\s+")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_DECISIONS = {"go": "GO", "conditional": "CONDITIONAL", "no-go": "NO-GO"}


def render_card(card: ModelCard) -> str:
    """Return the ``README.md``.

    Names and texts from data cannot break out of it: Markdown's signs are escaped, and line breaks become spaces.
    """
    metadata = msgspec.yaml.encode(card_metadata(card)).decode()
    parts = [
        f"---\n{metadata}---",
        f"# {escaped(card.model_details.name)}, version {escaped(card.model_details.version)}",
    ]
    return "\n\n".join(part for part in (*parts, *_body(card)) if part) + "\n"


def card_metadata(card: ModelCard) -> dict[str, Any]:
    """Return the metadata block: licence, tags and the ``model-index`` with every metric that has a value."""
    details, data = card.model_details, card.evaluation_data
    pipeline, title = _PIPELINES[details.task]
    metrics = [
        {"type": item.name, "name": item.title, "value": item.value.value}
        for item in card.metrics.metrics
        if item.value.value is not None
    ]
    dataset: dict[str, Any] = {"type": data.dataset_version_id or data.name, "name": data.name}
    if data.basis == "holdout":
        dataset["split"] = "holdout"
    if data.fingerprint:
        dataset["revision"] = data.fingerprint
    metadata: dict[str, Any] = {"license": details.license} if details.license else {}
    return {
        **metadata,
        "library_name": "arkwright",
        "pipeline_tag": pipeline,
        "tags": ["arkwright", "tabular", pipeline, *([details.learner] if details.learner else [])],
        "metrics": [item["type"] for item in metrics],
        "model-index": [
            {
                "name": details.name,
                "results": [{"task": {"type": pipeline, "name": title}, "dataset": dataset, "metrics": metrics}],
            }
        ],
    }


def escaped(text: object) -> str:
    r"""Return a text that Markdown shows as it is.

    Examples
    --------
    >>> escaped("a|b <i> *c*\n# d")
    'a\\|b \\<i\\> \\*c\\* \\# d'
    """
    return _SPECIAL.sub(r"\\\1", _BREAKS.sub(" ", _CONTROL.sub("\ufffd", str(text)))).strip()


def figure(found: Interval) -> str:
    """Write a number with its interval, or why there is none.

    Examples
    --------
    >>> figure(Interval(value=0.81234, low=0.7, high=0.9))
    '0.8123 (0.7 to 0.9)'
    """
    if found.value is None:
        return f"not computable, because {found.reason}" if found.reason else "not computable"
    bounds = "" if found.low is None or found.high is None else f" ({written(found.low)} to {written(found.high)})"
    return f"{written(found.value)}{bounds}"


def _body(card: ModelCard) -> list[str]:
    details, uses, factors, measures = card.model_details, card.intended_use, card.factors, card.metrics
    quantitative, verdict = card.quantitative_analyses, card.verdict
    return [
        f"**{_DECISIONS[verdict.decision]}**, confidence {verdict.confidence}. {escaped(verdict.confidence_reason)}",
        "\n".join("\n  ".join((_list([item.text]), *map(_point, item.points))) for item in verdict.reasons),
        "## In plain words",
        _list(item.text for item in card.summary),
        "## Model details",
        escaped(details.description) if details.description else "",
        _facts(
            {
                "Predicts": f"{details.target} ({details.task})",
                "Classes": ", ".join(str(label) for label in details.classes),
                "Inputs": ", ".join(details.inputs),
                "Learner": details.learner,
                "Version": f"{details.version} (number {details.number}, {details.model_version_id})",
                "Bundle": details.bundle_digest,
                "Developed by": ", ".join(details.developers) or UNSTATED,
                "License": details.license or UNSTATED,
                "Contact": details.contact or UNSTATED,
                "Card written": details.created_at,
            }
        ),
        "## Intended use",
        "### Primary uses",
        _list(uses.primary_uses or (UNSTATED,)),
        "### Primary users",
        _list(uses.primary_users or (UNSTATED,)),
        "### Out of scope",
        _list(uses.out_of_scope or (UNSTATED,)),
        "## Factors",
        "### Relevant",
        _list(factors.relevant or ("None were declared or found.",)),
        "### Evaluated",
        _list(factors.evaluated or (factors.reason,)),
        "## Metrics",
        f"The metric that decides is {escaped(measures.primary)}. {escaped(measures.decision_threshold)}",
        escaped(measures.uncertainty),
        _rows(
            ("Metric", "Model", "Trivial model"),
            [
                (item.title, figure(item.value), "" if item.trivial is None else written(item.trivial))
                for item in measures.metrics
            ],
        ),
        "## Evaluation data",
        _facts(evaluation_facts(card)),
        "## Training data",
        _facts({name.replace("_", " "): value for name, value in card.training_data.items()}),
        "## Quantitative analyses",
        "### One factor at a time",
        *(_table(item) for item in quantitative.unitary),
        escaped(quantitative.unitary_reason),
        "### Two factors together",
        *(_table(item) for item in quantitative.intersectional),
        escaped(quantitative.intersectional_reason),
        "## Ethical considerations",
        _list(card.ethical_considerations),
        "## Caveats and recommendations",
        _list(card.caveats_and_recommendations or ("None.",)),
        "### To watch in production",
        _list(card.monitoring or ("Nothing was derived.",)),
    ]


_BASIS = {
    "holdout": "rows kept out of training",
    "given": "rows that somebody gave",
    "training": "the data it was trained on",
}


def evaluation_facts(card: ModelCard) -> dict[str, str]:
    """Name the rows a card's numbers come from."""
    data = card.evaluation_data
    return {
        "Data": data.name,
        "Rows": f"{data.n_rows_used:,} used of {data.n_rows:,}",
        "Basis": _BASIS[data.basis],
        "Dataset version": data.dataset_version_id,
        "Fingerprint": data.fingerprint,
        "Sensitive columns": ", ".join(data.sensitive) or "none declared",
    }


def _list(items: Iterable[str]) -> str:
    return "\n".join(map(_point, items))


def _point(text: str) -> str:
    return f"- {escaped(text)}"


def _facts(pairs: dict[str, str]) -> str:
    return "\n".join(f"- **{escaped(name)}:** {escaped(value)}" for name, value in pairs.items() if value)


def _table(table: CardTable) -> str:
    rows = [
        (f"{group.group} (small)" if group.small else group.group, f"{group.n_rows:,}", *map(figure, group.figures))
        for group in table.groups
    ]
    return _rows((f"By {table.by}", "Rows", *table.figures), rows)


def _rows(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [headings, *rows]
    written = [f"| {' | '.join(escaped(cell) for cell in line)} |" for line in lines]
    return "\n".join([written[0], f"|{'---|' * len(headings)}", *written[1:]])
