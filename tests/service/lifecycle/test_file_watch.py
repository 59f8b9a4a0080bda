"""A change counts once two checks agree."""

from service.lifecycle.file_watch import FileWatch


def test_a_watch_tells_of_a_change_once_it_has_settled(tmp_path):
    path = tmp_path / "file"
    watch = FileWatch([path])
    assert [watch.changed(), watch.changed()] == [True, False]  # of what was read before nobody knows when
    path.write_bytes(b"1")
    assert [watch.changed(), watch.changed(), watch.changed()] == [False, True, False]
    path.write_bytes(b"22")
    assert not watch.changed()
    path.write_bytes(b"333")
    assert [watch.changed(), watch.changed(), watch.changed()] == [False, True, False]
    path.unlink()
    assert [watch.changed(), watch.changed(), watch.changed()] == [False, True, False]
