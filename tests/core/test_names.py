"""What `import kap` offers, and what it costs."""

import subprocess
import sys

import pytest

import kap
from kap.moment import instant


def test_the_package_offers_the_question_and_what_it_takes():
    protocol = kap.load("iv-ketamine")
    at = kap.Moment.at(instant("2026-11-24T09:00:00-05:00"))
    verdict = kap.ask(protocol, "screening", kap.Chart(), at)
    assert verdict.answer == "need_more_information"
    assert set(kap.__all__) < set(dir(kap))


def test_a_name_that_the_package_does_not_offer_is_told():
    with pytest.raises(AttributeError, match="no 'aks'; it offers Chart, Moment, ask, load"):
        kap.aks  # noqa: B018  looking is the test


@pytest.mark.parametrize(("line", "loaded"), [("import kap", []), ("kap.ask", ["kap.verdict"])])
def test_a_module_is_loaded_when_its_name_is_first_used(line, loaded):
    code = f"import sys, kap; {line}; print([m for m in sys.modules if m == 'kap.verdict'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(loaded)
