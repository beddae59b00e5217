"""How large a body with videos may be."""

from app.intake.videos import limit_body
from app.settings import ServiceSettings


def test_a_body_may_hold_the_videos_that_are_allowed_in_base64_too() -> None:
    settings = ServiceSettings(max_video_bytes=30_000_000)
    form, document = limit_body(settings, in_json=False), limit_body(settings, in_json=True)
    assert 30_000_000 < form < 32_000_000
    assert document - form == 10_000_000
