import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_stack.bench.connection import split_answer

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nContent-Length: 2\r\n\r\n{}"


@given(cut=st.integers(0, len(ANSWER) - 1))
@settings(max_examples=80)
def test_answer_in_pieces_is_waited_for(cut) -> None:
    assert split_answer(ANSWER[:cut]) is None


def test_complete_answer_gives_status_and_body() -> None:
    assert split_answer(ANSWER) == (200, b"{}", False)


def test_server_that_will_close_says_so() -> None:
    answer = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nConnection: close\r\n\r\n"
    assert split_answer(answer) == (503, b"", True)


def test_answer_without_a_length_is_refused_instead_of_waited_for() -> None:
    with pytest.raises(ValueError, match="content-length"):
        split_answer(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n")
