"""An AWS Lambda function over the scoring application: each request is in the store before its answer is returned.

A function is frozen as soon as it has answered, and its disk goes with it some time later: there is no later in which a
loader could run. So the loader runs here, between answer and return. ``docs/clouds.md`` says what that costs.
"""

import asyncio
import os
from typing import Any

from mangum import Mangum

from driftline.scorer.in_process import InProcessScorer

# What is left of the function's time for returning the answer, when the store does not take rows.
RETURN_SECONDS = 1.0
LONGEST_WAIT_SECONDS = float(os.environ.get("STORE_WAIT_SECONDS", "5"))

_loop = asyncio.new_event_loop()
asyncio.set_event_loop(_loop)  # the one that Mangum runs
scorer = InProcessScorer.open(os.environ["MODEL_URI"], _loop)
_answer = Mangum(scorer.app, lifespan="off", api_gateway_base_path=os.environ.get("BASE_PATH", "/"))


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer an event of API Gateway, of a function URL or of a load balancer."""
    answered = _answer(event, context)
    left = context.get_remaining_time_in_millis() / 1000 - RETURN_SECONDS
    scorer.store_answered(max(0.0, min(LONGEST_WAIT_SECONDS, left)))
    return answered
