"""Published benchmarks as tables, one kind of official file a module.

A module has ``read(source)``, which gives a :class:`Published`; it is found by its file name.
"""
