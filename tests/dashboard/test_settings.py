import pytest

from dashboard.settings import store_url


@pytest.mark.parametrize(
    ("arguments", "environment", "url"),
    [
        ([], {}, "sqlite:///restoration.db"),
        ([], {"RESTORATION_STORE": ""}, "sqlite:///restoration.db"),
        ([], {"RESTORATION_STORE": "sqlite:///e.db"}, "sqlite:///e.db"),
        (["--store", "sqlite:///a.db"], {"RESTORATION_STORE": "sqlite:///e.db"}, "sqlite:///a.db"),
        (["--store=sqlite:///a.db"], {}, "sqlite:///a.db"),
        (["-q", "--store"], {}, "sqlite:///restoration.db"),
    ],
)
def test_the_store_is_the_argument_then_the_environment_then_the_default(arguments, environment, url):
    assert store_url(arguments, environment) == url
