"""The page at ``/``, in headless Chromium: what a person does with it, and what becomes of what goes wrong."""

import csv
import io
import json
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest
import uvicorn
from PIL import Image
from playwright.sync_api import BrowserContext, Page, expect, sync_playwright

from service.api import page
from service.app import create_app
from service.contract.faces.face import FINDER
from service.contract.verdict.reasons import REASONS
from service.errors import ERROR_CODES
from service.inference.engine import Engine
from service.inference.engine_options import EngineOptions
from service.lifecycle.keys import new_key
from service.server.http_protocol import http_protocol
from service.server.websocket_protocol import websocket_protocol
from service.settings import Settings
from service.video.video_reasons import VIDEO_REASONS
from tests.serving import PATIENCE, free_port

CHROMIUM = shutil.which("chromium")
expect.set_options(timeout=PATIENCE * 1000)
FOLDER = Path(page.__file__).parents[1] / "page"


@pytest.fixture(scope="session")
def tiny_engine(make_model, make_spec) -> Engine:
    """The tiny model with a margin and a map; grey over 127 is fake."""
    metrics = {"test_real_called_fake": 0.003, "test_fake_called_real": 0.04, "test_uncertain": 0.1}
    spec = make_spec(face_margin=1.3, face_finder=FINDER, metrics=metrics)
    return Engine.from_bytes(make_model(spec, evidence=True), EngineOptions("cpu", 1))


