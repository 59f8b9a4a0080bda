"""Forms: multipart bodies in any pieces, whole or cut off."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.api.form import Form
from service.errors import RequestError


@given(payload=st.binary(max_size=300), cuts=st.lists(st.integers(0, 400), max_size=8))
def test_a_form_is_the_same_in_whatever_pieces_it_comes(payload, cuts):
    if b"--edge" in payload:
        return
    body = (
        b'--edge\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n'
        + payload
        + b"\r\n--edge--\r\n"
    )
    form, places = Form(b"edge", 8, "one"), [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    for start, end in pairwise(places):
        form.write(body[start:end])
    assert [bytes(part.data) for part in form.files()] == [payload]


def test_a_form_that_is_cut_off_is_refused():
    form = Form(b"edge", 8, "one")
    form.write(b'--edge\r\nContent-Disposition: form-data; name="file"\r\n\r\nhalf a pict')
    with pytest.raises(RequestError, match="ends before its closing boundary"):
        form.files()


@pytest.mark.parametrize(
    "body",
    [
        b"--b\r\nX: " + b"y" * 200_000,
        b"--b\r\n" + b"y: z\r\n" * 20_000,
        b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\nx\r\n--bb--\r\n',
        b"\r\n" * 1000,
        b"--",
    ],
    ids=["a header of 200 kB", "20,000 headers", "another boundary", "line ends", "two dashes"],
)
def test_malformed_form_gets_400(client, body):
    response = client.post("/predict", content=body, headers={"Content-Type": "multipart/form-data; boundary=b"})
    assert (response.status_code, response.json()["code"]) in [(400, "malformed_multipart"), (400, "missing_file")]
