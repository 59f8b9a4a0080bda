"""Run every benchmark and print its table."""

from tests.bench import export_time, faces_cost, finder_rates, models_cost, pipeline_rate, request_cost, train_step

if __name__ == "__main__":
    models_cost.main()
    request_cost.main()
    faces_cost.main()
    finder_rates.main([])
    export_time.main()
    pipeline_rate.main()
    train_step.main()