@pytest.fixture(scope="module")
def files(astronaut, tmp_path_factory) -> Path:
    """A dark face (real), a bright one (fake), no face, and what is no picture."""
    folder = tmp_path_factory.mktemp("files")
    portrait = astronaut.crop((120, 0, 320, 200))
    portrait.point(lambda value: value // 2).save(folder / "dark.jpg")
    portrait.point(lambda value: 110 + value // 2).save(folder / "bright.png")
    Image.new("RGB", (200, 200), "green").save(folder / "=no face.webp")
    (folder / "notes.txt").write_text("no picture")
    (folder / "cut.jpg").write_bytes((folder / "dark.jpg").read_bytes()[:900])
    (folder / "<img src=x onerror=alert(1)>.jpg").write_bytes((folder / "dark.jpg").read_bytes())
    with (folder / "camera.mjpeg").open("wb") as file:
        for number in range(10):
            shown = Image.new("RGB", (640, 480), "grey")
            shown.paste(portrait.point(lambda value: 110 + value // 2).resize((400, 400)), (100 + number, 40))
            shown.save(file, "JPEG", quality=92)
    return folder


@pytest.fixture(scope="module")
def browser(files) -> Iterator:
    if CHROMIUM is None:
        pytest.skip("needs Chromium (Debian: apt-get install chromium)")
    fake = ("--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={files / 'camera.mjpeg'}")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", *fake, "--use-fake-ui-for-media-stream"]
        )
        yield opened
        opened.close()


class Server:
    """A service that can be stopped and started again on its port."""

    def __init__(self, engine: Engine, settings: dict) -> None:
        self._engine, self._settings = engine, Settings(port=free_port(), faces="crop", **settings)
        self.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._settings.port}/"

    def start(self) -> None:
        settings = self._settings
        config = uvicorn.Config(
            create_app(settings, self._engine),
            port=settings.port,
            log_config=None,
            access_log=False,
            http=http_protocol(settings.max_connections, settings.header_timeout_s),
            ws=websocket_protocol(settings.header_timeout_s),
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run)
        self._thread.start()
        while not self._server.started:
            assert self._thread.is_alive()

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join()


class Opened:
    """The page, and what its console and its connections say."""

    def __init__(self, context: BrowserContext, address: str) -> None:
        self.page: Page = context.new_page()
        self.errors: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(address)
        self.page.wait_for_selector("html[data-ready]")

    def choose(self, *paths: Path) -> None:
        self.page.set_input_files("#files", paths)

    def verdict(self) -> str:
        return self.page.locator("#detail .verdict").inner_text()


@pytest.fixture
def server(tiny_engine) -> Iterator[Callable[..., Server]]:
    running: list[Server] = []

    def start(**settings: object) -> Server:
        running.append(Server(tiny_engine, settings))
        return running[-1]

    yield start
    for server in running:
        server.stop()


@pytest.fixture
def opened(browser, server) -> Iterator[Callable[..., Opened]]:
    """Open the page of a service of its own; in the end there must have been no error and no foreign request."""
    contexts, all_opened = [], []

    def open_page(address: str | None = None, **options: object) -> Opened:
        address = address or server().address
        contexts.append(browser.new_context(accept_downloads=True, **options))
        contexts[-1].set_default_timeout(PATIENCE * 1000)
        contexts[-1].grant_permissions(["clipboard-read", "clipboard-write"])
        all_opened.append((Opened(contexts[-1], address), address))
        return all_opened[-1][0]

    yield open_page
    for visit, address in all_opened:
        assert visit.errors == []
        own = (address, address.replace("http:", "ws:"), f"blob:{address}")
        assert [url for url in visit.asked if not url.startswith(own)] == []
    for context in contexts:
        context.close()


def test_a_chosen_picture_gets_verdict_bar_faces_and_evidence(opened, files):
    visit = opened()
    page = visit.page
    expect(page.locator("#service")).to_have_text("Ready")
    expect(page.locator("#model")).to_contain_text("3 of 1,000 real photos")
    visit.choose(files / "bright.png")
    expect(page.locator("#detail .verdict")).to_have_text("Probably AI-generated")
    label = page.locator(".scale").get_attribute("aria-label")
    assert "Up to 20 % it says real, from 80 % AI-generated" in label
    assert page.locator(".scale small").all_inner_texts() == ["real up to 20 %", "AI-generated from 80 %"]
    expect(page.locator(".frame rect")).to_have_count(1)
    canvas = page.locator(".frame canvas")
    expect(page.locator("#evidence-help")).to_contain_text("their mean is the answer")
    assert canvas.evaluate("canvas => [canvas.width, canvas.height]") == [6, 6]
    colours = canvas.evaluate("canvas => [...canvas.getContext('2d').getImageData(0, 0, 6, 6).data]")
    assert any(colours[3::4])
    page.locator("#evidence").fill("0")
    assert canvas.evaluate("canvas => getComputedStyle(canvas).opacity") == "0"
    page.locator("#evidence").press("End")
    assert canvas.evaluate("canvas => getComputedStyle(canvas).opacity") == "1"
    expect(page.locator("#live")).to_contain_text("Probably AI-generated")
    expect(page.locator("#detail")).to_contain_text("no signed note of origin")


def test_a_pasted_and_a_dropped_picture_are_looked_at(opened, files):
    page = opened().page
    data = list((files / "dark.jpg").read_bytes())
    transfer = """([data, kind]) => {
        const carried = new DataTransfer();
        carried.items.add(new File([new Uint8Array(data)], `${kind}.jpg`, {type: "image/jpeg"}));
        document.dispatchEvent(kind === "paste"
            ? new ClipboardEvent("paste", {clipboardData: carried})
            : new DragEvent("drop", {dataTransfer: carried}));
    }"""
    page.evaluate(transfer, [data, "paste"])
    expect(page.locator("#detail .verdict")).to_have_text("Probably a real photo")
    page.evaluate(transfer, [data, "drop"])
    expect(page.locator("tbody tr")).to_have_count(2)
    expect(page.locator("tbody tr[aria-current] button")).to_have_text("drop.jpg")


def test_many_files_get_a_table_that_sorts_and_a_csv(opened, files):
    visit = opened()
    page = visit.page
    names = ["dark.jpg", "bright.png", "=no face.webp", "notes.txt", "cut.jpg"]
    visit.choose(*(files / name for name in names))
    expect(page.locator("#live")).to_have_text("5 files: 1 real, 1 AI-generated, 1 not sure, 2 without a verdict.")
    expect(page.locator("#progress")).to_be_hidden()
    assert page.locator("tbody button.name").all_inner_texts() == names
    page.get_by_role("button", name="AI-generated", exact=True).click()
    expect(page.locator("th[aria-sort]")).to_have_attribute("aria-sort", "descending")
    order = ["bright.png", "dark.jpg", "=no face.webp", "notes.txt", "cut.jpg"]  # what has no number is last
    assert page.locator("tbody button.name").all_inner_texts() == order
    page.get_by_role("button", name="AI-generated ▾", exact=True).click()
    assert page.locator("tbody button.name").all_inner_texts() == ["dark.jpg", "bright.png", *order[2:]]
    page.get_by_role("button", name="notes.txt").click()
    expect(page.locator("#detail")).to_contain_text("This is not a JPEG, PNG or WebP picture")
    expect(page.locator("#detail button")).to_have_count(0)  # another try would not help
    page.get_by_role("button", name="=no face.webp").click()
    expect(page.locator("#detail")).to_contain_text("No face was found")
    expect(page.locator("#detail .scale")).to_have_count(0)  # a number would mean nothing
    with page.expect_download() as download:
        page.get_by_role("button", name="Download as CSV").click()
    rows = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text("utf-8-sig"))))
    assert [row["file"] for row in rows] == ["dark.jpg", "bright.png", "'=no face.webp", "notes.txt", "cut.jpg"]
    assert [row["verdict"] for row in rows] == ["real", "fake", "uncertain", "", ""]
    assert float(rows[1]["p_fake"]) > 0.8
    assert rows[3]["error_code"] == "unsupported_format"
    page.locator("#list .clear").click()
    expect(page.locator("#results")).to_be_hidden()


