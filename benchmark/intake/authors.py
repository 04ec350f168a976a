"""Identity of authors: one person under several spellings counts as one."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

ORCID = re.compile(r"\b(\d{4})-?(\d{4})-?(\d{4})-?(\d{3}[\dXx])\b")
MAIL = re.compile(r"[^\s<>()\[\],;:]+@[^\s<>()\[\],;:]+\.[^\s<>()\[\],;:]+")
# Letters and digits that look like Latin letters: a part of Unicode's confusables (UTS 39)
_CYRILLIC, _AS_LATIN = "АВЕІЈКМНОРСТУХЅԀԚԜаеіјкморстухѕԁԛԝһ", "ABEIJKMHOPCTYXSDQWaeijkmopctyxsdqwh"
_GREEK, _OF_GREEK = "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧαεικνορτυχωϲ", "ABEZHIKMNOPTYXaeikvoptuxwc"
LOOKALIKES = str.maketrans(_CYRILLIC + _GREEK + "01|ıℓ!", _AS_LATIN + _OF_GREEK + "ollill")
SAME = str.maketrans("i", "l")  # after case folding: a capital I is an l to the eye


@dataclass(frozen=True)
class Identity:
    """Parts that two spellings of one author share: ``name`` is a skeleton, the others may be empty."""

    name: str
    orcid: str = ""
    mail: str = ""


def identity(author: str) -> Identity:
    """Return the identity of an author as a card states it.

    A name counts without case, accents, spacing, punctuation and the order of its words, and letters of other
    alphabets count as the Latin ones that they resemble. An ORCID counts where its check digit is right.
    """
    text = unicodedata.normalize("NFKC", author)
    orcid = next(("".join(m.groups()).upper() for m in ORCID.finditer(text) if _is_orcid(m)), "")
    mail = MAIL.search(text)
    rest = ORCID.sub(" ", MAIL.sub(" ", re.sub(r"https?://orcid\.org/|\borcid\b:?", " ", text, flags=re.I)))
    plain = "".join(c for c in unicodedata.normalize("NFKD", rest) if not unicodedata.combining(c))
    plain = plain.translate(LOOKALIKES).casefold().translate(SAME)
    words = re.findall(r"[^\W_]+", plain)
    return Identity("".join(sorted(words)), orcid, mail[0].casefold() if mail else "")


def same_author(a: Identity, b: Identity) -> bool:
    """Return whether two identities are of one person: by ORCID where both have one, else by name or mail."""
    if a.orcid and b.orcid:
        return a.orcid == b.orcid
    return bool(a.name and a.name == b.name) or bool(a.mail and a.mail == b.mail)


def grouped(authors: Sequence[str]) -> list[int]:
    """Return the number of each author's person; spellings that a third one joins are one person too."""
    known = [identity(author) for author in authors]
    group = list(range(len(known)))
    for i, one in enumerate(known):
        for j in range(i):
            if group[j] != group[i] and same_author(known[j], one):
                group = [min(group[i], group[j]) if g in (group[i], group[j]) else g for g in group]
    return group


def _is_orcid(match: re.Match[str]) -> bool:
    """Check the last digit by ISO 7064, MOD 11-2."""
    digits = "".join(match.groups()).upper()
    total = 0
    for digit in digits[:-1]:
        total = (total + int(digit)) * 2
    return digits[-1] == "0123456789X"[(12 - total % 11) % 11]
