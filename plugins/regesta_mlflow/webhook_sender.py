"""Sends deliveries to webhooks as MLflow does: signed, with an id that stays the same for each try."""

import base64
import hashlib
import hmac
import logging
import time
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from regesta.store import collection_of
from regesta_mlflow.delivery import Answer, Blame, Result, Targets, authority_of, post
from regesta_mlflow.webhooks import Webhook, WebhookStatus

logger = logging.getLogger("regesta.mlflow")

TEMPORARY = frozenset({0, 429, 500, 502, 503, 504})  # 0: no answer


class WebhookSender:
    """Sends deliveries to where their webhooks lead now."""

    def __init__(self, targets: Targets) -> None:
        self._targets = targets

    async def deliver(self, taken: Mapping[str, Any]) -> Result:
        """One try to send a delivery."""
        hook = await collection_of(Webhook).find_one({"_id": taken["webhook"]})
        if hook is None or hook["status"] != WebhookStatus.ACTIVE.value:
            return Result("dropped: the webhook is gone or disabled")
        host = authority_of(hook["url"])
        if host != taken.get("host"):
            return Result("", moved_to=host)  # the URL was changed, or an older version wrote the delivery
        answer = await self.send(hook, taken["body"], identity_of(taken))
        if answer.success:
            return Result(f"delivered: {answer.status}")
        said = answer.error or f"status {answer.status}"
        final = answer.status not in TEMPORARY
        if final or answer.blame is not Blame.NOTHING:
            logger.warning("webhook %s did not take %s: %s", hook["_id"], taken["event"], said)
        pause = float(answer.retry_after) if answer.retry_after.isdecimal() else None
        return Result(f"failed: {said}", final=final, blame=answer.blame, pause=None if final else pause)

    async def send(self, hook: Mapping[str, Any], body: str, identity: str) -> Answer:
        """Send to a webhook as it is now."""
        moment, content = str(int(time.time())), body.encode()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "regesta",
            "X-MLflow-Delivery-Id": identity,
            "X-MLflow-Timestamp": moment,
        }
        if secret := hook.get("secret"):
            headers["X-MLflow-Signature"] = signature(secret, identity, moment, content)
        return await post(self._targets, hook["url"], content, headers, tenant=hook["workspace"])


def signature(secret: str, identity: str, moment: str, body: bytes) -> str:
    """`v1,` and the base64 of an HMAC-SHA256 over id, time and body."""
    signed = hmac.new(secret.encode(), f"{identity}.{moment}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(signed).decode()


def identity_of(taken: Mapping[str, Any]) -> str:
    """The id of a delivery, the same for each try: a UUID, made of the ObjectId."""
    return str(UUID(bytes=taken["_id"].binary.rjust(16, b"\0")))
