"""What the name and the folders of a file say: title, artist, genre, and which work it is of."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath

UNKNOWN = "unknown"
"""Name of the folder, and of the genre, of what is not known."""

TRACK_NUMBER = re.compile(r"^\d{1,3}\s*(?:[.)\]]|-|–|_)?\s+(?=\D)|^\d{1,3}[._-]\s*(?=[^\W\d])")
REMARK = re.compile(r"[\(\[（【][^)\]）】]*[\)\]）】]")
"""In brackets: (live), [remastered 2009]; another recording of the same work."""


@dataclass(frozen=True)
class About:
    """What is known of a recording without hearing it.

    Parameters
    ----------
    title, artist
        "" where the name says nothing.
    genre
        `UNKNOWN` where no folder names one.
    work
        The same for recordings of one work: they must not be told apart in training and test.
    """

    title: str
    artist: str = ""
    genre: str = UNKNOWN
    work: str = ""


def about(path: PurePath, given: Mapping[str, str] | None = None) -> About:
    """Read ``genre/artist/01 - Artist - Title (live).mp3`` or less.

    Parameters
    ----------
    path
        Below the folder that was named: its first folder is the genre, a second the artist.
    given
        A row of a table with some of the fields of `About`, which go before what the name says.

    Examples
    --------
    >>> from pathlib import PurePath
    >>> about(PurePath("jazz/02 - Anna - Blue Tune (live).mp3"))
    About(title='Blue Tune', artist='Anna', genre='jazz', work='anna|blue tune')
    """
    folders = path.parts[:-1]
    text = TRACK_NUMBER.sub("", path.stem.replace("_", " ").strip()).strip()
    artist, separator, title = text.partition(" - ")
    if not separator:
        artist, title = "", text
    if not artist and len(folders) > 1:
        artist = folders[1].replace("_", " ").strip()
    title = REMARK.sub("", title).strip() or title.strip() or path.stem
    fields = {
        "title": title,
        "artist": artist.strip(),
        "genre": folders[0].replace("_", " ").strip().lower() if folders else UNKNOWN,
    }
    fields.update({key: value for key, value in (given or {}).items() if key in (*fields, "work") and value})
    fields.setdefault("work", f"{plain(fields['artist'])}|{plain(fields['title'])}")
    return About(**fields)


def plain(text: str) -> str:
    """Without case, accents and punctuation, so that spellings of one name agree; any script."""
    folded = unicodedata.normalize("NFKD", text.casefold().replace("ß", "ss"))
    kept = "".join(c if c.isalnum() else " " for c in folded if not unicodedata.combining(c))
    return " ".join(kept.split())


def slug(text: str) -> str:
    """For a file's name: letters and digits of any script, with hyphens between words, 60 at most."""
    return plain(text).replace(" ", "-")[:60].strip("-") or "clip"
