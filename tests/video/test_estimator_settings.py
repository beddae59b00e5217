"""The settings of the estimators: refused where they are wrong, handed to their process as one object."""

import pytest

from processes.settings import SettingsError
from video.__main__ import main
from video.settings import EstimatorHealth, EstimatorSettings
from video.supervisor import EstimatorSupervisor


@pytest.mark.parametrize(
    ("name", "value"),
    [("workers", 0), ("workers", 1025), ("workers", "two"), ("max_waiting", -1), ("max_bytes", 0)],
)
def test_a_wrong_value_is_refused(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=name):
        EstimatorSettings(**{name: value})  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match=f"^{name} is '?{value}'?, but "):
        EstimatorSettings.from_values({name: value})


def test_the_health_of_a_process_is_checked_too() -> None:
    for name in EstimatorHealth.__dataclass_fields__:
        with pytest.raises(SettingsError, match=f"health.{name} is 0, but"):
            EstimatorSettings.from_values({"health": {name: 0}})


def test_the_process_gets_every_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = EstimatorSettings(workers=2, max_waiting=0, health=EstimatorHealth(max_videos=3, frame_s=0.5))
    served: list[object] = []
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr("video.__main__.configure_logging", lambda _: None)
    monkeypatch.setattr("video.__main__.LocalEstimators", lambda settings: settings)
    monkeypatch.setattr("video.__main__.EstimatorServer", lambda estimators, *_, **__: Served(served, estimators))
    supervisor = EstimatorSupervisor(settings)
    try:
        assert main(supervisor._build_command()[2:]) == 0
    finally:
        supervisor.stop()
    assert served == [settings]


class Served:
    def __init__(self, served: list[object], estimators: object) -> None:
        self.served, self.estimators = served, estimators

    def serve(self) -> None:
        self.served.append(self.estimators)

    def stop(self) -> None: ...


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--workers", "0"], "workers is '0', but it should be greater than or equal to 1"),
        (["--workers", "two"], "workers is 'two', but it should be a valid integer"),
        (["--max-waiting", "-1"], "max_waiting is '-1', but it should be greater than or equal to 0"),
        (["--settings", '{"worker": 1}'], "there is no setting 'worker'"),
        (["--settings", "{}", "--workers", "1"], "leave out --workers"),
    ],
)
def test_a_usage_error_is_one_sentence(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str], tmp_path: object
) -> None:
    assert main(["serve", "--address", f"{tmp_path}/e.sock", *arguments]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
