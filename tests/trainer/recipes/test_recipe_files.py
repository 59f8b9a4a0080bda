"""Training for people: questions, recipe files, what a terminal shows, TensorBoard."""

import io
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from sklearn.metrics import roc_auc_score

from tests.conftest import REPOSITORY
from trainer.common.history import read_history, write_history
from trainer.networks.auc import FakeAUC
from trainer.recipes.questions import NETWORKS, questions, recipe_file
from trainer.recipes.recipe import RECIPES, RecipeError
from trainer.recipes.recipe_files import read_recipe
from trainer.training.live import LiveView


@pytest.mark.parametrize("network", [str(answer.settings["recipe"][0]) for answer in NETWORKS.answers])
def test_every_way_to_answer_gives_a_recipe_that_fit_reads(network, tmp_path):
    asked = questions(network)
    for place in range(max(len(question.answers) for question in asked)):
        chosen = [question.answers[min(place, len(question.answers) - 1)] for question in asked]
        path = tmp_path / f"{place}.toml"
        path.write_text(recipe_file(network, chosen), "utf-8")
        recipe = read_recipe(path)
        assert recipe.name == network
        for answer in chosen:
            for name, (value, why) in answer.settings.items():
                found, stock = recipe.settings(), RECIPES[network].settings()
                for part in name.split("."):
                    found, stock = found[part], stock[part]
                if name != "epochs":
                    assert found == value
                assert (why in path.read_text("utf-8")) == (found != stock)


def test_a_file_says_only_what_is_otherwise(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('recipe = "residual-cnn"\nepochs = 3\nclass_names = ["fake", "real"]\n[reencoding]\nshrink = 0.3\n')
    recipe = read_recipe(path)
    stock = RECIPES["residual-cnn"]
    assert (recipe.epochs, recipe.reencoding.shrink, recipe.class_names) == (3, 0.3, ("fake", "real"))
    assert (recipe.learning_rate, recipe.reencoding.blur) == (stock.learning_rate, stock.reencoding.blur)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "key 'recipe' is missing"),
        ('recipe = "resnet"', "key 'recipe' is 'resnet', not one of flatten-cnn-300"),
        ("recipe = 3", "key 'recipe' is 3"),
        ('recipe = "residual-cnn"\nepoch = 3', "no setting 'epoch'"),
        ('recipe = "residual-cnn"\nepochs = "many"', "setting 'epochs' cannot be 'many'"),
        ('recipe = "residual-cnn"\nepochs = 0', "setting 'epochs' cannot be 0"),
        ('recipe = "residual-cnn"\n[reencoding]\nshrink = 2.0', "setting 'reencoding.shrink' cannot be 2.0"),
        ('recipe = "residual-cnn"\n[augment]\nshrink = 0.1', "no settings 'augment.shrink'"),
        ('recipe = "residual-cnn"\nreencoding = 3', "setting 'reencoding' is a group, with the settings whole, native"),
        ('recipe = "residual-cnn"\nlearning_rate = inf', "'learning_rate'"),
        ('recipe = "residual-cnn"\nepochs = 2026-11-27', "setting 'epochs' cannot be 2026-11-27"),
        ('recipe = "residual-cnn"\nepochs = 3\nepochs = 4', "is not TOML"),
        ("recipe = \nepochs = 3", "is not TOML: Invalid value (at line 1"),
        ("x" * 70_000, "over the limit of 65536"),
        ("a = " + "[" * 3000, "is not TOML"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, trainer, faces, capsys, text, said):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=re.escape(said)):
        read_recipe(path)
    assert trainer("fit", faces, "--recipe", path, "--out", tmp_path / "run") == 1
    printed = capsys.readouterr().err
    assert said in " ".join(printed.split())
    assert f"recipe file '{path}'" in printed.replace("\n", "")
    assert not (tmp_path / "run").exists()


