"""One suite per plug-in family; a backend's test class inherits it."""

import pytest

pytest.register_assert_rewrite("tests.contracts.store_contract")
