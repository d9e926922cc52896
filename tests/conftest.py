"""What every test gets: an environment without the developer's settings, and patience on a busy machine."""

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("sdg", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("sdg")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SDG_ROOT", "DAGSTER_HOME", "SDG_DEMO_ENDPOINT", "SDG_DEMO_MODEL"):
        monkeypatch.delenv(name, raising=False)
