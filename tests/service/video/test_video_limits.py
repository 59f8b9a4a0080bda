"""What kind of video a file is, by its first bytes."""

import pytest

from service.video.video_limits import container_of


@pytest.mark.parametrize(
    ("head", "container"),
    [
        (b"\0\0\0\x20ftypisom", "MP4"),
        (b"\0\0\0\x14ftypqt  ", "MOV"),
        (b"\x1a\x45\xdf\xa3\x9f\x42\x82\x84webm", "WEBM"),
        (b"\x1a\x45\xdf\xa3\xa3\x42\x82\x88matroska", "MKV"),
        (b"\0\0\0\x1cftypavif", None),
        (b"\0\0\0\x18ftypheic", None),
        (b"RIFF\0\0\0\0AVI ", None),
        (b"\xff\xd8\xff\xe0", None),
        (b"#EXTM3U\n", None),
        (b"", None),
    ],
)
def test_a_container_is_told_by_its_first_bytes(head, container):
    assert container_of(head) == container