def test_a_file_that_is_not_there_or_not_text_is_refused(tmp_path):
    with pytest.raises(RecipeError, match="cannot be read: No such file"):
        read_recipe(tmp_path / "none.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecipeError, match="is not TOML"):
        read_recipe(tmp_path / "binary.toml")


def ask(typed: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "trainer", "new", *map(str, arguments)]
    return subprocess.run(command, cwd=REPOSITORY, input=typed, capture_output=True, text=True, check=False, timeout=60)


def test_new_asks_and_writes_and_says_how_to_go_on(faces, tmp_path):
    path = tmp_path / "mine.toml"
    ended = ask(f"'{faces}'\n2\n1\n2\n9\n3\n3\n", path)
    assert ended.returncode == 0, ended.stderr
    assert f"{faces}: 24 files in real/, 24 in fake/" in ended.stdout
    assert "9 is not a number from 1 to 3." in ended.stdout
    assert "The smaller class has only 24 pictures" in ended.stdout
    assert f"trainer fit {faces} --recipe {path} --out runs/mine" in ended.stdout
    recipe = read_recipe(path)
    assert (recipe.name, recipe.preprocessing.framing, recipe.epochs, recipe.drawings) == (
        "residual-cnn", "face", 2, 0.15,
    )  # fmt: skip
    again = ask("", path, "--defaults")
    assert again.returncode == 1
    assert "exists" in again.stderr


def test_new_takes_the_first_answers_and_refuses_wrong_ones(faces, tmp_path):
    assert ask("", tmp_path / "a.toml", "--defaults", "--data", faces).returncode == 0
    assert read_recipe(tmp_path / "a.toml").name == "efficientnet-lite"
    for typed, arguments, said in (
        ("\n9\n", (tmp_path / "b.toml",), "Aborted"),
        ("nowhere\n", (tmp_path / "b.toml",), "'nowhere' does not exist"),
        (f"{tmp_path}\n", (tmp_path / "b.toml",), "holds no file in real/ or fake/"),
        ("", (tmp_path / "b.txt",), "does not end with .toml"),
    ):
        ended = ask(typed, *arguments)
        assert ended.returncode == 1
        assert said in " ".join((ended.stderr + ended.stdout).split())
        assert "Traceback" not in ended.stderr
        assert not arguments[0].exists()


@given(st.data())
def test_auc_is_that_of_the_pictures_that_are_either(data):
    labels = data.draw(st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=4, max_size=60))
    scores = data.draw(st.lists(st.floats(0, 1), min_size=len(labels), max_size=len(labels)))
    truth, p = np.array(labels), np.array(scores).round(2)
    sure = truth != 0.5
    if len(set(truth[sure])) < 2:
        return
    metric = FakeAUC(1, num_thresholds=401)
    metric.update_state(np.stack([1 - truth, truth], 1), np.stack([1 - p, p], 1))
    assert float(metric.result()) == pytest.approx(roc_auc_score(truth[sure], p[sure]), abs=0.02)


def test_a_history_that_gained_a_figure_is_still_read(tmp_path):
    path = tmp_path / "history.csv"
    write_history(
        path, [{"epoch": 1, "loss": 0.5, "seconds": 1.0}, {"epoch": 2, "loss": 0.4, "auc": 0.7, "seconds": 1.0}]
    )
    assert [row["auc"] for row in read_history(path)] == ["", 0.7]


def test_the_view_shows_epochs_figures_rate_and_time_left(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("trainer.training.live.time.monotonic", lambda: now[0])
    console = Console(file=io.StringIO(), force_terminal=False, width=120)
    view = LiveView(console, 10, 32, [{"epoch": 1, "loss": 0.7, "val_loss": 0.6, "val_auc": 0.81, "seconds": 20.0}])
    view.set_params({"steps": 20})
    view._live = object()  # as on a terminal
    view.on_epoch_begin(1)
    assert view.status() == "epoch 2 of 10: starting"
    for batch in range(10):
        now[0] += 0.5
        view.on_train_batch_end(batch, {"loss": 0.5, "auc": 0.9})
    assert view.status() == "epoch 2 of 10, 64 pictures a second, about 3 min left"
    console.print(view.render())
    shown = console.file.getvalue()
    for text in ("AUC, validation", "0.8100", "0.9000", "10/20", "2 …"):
        assert text in shown


@pytest.mark.long
def test_a_fit_by_a_recipe_file_on_a_terminal_with_tensorboard(faces, tmp_path):
    """As a person runs it: a pseudo-terminal shows the view, and TensorBoard's own reader reads the events."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    recipe = tmp_path / "mine.toml"
    recipe.write_text('recipe = "residual-cnn"\nepochs = 2\nbatch_size = 8\ncache_side = 128\n')
    run = tmp_path / "run"
    command = [sys.executable, "-m", "trainer", "fit", faces, "--recipe", recipe, "--out", run, "--tensorboard"]
    child, terminal = pty.fork()
    if not child:
        os.chdir(REPOSITORY)
        environment = os.environ | {"COLUMNS": "120", "LINES": "40", "TERM": "xterm"}
        os.execvpe(sys.executable, list(map(str, command)), environment)  # noqa: S606
    seen = b""
    while True:
        try:
            piece = os.read(terminal, 65_536)
        except OSError:  # the terminal is closed: it has ended
            break
        if not piece:
            break
        seen += piece
    _, status = os.waitpid(child, 0)
    os.close(terminal)
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen.decode("utf-8", "replace"))
    assert os.waitstatus_to_exitcode(status) == 0, shown[-2000:]
    assert re.search(r"epoch 2 of 2, \d+ pictures a second, about \d+ s left", shown)
    assert "AUC, validation" in shown
    assert "validating" in shown
    history = read_history(run / "history.csv")
    for part, key in (("training", "auc"), ("validation", "val_auc")):
        events = EventAccumulator(str(run / "tensorboard" / part))
        events.Reload()
        assert {"accuracy", "auc", "loss"} <= set(events.Tags()["scalars"])
        assert [event.step for event in events.Scalars("auc")] == [1, 2]
        assert [event.value for event in events.Scalars("auc")] == pytest.approx(
            [row[key] for row in history], abs=1e-5
        )


def test_without_the_extra_it_says_what_to_install(faces, tmp_path, trainer, monkeypatch, capsys):
    monkeypatch.setattr("trainer.training.tensorboard.find_spec", lambda name: None)
    assert trainer("fit", faces, "--recipe", "residual-cnn", "--out", tmp_path / "run", "--tensorboard") == 1
    assert "face-authenticity[tensorboard]" in " ".join(capsys.readouterr().err.split())
    assert not Path(tmp_path / "run").exists()
