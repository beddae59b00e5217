"""Sign dictionaries by command: index clips, query, report, spot signs, calibrate; with a service or without one.

It stands beside `app/`: it needs models, poses and the store of `search/` together, as the service does, and no HTTP.
"""
