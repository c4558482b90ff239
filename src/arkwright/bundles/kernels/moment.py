"""Moments in time, split into parts that a model can use."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from arkwright.bundles.cells import NAN, CellWriter, FloatArray, as_moments, missing_column, parse_moment
from arkwright.bundles.kernels.scale import Scale

PARTS = ("year", "month", "day", "weekday", "hour", "epoch days")
"""Weekday 0 is Monday; epoch days count whole days since 1970-01-01. All in UTC."""

_EPOCH_ORDINAL = 719_163  # date(1970, 1, 1).toordinal()


def _parts_of_column(values: npt.NDArray[Any]) -> FloatArray:
    moments = as_moments(values)
    missing = np.isnat(moments)
    moments = np.where(missing, np.datetime64(0, "us"), moments)
    days = moments.astype("datetime64[D]").astype(np.int64)
    months = moments.astype("datetime64[M]")
    month_numbers = months.astype(np.int64)
    parts = np.empty((moments.size, len(PARTS)))
    parts[:, 0] = month_numbers // 12 + 1970
    parts[:, 1] = month_numbers % 12 + 1
    parts[:, 2] = days - months.astype("datetime64[D]").astype(np.int64) + 1
    parts[:, 3] = (days + 3) % 7
    parts[:, 4] = moments.astype("datetime64[h]").astype(np.int64) - days * 24
    parts[:, 5] = days
    parts[missing] = NAN
    return parts


def _parts_of_text(text: str) -> tuple[float, ...]:
    moment = parse_moment(text)
    day_number = moment.toordinal() - _EPOCH_ORDINAL
    return (
        float(moment.year),
        float(moment.month),
        float(moment.day),
        float((day_number + 3) % 7),
        float(moment.hour),
        float(day_number),
    )


class MomentParts(msgspec.Struct, frozen=True, kw_only=True, tag_field="kernel", tag="moment_parts"):
    """The parts as they are; missing is NaN in each."""

    column: str

    @classmethod
    def fit(cls, column: str, values: npt.NDArray[Any]) -> MomentParts:  # noqa: ARG003 - nothing to learn
        """There is nothing to learn."""
        return cls(column=column)

    @property
    def outputs(self) -> tuple[str, ...]:
        """One name per part."""
        return tuple(f"{self.column} {part}" for part in PARTS)

    @property
    def categorical(self) -> bool:
        """They are quantities."""
        return False

    def missing_column(self, n_rows: int) -> npt.NDArray[Any]:
        """All NaT."""
        return missing_column("time", n_rows)

    def encode_column(self, values: npt.NDArray[Any], out: FloatArray) -> None:
        """Split the column."""
        out[:] = _parts_of_column(values)

    def cell_writer(self, at: int) -> CellWriter:
        """Return a function that splits one moment."""
        to, missing = at + len(PARTS), (NAN,) * len(PARTS)

        def write(value: Any, out: list[float]) -> None:
            out[at:to] = missing if value is None else _parts_of_text(value)

        return write


class ScaledMoment(msgspec.Struct, frozen=True, kw_only=True, tag_field="kernel", tag="scaled_moment"):
    """The parts imputed, standardised and clipped, with one indicator where training had missing cells."""

    column: str
    scales: tuple[Scale, ...]
    indicator: bool

    @classmethod
    def fit(cls, column: str, values: npt.NDArray[Any]) -> ScaledMoment:
        """Fit a scale for each part."""
        parts = _parts_of_column(values)
        return cls(
            column=column,
            scales=tuple(Scale.fit(parts[:, index]) for index in range(len(PARTS))),
            indicator=bool(np.isnan(parts).any()),
        )

    @property
    def outputs(self) -> tuple[str, ...]:
        """One name per part, and the indicator."""
        names = tuple(f"{self.column} {part}" for part in PARTS)
        return (*names, f"{self.column} is missing") if self.indicator else names

    @property
    def categorical(self) -> bool:
        """They are quantities."""
        return False

    def missing_column(self, n_rows: int) -> npt.NDArray[Any]:
        """All NaT."""
        return missing_column("time", n_rows)

    def encode_column(self, values: npt.NDArray[Any], out: FloatArray) -> None:
        """Split and scale the column."""
        parts = _parts_of_column(values)
        missing = np.isnan(parts[:, 0])
        for index, scale in enumerate(self.scales):
            out[:, index] = scale.apply(parts[:, index], missing)
        if self.indicator:
            out[:, len(PARTS)] = missing

    def cell_writer(self, at: int) -> CellWriter:
        """Return a function that splits and scales one moment."""
        indicator, to = self.indicator, at + len(PARTS)
        applies = tuple(scale.apply_one for scale in self.scales)
        filled = [apply(NAN) for apply in applies]

        def write(value: Any, out: list[float]) -> None:
            if value is None:
                out[at:to] = filled
                if indicator:
                    out[to] = 1.0
            else:
                out[at:to] = [apply(part) for apply, part in zip(applies, _parts_of_text(value), strict=True)]

        return write
