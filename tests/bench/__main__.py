"""Run every benchmark and print its table; ``--quick`` compares with other servers in one short round."""

import sys

from tests.bench import (
    cuda_rate,
    export_time,
    faces_cost,
    finder_rates,
    models_cost,
    people,
    pipeline_rate,
    request_cost,
    score_rate,
    train_step,
)
from tests.bench.serving import memory, side_by_side

if __name__ == "__main__":
    models_cost.main()
    request_cost.main()
    side_by_side.main(sys.argv[1:])
    memory.main()
    score_rate.main()
    people.main()
    cuda_rate.main()
    faces_cost.main()
    finder_rates.main([])
    export_time.main()
    pipeline_rate.main()
    train_step.main()
