"""A wrong answer is a fault too: the same picture gets the same answer, and what is no photo of a face no sure one."""

import io
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from service.app import create_app
from service.contract.verdict.calibration import verdicts
from service.inference.engine import Engine
from service.inference.engine_options import EngineOptions
from service.model_settings import default_model
from service.settings import Settings
from tests.cartoon import cartoon
from tests.conftest import PUBLIC_DOMAIN, REPOSITORY
from trainer.augment.cartoons import cartoon as invented
from trainer.augment.drawings import TECHNIQUES, pencilled

MODELS = sorted(REPOSITORY.glob("models/*/*/model.onnx"))
BACK = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.fixture(scope="module")
def default() -> TestClient:
    """The service as it comes: the default model, and its default settings."""
    with TestClient(create_app(Settings(), Engine.load(default_model(), EngineOptions("cpu", 1)))) as client:
        yield client


def ask(client: TestClient, payload: bytes) -> dict:
    response = client.post("/predict", content=payload, headers={"Content-Type": "image/*"})
    assert response.status_code == 200, response.text
    return response.json()


def saved(image: Image.Image, file_format: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.parent.parent.name)
def test_probabilities_equal_in_any_batch_and_thread_count(path, astronaut):
    single = Engine.load(path, EngineOptions("cpu", 1))
    side = single.spec.input_height
    draw = np.random.default_rng(3)
    crops = [astronaut.crop((left, 20, left + 200, 220)) for left in range(90, 190, 9)]
    tensors = [np.asarray(crop.resize((side, side))) for crop in crops]
    tensors += [draw.integers(0, 256, (side, side, 3), dtype=np.uint8) for _ in range(4)]
    images = np.stack(tensors)
    alone = np.concatenate([single.logits(image[None]) for image in images])
    expected = np.array([result.p_fake for result in verdicts(alone, single.spec)])
    worst = 0.0
    for threads in (1, 2, 3, 4):
        engine = Engine.load(path, EngineOptions("cpu", threads))
        for size in (1, 2, 3, 5, 8, len(images)):
            order = draw.permutation(len(images))
            for start in range(0, len(images), size):
                rows = order[start : start + size]
                result = [verdict.p_fake for verdict in verdicts(engine.logits(images[rows]), engine.spec)]
                worst = max(worst, float(np.abs(result - expected[rows]).max()))
    assert worst <= 1e-5


def test_same_bytes_get_the_same_answer_under_mixed_load(astronaut):
    settings = Settings(decode_threads=4, batch_window_ms=20, batches_in_flight=2, max_queue=100)
    with TestClient(create_app(settings, Engine.load(default_model(), EngineOptions("cpu", 2)))) as client:
        payloads = [saved(astronaut.crop((60 + 6 * n, 0, 400 + 6 * n, 340)), "JPEG", quality=80 + n) for n in range(8)]
        alone = [ask(client, payload) for payload in payloads]
        order = random.Random(1).choices(range(8), k=120)
        with ThreadPoolExecutor(24) as pool:
            answers = list(pool.map(lambda number: ask(client, payloads[number]), order))
    for number, answer in zip(order, answers, strict=True):
        assert answer["image"]["sha256"] == alone[number]["image"]["sha256"]
        assert abs(answer["probabilities"]["fake"] - alone[number]["probabilities"]["fake"]) <= 1e-5
        assert answer["verdict"] == alone[number]["verdict"]


def test_eight_orientations_of_one_picture_get_one_verdict(default, astronaut):
    answers = []
    for turn in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = turn
        stored = astronaut.transpose(BACK[turn]) if turn > 1 else astronaut
        answers.append(ask(default, saved(stored, exif=exif)))
        in_jpeg = ask(default, saved(stored, "JPEG", quality=95, exif=exif))
        assert (in_jpeg["verdict"], in_jpeg["image"]["width"]) == (answers[0]["verdict"], 512)
    for answer in answers:
        assert answer["probabilities"] == answers[0]["probabilities"]
        assert answer["faces"] == answers[0]["faces"]


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_a_png_and_its_lossless_webp_get_the_same_probabilities(default, astronaut, mode):
    image = astronaut.convert(mode)
    if mode == "RGBA":
        image.putalpha(astronaut.convert("L"))
    first, second = ask(default, saved(image)), ask(default, saved(image, "WEBP", lossless=True, exact=True))
    assert first["probabilities"] == second["probabilities"]
    assert first["faces"] == second["faces"]


def posterised(astronaut: Image.Image) -> Image.Image:
    """A photo made into a drawing: eight colours, and black lines."""
    face = astronaut.crop((130, 0, 330, 230)).resize((400, 460))
    flat = np.asarray(face.quantize(8, dither=Image.Dither.NONE).convert("RGB")).copy()
    grey = np.asarray(face.convert("L")).astype(int)
    edges = np.abs(np.diff(grey, axis=1, prepend=grey[:, :1])) + np.abs(np.diff(grey, axis=0, prepend=grey[:1])) > 40
    flat[edges] = 0
    return Image.fromarray(flat)


