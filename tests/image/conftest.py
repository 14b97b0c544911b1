import pytest

from decoder import Decoder


@pytest.fixture(scope="module")
def decoder():
    """One decoder for all, as what a file gives must not depend on those before it."""
    decoder = Decoder()
    yield decoder
    decoder.close()
