"""What models cost, as the user says: there is no table of ours that could be out of date."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Self

Amount = str | int | Decimal

_MILLION = 1_000_000
_DATED = re.compile(r"(.+)-\d{4}-?\d{2}-?\d{2}")
_MOST, _FINEST = 1_000_000, -12


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """US dollars for a million tokens; `cached_input` is that of input tokens from a cache."""

    input: Decimal
    output: Decimal
    cached_input: Decimal

    def cost(
        self, *, input_tokens: int, output_tokens: int, cached_input_tokens: int = 0
    ) -> Fraction:
        """US dollars for one call, exact. Cached tokens are part of the input tokens."""
        cached = min(cached_input_tokens, input_tokens)
        # Fractions: what a Decimal does, rounding and raising, the agent's own context decides.
        total = (
            Fraction(self.input) * (input_tokens - cached)
            + Fraction(self.cached_input) * cached
            + Fraction(self.output) * output_tokens
        )
        return total / _MILLION


class Prices:
    """Prices by the name of the model."""

    def __init__(self, table: Mapping[str, Price]) -> None:
        self._table = dict(table)

    @classmethod
    def of(cls, table: Mapping[str, Mapping[str, Amount]]) -> Self:
        """From `{"model": {"input": "2.50", "output": "10", "cached_input": "1.25"}}`.

        Without `cached_input` cached tokens cost what others do.

        Raises:
            ValueError: naming the model and the field.
        """
        return cls({model: _price(model, given) for model, given in table.items()})

    def find(self, models: Iterable[str]) -> Price | None:
        """The price under the first of the names that has one; None: not known.

        A name that ends with a date (`m-2026-01-31`) has the price of the name before it, unless it
        has its own.
        """
        for model in models:
            if model in self._table:
                return self._table[model]
            dated = _DATED.fullmatch(model)
            if dated and dated[1] in self._table:
                return self._table[dated[1]]
        return None


def _price(model: str, given: Mapping[str, Amount]) -> Price:
    fields = set(given) if isinstance(given, Mapping) else set()
    if not {"input", "output"} <= fields <= {"input", "output", "cached_input"}:
        raise ValueError(
            f"prices[{model!r}] must have input and output, and may have cached_input: US dollars "
            "for a million tokens"
        )
    amounts = {name: _amount(f"prices[{model!r}].{name}", given[name]) for name in given}
    return Price(
        input=amounts["input"],
        output=amounts["output"],
        cached_input=amounts.get("cached_input", amounts["input"]),
    )


def _amount(field: str, value: Amount) -> Decimal:
    # No float: 0.1 is not a tenth, and whoever writes prices should not have to know.
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise ValueError(f'{field} is {value!r:.40}; it must be a decimal such as "2.50"')
    try:
        amount = Decimal(value)
    except InvalidOperation:
        amount = Decimal("NaN")
    exponent = amount.as_tuple().exponent
    fine = not isinstance(exponent, int) or exponent < _FINEST
    if fine or not 0 <= amount <= _MOST:
        raise ValueError(
            f'{field} is {value!r:.40}; it must be a decimal from 0 to {_MOST}, such as "2.50"'
        )
    return amount