def no_photos(astronaut: Image.Image) -> dict[str, Image.Image]:
    draw = np.random.default_rng(0)
    pictures = {}
    for side in (160, 300, 1024):
        soft = Image.fromarray(draw.integers(0, 256, (side // 8, side // 8, 3), dtype=np.uint8))
        pictures |= {
            f"black {side}": Image.new("RGB", (side, side)),
            f"white {side}": Image.new("RGB", (side, side), (255, 255, 255)),
            f"grey {side}": Image.new("RGB", (side, side), (127, 127, 127)),
            f"noise {side}": Image.fromarray(draw.integers(0, 256, (side, side, 3), dtype=np.uint8)),
            f"soft noise {side}": soft.resize((side, side), Image.Resampling.BICUBIC),
            f"gradient {side}": Image.linear_gradient("L").resize((side, side)).convert("RGB"),
            f"cartoon {side}": cartoon(side),
        }
    with Image.open(PUBLIC_DOMAIN / "coffee.png") as coffee, Image.open(PUBLIC_DOMAIN / "brick.png") as brick:
        pictures |= {
            "coffee": coffee.convert("RGB"),
            "brick": brick.convert("RGB"),
            "drawn photo": posterised(astronaut),
        }
    return pictures


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP"])
def test_what_is_no_photo_of_a_face_gets_no_sure_verdict(default, astronaut, file_format):
    for name, image in no_photos(astronaut).items():
        answer = ask(default, saved(image, file_format))
        assert answer["verdict"] == "uncertain", (name, answer)
        assert answer["reasons"]


@pytest.mark.parametrize("file_format", ["PNG", "JPEG"])
def test_cartoons_get_no_sure_verdict(default, file_format):
    judged = 0
    for side in (160, 400):
        for seed in range(40):
            image = invented((side, side), np.random.default_rng(seed))
            answer = ask(default, saved(image, file_format))
            assert answer["verdict"] == "uncertain", (side, seed, answer)
            judged += "between_thresholds" in answer["reasons"]
    assert judged >= 2  # what is left by the finder and by `drawn` is for the model to be unsure of


@pytest.mark.parametrize("technique", sorted({*TECHNIQUES} - {pencilled}, key=lambda technique: technique.__name__))
@pytest.mark.parametrize("file_format", ["PNG", "JPEG"])
def test_most_photos_made_into_drawings_get_no_sure_verdict(default, astronaut, technique, file_format):
    """Not all: a faint one is nearly a photo, as pencil over colour mostly is; docs/faces.md says how many."""
    photo = astronaut.crop((130, 0, 330, 230))
    drawn = (technique(photo, np.random.default_rng(seed)) for seed in range(10))
    answers = [ask(default, saved(image, file_format)) for image in drawn]
    assert [answer["verdict"] for answer in answers].count("uncertain") >= 6, answers
    if file_format == "JPEG":  # which hides flat colours, so that the model itself must be unsure
        judged = [answer["reasons"] for answer in answers if not {"no_face", "drawn"} & set(answer["reasons"])]
        assert sum("between_thresholds" in reasons for reasons in judged) >= 0.5 * len(judged) > 0, judged


def test_default_model_is_uncertain_on_cartoons():
    engine = Engine.load(default_model(), EngineOptions("cpu", 1))
    size = (engine.spec.input_width, engine.spec.input_height)
    shown = np.stack([np.asarray(invented(size, np.random.default_rng(seed))) for seed in range(100)])
    assert [verdict.verdict for verdict in verdicts(engine.logits(shown), engine.spec)].count("uncertain") >= 95


def test_landscapes_get_no_sure_verdict(default, faces_data):
    paths = sorted((faces_data / "hostile").glob("Landscape_*.jpg"))
    assert len(paths) > 5
    for path in paths:
        answer = ask(default, path.read_bytes())
        assert (answer["verdict"], answer["reasons"]) == ("uncertain", ["no_face"]), path


def some_files(folder: Path, count: int) -> list[Path]:
    """Return real files of every source, as many of each."""
    named = [source / label for source in sorted(folder.iterdir()) for label in ("real", "fake")]
    files = [sorted(path for path in source.rglob("*.jpg")) for source in named if source.is_dir()]
    per_source = -(-count // len(files))
    return [path for paths in files for path in paths[:: max(1, len(paths) // per_source)][:per_source]]


@pytest.mark.long
def test_service_and_trainer_agree_on_a_thousand_real_files(default, faces_data):
    from trainer.data.tensors import load_tensor
    from trainer.evaluation.evaluate import calibrated

    engine = Engine.load(default_model(), EngineOptions("cpu", 1))
    compared, worst = 0, 0.0
    for path in some_files(faces_data, 1250):
        payload = path.read_bytes()
        response = default.post("/predict", content=payload, headers={"Content-Type": "image/*"})
        if response.status_code != 200:
            continue
        tensor = load_tensor(path, engine.spec.preprocessing)
        p_fake = float(calibrated(engine.logits(tensor[None]), engine.spec)[0])
        worst = max(worst, abs(p_fake - response.json()["probabilities"]["fake"]))
        compared += 1
    assert compared >= 1000
    assert worst <= 1e-5
