"""Run every benchmark and print its table."""

from tests.bench import export_time, pipeline_rate, request_cost

if __name__ == "__main__":
    request_cost.main()
    export_time.main()
    pipeline_rate.main()
