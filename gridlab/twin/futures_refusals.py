"""The USD-M venue's refusals: each code with its exact text.

Clients decide by code and some of them by text, so neither may differ from the venue's by a letter.
Source: Binance's USD-M page "Error Code"; texts with numbers as seen in the answers of the venue.
"""

from __future__ import annotations

from gridlab.twin.answers import VenueError

#: Text by code; `{}` stands for a value.
TEXTS: dict[int, str] = {
    -1023: "Start time is greater than end time.",
    -1100: "Illegal characters found in parameter '{}'; legal range is '{}'.",
    -1102: "Mandatory parameter '{}' was not sent, was empty/null, or malformed.",
    -1106: "Parameter '{}' sent when not required.",
    -1108: "Invalid asset.",
    -1111: "Precision is over the maximum defined for this asset.",
    -1115: "Invalid timeInForce.",
    -1116: "Invalid orderType.",
    -1117: "Invalid side.",
    -1120: "Invalid interval.",
    -1121: "Invalid symbol.",
    -1125: "This listenKey does not exist.",
    -1127: "More than 1 hours between startTime and endTime.",
    -1128: "Combination of optional parameters invalid.",
    -1130: "Data sent for parameter '{}' is not valid.",
    -1136: "Invalid newOrderRespType.",
    -2011: "Unknown order sent.",
    -2013: "Order does not exist.",
    -2019: "Margin is insufficient.",
    -2021: "Order would immediately trigger.",
    -2022: "ReduceOnly Order is rejected.",
    -2025: "Reach max open order limit.",
    -2027: "Exceeded the maximum allowable position at current leverage.",
    -4001: "Price less than 0.",
    -4002: "Price greater than max price.",
    -4003: "Quantity less than zero.",
    -4004: "Quantity less than min quantity.",
    -4005: "Quantity greater than max quantity.",
    -4013: "Price less than min price.",
    -4014: "Price not increased by tick size.",
    -4015: "Client order id length should not be more than 36 chars",
    -4016: "Limit price can't be higher than {}.",
    -4021: "{} is not valid depth limit.",
    -4023: "Qty not increased by step size.",
    -4024: "Limit price can't be lower than {}.",
    -4028: "Leverage {} is not valid",
    -4045: "Reach max stop order limit.",
    -4046: "No need to change margin type.",
    -4047: "Margin type cannot be changed if there exists open orders.",
    -4048: "Margin type cannot be changed if there exists position.",
    -4049: "Add margin only support for isolated position.",
    -4050: "Cross balance insufficient.",
    -4051: "Isolated balance insufficient.",
    -4054: "Cannot add position margin: position is 0.",
    -4055: "Amount must be positive.",
    -4059: "No need to change position side.",
    -4060: "Invalid position side.",
    -4061: "Order's position side does not match user's setting.",
    -4062: "Invalid or improper reduceOnly value.",
    -4067: "Position side cannot be changed if there exists open orders.",
    -4068: "Position side cannot be changed if there exists position.",
    -4082: "Invalid number of batch place orders.",
    -4104: "Invalid contract type",
    -4116: "ClientOrderId is duplicated.",
    -4118: "ReduceOnly Order Failed. Please check your existing position and open orders",
    -4120: "Order type not supported for this endpoint. Please use the Algo Order API endpoints "
    "instead.",
    -4131: "The counterparty's best price does not meet the PERCENT_PRICE filter limit.",
    -4137: "Quantity must be zero with closePosition equals true",
    -4140: "Invalid symbol status for opening position",
    -4144: "Invalid pair",
    -4161: "Leverage reduction is not supported in Isolated Margin Mode with open positions",
    -4164: "Order's notional must be no smaller than {} (unless you choose reduce only).",
    -4165: "Maximum time interval is {} days",
    -5021: "Due to the order could not be filled immediately, the FOK order has been rejected.",
    -5022: "Due to the order could not be executed as maker, the Post Only order will be rejected.",
    -5025: "Only limit order is supported.",
    -5026: "Exceed maximum modify order limit.",
    -5027: "No need to modify the order.",
    -5029: "Order's notional must be no smaller than {}",
    -5028: "Timestamp for this request is outside of the ME recvWindow.",
    -5039: "Invalid self trade prevention mode",
    -5040: "The goodTillDate timestamp must be greater than the current time plus 600 seconds and "
    "smaller than 253402300799000 (UTC 9999-12-31 23:59:59)",
}


def refuse(code: int, *values: object) -> VenueError:
    """The error to raise for `code`, its text filled with `values`."""
    return VenueError(code, TEXTS[code].format(*values))
