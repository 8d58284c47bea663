"""Who may ask a page: by host, by origin, by token."""

import pytest

from yoga_live.runtime.serve.access import PageGuard, page_headers

HERE = "127.0.0.1:8080"


def refuse(host: str = HERE, origin: str | None = None, path: str = "/secret/", **more: object) -> str:
    return PageGuard(frozenset({HERE}).__contains__, "us", "secret", **more).refuse(host, origin, path)  # type: ignore[arg-type]


def test_our_own_page_is_answered() -> None:
    assert (
        refuse() == refuse(origin=f"http://{HERE}") == refuse(path="/secret/api/x?y=/z") == refuse(path="/secret") == ""
    )


@pytest.mark.parametrize("host", ["evil.example", "", "127.0.0.1", "127.0.0.1:8081"])
def test_another_host_is_refused_even_with_the_token(host: str) -> None:
    assert refuse(host=host) == "this page answers to us only"


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "", f"https://{HERE}", f"http://{HERE}/"])
def test_another_origin_is_refused_even_with_the_token(origin: str) -> None:
    assert "another page" in refuse(origin=origin)


def test_https_in_front_of_us_is_our_own_where_that_is_said() -> None:
    assert refuse(origin=f"https://{HERE}", schemes=("http", "https")) == ""


@pytest.mark.parametrize("path", ["/", "", "/secre/", "/secretx/", "//secret/", "/x/secret/", "/Secret/", "/sécret/"])
def test_without_the_token_nothing_is_answered(path: str) -> None:
    assert "token" in refuse(path=path)


def test_no_token_is_asked_for_where_there_is_none() -> None:
    assert PageGuard(lambda host: True, "all").refuse(HERE, None, "/") == ""


def test_pages_load_and_send_nothing_elsewhere() -> None:
    policy = page_headers("'self' blob:")["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "img-src 'self' blob:;" in policy and "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy and "connect-src 'self'" in policy
