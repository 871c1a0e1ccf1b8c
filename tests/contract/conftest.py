"""Failures inside the shipped suite are shown with their values, as in a test module."""

import pytest

pytest.register_assert_rewrite(
    *(
        f"gridlab.testing.exchange_contract_{part}"
        for part in ("desk", "fills", "futures", "orders", "parts", "refusals", "spot")
    )
)
