"""What is known of a provider before it is asked: address, options, prices, limits of its models,
its quirks, and the form of a request.
"""
