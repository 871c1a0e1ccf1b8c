"""Records as pandas frames, for layers that show tables and may not import pandas themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import pandas as pd

    Frame: TypeAlias = pd.DataFrame


def labelled_frame(
    records: Sequence[Mapping[str, object]], label: str, kinds: Mapping[str, str]
) -> Frame:
    """One row for each record, in their order, indexed by the field `label`.

    Args:
        records: all with the same fields.
        kinds: field -> dtype, so that a column of nothing but None has one too.
    """
    import pandas as pd

    names = records[0] if records else [label, *kinds]
    columns = {
        name: pd.Series([record[name] for record in records], dtype=kinds.get(name, "object"))
        for name in names
    }
    return pd.DataFrame(columns).set_index(label)
