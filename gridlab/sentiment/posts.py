"""`Post`: one text that somebody published, with the two times that decide what was known when.

`published_ms` is what its source says; `seen_ms` is when this process first had it. A study that
asks what could have been acted on goes by `seen_ms`, because a source may date a text back.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import asdict, dataclass
from typing import Any, Final

from gridlab.errors import InvalidInput

#: Longer texts are cut: nobody's opinion needs more, and a model reads less of it anyway.
LONGEST_TEXT: Final = 5_000
#: A source's clock may be ahead of ours by so much; what is dated later was not published yet.
TOLERATED_AHEAD_MS: Final = 300_000
_LINK = re.compile(r"(?:https?://|www\.)\S+")
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Post:
    """One text.

    Args:
        source: such as `reddit` or `binance_news`.
        kind: `post`, `comment`, `announcement`, `news`, `trending`.
        post_id: the source's own name for it.
        text: title and body, cleaned, at most `LONGEST_TEXT` characters.
        published_ms: as the source says. seen_ms: when it was first read here; never earlier.
        url: where people find it; empty when nowhere.
        weight: how much it counts beside others of its source, above 0.

    Raises:
        InvalidInput: no text, no id, or a text that is dated after it was seen.
    """

    source: str
    kind: str
    post_id: str
    text: str
    published_ms: int
    seen_ms: int
    url: str = ""
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not self.text or not self.post_id:
            raise InvalidInput(f"a post of {self.source} has no text or no id")
        if self.published_ms > self.seen_ms:
            raise InvalidInput(
                f"{self.source} {self.post_id} is dated {self.published_ms}, after it was seen at "
                f"{self.seen_ms}"
            )

    @property
    def key(self) -> str:
        """What two posts share that say the same: a hash of their words, links left out."""
        return text_key(self.text)

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


def post_of(
    source: str,
    kind: str,
    post_id: str,
    text: str,
    *,
    published_ms: int,
    now_ms: int,
    url: str = "",
    weight: float = 1.0,
) -> Post | None:
    """A post that is seen now; None when nothing is left of its text, or it is of the future.

    A source whose clock is a little ahead is believed, and its post dated now.
    """
    clean = cleaned(text)
    if not clean or published_ms > now_ms + TOLERATED_AHEAD_MS:
        return None
    return Post(source, kind, post_id, clean, min(published_ms, now_ms), now_ms, url, weight)


def cleaned(text: str) -> str:
    """`text` without control, format and lone surrogate characters, white space folded, cut.

    >>> cleaned("  to the\\u202e moon\\x00!  ")
    'to the moon!'
    """
    folded = _SPACE.sub(" ", text[: 4 * LONGEST_TEXT])
    kept = "".join(sign for sign in folded if unicodedata.category(sign)[0] != "C")
    # What stood between two spaces may be gone, and then they are one.
    return _SPACE.sub(" ", kept).strip()[:LONGEST_TEXT].strip()


def text_key(text: str) -> str:
    """32 hex digits that texts share which differ in links, case, white space or width only.

    >>> text_key("Buy BTC https://t.co/1") == text_key("buy  btc https://t.co/2")
    True
    """
    plain = unicodedata.normalize("NFKC", _LINK.sub("", text)).casefold()
    folded = _SPACE.sub(" ", plain).strip()
    return hashlib.blake2b(folded.encode("utf-8", "replace"), digest_size=16).hexdigest()
