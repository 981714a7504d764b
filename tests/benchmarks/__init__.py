"""How fast the generated routes are, beside the same routes written by hand.

    python -m tests.benchmarks --seconds 2 --rounds 7

starts a MongoDB server and three applications over one collection, loads them in turns and prints
requests per second, latencies and the ratios that the project promises. Ratios compare applications
within one round, because absolute numbers of two machines, or of one machine at two times of the day,
cannot be compared.
"""
