"""Addresses of databases and servers as they may be printed, drawn or written: without their passwords."""

from __future__ import annotations

import re

_HIDDEN = "***"
# Of an option that is not known to be harmless the value is hidden: a misspelt "pasword" is a password still.
_HARMLESS = "application_name|connect_timeout|dbname|host|port|sslmode|user"
_SECRET_OPTIONS = re.compile(rf"(?i)([?&;](?!(?:{_HARMLESS})=)[^=&;\s]*=)[^&;\s]*")
# From the first colon after the slashes to the last @: a password may hold an @ or a slash that nobody quoted.
_USER_AND_PASSWORD = re.compile(r"(//[^:@/\s]*:)\S*(?=@)")
_PASSWORD_ALONE = re.compile(r"(?<=:)\S*(?=@)")


def show_url(url: str) -> str:
    """Return the address without its secrets, also where it is not a valid one.

    >>> show_url("postgresql://me:secret@host/db?sslpassword=key")
    'postgresql://me:***@host/db?sslpassword=***'
    """
    if url.startswith("sqlite:///"):
        return url  # a file, whatever its name looks like
    if "//" not in url:
        return _PASSWORD_ALONE.sub(_HIDDEN, url)
    return _SECRET_OPTIONS.sub(rf"\1{_HIDDEN}", _USER_AND_PASSWORD.sub(rf"\1{_HIDDEN}", url))


def has_secret(url: str) -> bool:
    """Return whether the address holds something that `show_url` hides."""
    return show_url(url) != url
