import pytest
from agreeing import Dice, Table

pytestmark = pytest.mark.exhaustive


@pytest.mark.parametrize("seed", range(8))
def test_thousands_of_patterns_on_thousands_of_records(seed):
    dice = Dice(seed)
    logs = Table([dice.record() for _ in range(400)])
    for _ in range(40):
        assert not list(logs.disagreements([dice.pattern() for _ in range(25)]))