def test_a_name_that_is_markup_stays_a_name(opened, files):
    visit = opened()
    visit.choose(files / "<img src=x onerror=alert(1)>.jpg", files / "dark.jpg")
    expect(visit.page.locator("tbody button.name").first).to_have_text("<img src=x onerror=alert(1)>.jpg")
    assert visit.page.locator("table img").count() == 0


def test_a_service_that_goes_away_loses_no_file(opened, server, files):
    running = server()
    visit = opened(running.address)
    page = visit.page
    visit.choose(files / "dark.jpg")
    expect(page.locator("#detail .verdict")).to_have_text("Probably a real photo")
    running.stop()
    visit.choose(files / "bright.png")
    expect(page.locator("#detail")).to_contain_text("The service does not answer")
    expect(page.locator("#service")).to_have_text("The service does not answer.")
    running.start()
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#detail .verdict")).to_have_text("Probably AI-generated")
    expect(page.locator("#service")).to_have_text("Ready")
    # Of a connection that is refused a browser itself tells the console.
    visit.errors = [error for error in visit.errors if "ERR_CONNECTION_REFUSED" not in error]


def test_the_keyboard_alone_is_enough(opened, files):
    visit = opened()
    page = visit.page
    # From the beginning, for Playwright needs a while until it notices one.
    page.on("filechooser", lambda chooser: chooser.set_files([files / "dark.jpg", files / "bright.png"]))
    expect(page.locator("#service")).to_have_text("Ready")

    def focused() -> str:
        return page.evaluate("document.activeElement.textContent || document.activeElement.id")

    page.keyboard.press("Tab")
    assert focused() == "Choose files"
    page.keyboard.press("Enter")
    expect(page.locator("#live")).to_contain_text("2 files: 1 real, 1 AI-generated")
    seen = []
    for _ in range(25):
        page.keyboard.press("Tab")
        seen.append(focused())
        if seen[-1] == "bright.png":
            break
    assert {"evidence", "Copy as curl", "Download as CSV", "Clear", "Verdict"} <= set(seen)
    page.keyboard.press("Enter")
    expect(page.locator("#detail .verdict")).to_have_text("Probably AI-generated")
    expect(page.locator("#live")).to_contain_text("bright.png: Probably AI-generated")
    assert focused() == "bright.png"  # though the rows were made anew
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.locator("#evidence").focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("#evidence").input_value() == "61"


