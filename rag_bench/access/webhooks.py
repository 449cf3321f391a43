"""Signed messages by the Standard Webhooks rules: what is sent, and what is believed.

One setting may hold several secrets, by commas or blanks: what is sent is signed with each, and
what comes may be signed with any, so that a secret can be changed without a moment in which
messages are refused.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rag_bench.errors import ConfigurationError, RagBenchError

if TYPE_CHECKING:
    from pydantic import SecretStr
    from standardwebhooks import Webhook

_PREFIX = "whsec_"
#: Bytes of a secret, as the rules say.
_SHORTEST, _LONGEST = 24, 64
#: Of a message; it is kept, to know the message again.
_ID = re.compile(r"[\x21-\x2d\x2f-\x7e]{1,200}")  # printable, and no full stop, which parts it


class UnverifiedError(RagBenchError):
    """A message that is not signed as it must be; the words say why, and hold no secret."""


@dataclass(frozen=True)
class Signer:
    """Signs and verifies with the secrets of one setting."""

    webhooks: Sequence[Webhook]

    def headers(self, message_id: str, at: datetime, body: str) -> dict[str, str]:
        """Return the headers of one attempt to send a message.

        Args:
            message_id: the same at each attempt, so that the receiver knows a repeat.
            at: of the attempt.
            body: exactly what is sent.
        """
        moment = at.astimezone(UTC)
        return {
            "webhook-id": message_id,
            "webhook-timestamp": str(int(moment.timestamp())),
            "webhook-signature": " ".join(
                one.sign(message_id, moment, body) for one in self.webhooks
            ),
            "content-type": "application/json",
        }

    def verify(self, headers: Mapping[str, str], body: bytes) -> str:
        """Return the id of a message that is signed with one of the secrets, minutes ago at most.

        Args:
            headers: names in lower case.
            body: as it came.

        Raises:
            UnverifiedError: it is not.
        """
        from standardwebhooks import WebhookVerificationError

        message_id = headers.get("webhook-id", "")
        if not _ID.fullmatch(message_id):
            raise UnverifiedError(
                "A webhook-id of at most 200 printable letters without full stops is needed."
            )
        said = {
            name: headers.get(name, "")
            for name in ("webhook-id", "webhook-timestamp", "webhook-signature")
        }
        why = "No matching signature found"
        for one in self.webhooks:
            try:
                one.verify(body, said, json_parse=False)
                return message_id
            except WebhookVerificationError as error:
                why = str(error)
            # What is no signature at all: the package lets these errors through.
            except (ValueError, binascii.Error):
                continue
        raise UnverifiedError(f"The message is not verified: {why.lower()}.")


def signer(secrets: SecretStr | None, variable: str) -> Signer | None:
    """Return the signer of a setting; None: it is unset.

    Raises:
        ConfigurationError: a secret is none by the rules; the message does not hold it.
    """
    from standardwebhooks import Webhook

    given = re.split(r"[,\s]+", secrets.get_secret_value().strip()) if secrets else []
    found = [Webhook(_bytes_of(one, variable)) for one in given if one]
    return Signer(tuple(found)) if found else None


def _bytes_of(secret: str, variable: str) -> bytes:
    if secret.startswith(_PREFIX):
        bare = secret.removeprefix(_PREFIX)
        try:
            found = base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
        except (binascii.Error, ValueError):
            found = b""
        if _SHORTEST <= len(found) <= _LONGEST:
            return found
    raise ConfigurationError(
        f"{variable} holds what is no secret of Standard Webhooks: {_PREFIX} and {_SHORTEST} to "
        f"{_LONGEST} bytes in base64. `rag-bench callbacks secret` makes one."
    )
