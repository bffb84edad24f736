"""What ``tools/benchmark_speed.py`` measures: our path beside a slow one, and the suites."""
