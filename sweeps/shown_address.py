"""Addresses of databases and servers as they may be printed, drawn or written: without their passwords."""

from __future__ import annotations

import re

_HIDDEN = "***"
# Of an option that is not known to be harmless the value is hidden: a misspelt "pasword" is a password still.
_HARMLESS = "application_name|connect_timeout|dbname|host|port|sslmode|user"


class _Secrets:
    """What is hidden in addresses; ``end`` are the characters, as a class of them has them, that are in none."""

    def __init__(self, end: str) -> None:
        self._options = re.compile(rf"(?i)([?&;](?!(?:{_HARMLESS})=)[^=&;{end}]*=)[^&{end}]*")
        # From the first colon after the slashes to the last @: a password may hold an @ or a slash that nobody quoted.
        self._password = re.compile(rf"(//[^:@/{end}]*:)[^{end}]*(?=@)")
        self._password_alone = re.compile(rf"(?<=:)[^{end}]*(?=@)")

    def hide(self, text: str) -> str:
        if "//" not in text:
            return self._password_alone.sub(_HIDDEN, text)
        return self._options.sub(rf"\1{_HIDDEN}", self._password.sub(rf"\1{_HIDDEN}", text))


_IN_ADDRESS, _IN_TEXT = _Secrets(r"\0"), _Secrets(r"\s")


def show_url(url: str) -> str:
    """Return the address without its secrets, also where it is not a valid one.

    >>> show_url("postgresql://me:secret@host/db?sslpassword=key")
    'postgresql://me:***@host/db?sslpassword=***'
    """
    return (
        url if url.startswith("sqlite:///") else _IN_ADDRESS.hide(url)
    )  # that is a file, whatever its name looks like


def hide_secrets(text: str) -> str:
    """Return a text without the secrets of the addresses in it, each of which ends at a space.

    >>> hide_secrets("cannot reach http://me:secret@host: refused")
    'cannot reach http://me:***@host: refused'
    """
    return _IN_TEXT.hide(text) if "//" in text else text


def has_secret(url: str) -> bool:
    """Return whether the address holds something that `show_url` hides."""
    return show_url(url) != url