def test_the_command_that_is_copied_asks_for_the_same(opened, server, files):
    import subprocess

    running = server()
    visit = opened(running.address)
    visit.choose(files / "bright.png")
    visit.page.get_by_role("button", name="Copy as curl").click()
    expect(visit.page.get_by_role("button", name="Copied")).to_be_visible()
    command = visit.page.evaluate("navigator.clipboard.readText()")
    assert command.startswith("curl -F 'file=@bright.png'")
    ended = subprocess.run(["bash", "-c", f"{command} -s"], cwd=files, capture_output=True, text=True, check=True)
    assert json.loads(ended.stdout)["verdict"] == "fake"


def test_a_key_is_asked_for_once_and_used(opened, server, files, tmp_path):
    key, line = new_key("page")
    (tmp_path / "keys.txt").write_text(f"{line}\n")
    visit = opened(server(api_keys=tmp_path / "keys.txt").address)
    page = visit.page
    visit.choose(files / "dark.jpg")
    page.get_by_label("This service asks for an API key").fill("fa_wrong")
    page.keyboard.press("Enter")
    page.get_by_label("This service does not know that API key").fill(key)
    page.get_by_role("button", name="Use it").click()
    expect(page.locator("#detail .verdict")).to_have_text("Probably a real photo")
    expect(page.locator("#model")).to_be_visible()
    page.get_by_role("button", name="Use the camera").click()
    expect(page.locator("#live-verdict .verdict")).to_have_text("Probably AI-generated")
    visit.errors = [error for error in visit.errors if "401" not in error]  # as a browser tells of any 401


def test_the_camera_is_answered_and_gives_a_picture(opened):
    page = opened().page
    page.get_by_role("button", name="Use the camera").click()
    expect(page.locator("#live-verdict .verdict")).to_have_text("Probably AI-generated")
    expect(page.locator("#live-boxes rect")).to_have_count(1)
    expect(page.locator("#live-rate")).to_contain_text(re.compile(r"[1-9]\d* frames a second, \d+ ms"))
    page.get_by_role("button", name="Take a picture").click()
    expect(page.locator("#detail .verdict")).to_have_text("Probably AI-generated")
    expect(page.locator("#viewer")).to_be_hidden()
    page.get_by_role("button", name="Use the camera").click()
    expect(page.locator("#viewer")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#viewer")).to_be_hidden()


@pytest.fixture
def clip(astronaut, tmp_path) -> Path:
    """A dark face that wanders for one second and a half."""
    portrait = astronaut.crop((120, 0, 320, 200)).point(lambda value: value // 2)
    path = tmp_path / "clip.webm"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libvpx", rate=24)
        stream.width = stream.height = 240
        for number in range(36):
            shown = Image.new("RGB", (240, 240), (40, 60, 90))
            shown.paste(portrait, (number, 10))
            file.mux(stream.encode(av.VideoFrame.from_ndarray(np.asarray(shown), format="rgb24")))
        file.mux(stream.encode())
    return path


def test_several_videos_wait_for_each_other(opened, clip, tmp_path):
    """The service reads one at a time; none is refused for that, and none ends without a verdict."""
    names = [tmp_path / f"{number}.webm" for number in range(5)]
    for name in names:
        name.write_bytes(clip.read_bytes())
    visit = opened()
    visit.choose(*names)
    expect(visit.page.locator("#live")).to_have_text("5 files: 5 real, 0 AI-generated, 0 not sure.")


def test_a_service_without_video_says_so_before_it_is_sent(opened, clip, monkeypatch):
    from service.video import frames

    monkeypatch.setattr(frames, "available", lambda: False)
    visit = opened()
    expect(visit.page.locator("#model")).to_be_visible()
    assert "video" not in visit.page.locator("#files").get_attribute("accept")
    visit.choose(clip)
    expect(visit.page.locator("#detail")).to_contain_text("This service judges pictures only")
    assert not [url for url in visit.asked if "predict" in url]


def test_a_damaged_video_is_refused_in_a_sentence(opened, clip):
    clip.write_bytes(clip.read_bytes()[:200])
    visit = opened()
    visit.choose(clip)
    expect(visit.page.locator("#detail")).to_contain_text("The video is damaged. Use another copy of it.")
    visit.errors = [error for error in visit.errors if "422" not in error]  # as a browser tells of any refusal


def test_a_video_without_a_face_gets_no_number(opened, tmp_path):
    path = tmp_path / "empty.webm"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libvpx", rate=24)
        stream.width = stream.height = 240
        for _ in range(12):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((240, 240, 3), np.uint8), format="rgb24")))
        file.mux(stream.encode())
    visit = opened()
    visit.choose(path)
    expect(visit.page.locator("#detail")).to_contain_text("No face was found")
    expect(visit.page.locator("#detail .scale")).to_have_count(0)


