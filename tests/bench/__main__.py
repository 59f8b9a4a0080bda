"""Run every benchmark and print its table."""

from tests.bench import export_time, request_cost

if __name__ == "__main__":
    request_cost.main()
    export_time.main()
