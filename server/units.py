"""Numbers with units as users write them: "250ms", "20MB", "50M".

This file knows no setting. It reads a text into a plain number (seconds, bytes, pixels) and writes it back.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

__all__ = [
    "COUNT",
    "DURATION",
    "HOUR",
    "MB",
    "MINUTE",
    "NUMBER",
    "PERIOD",
    "PIXELS",
    "SIZE",
    "SWITCH",
    "Kind",
    "Number",
    "Switch",
]

MB = 1_000_000
MINUTE = 60
HOUR = 60 * MINUTE

TOO_LARGE = 10**15  # a petabyte, thirty million years: a slip, and below it all arithmetic here is exact


@dataclass(frozen=True, eq=False, slots=True)
class Kind:
    """What a value is: what the help and the error texts call it."""

    metavar: str
    noun: str
    examples: str = ""

    def show(self, value: object) -> str:
        """Write a value as a user would."""
        return str(value)


@dataclass(frozen=True, eq=False, slots=True)
class Number(Kind):
    """A number with units: reads what a user wrote, and writes it back in the largest unit that is exact."""

    units: Mapping[str, Decimal] = field(default_factory=dict)  # suffix -> factor; none is needed
    whole: bool = True

    def read(self, given: object) -> float:
        """Give the number behind a text, an integer or a float.

        Raises:
            ValueError: if it is no finite number in a known unit, or not a whole one where it has to be.
        """
        amount = self._amount(given)
        if amount >= TOO_LARGE:
            raise ValueError("that is too large")
        if not self.whole:
            return float(amount)
        if amount != amount.to_integral_value():
            raise ValueError("that is not a whole number")
        return int(amount)

    def show(self, value: object) -> str:
        amount = Decimal(str(value))
        largest_first = sorted(self.units.items(), key=lambda unit: unit[1], reverse=True)
        exact = (unit for unit in largest_first if amount and amount % unit[1] == 0)
        suffix, factor = next(exact, ("", Decimal(1)))
        return f"{(amount / factor).normalize():f}{suffix}"

    def _amount(self, given: object) -> Decimal:
        if isinstance(given, str):
            return self._amount_in_text(given.strip())
        if isinstance(given, bool) or not isinstance(given, int | float):
            raise ValueError("that is not a number")
        amount = Decimal(str(given))
        if not amount.is_finite():
            raise ValueError("that is not a finite number")
        return amount

    def _amount_in_text(self, text: str) -> Decimal:
        # No sign, no exponent, no "nan" or "inf".
        match = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]{1,9})?) ?([A-Za-z]*)", text)
        if match is None:
            raise ValueError("that is not a number")
        amount, suffix = match.groups()
        if suffix and suffix not in self.units:
            known = ", ".join(self.units) or "none"
            raise ValueError(f"the unit {suffix!r} is unknown here (known: {known})")
        return Decimal(amount) * (self.units[suffix] if suffix else 1)


def _units(**factors: float) -> Mapping[str, Decimal]:
    return {suffix: Decimal(str(factor)) for suffix, factor in factors.items()}


@dataclass(frozen=True, eq=False, slots=True)
class Switch(Kind):
    """On or off."""

    def read(self, given: object) -> bool:
        """Raises: ValueError if it is neither."""
        word = str(given).strip().lower()
        if word not in ("true", "false", "on", "off", "yes", "no", "1", "0"):
            raise ValueError("that is neither")
        return word in ("true", "on", "yes", "1")

    def show(self, value: object) -> str:
        return "on" if value else "off"


SWITCH = Switch("on|off", "on or off")
COUNT = Number("NUMBER", "a whole number")
NUMBER = Number("NUMBER", "a number", whole=False)
DURATION = Number(
    "DURATION",
    "a duration",
    "250ms, 1s, 2m or plain seconds",
    _units(ms=0.001, s=1, m=60, h=HOUR),
    whole=False,
)
PERIOD = Number(
    "DURATION",
    "a duration",
    "12h or 30d",
    _units(s=1, m=60, h=HOUR, d=24 * HOUR),
    whole=False,
)
SIZE = Number(
    "SIZE", "a size", "20MB, 20MiB, 1kB or plain bytes",
    _units(B=1, kB=10**3, MB=10**6, GB=10**9, KiB=2**10, MiB=2**20, GiB=2**30),
)  # fmt: skip
PIXELS = Number("PIXELS", "a number of pixels", "50M, 50Mpx or plain pixels", _units(px=1, M=10**6, Mpx=10**6))
