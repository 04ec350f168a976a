"""Resumable states."""

import torch

from benchmark.utils.training_state import load_state, save_state


def test_a_damaged_state_is_discarded_with_a_note(tmp_path, capsys):
    """A state reads as it was saved or not at all: with a flipped bit in any region, or cut short."""
    path = tmp_path / "state.pt"
    state = {"step": 7, "w": torch.arange(600, dtype=torch.float32)}
    save_state(path, state)
    whole = path.read_bytes()
    read = load_state(path)
    assert read["step"] == 7
    assert torch.equal(read["w"], state["w"])
    damaged = 0
    for bit in range(3, 8 * len(whole), 997):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        read = load_state(path)
        if read is None:  # else a bit of the padding, or of the time of a member
            damaged += 1
            assert not path.exists()
        else:
            assert read["step"] == 7
            assert torch.equal(read["w"], state["w"])
    assert damaged > 10
    path.write_bytes(whole[: len(whole) // 2])
    assert load_state(path) is None
    assert f"note: {path}: damaged, so computed again" in capsys.readouterr().err
    assert load_state(path) is None
