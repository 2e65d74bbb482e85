"""What schemathesis holds against the API beside its own checks: SCHEMATHESIS_HOOKS names this file."""

import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import positive_data_acceptance

# What no schema can say: that one parameter must not be after another, that a cursor comes from an earlier answer, that a
# text names one of the account's numbers.
BEYOND_A_SCHEMA = {"range_reversed", "cursor_invalid", "cursor_of_another_query"}


def code(response):
    return response.json()["error"]["code"]


@schemathesis.check
def what_is_allowed_is_answered(ctx, response, case):
    """What the description allows is not refused, but for what it cannot say."""
    if response.status_code == 400:
        refused = code(response)
        of_exophone = refused == "parameter_invalid" and "exophone" in response.json()["message"]
        if refused in BEYOND_A_SCHEMA or of_exophone:
            return None
    # The simulated Exotel sends what nobody can take in, too.
    if response.status_code == 422 and code(response) == "exotel_refused":
        return None
    return positive_data_acceptance(ctx, response, case)


@schemathesis.check
def only_exotel_may_fail(ctx, response, case):
    """No answer is a failure of ours: 503 may only say that Exotel gave no answer."""
    if response.status_code == 503 and code(response) == "exotel_unavailable":
        return None
    return not_a_server_error(ctx, response, case)


@schemathesis.check
def refusals_name_their_status(ctx, response, case):
    """Whatever is refused is refused in the shape of the contract, also where the description has no such status."""
    if response.status_code >= 400:
        body = response.json()
        assert body["statusCode"] == response.status_code, body
        assert body["message"] and body["error"]["code"], body
