"""A client of the application that has a zone of its own: answers are the same, byte by byte."""

from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from beanie import Document
from pydantic import computed_field

from .serving import created, keeps, served


class Meeting(Document):
    at: datetime
    day: date
    others: list[datetime] = []

    class Settings:
        name = "meetings"


class LoudMeeting(Meeting):
    @computed_field
    def year(self) -> int:
        return self.at.year

    class Settings:
        name = "meetings"


BODY = {"at": "2024-05-01T00:00:00Z", "day": "2024-05-01", "others": ["2024-12-31T23:30:00.123000Z"]}


@pytest.mark.parametrize("zone", ["America/New_York", "Europe/Berlin", "UTC"])
@pytest.mark.parametrize("document", [Meeting, LoudMeeting])
async def test_times_are_answered_in_utc_and_days_as_they_are(
    database: Any, document: type[Document], zone: str
) -> None:
    options = database.codec_options.with_options(tz_aware=True, tzinfo=ZoneInfo(zone))
    elsewhere = database.with_options(codec_options=options)
    async with served(elsewhere, document, name="meetings", filters=["day", "at"]) as client:
        shown = await created(client, "/meetings", BODY)
        assert {name: shown[name] for name in BODY} == BODY
        await keeps(client, f"/meetings/{shown['id']}", BODY)
        for field in ("day", "at"):
            assert (await client.get("/meetings", params={field: BODY[field]})).json()["items"] == [shown]
        exported = await client.get("/meetings", headers={"accept": "application/x-ndjson"})
        assert exported.json() == shown
