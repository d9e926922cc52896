"""The table of what dies, in docs/guide/deploy.md: every row is shown by tests that end the real thing, and these are here."""

import ast

from tests.support.sdg import PROJECT

TESTS_OF_ROWS = {
    "a slice, by SIGTERM": [
        "tests/deploy/test_slurm.py::test_an_array_whose_tasks_are_requeued_and_cancelled_ends_as_one_run"
    ],
    "a slice, by `kill -9`, or its machine": [
        "tests/core/execution/test_shards.py::test_killed_slices_and_others_that_overlap_them_end_as_one_run",
        "tests/deploy/test_many_processes.py::test_slices_that_overlap_and_die_share_one_ledger",
        "tests/deploy/test_ray.py::test_a_run_on_a_lost_node_fails_and_the_next_makes_the_rest",
    ],
    "the model server": [
        "tests/core/models/test_serving.py::test_a_server_that_dies_is_started_again_and_no_record_is_lost",
        "tests/core/models/test_serving.py::test_a_server_that_keeps_dying_ends_the_run",
        "tests/contracts/test_stage_executor.py::test_a_node_whose_server_does_not_come_back_is_done_without",
    ],
    "Postgres": ["tests/deploy/test_outages.py::test_a_database_that_is_started_again"],
    "the object store, or it throttles": [
        "tests/deploy/test_outages.py::test_an_object_store_that_is_started_again",
        "tests/core/test_object_store.py::test_a_throttled_request_is_tried_again",
    ],
    "a Celery worker": [
        "tests/deploy/test_celery.py::test_a_killed_worker_costs_its_slice_alone"
    ],
    "a Slurm task, cancelled, preempted or at the end of its time": [
        "tests/deploy/test_slurm.py::test_an_array_whose_tasks_are_requeued_and_cancelled_ends_as_one_run"
    ],
    "a Ray node": [
        "tests/deploy/test_ray.py::test_a_pipeline_loses_a_node_and_nothing_else",
        "tests/contracts/test_stage_executor.py::test_a_model_is_served_on_every_node_and_asked_on_all_of_them",
    ],
    "Ray's head": [
        "tests/deploy/test_ray.py::test_a_lost_head_ends_runs_and_the_next_goes_on_from_there"
    ],
    "the broker": [
        "tests/deploy/test_celery.py::test_a_killed_worker_costs_its_slice_alone"
    ],
    "Slurm's controller": [
        "tests/deploy/test_slurm.py::test_slices_on_one_node_have_model_servers_of_their_own_that_end_with_them"
    ],
}


def test_every_row_of_the_table_is_shown() -> None:
    page = (PROJECT / "docs" / "guide" / "deploy.md").read_text(encoding="utf-8")
    table = page.partition("### What dies\n")[2].partition("\n## ")[0]
    rows = [
        line.split("|")[1].strip()
        for line in table.splitlines()
        if line.startswith("|")
    ]
    assert rows[2:] == [*TESTS_OF_ROWS]


def test_what_shows_a_row_exists() -> None:
    for name in {name for names in TESTS_OF_ROWS.values() for name in names}:
        path, _, test = name.partition("::")
        tree = ast.parse((PROJECT / path).read_text(encoding="utf-8"))
        assert test in {
            node.name for node in tree.body if isinstance(node, ast.FunctionDef)
        }, name
