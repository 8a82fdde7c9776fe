"""Money: what a call may cost at most, what was spent, which caps hold, and what will be spent.

A ledger books every call of a model before it is made, at the most that it may cost, and settles it afterwards. What is
not settled counts as spent: an answer that never came, and a process that died, may both have been billed. Caps are
looked at in the transaction that books, so that they hold between tasks, threads and processes, and over `kill -9`.
"""

from stepladder.money.amounts import NANO, usd
from stepladder.money.caps import Cap
from stepladder.money.estimate import PriceList, input_tokens_at_most
from stepladder.money.forecast import Forecast, forecast
from stepladder.money.ledger import Booking, Bookings, Ledger, Line, Settlement
from stepladder.money.opening import open_ledger
from stepladder.money.purse import LedgerPurse
from stepladder.money.till import Till

__all__ = [
    "NANO",
    "Booking",
    "Bookings",
    "Cap",
    "Forecast",
    "Ledger",
    "LedgerPurse",
    "Line",
    "PriceList",
    "Settlement",
    "Till",
    "forecast",
    "input_tokens_at_most",
    "open_ledger",
    "usd",
]
