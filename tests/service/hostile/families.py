"""Families of hostile pictures, and what is to become of each: the policy that docs/api.md states.

Everything is made from one picture and a seed; nothing here is meant to be opened without limits.
"""

import io
import random
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

REFUSED = frozenset({"corrupt_image", "image_too_small", "too_many_pixels", "unsupported_format", "empty_payload"})
SCORED = frozenset({"scored"})


@dataclass(frozen=True, slots=True)
class Case:
    """One file: its name, its bytes, and the outcomes that are right: codes, or ``scored``.

    ``like`` is a picture that it must be scored as, to the bit.
    """

    name: str
    payload: bytes
    outcomes: frozenset[str]
    like: bytes = b""


def saved(image: Image.Image, file_format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def with_chunk(png: bytes, kind: bytes, data: bytes) -> bytes:
    """Return a PNG with one more chunk behind its header."""
    return png[:33] + chunk(kind, data) + png[33:]


def with_segment(jpeg: bytes, marker: int, data: bytes) -> bytes:
    """Return a JPEG with one more segment in front."""
    return jpeg[:2] + bytes((0xFF, marker)) + struct.pack(">H", len(data) + 2) + data + jpeg[2:]


def forms(picture: Image.Image) -> dict[str, bytes]:
    """Return one picture in every kind of file that is read."""
    return {
        "baseline.jpg": saved(picture, "JPEG", quality=85),
        "progressive.jpg": saved(picture, "JPEG", quality=85, progressive=True),
        "restarts.jpg": saved(picture, "JPEG", quality=85, restart_marker_rows=1),
        "grey.jpg": saved(picture.convert("L"), "JPEG"),
        "cmyk.jpg": saved(picture.convert("CMYK"), "JPEG"),
        "colour.png": saved(picture, "PNG"),
        "alpha.png": saved(picture.convert("RGBA"), "PNG"),
        "lossy.webp": saved(picture, "WEBP", quality=80),
        "lossless.webp": saved(picture, "WEBP", lossless=True),
        "alpha.webp": saved(_translucent(picture), "WEBP", quality=80),
    }


def _translucent(picture: Image.Image) -> Image.Image:
    image = picture.convert("RGBA")
    image.putalpha(picture.convert("L"))
    return image


def cut(picture: Image.Image) -> Iterator[Case]:
    """Each form, cut at every hundredth, and at each of its last bytes."""
    for name, payload in forms(picture).items():
        lengths = {len(payload) * hundredth // 100 for hundredth in range(100)}
        for length in sorted(lengths | {len(payload) - last for last in range(1, 9)}):
            yield Case(f"{name} {length}", payload[:length], REFUSED)


def cut_and_closed(picture: Image.Image) -> Iterator[Case]:
    """Each form, cut and made to look whole: an end marker put behind, checksums and lengths mended."""
    for name, payload in forms(picture).items():
        for hundredth in range(5, 100):
            length = len(payload) * hundredth // 100
            yield Case(f"{name} {length}", _closed(payload, length), REFUSED)
    png = forms(picture)["colour.png"]
    rows = b"".join(b"\0" + row.tobytes() for row in np.asarray(picture))
    for hundredth in range(5, 100):
        data = chunk(b"IDAT", zlib.compress(rows[: len(rows) * hundredth // 100]))
        yield Case(f"{hundredth} % of the rows.png", png[:33] + data + chunk(b"IEND", b""), REFUSED)


def _closed(payload: bytes, length: int) -> bytes:
    if payload[:2] == b"\xff\xd8":
        return payload[:length].rstrip(b"\xff") + b"\xff\xd9"
    if payload[:4] == b"RIFF":
        return _closed_webp(payload, length)
    start = payload.index(b"IDAT") - 4
    taken = max(0, length - start - 8)
    whole = int.from_bytes(payload[start : start + 4])
    return (
        payload[:start] + chunk(b"IDAT", payload[start + 8 : start + 8 + min(taken, whole - 8)]) + chunk(b"IEND", b"")
    )


def _closed_webp(payload: bytes, length: int) -> bytes:
    at, kept = 12, b""
    while at < length:
        kind, size = payload[at : at + 4], int.from_bytes(payload[at + 4 : at + 8], "little")
        data = payload[at + 8 : min(at + 8 + size, length)]
        kept += kind + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)
        at += 8 + size + size % 2
    return b"RIFF" + struct.pack("<I", 4 + len(kept)) + b"WEBP" + kept


def cut_between_scans(picture: Image.Image) -> Iterator[Case]:
    """A progressive JPEG that ends after each scan but the last: whole to the decoder, only coarse."""
    payload = forms(picture)["progressive.jpg"]
    starts = [offset for offset in range(len(payload)) if payload[offset : offset + 2] == b"\xff\xda"]
    for number, start in enumerate(starts[1:], 1):
        yield Case(f"{number} of {len(starts)} scans", payload[:start] + b"\xff\xd9", frozenset({"corrupt_image"}))


def changed(picture: Image.Image) -> Iterator[Case]:
    """One byte, or a burst of 32, replaced behind the first 12."""
    draw = random.Random(7)
    for name, payload in forms(picture).items():
        for number in range(60):
            width = 1 if number < 40 else 32
            offset = draw.randrange(12, len(payload) - width)
            damaged = payload[:offset] + draw.randbytes(width) + payload[offset + width :]
            yield Case(f"{name} {width} at {offset}", damaged, REFUSED | SCORED | {"animated_image"})


def damaged_png(picture: Image.Image) -> Iterator[Case]:
    """A bit of a PNG's pixels flipped, under a checksum that no longer holds."""
    payload = forms(picture)["colour.png"]
    start, draw = payload.index(b"IDAT") + 4, random.Random(8)
    for _ in range(40):
        offset = draw.randrange(start, len(payload) - 16)
        flipped = payload[:offset] + bytes([payload[offset] ^ 1]) + payload[offset + 1 :]
        yield Case(f"colour.png bit at {offset}", flipped, frozenset({"corrupt_image"}))


def lying(picture: Image.Image) -> Iterator[Case]:
    """Headers that announce another size than the data have."""
    jpeg, png, webp = (forms(picture)[name] for name in ("baseline.jpg", "colour.png", "lossy.webp"))
    frame = jpeg.index(b"\xff\xc0") + 5
    for height, width in [(65500, 65500), (65535, 32), (0, 100), (100, 0), (picture.height + 64, picture.width)]:
        yield Case(
            f"jpeg {width}x{height}", jpeg[:frame] + struct.pack(">HH", height, width) + jpeg[frame + 4 :], REFUSED
        )
    header = png[16:29]
    for width, height in [
        (2**31 - 1, 2**31 - 1),
        (0, 64),
        (64, 0),
        (picture.width, picture.height + 1),
        (2**32 - 1, 9),
    ]:
        lie = chunk(b"IHDR", struct.pack(">II", width, height) + header[8:])
        yield Case(f"png {width}x{height}", png[:8] + lie + png[33:], REFUSED)
    for size in [16383 | 16383 << 16, 0]:
        yield Case(f"webp {size:#x}", webp[:26] + struct.pack("<I", size) + webp[30:], REFUSED)
    # VP8 codes whatever it is given into something: nothing in it says that a size is wrong by a little.
    wider = struct.pack("<HH", picture.width + 64, picture.height)
    yield Case("webp wider", webp[:26] + wider + webp[30:], REFUSED | SCORED)


def bombs(picture: Image.Image) -> Iterator[Case]:
    """Little files that would become much: by pixels, frames, scans, chunks, compressed text, profile, EXIF and XMP."""
    jpeg, png, webp = (forms(picture)[name] for name in ("progressive.jpg", "colour.png", "lossless.webp"))
    blank = zlib.compress(bytes(64_000_000), 9)
    over = frozenset({"too_many_pixels"})
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 30_000, 30_000, 1, 0, 0, 0, 0))
    yield Case("png 900 megapixels", png[:8] + header + chunk(b"IDAT", blank) + chunk(b"IEND", b""), over)
    yield Case(
        "png 10000 frames", with_chunk(png, b"acTL", struct.pack(">II", 10_000, 0)), frozenset({"animated_image"})
    )
    frames = [Image.new("RGB", picture.size, (shade % 256, shade // 256, 9)) for shade in range(300)]
    moving = saved(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    yield Case("webp 300 frames", moving, frozenset({"animated_image"}))
    for kind, head in [(b"zTXt", b"a\0\0"), (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0"), (b"iCCP", b"a\0\0")]:
        yield Case(f"png 64 MB in {kind.decode()}", with_chunk(png, kind, head + blank), SCORED, png)
        many = b"".join(chunk(kind, head + blank[:2000]) for _ in range(3000))
        yield Case(f"png 3000 {kind.decode()}", png[:33] + many + png[33:], SCORED, png)
    entries = b"".join(struct.pack("<HHII", number, 7, 4_000_000, 8) for number in range(65_535))
    exif = b"II*\0" + struct.pack("<IH", 8, 65_535) + entries
    yield Case(
        "png EXIF of 65535 overlapping tags",
        with_chunk(png, b"eXIf", exif),
        frozenset({"image_too_small"}) | SCORED,
        png,
    )
    yield Case("jpeg EXIF of overlapping tags", with_segment(jpeg, 0xE1, b"Exif\0\0" + exif[:60_000]), SCORED, jpeg)
    looping = b"II*\0" + struct.pack("<IHHHIII", 8, 1, 0x8769, 4, 1, 8, 8)
    yield Case("jpeg EXIF that points at itself", with_segment(jpeg, 0xE1, b"Exif\0\0" + looping), SCORED, jpeg)
    start = jpeg.rindex(b"\xff\xda")
    yield Case("jpeg 5000 scans", jpeg[:start] + jpeg[start:-2] * 5000 + b"\xff\xd9", frozenset({"corrupt_image"}))
    yield Case("jpeg 500000 comments", jpeg[:2] + b"\xff\xfe\0\2" * 500_000 + jpeg[2:], frozenset({"corrupt_image"}))
    yield Case("jpeg 20 MB profile", jpeg[:2] + (b"\xff\xe2\xff\xff" + bytes(65_533)) * 300 + jpeg[2:], SCORED, jpeg)
    yield Case("png 500000 chunks", png[:33] + chunk(b"tIME", b"") * 500_000 + png[33:], frozenset({"corrupt_image"}))
    yield Case("webp 500000 chunks", _webp(webp[12:] + b"JUNK\0\0\0\0" * 500_000), frozenset({"corrupt_image"}))


def _webp(chunks: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WEBP" + chunks


def polyglots(picture: Image.Image) -> Iterator[Case]:
    """Pictures that are another kind of file as well: they are scored as the picture that they are."""
    script = b"<html><script>alert(1)</script><?php system($_GET[0]); ?>"
    for name in ("baseline.jpg", "progressive.jpg", "colour.png", "lossless.webp"):
        payload = forms(picture)[name]
        yield Case(f"{name} and zip", payload + b"PK\3\4" + bytes(400) + b"PK\5\6" + bytes(18), SCORED, payload)
        yield Case(f"{name} and html", payload + script, SCORED, payload)
        rotated = forms(picture.rotate(180))[name]
        yield Case(f"{name} and another picture", payload + rotated, SCORED, payload)
    jpeg, png = forms(picture)["baseline.jpg"], forms(picture)["colour.png"]
    yield Case("html in a comment", with_segment(jpeg, 0xFE, script), SCORED, jpeg)
    yield Case("html in a text", with_chunk(png, b"tEXt", b"Comment\0" + script), SCORED, png)
    yield Case("gif, then jpeg", b"GIF89a" + jpeg, frozenset({"unsupported_format"}))
    yield Case("pdf, then jpeg", b"%PDF-1.7\n" + jpeg, frozenset({"unsupported_format"}))
    yield Case("svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", frozenset({"unsupported_format"}))


def shapes(_: Image.Image) -> Iterator[Case]:
    """From one pixel to the longest side that a format has."""
    small = frozenset({"image_too_small"})
    for width, height in [(1, 1), (31, 300), (65500, 1), (1, 65500), (65500, 31)]:
        blank = Image.new("RGB", (width, height), (90, 60, 30))
        yield Case(f"{width}x{height}.jpg", saved(blank, "JPEG"), small)
        yield Case(f"{width}x{height}.png", saved(blank, "PNG"), small)
    for width, height in [(32, 32), (65500, 32), (32, 65500), (8000, 6250)]:
        blank = Image.new("RGB", (width, height), (90, 60, 30))
        yield Case(f"{width}x{height}.jpg", saved(blank, "JPEG", progressive=True), SCORED)
        yield Case(f"{width}x{height}.png", saved(blank, "PNG", compress_level=1), SCORED)
    yield Case("16383x32.webp", saved(Image.new("RGB", (16383, 32)), "WEBP"), SCORED)
    yield Case("8001x6250.png", saved(Image.new("1", (8001, 6250)), "PNG"), frozenset({"too_many_pixels"}))


def modes(picture: Image.Image) -> Iterator[Case]:
    """Every kind of sample: inks, 16 bits, palettes, alpha, one bit, interlaced."""
    grey = np.asarray(picture.convert("L")).astype(np.uint16) << 8
    yield Case("cmyk.jpg", forms(picture)["cmyk.jpg"], SCORED)
    yield Case("16 bits.png", saved(Image.fromarray(grey), "PNG"), SCORED)
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA"):
        yield Case(f"{mode}.png", saved(picture.convert(mode), "PNG"), SCORED)
    palette = picture.quantize(8)
    yield Case("palette with alpha.png", saved(palette, "PNG", transparency=bytes(range(8))), SCORED)
    for name in ("alpha.webp", "grey.jpg", "restarts.jpg", "lossy.webp"):
        yield Case(name, forms(picture)[name], SCORED)


def several(picture: Image.Image) -> Iterator[Case]:
    """Animations are refused; a JPEG with more behind it (MPO, gain map) is its first picture."""
    rotated, jpeg = picture.rotate(180), forms(picture)["baseline.jpg"]
    animated = frozenset({"animated_image"})
    for file_format in ("PNG", "WEBP"):
        yield Case(
            f"moving {file_format}", saved(picture, file_format, save_all=True, append_images=[rotated]), animated
        )
    png = forms(picture)["colour.png"]
    hidden = with_chunk(png, b"acTL", struct.pack(">II", 1, 0))
    yield Case("PNG of one frame that hides its picture", hidden, animated)
    yield Case("MPO", saved(picture, "MPO", quality=85, save_all=True, append_images=[rotated]), SCORED)
    gain = with_segment(saved(picture.convert("L").reduce(4), "JPEG"), 0xE1, b"http://ns.adobe.com/xap/1.0/\0hdrgm")
    yield Case("gain map", jpeg + gain, SCORED, jpeg)
    yield Case("gain map, cut", jpeg + gain[: len(gain) // 2], SCORED, jpeg)


def found_in_review(picture: Image.Image) -> Iterator[Case]:
    """What readers of this code got past it: an answer of 500, or a verdict on half a picture."""
    kinds, corrupt = forms(picture), frozenset({"corrupt_image"})
    jpeg, restarts, progressive = kinds["baseline.jpg"], kinds["restarts.jpg"], kinds["progressive.jpg"]
    for number in range(0xD1, 0xD6):
        offset = restarts.index(bytes((0xFF, number)))
        for zeros in (2, 16):
            yield Case(
                f"cut at restart {number:#x}, {zeros} zeros", restarts[:offset] + bytes(zeros) + b"\xff\xd9", corrupt
            )
    frame = jpeg.index(b"\xff\xc0")
    height, width = struct.unpack_from(">HH", jpeg, frame + 5)
    for name, size in [("half the height", (height // 2, width)), ("half the width", (height, width // 2))]:
        yield Case(name, jpeg[: frame + 5] + struct.pack(">HH", *size) + jpeg[frame + 9 :], corrupt)
    for name, payload, marker in [("baseline", jpeg, 0xC0), ("progressive", progressive, 0xC2)]:
        offset = payload.index(bytes((0xFF, marker))) + 10
        twice = payload[: offset + 6] + payload[offset + 3 : offset + 4] + payload[offset + 7 :]
        yield Case(f"{name}, a component twice", twice, corrupt)
    sampling = frame + 11
    yield Case("4:4:1", jpeg[:sampling] + b"\x14" + jpeg[sampling + 1 :], corrupt)
    scan = jpeg.index(b"\xff\xda") + 2 + int.from_bytes(jpeg[jpeg.index(b"\xff\xda") + 2 :][:2])
    yield Case("a scan of no coefficients", jpeg[: scan - 3] + bytes(3) + jpeg[scan:], SCORED, jpeg)
    version = jpeg.index(b"JFIF\0") + 5
    yield Case("JFIF 9.1", jpeg[:version] + b"\x09" + jpeg[version + 1 :], SCORED, jpeg)
    palette = saved(picture.quantize(16), "PNG")
    colours = palette.index(b"PLTE") - 4
    length = int.from_bytes(palette[colours : colours + 4]) + 12
    without, rest = palette[:colours] + palette[colours + length :], palette[colours + length :]
    yield Case("a palette that is not there", without, corrupt)
    yield Case(
        "a palette behind the pixels", without[:-12] + palette[colours : colours + length] + without[-12:], corrupt
    )
    for name, data in [("300", bytes(300)), ("17", bytes(17))]:
        yield Case(f"{name} transparent colours", palette[: colours + length] + chunk(b"tRNS", data) + rest, corrupt)
    yield Case("a palette of 7 bytes", palette[:colours] + chunk(b"PLTE", bytes(7)) + rest, corrupt)


FAMILIES: dict[str, Callable[[Image.Image], Iterator[Case]]] = {
    "cut": cut,
    "cut and closed": cut_and_closed,
    "cut between scans": cut_between_scans,
    "changed bytes": changed,
    "damaged PNG": damaged_png,
    "lying headers": lying,
    "bombs": bombs,
    "polyglots": polyglots,
    "shapes": shapes,
    "modes": modes,
    "several pictures": several,
    "found in review": found_in_review,
}
