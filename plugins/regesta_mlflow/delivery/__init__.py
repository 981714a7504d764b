"""Delivers what waits in a collection to addresses that clients name.

It knows neither MLflow nor what it delivers: a collection, a way to send and the networks that may be reached are its
parameters, so another plugin or core can use it as it is.
"""

from regesta_mlflow.delivery.dispatcher import Dispatcher
from regesta_mlflow.delivery.networks import Network, is_public, networks_of
from regesta_mlflow.delivery.queue import BY_LANE
from regesta_mlflow.delivery.results import Blame, Result
from regesta_mlflow.delivery.sending import SECONDS, Answer, post
from regesta_mlflow.delivery.shares import Shares
from regesta_mlflow.delivery.targets import (
    Busy,
    Forbidden,
    Target,
    Targets,
    UnusableScheme,
    UnusableUrl,
    authority_of,
    parsed,
)

__all__ = [
    "BY_LANE",
    "SECONDS",
    "Answer",
    "Blame",
    "Busy",
    "Dispatcher",
    "Forbidden",
    "Network",
    "Result",
    "Shares",
    "Target",
    "Targets",
    "UnusableScheme",
    "UnusableUrl",
    "authority_of",
    "is_public",
    "networks_of",
    "parsed",
    "post",
]
