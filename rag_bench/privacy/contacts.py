"""E-mails, links and handles: what is written alike in every language, and how people hide it."""

from __future__ import annotations

import re

from rag_bench.privacy.kinds import Kind, Span, blanked

_AT = r"(?:[(\[{<]\s?(?:at|@|собака|собачка)\s?[)\]}>])"
_DOT = r"(?:\.|\s?[(\[{<]\s?(?:dot|точка|\.)\s?[)\]}>]\s?|\s(?:dot|точка)\s)"
# anna@example.org, "anna f"@example.org, anna@host, anna @ example . com.
_EMAIL = re.compile(
    r"(?:\"[^\"\n@]{1,64}\"|[\w.+-]*\w[+-]?)@[\w-]+(?:\.[\w-]+)*"
    r"|[\w.+-]+(?:@|\s@\s)[\w-]+(?:(?:\.|\s\.\s)[\w-]+)*(?:\.|\s\.\s)[a-zа-я]{2,10}(?!\w)"
)
# anna (at) example.org, anna[at]example[dot]org; in words only with the word for the dot as well,
# but for «собака» before a domain: «anna собака example.org».
_EMAIL_HIDDEN = re.compile(
    rf"[\w.+-]+(?:{_DOT}[\w-]+)*\s?{_AT}\s?[\w-]+(?:{_DOT}[\w-]+)+"
    r"|[\w.+-]+(?:\s(?:dot|точка)\s[\w-]+)*\s(?:at|собака|собачка)\s[\w-]+"
    r"(?:\s(?:dot|точка)\s[\w-]+)+"
    r"|[\w.+-]+\s(?:собака|собачка)\s[\w-]+(?:\.[\w-]+)*\.[a-zа-я]{2,10}(?!\w)",
    re.IGNORECASE,
)
# With a scheme, or a host with a path: vk.com/anna, m.ok.ru/profile/1.
_LINK = re.compile(
    r"(?:https?://|ftp://|tg://|www\.|t\.me/|vk\.com/)\S+"
    r"|(?<![\w@./-])(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,12}/[\w@%?&=~+#.-]\S*",
    re.IGNORECASE,
)
_HANDLE = re.compile(r"(?<![\w@])@(?=[\w.]{3})\w+(?:\.\w+)*|(?<!\w)id\d{5,}(?!\w)")
# After the name of a messenger, a word in Latin letters: any after a colon, else one that no word
# of a language is.
_MESSENGER = (
    r"(?<!\w)(?:ник(?:нейм)?(?:\sв\s\w+)?|tg|тг|телег\w*|telegram|вк|vk|вконтакте|vkontakte|"
    r"inst(?:a(?:gram)?)?|инст\w*|discord|дискорд\w*|skype|скайп\w*|whatsapp|вотсап\w*|viber|вайбер\w*|"
    r"username|nickname|login|логин\w*)"
)
_NICK = re.compile(
    rf"{_MESSENGER}\s?[:—–-]\s?(?P<any>[a-z][a-z0-9_.#-]{{3,40}})(?![\w@])"
    rf"|(?!login|логин){_MESSENGER}\s(?P<odd>[a-z][a-z.-]*[_\d#][a-z0-9_.#-]*)(?![\w@])",
    re.IGNORECASE,
)

_PATTERNS = (
    (Kind.EMAIL, _EMAIL),
    (Kind.EMAIL, _EMAIL_HIDDEN),
    (Kind.LINK, _LINK),
    (Kind.HANDLE, _HANDLE),
    (Kind.HANDLE, _NICK),
)


def contacts(text: str) -> list[Span]:
    """Return the e-mails, links and handles of a readable text; none overlaps another."""
    found: list[Span] = []
    for kind, pattern in _PATTERNS:
        left = blanked(text, found)
        for match in pattern.finditer(left):
            # Of several words only what is said of the person.
            group = match.lastgroup or 0
            found.append(Span(*match.span(group), kind))
    return found
