"""The road of a call, from the SDK client down to the wire: ledger, limits, pace, budget, network.

What a request or a reply means is read elsewhere: `config` makes requests, `reading` reads replies.
"""
