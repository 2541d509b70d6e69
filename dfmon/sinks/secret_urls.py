"""URLs with a password: their form for messages, and the parts that must not appear anywhere."""

from __future__ import annotations

from urllib.parse import unquote


def mask_url(url: str) -> str:
    """The URL without user, password and options, for messages.

    >>> mask_url("redis://desk:p@ss@10.0.0.7:6379/2?ssl_password=x")
    'redis://***@10.0.0.7:6379/2?***'
    """
    scheme, separator, remainder = url.partition("://")
    _, credentials, location = remainder.rpartition("@")
    location, options, _ = location.partition("?")
    return f"{scheme}://{credentials and '***@'}{location}{options and '?***'}" if separator else "***"


def url_secrets(url: str) -> list[str]:
    """The password of a URL as it is written and as it is meant, the longest first."""
    login = url.partition("://")[2].rpartition("@")[0]
    password = login.partition(":")[2] or login
    return sorted({password, unquote(password)} - {""}, key=len, reverse=True)


def redact(text: str, url: str) -> str:
    """A text that may quote `url` or its password, with neither.

    >>> redact("no route to http://a:s3cret@host/", "http://a:s3cret@host/")
    'no route to http://***@host/'
    """
    text = text.replace(url, mask_url(url))
    for secret in url_secrets(url):
        text = text.replace(secret, "***")
    return text
