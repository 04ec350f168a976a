"""Sealed files."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmark.utils.sealed import hashes, is_intact, read_sealed, seal_file, write_sealed

LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
RECORDS = st.dictionaries(
    st.text().filter(lambda name: name != "seal"),
    st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3), max_leaves=5),
    max_size=4,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(RECORDS, st.data())
def test_a_record_returns_whole_or_not_at_all(tmp_path_factory, record, data):
    """A record reads as it was written; with any bit flipped it does not read."""
    path = tmp_path_factory.getbasetemp() / "sealed.json"
    write_sealed(path, record)
    assert read_sealed(path) == record
    content = bytearray(path.read_bytes())
    bit = data.draw(st.integers(0, 8 * len(content) - 1))
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)
    assert read_sealed(path) is None


def test_a_missing_file_reads_as_none(tmp_path):
    """So does a file of other JSON."""
    assert read_sealed(tmp_path / "none.json") is None
    for text in ("[]", "1", "{}", ""):
        (tmp_path / "other.json").write_text(text)
        assert read_sealed(tmp_path / "other.json") is None


def test_a_file_is_intact_with_its_seal_alone(tmp_path):
    """Neither a changed file, nor one without a seal, nor a seal without a file."""
    path = tmp_path / "a.bin"
    path.write_bytes(b"abc")
    assert not is_intact(path)
    seal_file(path)
    assert is_intact(path)
    path.write_bytes(b"abd")
    assert not is_intact(path)
    path.unlink()
    assert not is_intact(path)


def test_hashes_of_a_folder(tmp_path):
    """The SHA-256 of 'abc' is a published test vector; a missing folder has no files."""
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "a").write_bytes(b"abc")
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert hashes(tmp_path) == {"x/a": digest}
    assert hashes(tmp_path / "none") == {}