def test_a_video_has_a_timeline(opened, clip):
    visit = opened()
    page = visit.page
    visit.choose(clip)
    expect(page.locator("#detail .verdict")).to_have_text("No sign of a generated face")
    expect(page.locator("#detail")).to_contain_text("does not recognise face swaps")
    expect(page.locator(".timeline circle")).to_have_count(32)
    expect(page.locator(".faces")).to_contain_text("judged in 32 of 32 frames")
    page.locator(".timeline").click(position={"x": 200, "y": 60})
    expect(page.locator(".frame rect")).to_have_count(1)
    page.get_by_text("Frame by frame").press("Enter")
    page.locator(".moments button").nth(-1).press("Enter")
    page.wait_for_timeout(200)
    assert page.locator("#detail video").evaluate("video => video.currentTime") > 1.3


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_nothing_is_wider_than_it(opened, files, scheme):
    visit = opened(viewport={"width": 360, "height": 700}, color_scheme=scheme, has_touch=True, is_mobile=True)
    visit.choose(files / "bright.png", files / "dark.jpg", files / "notes.txt")
    expect(visit.page.locator("#live")).to_contain_text("3 files")
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= 360
    ground = visit.page.evaluate("getComputedStyle(document.body).backgroundColor")
    light = sum(map(int, re.findall(r"\d+", ground)[:3])) > 380
    assert light is (scheme == "light")


def test_every_code_and_reason_has_words_for_people():
    words = (FOLDER / "words.js").read_text("utf-8")
    reasons, advice = words.split("const ADVICE")
    assert set(re.findall(r"^  (\w+): \"", advice, re.M)) == set(ERROR_CODES) | {"gone"}
    assert set(re.findall(r"^  (\w+): \"", reasons.split("REASONS")[1], re.M)) == set(REASONS) | set(VIDEO_REASONS)
    for sentence in re.findall(r"^  \w+: \"(.*)\",$", words, re.M):
        assert sentence.endswith(".")


def test_the_page_is_small_and_names_no_other_place():
    files = [path for path in FOLDER.iterdir() if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 100_000
    for path in files:
        text = path.read_text("utf-8")
        assert re.findall(r"(?:https?:)?//[\w.-]+\.\w+", text.replace("http://www.w3.org/", "")) == [], path


def test_page_files_have_a_policy_and_are_cached_by_content(client):
    for path, kind in (("/", "text/html"), ("/page/app.js", "text/javascript"), ("/page/style.css", "text/css")):
        response = client.get(path)
        assert response.status_code == 200
        assert response.headers["content-type"].startswith(kind)
        policy = response.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        again = client.get(path, headers={"if-none-match": response.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
    assert client.head("/").status_code == 200
    for path in ("/page/", "/page/..%2fapp.py", "/page/../app.py", "/page/app.py", "/page/index.html/"):
        assert client.get(path).status_code in (404, 405), path
