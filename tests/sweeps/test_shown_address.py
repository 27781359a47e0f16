"""Addresses as they are shown: recognisable, and without a secret."""

from __future__ import annotations

import pytest

from sweeps.shown_address import has_secret, hide_secrets, show_url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:geheim@host:5432/db", "postgresql://me:***@host:5432/db"),
        ("postgresql://me:ge@he/im@host/db", "postgresql://me:***@host/db"),
        ("postgresql://host/db?user=me&password=geheim", "postgresql://host/db?user=me&password=***"),
        ("postgresql://host/db?sslmode=require&pasword=geheim", "postgresql://host/db?sslmode=require&pasword=***"),
        ("postgresql://host/db?SSLPassword=geheim&host=/tmp", "postgresql://host/db?SSLPassword=***&host=/tmp"),
        ("postgresql:/me:geheim@host/db", "postgresql:***@host/db"),
        ("http://me:geheim@host:5000/path", "http://me:***@host:5000/path"),
        ("me:geheim@host", "me:***@host"),
        ("postgresql://me:ge heim@host/db", "postgresql://me:***@host/db"),
        ("postgresql://my name:ge\theim\n@host/db", "postgresql://my name:***@host/db"),
        (
            "postgresql://host/db?password=ge heim;x&sslmode=require",
            "postgresql://host/db?password=***&sslmode=require",
        ),
        ("my name:ge heim@host", "my name:***@host"),
    ],
)
def test_a_password_is_hidden_wherever_it_stands(url: str, shown: str) -> None:
    assert show_url(url) == shown
    assert has_secret(url)


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///restoration.db",
        "sqlite:////tmp/a:b@c/what?x=y.db",  # a file, whatever its name looks like
        "postgresql://me@host:5432/db",
        "postgresql://me@host:5432/db?sslmode=require&connect_timeout=10",
        "http://127.0.0.1:5000",
        "off",
        "",
    ],
)
def test_an_address_without_a_password_is_shown_as_it_is(url: str) -> None:
    assert show_url(url) == url
    assert not has_secret(url)


def test_in_a_text_every_address_loses_its_password_and_nothing_else_changes() -> None:
    said = "http://me:geheim@a:5000 refused, http://b/?token=geheim too; write to him@c: no //answer, x@y"
    assert hide_secrets(said) == (
        "http://me:***@a:5000 refused, http://b/?token=*** too; write to him@c: no //answer, x@y"
    )
